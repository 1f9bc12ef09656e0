"""Frames of Modbus RTU and ASCII in a stream of bytes: where one begins, where it ends, whether it is sound.

Nothing here knows what was asked. Whatever comes in, in whatever pieces, leaves as (station, PDU) of frames
whose checksum is right; all else is garbage, counted and thrown away. At most one frame's worth of bytes is
kept, so a flood costs no memory.

RTU has no start character; a frame ends in silence, which no program sees reliably behind a USB adapter or
a gateway. So the end is computed from the function code and the byte count. What cannot be the start of a
frame, or has a wrong checksum, is skipped byte by byte. A start that promises more bytes than came is waited
for, even though a sound frame may stand behind it, because such a frame may also be *data* of the longer one;
only when the line has been quiet for a while (``quiet``) it is given up. ASCII frames begin with ``:``, which
occurs nowhere else.
"""

from __future__ import annotations

from typing import Protocol

from pymodbus.framer import FramerAscii, FramerRTU

RTU_LONGEST = 256
ASCII_LONGEST = 513

Frame = tuple[int, bytes]
"""Station, and the PDU from its function code on."""


class Framing(Protocol):
    """``garbage``: bytes thrown away so far. ``watch``: (station, function) asked for; ``damaged`` becomes
    true when something was thrown away that began like a reply of that station to that function."""

    garbage: int
    watch: tuple[int, int] | None
    damaged: bool

    def encode(self, station: int, pdu: bytes) -> bytes: ...

    def feed(self, data: bytes) -> list[Frame]: ...

    def quiet(self) -> list[Frame]:
        """To be called when nothing came for a while; gives up what is not complete."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether ``quiet`` would have anything to give up."""
        ...

    def clear(self) -> None:
        """Throws away what is there, and forgets ``damaged``."""
        ...


def crc16(data: bytes) -> int:
    """As in the serial line specification, 6.2.2; its low byte goes first over the wire."""
    swapped = FramerRTU.compute_CRC(data)  # in the order of the wire
    return swapped >> 8 | (swapped & 0xFF) << 8


def lrc(data: bytes) -> int:
    """As in the serial line specification, 6.2.1."""
    return FramerAscii.compute_LRC(data)


class _Stream:
    def __init__(self) -> None:
        self.garbage = 0
        self.watch: tuple[int, int] | None = None
        self.damaged = False
        self._rest = bytearray()

    @property
    def waiting(self) -> bool:
        return bool(self._rest)

    def clear(self) -> None:
        self.garbage += len(self._rest)
        self._rest.clear()
        self.damaged = False

    def _thrown(self, station: int, function: int) -> None:
        if self.watch is not None and (station, function & 0x7F) == self.watch:
            self.damaged = True


class RtuFraming(_Stream):
    """Station, PDU, CRC."""

    def encode(self, station: int, pdu: bytes) -> bytes:
        body = bytes((station,)) + pdu
        return body + crc16(body).to_bytes(2, "little")

    def feed(self, data: bytes) -> list[Frame]:
        self._rest += data
        return self._scan(give_up=False)

    def quiet(self) -> list[Frame]:
        return self._scan(give_up=True)

    def _scan(self, *, give_up: bool) -> list[Frame]:
        rest, start, frames = self._rest, 0, []
        while start < len(rest):
            size = _frame_size(rest, start, give_up)
            if size > 0:
                frames.append((rest[start], bytes(rest[start + 1 : start + size - 2])))
                start += size
            elif size < 0:
                break
            else:
                if start + 1 < len(rest):
                    self._thrown(rest[start], rest[start + 1])
                self.garbage += 1
                start += 1
        del rest[:start]
        return frames


_READS = (1, 2, 3, 4)
_FIXED = (5, 6, 8)


def _frame_size(data: bytearray, start: int, give_up: bool) -> int:
    """Size of the sound frame that begins there; -1: not enough bytes to tell, unless they are all there will
    be; 0: none begins there. A reply is tried first: cut short, it must not pass for a request."""
    left = len(data) - start
    if left < 2:
        return 0 if give_up else -1
    for size in _sizes(data, start, left):
        if size < 0 or size > left:
            if give_up:
                continue
            return -1
        end = start + size
        if crc16(bytes(data[start : end - 2])) == data[end - 2] | data[end - 1] << 8:
            return size
    return 0


def _sizes(data: bytearray, start: int, left: int) -> list[int]:
    """What the sizes of a reply and of a request with that function code would be; -1: not known yet."""
    function = data[start + 1]
    if function & 0x80:
        return [5]
    if function in _READS:
        return [*_counted(data, start, left, 2, 5, most=250), 8]
    if function in _FIXED:
        return [8]
    if function in (15, 16):
        return [8, *_counted(data, start, left, 6, 9, most=246)]
    if function == 22:
        return [10]
    if function == 23:
        reply = _counted(data, start, left, 2, 5, most=250)
        return reply + _counted(data, start, left, 10, 13, most=242)
    if function in (7, 11):
        return [5, 4] if function == 7 else [8, 4]
    if function in (12, 17, 20, 21):
        return _counted(data, start, left, 2, 5, most=251) + [4] * (function in (12, 17))
    return [6] if function == 24 else []


def _counted(data: bytearray, start: int, left: int, at: int, frame: int, *, most: int) -> list[int]:
    """A frame whose byte count stands at ``at``: so many bytes beside those it counts."""
    if left <= at:
        return [-1]
    count = data[start + at]
    return [frame + count] if 1 <= count <= most else []


class AsciiFraming(_Stream):
    """``:``, the same body as two hexadecimal digits a byte, LRC, CR LF."""

    def encode(self, station: int, pdu: bytes) -> bytes:
        body = bytes((station,)) + pdu
        return b":" + (body + bytes((lrc(body),))).hex().upper().encode("ascii") + b"\r\n"

    def feed(self, data: bytes) -> list[Frame]:
        rest, frames = self._rest, []
        rest += data
        while True:
            end = rest.find(b"\n")
            begin = rest.rfind(b":", 0, len(rest) if end < 0 else end)
            if end < 0:
                break
            frame = _decoded(rest[begin : end + 1]) if begin >= 0 else None
            if frame is not None:
                frames.append(frame)
                self.garbage += begin
            else:
                self._waste(begin, end + 1)
            del rest[: end + 1]
        self._trim(begin)
        return frames

    def quiet(self) -> list[Frame]:
        """A second may pass between two characters; the next ``:`` is what ends a broken frame."""
        return []

    @property
    def waiting(self) -> bool:
        return False

    def _waste(self, begin: int, end: int) -> None:
        self.garbage += end
        digits = bytes(self._rest[begin + 1 : begin + 5])
        if begin >= 0 and len(digits) == 4 and _is_hex(digits):
            self._thrown(int(digits[:2], 16), int(digits[2:], 16))

    def _trim(self, begin: int) -> None:
        """Keeps the start of one frame at most."""
        rest = self._rest
        if begin < 0 or len(rest) - begin > ASCII_LONGEST:
            begin = len(rest)
        self.garbage += begin
        del rest[:begin]


def _is_hex(digits: bytes) -> bool:
    return all(digit in b"0123456789ABCDEFabcdef" for digit in digits)


def _decoded(line: bytearray) -> Frame | None:
    digits = bytes(line[1:-2])
    if line[-2:] != b"\r\n" or len(line) > ASCII_LONGEST or len(digits) < 6 or len(digits) % 2:
        return None
    if not _is_hex(digits):
        return None
    body = bytes.fromhex(digits.decode("ascii"))
    return (body[0], body[1:-1]) if sum(body) & 0xFF == 0 else None
