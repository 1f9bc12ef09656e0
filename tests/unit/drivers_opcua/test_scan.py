"""What a server offers, before anything is trusted."""

from __future__ import annotations

import pytest

from drivers.opcua import PLUGIN
from edge_agent.errors import LinkLost
from tests.plant.site import free_port

from .server import UaServer, settings_for


async def test_endpoints_are_told_as_a_device_file_would_hold_them(server: UaServer) -> None:
    assert PLUGIN.scan is not None
    settings, sessions = settings_for(server.port), server.sessions
    findings = [finding async for finding in PLUGIN.scan(settings)]
    assert {finding["security_policy"] for finding in findings} == {"None"}
    assert "Anonymous" in findings[0]["said"]
    assert server.sessions == sessions, "asked without a session"


async def test_nobody_there() -> None:
    assert PLUGIN.scan is not None
    with pytest.raises(LinkLost):
        async for _ in PLUGIN.scan(settings_for(free_port())):
            pass
