"""Modbus/TCP Security: both sides show a certificate, and a person is told which one is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.link_tls import make_context
from drivers.modbus.settings import ModbusSettings
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.testing.wire import until
from hardware_mocks.modbus import ModbusServer
from tests.unit.drivers_modbus.bank import Bank
from tests.unit.drivers_modbus.certificates import Authority, server_context
from tests.unit.drivers_modbus.peer_bus import request_for

REQUEST = request_for("hr:7", station=1)


@dataclass(frozen=True, slots=True)
class Plant:
    folder: Path
    authority: Authority
    server: ModbusServer

    def settings(self, **keys: Any) -> ModbusSettings:
        own = self.authority.issue("agent")
        right = {
            "link": f"tls://127.0.0.1:{self.server.port}",
            "ca_file": self.authority.ca,
            "cert_file": own.cert,
            "key_file": own.key,
        }
        return ModbusSettings.model_validate({k: v for k, v in (right | keys).items() if v is not None})


@pytest_asyncio.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    authority = Authority(tmp_path, "plant")
    context = server_context(authority, authority.issue("plc", "127.0.0.1"))
    server = ModbusServer({1: Bank(counting=True)}, tls=context)
    await server.start()
    yield Plant(tmp_path, authority, server)
    await server.close()


async def denied(settings: ModbusSettings) -> str:
    """What the agent says; a server may refuse a certificate only after the handshake, at the first read."""
    link = PLUGIN.open_link(settings)
    try:
        with pytest.raises(LinkDenied) as caught:
            async with asyncio.timeout(5):
                await link.connect()
                await link.exchange(REQUEST)
        assert caught.value.reason == "cert"
        return str(caught.value)
    finally:
        await link.close()


async def test_with_the_right_certificates_it_reads(plant: Plant) -> None:
    link = PLUGIN.open_link(plant.settings())
    assert isinstance(link, ModbusTcpLink)
    await link.connect()
    for _ in range(3):
        assert await link.exchange(REQUEST) == b"\0\7"
    await link.close()


async def test_a_server_of_another_authority(plant: Plant) -> None:
    words = await denied(plant.settings(ca_file=Authority(plant.folder, "other").ca))
    assert "unknown authority" in words and "ca_file" in words


@contextmanager
def plain_openssl(plant: Plant) -> Iterator[int]:
    """A server that tells why it refuses, as devices do; asyncio's closes without a word."""
    context = plant.server._port._tls
    assert context is not None
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection = listening.accept()[0]
            with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
                with contextlib.suppress(OSError):
                    tls.do_handshake()
                while os.read(tls.fileno(), 4096):  # unread, it would turn the alert into a reset
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(6)


async def test_no_certificate_of_our_own(plant: Plant) -> None:
    with plain_openssl(plant) as port:
        words = await denied(plant.settings(link=f"tls://127.0.0.1:{port}", cert_file=None, key_file=None))
    assert "wants a certificate of this agent: give cert_file and key_file" in words


async def test_a_certificate_the_server_does_not_trust(plant: Plant) -> None:
    stranger = Authority(plant.folder, "other").issue("agent")
    keys = {"cert_file": stranger.cert, "key_file": stranger.key}
    with plain_openssl(plant) as port:
        words = await denied(plant.settings(link=f"tls://127.0.0.1:{port}", **keys))
    assert "refuses the certificate of this agent" in words


async def test_a_server_that_closes_without_a_word(plant: Plant) -> None:
    link = PLUGIN.open_link(plant.settings(cert_file=None, key_file=None))
    with pytest.raises(LinkLost, match="does not accept this agent's certificate"):
        async with asyncio.timeout(5):
            await link.connect()
            await link.exchange(REQUEST)
    await link.close()


async def test_a_certificate_for_another_host(plant: Plant) -> None:
    words = await denied(plant.settings(link=f"tls://localhost:{plant.server.port}"))
    assert "not made for localhost" in words


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
async def test_a_file_that_is_missing_or_no_certificate(key: str, plant: Plant) -> None:
    assert f"{plant.folder}/none.pem" in await denied(plant.settings(**{key: plant.folder / "none.pem"}))
    (plant.folder / "text.pem").write_text("not a certificate")
    words = await denied(plant.settings(**{key: plant.folder / "text.pem"}))
    assert key in words and "PEM" in words


async def test_a_server_without_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "plant")
    server = ModbusServer({1: Bank()})
    await server.start()
    link = PLUGIN.open_link(Plant(tmp_path, authority, server).settings())
    with pytest.raises(LinkLost):
        async with asyncio.timeout(5):
            await link.connect()
    await link.close()
    await server.close()


async def test_an_old_protocol_version_is_refused(plant: Plant) -> None:
    assert make_context(plant.settings()).minimum_version == ssl.TLSVersion.TLSv1_2
    with pytest.warns(DeprecationWarning):
        plant.server._port._tls.maximum_version = ssl.TLSVersion.TLSv1_1  # type: ignore[union-attr]
    link = PLUGIN.open_link(plant.settings())
    with pytest.raises(LinkLost):
        async with asyncio.timeout(5):
            await link.connect()
    await link.close()


async def test_the_server_hangs_up(plant: Plant) -> None:
    link = PLUGIN.open_link(plant.settings())
    await link.connect()
    await link.exchange(REQUEST)
    await plant.server.close()
    await until(lambda: getattr(link, "_loss", None) is not None, "the loss was not noticed")
    with pytest.raises(LinkLost) as caught:
        await link.exchange(REQUEST)
    assert not isinstance(caught.value, LinkDenied), "a reset says nothing of certificates"
    await link.close()
