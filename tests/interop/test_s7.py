"""S7 against the server of the C library snap7."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.acquisition import read_once
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.model import Quality
from tests.interop.peers import Peer, device, polled, values, write
from tests.plant.site import free_port

pytestmark = pytest.mark.timeout(400)

TAGS = [
    ("running", "DB1.DBX0.3", "bool"),
    ("stopped", "DB1.DBX0.4", "bool"),
    ("byte", "DB1.DBB1", "uint8"),
    ("int", "DB1.DBW2", "int16"),
    ("word", "DB1.DBW4", "uint16"),
    ("dint", "DB1.DBD8", "int32"),
    ("dword", "DB1.DBD12", "uint32"),
    ("real", "DB1.DBD16", "float32"),
    ("udint", "DB1.DBD24", "uint32"),
    ("name", "DB1.DBB40", "string[20]"),
    ("far", "DB1.DBW500", "int16"),
]
EXPECTED = {
    "running": True, "stopped": False, "byte": 200, "int": -12345, "word": 54321, "dint": -123456789,
    "dword": 3123456789, "real": pytest.approx(0.1, abs=1e-8), "udint": 4_000_000_000, "name": "press 1",
    "far": 77,
}  # fmt: skip


@pytest.fixture
def peer(python_peer: Path, tmp_path: Path) -> Iterator[Peer]:
    started = Peer([python_peer, Path(__file__).with_name("s7_peer.py"), str(free_port())], tmp_path / "log")
    yield started
    started.kill()


def reader(peer: Peer, tags: list[tuple[str, str, str]] = TAGS, **settings: object) -> Device:
    return device("s7", tags, link=f"tcp://127.0.0.1:{peer.answer['port']}", rack=0, slot=1, **settings)


async def test_every_type(peer: Peer) -> None:
    (batch,) = await read_once(reader(peer), SystemClock())
    assert values(batch) == EXPECTED


async def test_what_is_missing_takes_nothing_with_it(peer: Peer) -> None:
    tags = [
        ("int", "DB1.DBW2", "int16"),
        ("no-block", "DB9.DBW0", "int16"),
        ("beyond", "DB1.DBD510", "int32"),
    ]
    (batch,) = await read_once(reader(peer, tags), SystemClock())
    found = values(batch)
    assert found == {"int": -12345, "no-block": Quality.BAD_ADDRESS, "beyond": Quality.BAD_ADDRESS}


async def test_the_server_dies_and_comes_back(peer: Peer) -> None:
    async with polled(reader(peer)) as watch:
        assert values(await watch.until(good=True)) == EXPECTED
        peer.kill()
        await watch.until(good=False)
        peer.start()
        assert values(await watch.until(good=True, within_s=5)) == EXPECTED


@pytest.mark.parametrize(
    ("tag", "raw", "held"),
    [
        (("real", "DB1.DBD100", "float32"), 1.5, "3fc00000"),
        (("int", "DB1.DBW104", "int16"), -2, "fffe"),
        (("dint", "DB1.DBD108", "int32"), 123456789, "075bcd15"),
        (("byte", "DB1.DBB112", "uint8"), 250, "fa"),
    ],
    ids=["real", "int", "dint", "byte"],
)
async def test_values_are_written(peer: Peer, tag: tuple[str, str, str], raw: int | float, held: str) -> None:
    one = reader(peer, [tag])
    await write(one, tag[0], raw)
    assert peer.ask(f"bytes {one.tags[0].address[7:]} {len(held) // 2}") == held
    (batch,) = await read_once(one, SystemClock())
    assert values(batch) == {tag[0]: raw}


async def test_a_bit_is_written_and_its_neighbours_stay(peer: Peer) -> None:
    lamp = reader(peer, [("lamp", "DB1.DBX0.6", "bool")], exclusive_bytes=["DB1.DBB0"])
    await write(lamp, "lamp", True)
    assert peer.ask("bytes 0 1") == "48"
