"""S7 as a hostile controller speaks it. Byte ``n`` of DB1 is part of slot ``n // 8``; there is no other DB.
Asked for its state, it says RUN; it lies about nothing but the data block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from tests.faults.hostile import stamps
from tests.faults.hostile.behaviours import Behaviour
from tests.faults.hostile.frames import Nonsense, Question, Stream, noise

_PDU = 240
_READ, _WRITE, _SETUP = 0x04, 0x05, 0xF0
_JOB, _USER_DATA = 1, 7
_STATE = bytes.fromhex("000112081284010000000000ff09001c042400000014000100000008") + bytes(16)
_Span = tuple[int, int]  # first byte, bytes


class S7Talk(Stream):
    in_order = False

    def feed(self, data: bytes) -> Iterator[bytes | Question]:
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[2:4])
            if self._buffer[0] != 3 or not 7 <= length <= 4096:
                raise Nonsense
            if len(self._buffer) < length:
                return
            packet, self._buffer = self._buffer[4:length], self._buffer[length:]
            yield self._take(packet)

    def _take(self, packet: bytes) -> bytes | Question:
        if packet[1] == 0xE0:
            confirm = b"\xd0" + packet[4:6] + b"\0\x01\0" + packet[7:]
            return _tpkt(bytes((len(confirm),)) + confirm)
        pdu = packet[3:]
        if packet[1] != 0xF0 or len(pdu) < 12 or pdu[0] != 0x32:
            raise Nonsense
        reference = int.from_bytes(pdu[4:6])
        if pdu[1] == _USER_DATA:
            return _tpkt(
                _data(struct.pack(">BBHHHH", 0x32, _USER_DATA, 0, reference, 12, len(_STATE) - 12) + _STATE)
            )
        if pdu[1] != _JOB:
            raise Nonsense
        if pdu[10] == _SETUP:
            return _tpkt(_data(_ack(reference, struct.pack(">BBHHH", _SETUP, 0, 1, 1, _PDU), b"")))
        if pdu[10] == _WRITE:  # says that it took effect
            return _tpkt(_data(_ack(reference, bytes((_WRITE, pdu[11])), b"\xff" * pdu[11])))
        if pdu[10] != _READ:
            raise Nonsense
        asked = [_span(pdu[12 + 12 * i : 24 + 12 * i]) for i in range(pdu[11])]
        spans = [span for span in asked if span is not None]
        if len(spans) < len(asked):
            items = b"\x0a\0\0\0" * len(asked)
            return _tpkt(_data(_ack(reference, bytes((_READ, len(asked))), items)))
        return _Question(self._link, reference, spans)


class _Question:
    def __init__(self, link: int, reference: int, spans: list[_Span]) -> None:
        self._link = link
        self._reference = reference
        self._spans = spans
        self._stamp = stamps.now()

    def answer(self, behaviour: Behaviour, chance: Random) -> bytes:
        spans = self._spans
        match behaviour:
            case Behaviour.SHORT:
                return self._frame(spans[:-1] if chance.random() < 0.5 else _resized(spans, chance, -1))
            case Behaviour.LONG:
                return self._frame([*spans, (0, 8)] if chance.random() < 0.5 else _resized(spans, chance, 1))
            case Behaviour.FOREIGN:
                step = chance.choice([-1, 1, 256])
                wrong = self._frame([(start + 400, size) for start, size in spans], step=step)
            case Behaviour.FUNCTION:
                wrong = self._frame(spans, function=chance.choice([0x05, 0x00, 0x1D]))
            case Behaviour.HUGE:
                return (
                    b"\3\0" + chance.choice([b"\xff\xff", b"\x20\x00"]) + b"\2\xf0\x80" + noise(chance, 4096)
                )
            case Behaviour.FLOOD:
                if chance.random() < 0.5:
                    return noise(chance, 262_144)
                frame = self._frame(spans, step=7)
                return frame * (262_144 // len(frame) // chance.randrange(1, 8))
            case _:
                return self._frame(spans)
        return wrong + (self._frame(spans) if chance.random() < 0.5 else b"")

    def _frame(self, spans: list[_Span], *, step: int = 0, function: int = _READ) -> bytes:
        items = [struct.pack(">BBH", 0xFF, 4, 8 * size) + self._bytes(start, size) for start, size in spans]
        data = b"".join(item + b"\0" * (len(item) % 2) for item in items[:-1]) + b"".join(items[-1:])
        parameter = bytes((function, len(spans)))
        return _tpkt(_data(_ack((self._reference + step) & 0xFFFF, parameter, data)))

    def _bytes(self, start: int, size: int) -> bytes:
        first, last = start // 8, (start + size - 1) // 8
        words = (
            stamps.word(stamps.place(self._link, 0, slot), self._stamp) for slot in range(first, last + 1)
        )
        return b"".join(word.to_bytes(8) for word in words)[start - 8 * first :][:size]


def _resized(spans: list[_Span], chance: Random, sign: int) -> list[_Span]:
    """One of the items, any of them, with other bytes than were asked for."""
    changed = chance.randrange(len(spans))
    step = sign * chance.choice([1, 2, 4, 7])
    return [(start, size + step * (i == changed)) for i, (start, size) in enumerate(spans)]


def _span(item: bytes) -> _Span | None:
    """None for what is not bytes of DB1."""
    if len(item) != 12:
        raise Nonsense
    if item[3] != 2 or item[6:9] != b"\0\1\x84":
        return None
    return int.from_bytes(item[9:12]) // 8, int.from_bytes(item[4:6])


def _ack(reference: int, parameter: bytes, data: bytes) -> bytes:
    head = struct.pack(">BBHHHHBB", 0x32, 3, 0, reference, len(parameter), len(data), 0, 0)
    return head + parameter + data


def _data(pdu: bytes) -> bytes:
    return b"\2\xf0\x80" + pdu


def _tpkt(cotp: bytes) -> bytes:
    return b"\3\0" + (4 + len(cotp)).to_bytes(2) + cotp
