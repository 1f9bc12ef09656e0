"""OPC UA with security against node-opcua's server: Basic256Sha256, SignAndEncrypt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.acquisition import read_once
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.errors import LinkDenied
from edge_agent.model import Quality
from tests.interop.peers import Peer, device, polled, values, write
from tests.plant.site import free_port

pytestmark = pytest.mark.timeout(400)

SPACE = "nsu=urn:lineside:interop;s=Press"
TYPES = {
    "Bool": "bool", "Int16": "int16", "UInt16": "uint16", "Int32": "int32", "UInt32": "uint32",
    "Int64": "int64", "UInt64": "uint64", "Float": "float32", "Double": "float64", "String": "string[40]",
}  # fmt: skip
TAGS = [(name, f"{SPACE}.{name}", kind) for name, kind in TYPES.items()]
EXPECTED = {
    "Bool": True, "Int16": -12345, "UInt16": 54321, "Int32": -123456789, "UInt32": 3123456789, "Int64": -2,
    "UInt64": 0x12345678_9ABCDEF0, "Float": 1.5, "Double": 0.1, "String": "窑炉 1",
}  # fmt: skip


@pytest.fixture
def peer(node_folder: Path, tmp_path: Path) -> Iterator[Peer]:
    server = Path(__file__).parent / "node" / "server.js"
    command = ["node", server, str(free_port()), tmp_path / "server"]
    started = Peer(command, tmp_path / "log", {"NODE_CACHE": str(node_folder)})
    yield started
    started.kill()


@pytest.fixture
def pki(peer: Peer, tmp_path: Path) -> Path:
    """Our folder of certificates, with the server's among the trusted ones."""
    trusted = tmp_path / "pki" / "trusted"
    trusted.mkdir(parents=True)
    shutil.copy(peer.answer["certificate"], trusted)
    return trusted.parent


def reader(peer: Peer, pki: Path, tags: list[tuple[str, str, str]] = TAGS, **settings: Any) -> Device:
    link = f"opc.tcp://127.0.0.1:{peer.answer['port']}"
    return device("opcua", tags, link=link, pki=str(pki), security_policy="Basic256Sha256", **settings)


async def test_every_type(peer: Peer, pki: Path) -> None:
    (batch,) = await read_once(reader(peer, pki), SystemClock())
    assert values(batch) == EXPECTED


async def test_what_is_wrong_takes_nothing_with_it(peer: Peer, pki: Path) -> None:
    tags = [
        ("good", f"{SPACE}.Double", "float64"),
        ("unknown", f"{SPACE}.Nowhere", "float64"),
        ("broken", f"{SPACE}.Broken", "float64"),
        ("unfitting", f"{SPACE}.String", "int32"),
    ]
    (batch,) = await read_once(reader(peer, pki, tags), SystemClock())
    found = values(batch)
    assert found["good"] == 0.1
    assert found["unknown"] is Quality.BAD_ADDRESS
    assert found["broken"] is Quality.BAD_DEVICE
    assert found["unfitting"] in (Quality.BAD_DECODE, Quality.BAD_CONFIG)


async def test_a_user_and_a_password(peer: Peer, pki: Path) -> None:
    (batch,) = await read_once(reader(peer, pki, user="operator", password="correct horse"), SystemClock())
    assert values(batch) == EXPECTED
    with pytest.raises(LinkDenied):
        await read_once(reader(peer, pki, user="operator", password="wrong"), SystemClock())


async def test_a_server_that_is_not_trusted_is_not_read(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(LinkDenied, match="not trusted"):
        await read_once(reader(peer, tmp_path / "other"), SystemClock())


async def test_nothing_weaker_is_tried(peer: Peer, tmp_path: Path) -> None:
    link = f"opc.tcp://127.0.0.1:{peer.answer['port']}"
    with pytest.raises(LinkDenied):
        await read_once(device("opcua", TAGS, link=link, pki=str(tmp_path / "other")), SystemClock())


async def test_the_server_dies_and_comes_back(peer: Peer, pki: Path) -> None:
    async with polled(reader(peer, pki)) as watch:
        assert values(await watch.until(good=True, within_s=20)) == EXPECTED
        peer.kill()
        await watch.until(good=False)
        peer.start()
        assert values(await watch.until(good=True, within_s=5)) == EXPECTED


async def test_a_value_is_written(peer: Peer, pki: Path) -> None:
    one = reader(peer, pki, [("setpoint", f"{SPACE}.Setpoint", "float64")])
    await write(one, "setpoint", 0.45)
    (batch,) = await read_once(one, SystemClock())
    assert values(batch) == {"setpoint": 0.45}


async def test_a_subscription_reports_changes(peer: Peer, pki: Path) -> None:
    one = reader(peer, pki, [("counter", f"{SPACE}.Counter", "uint32")], subscribe=["default"])
    async with polled(one) as watch:
        first = await watch.until(good=True, within_s=20)
        for _ in range(5):  # what was sampled before the first read may be reported after it
            last = await watch.until(good=True)
    assert last.values[0] > first.values[0]  # type: ignore[operator]  # numbers
