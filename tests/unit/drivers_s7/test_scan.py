"""Behind which rack and slot a CPU answers."""

from __future__ import annotations

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.scan import PLACES
from drivers.s7.settings import S7Settings
from edge_agent.errors import LinkLost
from tests.plant.site import free_port
from tests.unit.drivers_s7.simulated import simulated


async def test_every_place_that_answers_is_told_with_what_it_grants() -> None:
    assert PLUGIN.scan is not None
    async with simulated(pdu=240) as server:
        settings = S7Settings(link=f"tcp://127.0.0.1:{server.port}", timeout="2s")
        findings = [finding async for finding in PLUGIN.scan(settings)]
    assert [(f["rack"], f["slot"]) for f in findings] == [place for place in PLACES if place[1] <= 2], (
        "where the simulated CPU is"
    )
    assert {f["said"] for f in findings} == {"PDU 240"}


async def test_nobody_there() -> None:
    assert PLUGIN.scan is not None
    with pytest.raises(LinkLost, match="no CPU answers"):
        async for _ in PLUGIN.scan(S7Settings(link=f"tcp://127.0.0.1:{free_port()}", timeout="1s")):
            pass
