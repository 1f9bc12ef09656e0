"""``## length segment CRC CR LF``. The reader goes by the length and never by line ends: an encrypted segment
may hold any byte. After anything that does not fit it looks for the next ``##`` one byte further on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from edge_agent.uplinks.hj212.crc import crc_text
from edge_agent.uplinks.hj212.profile import MAX_SEGMENT

_HEAD = b"##"
_TAIL = b"\r\n"
_END = b"&&"
_CRC = re.compile(rb"[0-9A-Fa-f]{2}(?:[048Cc][01])")  # no other CRC exists
_LONGEST = 2 + 4 + MAX_SEGMENT + 4 + 2
_ENCRYPTED = b";CN=1014;"
_FIELDS = 100  # CN stands in the first so many bytes


def build_frame(segment: bytes) -> bytes:
    """ValueError when the segment is longer than the standard allows."""
    if len(segment) > MAX_SEGMENT:
        raise ValueError(f"{len(segment)} bytes; a data segment has at most {MAX_SEGMENT}")
    return b"##%04d%b%b\r\n" % (len(segment), segment, crc_text(segment))


class Unsealed(bytes):
    """A data segment that came encrypted."""


class FrameReader:
    """Bytes in, data segments out. Never raises and holds at most one frame. ``faults`` counts what was
    passed over, by kind: garbage (bytes), length, tail, crc.

    ``lenient`` also takes what is seen in the field: a lower-case CRC, a length of three digits, no CR LF.
    ``unseal`` decrypts a whole frame: length and CRC are those of the plain one. Only what the host may send
    encrypted (1014) is tried with it."""

    def __init__(self, *, lenient: bool = True, unseal: Callable[[bytes], bytes] | None = None) -> None:
        self.faults: Counter[str] = Counter()
        self._lenient = lenient
        self._unseal = unseal
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether it waits for the rest of something that began as a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        segments: list[bytes] = []
        for at in range(0, len(data), _LONGEST):
            self._buffer += data[at : at + _LONGEST]
            segments += self._scan()
        return segments

    def give_up(self) -> list[bytes]:
        """To be called when the rest does not come: a wrong length must not swallow the frames behind it.
        Passes over one beginning; what is left may be another."""
        if not self._buffer:
            return []
        self._pass_over("length")
        return self._scan()

    def _scan(self) -> list[bytes]:
        segments = []
        while self._find_head():
            length = self._length()
            if length is None:
                break
            head, size = length
            if size > MAX_SEGMENT or head == 0:
                self._pass_over("length")
                continue
            fault = self._check(head, head + size)
            if fault is None:
                break
            if fault == "crc" and (plain := self._decrypted(head, head + size)):
                segments.append(plain)
            elif fault:
                self._pass_over(fault)
                continue
            else:
                segments.append(bytes(self._buffer[head : head + size]))
            del self._buffer[: head + size + 4]
            if self._buffer.startswith(_TAIL):
                del self._buffer[:2]
        return segments

    def _find_head(self) -> bool:
        """Drops what cannot begin a frame."""
        buffer = self._buffer
        at = buffer.find(_HEAD)
        if at < 0:
            at = len(buffer) - buffer.endswith(b"#")
        # the line end of a lenient frame comes behind it
        self.faults["garbage"] += at - sum(buffer[:at].count(c) for c in _TAIL) * self._lenient
        del buffer[:at]
        return buffer.startswith(_HEAD)

    def _length(self) -> tuple[int, int] | None:
        """(where the segment begins, its size); (0, 0) when it is no length; None: more bytes needed."""
        buffer = self._buffer
        if buffer[2:6].isdigit() and len(buffer) >= 6:
            return 6, int(buffer[2:6])
        if len(buffer) < 6 and (len(buffer) == 2 or buffer[2:].isdigit()):
            return None
        if self._lenient and len(buffer) >= 6 and buffer[2:5].isdigit() and buffer[5:6].isalpha():
            return 5, int(buffer[2:5])
        return 0, 0

    def _check(self, head: int, end: int) -> str | None:
        """'' when a frame stands here, else what is wrong; None: more bytes needed. Cheap checks first: a
        stranger could send a great many beginnings."""
        buffer = self._buffer
        if len(buffer) < end + 4 + (0 if self._lenient else 2):
            return None
        if not self._lenient and buffer[end + 4 : end + 6] != _TAIL:
            return "tail"
        crc = bytes(buffer[end : end + 4])
        if not _CRC.fullmatch(crc) or buffer[end - 2 : end] != _END:
            return "crc"
        return "" if (crc.upper() if self._lenient else crc) == crc_text(bytes(buffer[head:end])) else "crc"

    def _decrypted(self, head: int, end: int) -> bytes:
        """The plain segment of an encrypted frame that stands here; empty when it is none."""
        if self._unseal is None or _ENCRYPTED not in self._buffer[head : head + _FIELDS]:
            return b""
        try:
            plain = self._unseal(bytes(self._buffer[: end + 4]) + _TAIL)[head:end]
        except ValueError:
            return b""
        crc = bytes(self._buffer[end : end + 4])
        return Unsealed(plain) if crc.upper() == crc_text(plain) else b""

    def _pass_over(self, fault: str) -> None:
        self.faults[fault] += 1
        del self._buffer[0]
