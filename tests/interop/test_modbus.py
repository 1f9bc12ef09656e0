"""Modbus TCP against pyModbusTCP's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.acquisition import read_once
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from tests.interop.peers import Peer, device, polled, values, write
from tests.plant.site import free_port

pytestmark = pytest.mark.timeout(400)

TAGS = [
    ("word", "40001", "uint16"),
    ("negative", "hr:1", "int16"),
    ("double-word", "hr:10", "int32"),
    ("small", "hr:20", "float32"),
    ("tiny", "hr:30", "float64"),
    ("large", "hr:40", "uint64"),
    ("last", "hr:65535", "uint16"),
    ("input", "ir:5", "uint16"),
    ("coil", "co:3", "bool"),
    ("next-coil", "co:4", "bool"),
    ("contact", "di:9", "bool"),
]
EXPECTED = {
    "word": 54321, "negative": -12345, "double-word": -123456789, "small": pytest.approx(0.1, abs=1e-8),
    "tiny": -2.5e-7, "large": 2**63 + 12345, "last": 7, "input": 1005, "coil": True, "next-coil": False,
    "contact": True,
}  # fmt: skip


@pytest.fixture
def peer(python_peer: Path, tmp_path: Path) -> Iterator[Peer]:
    started = Peer(
        [python_peer, Path(__file__).with_name("modbus_peer.py"), str(free_port())], tmp_path / "log"
    )
    yield started
    started.kill()


def reader(peer: Peer, tags: list[tuple[str, str, str]] = TAGS, **settings: object) -> Device:
    return device("modbus", tags, link=f"tcp://127.0.0.1:{peer.answer['port']}", **settings)


async def test_every_table_and_type(peer: Peer) -> None:
    (batch,) = await read_once(reader(peer), SystemClock())
    assert values(batch) == EXPECTED


async def test_low_word_first(peer: Peer) -> None:
    tags = [("double-word", "hr:12", "int32"), ("small", "hr:22", "float32")]
    (batch,) = await read_once(reader(peer, tags, byte_order="CDAB"), SystemClock())
    assert values(batch) == {"double-word": -123456789, "small": pytest.approx(0.1, abs=1e-8)}


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
        (("word", "hr:60", "uint16"), 4711, [4711]),
        (("float", "hr:62", "float32"), 1.5, [0x3FC0, 0]),
        (("long", "hr:64", "int32"), -2, [0xFFFF, 0xFFFE]),
    ],
    ids=["one register", "a float", "two registers"],
)
async def test_registers_are_written(
    peer: Peer, tag: tuple[str, str, str], raw: int | float, held: list[int]
) -> None:
    one = reader(peer, [tag])
    await write(one, tag[0], raw)
    assert peer.ask(f"registers {tag[1].partition(':')[2]} {len(held)}") == held
    (batch,) = await read_once(one, SystemClock())
    assert values(batch) == {tag[0]: raw}


async def test_a_coil_is_written(peer: Peer) -> None:
    await write(reader(peer, [("lamp", "co:70", "bool")]), "lamp", True)
    assert peer.ask("coils 69 3") == [False, True, False]
