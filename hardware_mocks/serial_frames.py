"""Requests of a master cut out of a stream of RTU or ASCII bytes, and replies framed; from the specification
alone, so that a mistake in the driver's framing does not meet its own mirror."""

from __future__ import annotations

from typing import Protocol

LONGEST = 256
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 8: 8, 22: 10}
_COUNTED = {15: 6, 16: 6, 23: 10}  # where the byte count stands


class Frames(Protocol):
    def cut(self, buffer: bytearray) -> list[bytes]:
        """Takes whole requests out of the buffer: station and PDU."""
        ...

    def frame(self, body: bytes) -> bytes:
        """What goes over the wire for a station and a PDU."""
        ...


def crc(body: bytes) -> bytes:
    register = 0xFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            carry = register & 1
            register >>= 1
            if carry:
                register ^= 0xA001
    return bytes((register & 0xFF, register >> 8))


class RtuFrames:
    def cut(self, buffer: bytearray) -> list[bytes]:
        requests = []
        while len(buffer) >= 4:
            size = _request_size(buffer)
            if size > len(buffer):
                break
            if size and crc(bytes(buffer[: size - 2])) == bytes(buffer[size - 2 : size]):
                requests.append(bytes(buffer[: size - 2]))
                del buffer[:size]
            else:
                del buffer[:1]
        return requests

    def frame(self, body: bytes) -> bytes:
        return body + crc(body)


def _request_size(buffer: bytearray) -> int:
    """0 where no request begins; more than there is where it is not complete."""
    function = buffer[1]
    if function in _FIXED:
        return _FIXED[function]
    at = _COUNTED.get(function)
    if at is None:
        return 4  # nothing but station, function and checksum
    if len(buffer) <= at:
        return at + 1
    size = at + 1 + buffer[at] + 2
    return size if size <= LONGEST else 0


class AsciiFrames:
    def cut(self, buffer: bytearray) -> list[bytes]:
        requests = []
        while (end := buffer.find(b"\r\n")) >= 0:
            line = bytes(buffer[:end]).rpartition(b":")[2]
            del buffer[: end + 2]
            try:
                body = bytes.fromhex(line.decode("ascii"))
            except ValueError:
                continue
            if len(body) >= 3 and sum(body) % 256 == 0:
                requests.append(body[:-1])
        return requests

    def frame(self, body: bytes) -> bytes:
        check = (256 - sum(body) % 256) % 256
        return b":" + bytes((*body, check)).hex().upper().encode("ascii") + b"\r\n"


FRAMINGS: dict[str, type[Frames]] = {"rtu": RtuFrames, "ascii": AsciiFrames}
