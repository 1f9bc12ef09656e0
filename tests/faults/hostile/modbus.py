"""Modbus as a hostile device speaks it: MBAP, RTU and ASCII frames around the same four read functions.

Register ``n`` of the holding registers is a quarter of slot ``n // 4``; of the input registers of slot
2048 + ``n // 4``. Coil ``n`` is bit ``n % 64`` of slot 3000 + ``n // 64``; the inputs begin at slot 3500.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.faults.hostile import stamps
from tests.faults.hostile.behaviours import Behaviour
from tests.faults.hostile.frames import Nonsense, Question, Stream, noise

COILS, INPUTS, HOLDING, REGISTERS = 1, 2, 3, 4
_FIRST_SLOT = {COILS: 3000, INPUTS: 3500, HOLDING: 0, REGISTERS: 2048}
_OTHER = {COILS: INPUTS, INPUTS: COILS, HOLDING: REGISTERS, REGISTERS: HOLDING}


@dataclass(frozen=True, slots=True)
class Ask:
    """A read, whatever frame it came in."""

    link: int
    station: int
    function: int
    start: int
    count: int

    @property
    def unit(self) -> int:
        """What of it one step more or less is."""
        return 8 if self.function in (COILS, INPUTS) else 1

    def reply(self, stamp: int) -> bytes:
        """Station, function, byte count, data."""
        size, data = self._bits(stamp) if self.function in (COILS, INPUTS) else self._words(stamp)
        return bytes((self.station & 0xFF, self.function, size & 0xFF)) + data

    def _words(self, stamp: int) -> tuple[int, bytes]:
        first, last = self.start // 4, (self.start + self.count - 1) // 4
        data = b"".join(self._slot(slot, stamp).to_bytes(8) for slot in range(first, last + 1))
        at = 2 * (self.start - 4 * first)
        return 2 * self.count, data[at : at + 2 * self.count]

    def _bits(self, stamp: int) -> tuple[int, bytes]:
        first, last = self.start // 64, (self.start + self.count - 1) // 64
        data = b"".join(self._slot(slot, stamp).to_bytes(8, "little") for slot in range(first, last + 1))
        number = int.from_bytes(data, "little") >> self.start - 64 * first & (1 << self.count) - 1
        size = (self.count + 7) // 8
        return size, number.to_bytes(size, "little")

    def _slot(self, slot: int, stamp: int) -> int:
        where = stamps.place(self.link, self.station, _FIRST_SLOT[self.function] + slot)
        return stamps.word(where, stamp)


class _Question:
    """``asked`` and, under a transaction id, its frame."""

    def __init__(self, asked: Ask, wrap: Wrap, transaction: int = 0) -> None:
        self._asked = asked
        self._wrap = wrap
        self._transaction = transaction
        self._stamp = stamps.now()

    def answer(self, behaviour: Behaviour, chance: Random) -> bytes:
        asked = self._asked
        match behaviour:
            case Behaviour.SHORT:
                steps = chance.choice([1, 1, 2, 4]) * asked.unit
                return self._frame(
                    replace(asked, count=max(asked.count - steps, 1)), cut=asked.count <= steps
                )
            case Behaviour.LONG:
                return self._frame(
                    replace(asked, count=asked.count + chance.choice([1, 1, 2, 4]) * asked.unit)
                )
            case Behaviour.FOREIGN:
                other = replace(asked, start=asked.start + 400, station=self._wrap.stranger(asked.station))
                wrong = self._frame(other, transaction=self._transaction + chance.choice([-1, 1, 256]))
            case Behaviour.UNIT:
                wrong = self._frame(replace(asked, station=asked.station + chance.choice([1, 2, 100])))
            case Behaviour.FUNCTION:
                wrong = self._frame(replace(asked, function=_OTHER[asked.function]))
            case Behaviour.HUGE:
                return self._wrap.huge(asked, self._transaction, chance)
            case Behaviour.FLOOD:
                return self._flood(chance)
            case _:
                return self._frame(asked)
        return wrong + (self._frame(asked) if chance.random() < 0.5 else b"")

    def _frame(self, asked: Ask, transaction: int | None = None, *, cut: bool = False) -> bytes:
        body = asked.reply(self._stamp)
        if cut:  # there is nothing shorter than one value but none
            body = body[:2] + b"\0"
        return self._wrap.wrap(body, self._transaction if transaction is None else transaction)

    def _flood(self, chance: Random) -> bytes:
        """Noise, or sound frames of transactions and places that nobody asked for."""
        if chance.random() < 0.5:
            return noise(chance, self._wrap.most)
        other = replace(
            self._asked, start=self._asked.start + 800, station=self._wrap.stranger(self._asked.station)
        )
        frame = self._frame(other, transaction=self._transaction + 7)
        return frame * (chance.randrange(self._wrap.most // 8, self._wrap.most) // len(frame))


class Wrap:
    """MBAP."""

    most = 262_144

    def wrap(self, body: bytes, transaction: int) -> bytes:
        return struct.pack(">HHH", transaction & 0xFFFF, 0, len(body)) + body

    def stranger(self, station: int) -> int:
        """Whose answer a foreign one is: with transaction ids the same station's."""
        return station

    def huge(self, asked: Ask, transaction: int, chance: Random) -> bytes:
        length = chance.choice([0xFFFF, 255, 256, 4000])
        head = struct.pack(">HHHBBB", transaction, 0, length, asked.station, asked.function, 250)
        return head + chance.randbytes(chance.randrange(2000))


