from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import UaServer, serving


@pytest.fixture(scope="session")
def shared_server() -> Iterator[UaServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared_server: UaServer) -> UaServer:
    """The shared server, well-behaved again. Its nodes stay: name yours after your test."""
    shared_server.behave()
    return shared_server
