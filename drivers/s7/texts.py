"""Texts of S7 -> str. Pure; every function raises ValueError for bytes that are no text of its kind.

STRING[n]    max, actual (one byte each), n bytes in the encoding the program or the panel writes
WSTRING[n]   max, actual (two bytes each), n UTF-16 units, big-endian
CHAR, WCHAR  no header; an array of them is one text, and ends where only NULs follow
"""

from __future__ import annotations

ENCODINGS = ("gbk", "utf-8", "latin-1")
STRING_HEAD, WSTRING_HEAD = 2, 4
STRING_MAX, WSTRING_MAX = 254, 16_382


def string_text(data: bytes, encoding: str) -> str:
    """The declared maximum may be another than ours; the text must fit both."""
    maximum, actual = data[0], data[1]
    if actual > maximum or actual > len(data) - STRING_HEAD:
        raise ValueError("a STRING longer than its maximum")
    return data[STRING_HEAD : STRING_HEAD + actual].decode(encoding)


def wstring_text(data: bytes) -> str:
    maximum, actual = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
    if actual > maximum or WSTRING_HEAD + 2 * actual > len(data):
        raise ValueError("a WSTRING longer than its maximum")
    return data[WSTRING_HEAD : WSTRING_HEAD + 2 * actual].decode("utf-16-be")


def char_text(data: bytes, encoding: str) -> str:
    return data.rstrip(b"\x00").decode(encoding)


def wchar_text(data: bytes) -> str:
    return data.decode("utf-16-be").rstrip("\x00")
