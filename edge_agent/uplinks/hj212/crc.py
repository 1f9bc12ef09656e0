"""The CRC of HJ 212. Not CRC-16/MODBUS, although the standard's text sounds like it: the low byte is thrown
away at every step, so only 256 values ever occur. It finds a torn frame; it proves nothing about content."""

from __future__ import annotations


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0xA001 if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))


def crc16(data: bytes) -> int:
    """Over the data segment only, from ``QN=`` to the closing ``&&``."""
    crc = 0xFFFF
    for byte in data:
        crc = _TABLE[(crc >> 8) ^ byte]
    return crc


def crc_text(data: bytes) -> bytes:
    """Four upper-case hex digits, high byte first, as they stand in the frame."""
    return b"%04X" % crc16(data)