class RtuWrap(Wrap):
    most = 16_384  # a serial line has no more to offer in the time

    def wrap(self, body: bytes, transaction: int) -> bytes:
        return body + crc(body)

    def stranger(self, station: int) -> int:
        return station + 5

    def huge(self, asked: Ask, transaction: int, chance: Random) -> bytes:
        return bytes((asked.station, asked.function, 255)) + chance.randbytes(chance.randrange(400))


class AsciiWrap(RtuWrap):
    def wrap(self, body: bytes, transaction: int) -> bytes:
        return b":" + (body + lrc(body)).hex().upper().encode() + b"\r\n"

    def huge(self, asked: Ask, transaction: int, chance: Random) -> bytes:
        text = chance.randbytes(chance.randrange(300, 4000)).hex().upper()
        return f":{asked.station:02X}{asked.function:02X}FF{text}".encode()


class MbapTalk(Stream):
    in_order = False

    def feed(self, data: bytes) -> Iterator[bytes | Question]:
        self._buffer += data
        while len(self._buffer) >= 6:
            transaction, protocol, length = struct.unpack_from(">HHH", self._buffer)
            if protocol or not 2 <= length <= 254:
                raise Nonsense
            if len(self._buffer) < 6 + length:
                return
            body, self._buffer = self._buffer[6 : 6 + length], self._buffer[6 + length :]
            yield _Question(_read(self._link, body), Wrap(), transaction)


class RtuTalk(Stream):
    in_order = True

    def feed(self, data: bytes) -> Iterator[bytes | Question]:
        self._buffer += data
        while len(self._buffer) >= 8:
            frame = self._buffer[:8]
            if frame[6:] != crc(frame[:6]):
                self._buffer = self._buffer[1:]  # in step again at the next frame
                continue
            self._buffer = self._buffer[8:]
            yield _Question(_read(self._link, frame[:6]), RtuWrap())


class AsciiTalk(Stream):
    in_order = True

    def feed(self, data: bytes) -> Iterator[bytes | Question]:
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            line = line[line.rfind(b":") + 1 :].strip()
            try:
                body = bytes.fromhex(line.decode("ascii"))
            except ValueError:
                continue
            if len(body) == 7 and body[6:] == lrc(body[:6]):
                yield _Question(_read(self._link, body[:6]), AsciiWrap())


def _read(link: int, body: bytes) -> Ask:
    if len(body) != 6:
        raise Nonsense
    station, function, start, count = struct.unpack(">BBHH", body)
    if function not in _FIRST_SLOT or not 1 <= count <= 2000:
        raise Nonsense
    return Ask(link, station, function, start, count)


def crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def lrc(data: bytes) -> bytes:
    return (-sum(data) & 0xFF).to_bytes(1)


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(_crc_of(byte) for byte in range(256))
