"""What frames of the wire are said to mean, over all three framings; and that no bytes upset it."""

from __future__ import annotations

import random

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.framing import AsciiFraming, RtuFraming
from drivers.s7 import PLUGIN as S7
from tests.plant.seeds import fresh_seed

LINKS = ("tcp://h:502", "rtu:///dev/ttyS0", "ascii+tcp://h:1")
READ = bytes.fromhex("0300320004")


def framed(link: str, station: int, pdu: bytes, transaction: int = 7) -> bytes:
    if link.startswith("tcp"):
        return transaction.to_bytes(2) + b"\0\0" + (len(pdu) + 1).to_bytes(2) + bytes((station,)) + pdu
    return (RtuFraming() if link.startswith("rtu") else AsciiFraming()).encode(station, pdu)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    ("asked", "answer", "en", "zh", "failed"),
    [
        (READ, "0308 0123 4567 89ab cdef", "FC03 hr:50..53 = 291 17767 35243 52719", "hr:50..53", False),
        (READ, "8302", "exception 2: illegal data address", "异常 2：非法数据地址", True),
        (READ, "8304", "exception 4: device failure (FC03 read hr:50..53, 4)", "设备故障", True),
        (bytes.fromhex("0100000009"), "010203 01", "FC01 co:0..8 = 1 1 0 0 0 0 0 0 1", "co:0..8", False),
        (bytes.fromhex("06000a002a"), "06000a002a", "FC06 written: hr:10", "已写入：hr:10", False),
        (bytes.fromhex("05002 0ff00".replace(" ", "")), "050020ff00", "written: co:32", "co:32", False),
        (bytes.fromhex("1000000001020007"), "1000000001", "FC16 written: hr:0", "hr:0", False),
        (bytes.fromhex("2b0e0100"), "2b0e01", "FC43, 3 bytes", "3 字节", False),
    ],
)
def test_answers(link: str, asked: bytes, answer: str, en: str, zh: str, failed: bool) -> None:
    assert PLUGIN.interpret is not None
    meaning_of = PLUGIN.interpret(link)
    question = meaning_of(">", framed(link, 5, asked))
    told = meaning_of("<", framed(link, 5, bytes.fromhex(answer)))
    assert question.station == told.station == 5 and question.identity == told.identity
    assert en in told.text.en and zh in told.text.zh and told.failed is failed
    assert question.bare == b"\x05" + asked and told.bare == b"\x05" + bytes.fromhex(answer)


def test_an_answer_belongs_to_its_own_request() -> None:
    assert PLUGIN.interpret is not None
    meaning_of = PLUGIN.interpret("tcp://h:502")
    meaning_of(">", framed("tcp://", 1, bytes.fromhex("0300000001"), 1))
    meaning_of(">", framed("tcp://", 1, bytes.fromhex("0300090001"), 2))
    assert "hr:0 = 5" in meaning_of("<", framed("tcp://", 1, bytes.fromhex("03020005"), 1)).text.en
    assert "? = 5" in meaning_of("<", framed("tcp://", 1, bytes.fromhex("03020005"), 3)).text.en


@pytest.mark.parametrize("link", LINKS)
def test_no_bytes_upset_it(link: str) -> None:
    number = fresh_seed()
    chance = random.Random(number)
    for interpret in (PLUGIN.interpret, S7.interpret):
        assert interpret is not None
        meaning_of = interpret(link)
        for round_ in range(3000):
            data = chance.randbytes(chance.randrange(40))
            if round_ % 2:
                pdu = bytes((chance.choice((1, 3, 5, 6, 15, 16, 0x83)),)) + data
                data = framed(link, 1, pdu) if interpret is PLUGIN.interpret else _packet(pdu)
            meaning = meaning_of(chance.choice("><!"), data)
            assert isinstance(meaning.text.en, str), f"seed {number}"


def _packet(data: bytes) -> bytes:
    pdu = b"\x32\x03\0\0\0\x01\0\x02" + data
    return b"\x03\0" + (7 + len(pdu)).to_bytes(2) + b"\x02\xf0\x80" + pdu
