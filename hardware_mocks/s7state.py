"""System status list 0x0424 of the simulated S7 controller: whether its CPU is in RUN or in STOP."""

from __future__ import annotations

import struct

LIST_0424 = 0x0424
RUN, STOP = 0x08, 0x04
NO_SUCH_LIST = 0xD401
_READ_LIST = b"\x00\x01\x12\x04\x11\x44\x01"
_HEADER = struct.Struct(">BBHHHH")


class StateList:
    """``running`` is the switch on the front. ``answers``: True tells, False refuses as controllers without
    that list do, None stays silent as some gateways do. ``asked`` counts."""

    def __init__(self) -> None:
        self.running = True
        self.answers: bool | None = True
        self.asked = 0

    def answer(self, reference: int, parameter: bytes, data: bytes) -> bytes | None:
        """The reply PDU to a user data request, or None."""
        self.asked += 1
        if self.answers is None:
            return None
        known = parameter[:7] == _READ_LIST and data[4:6] == LIST_0424.to_bytes(2)
        if not known or not self.answers:
            return _user_data(reference, NO_SUCH_LIST, struct.pack(">BBH", 0x0A, 0, 0))
        record = struct.pack(">HBB16x", 0x5144, 0xFF, RUN if self.running else STOP)
        head = struct.pack(">BBHHHHH", 0xFF, 0x09, 8 + len(record), LIST_0424, 0, len(record), 1)
        return _user_data(reference, 0, head + record)


def _user_data(reference: int, error: int, data: bytes) -> bytes:
    parameter = struct.pack(">3sBBBBBBBH", b"\x00\x01\x12", 8, 0x12, 0x84, 1, 1, 0, 0, error)
    return _HEADER.pack(0x32, 7, 0, reference, len(parameter), len(data)) + parameter + data
