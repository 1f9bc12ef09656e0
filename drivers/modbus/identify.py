"""Read Device Identification (function 43, MEI type 14): who made the device, what it is, which firmware it
has. Pure: request and reply."""

from __future__ import annotations

from collections.abc import Mapping

REQUEST = bytes((0x2B, 0x0E, 0x01, 0x00))
"""The basic objects, from the first one on. Reads, and changes nothing."""
_HEAD = 7  # function, MEI type, code, conformity, more follows, next object, number of objects
_NAMES: Mapping[int, str] = {0: "vendor", 1: "product", 2: "revision"}


def parse(pdu: bytes) -> dict[str, str]:
    """Name -> text of the objects in a reply; empty for anything but a sound one."""
    if len(pdu) < _HEAD or pdu[:2] != REQUEST[:2]:
        return {}
    found, at = {}, _HEAD
    for _ in range(pdu[6]):
        if at + 2 > len(pdu) or at + 2 + pdu[at + 1] > len(pdu):
            return {}
        text = pdu[at + 2 : at + 2 + pdu[at + 1]].decode("utf-8", errors="replace").strip(" \0")
        if pdu[at] in _NAMES and text:
            found[_NAMES[pdu[at]]] = text
        at += 2 + pdu[at + 1]
    return found
