"""What the simulated S7 controller tells of itself beyond its state: system status lists 0x0011 (order
number) and 0x001C (names), which data blocks there are and how long they are. S7-300 and 400 answer all of
it; others not the blocks."""

from __future__ import annotations

import struct
from collections.abc import Mapping

ORDER_NUMBER = "6ES7 315-2EH14-0AB0 "
MODULE = "CPU 315-2 PN/DP"
STATION, SERIAL_NUMBER, FIRMWARE = "furnace line", "S C-X4U421302009", (3, 2, 6)
NO_SUCH_BLOCK, NOT_AVAILABLE = 0xD209, 0x8104
_READ_LIST, _LIST_BLOCKS, _BLOCK_INFO = (4, 1), (3, 2), (3, 3)
_HEADER = struct.Struct(">BBHHHH")


class Told:
    """``identifies``, ``blocks``: whether these are told at all. ``piece``: bytes in one piece of an answer;
    the rest must be asked for. ``lengths``: block -> bytes, asked when somebody wants to know."""

    def __init__(self) -> None:
        self.identifies = True
        self.blocks = True
        self.piece = 200
        self._rest: dict[int, bytes] = {}
        self._sequence = 0

    def answer(
        self, reference: int, parameter: bytes, data: bytes, lengths: Mapping[int, int]
    ) -> bytes | None:
        """The reply PDU; None where the question is none of these."""
        if len(parameter) < 8:
            return None
        question = (parameter[5] & 0x0F, parameter[6])
        if parameter[4] == 0x12 and parameter[7] in self._rest:
            return self._next(reference, question, parameter[7])
        if question == _READ_LIST and data[4:6] in (b"\x00\x11", b"\x00\x1c"):
            if not self.identifies:
                return _user_data(reference, question, 0, False, 0xD401, b"\x0a\0\0\0")
            return self._first(reference, question, _system_list(int.from_bytes(data[4:6])))
        if question == _LIST_BLOCKS and self.blocks:
            entries = (struct.pack(">HBB", number, 0x22, 5) for number in sorted(lengths))
            return self._first(reference, question, b"".join(entries))
        if question == _BLOCK_INFO and self.blocks:
            number = int(data[6:11]) if data[6:11].isdigit() else 0
            if number not in lengths:
                return _user_data(reference, question, 0, False, NO_SUCH_BLOCK, b"\x0a\0\0\0")
            return self._first(reference, question, _block(number, lengths[number]))
        if question[0] == 3:
            return _user_data(reference, question, 0, False, NOT_AVAILABLE, b"\x0a\0\0\0")
        return None

    def _first(self, reference: int, question: tuple[int, int], payload: bytes) -> bytes:
        self._sequence = self._sequence % 255 + 1
        self._rest[self._sequence] = payload
        return self._next(reference, question, self._sequence)

    def _next(self, reference: int, question: tuple[int, int], sequence: int) -> bytes:
        payload = self._rest.pop(sequence)
        piece, rest = payload[: self.piece], payload[self.piece :]
        if rest:
            self._rest[sequence] = rest
        data = struct.pack(">BBH", 0xFF, 0x09, len(piece)) + piece
        return _user_data(reference, question, sequence, bool(rest), 0, data)


def _system_list(number: int) -> bytes:
    if number == 0x0011:
        firmware = b"V" + bytes(FIRMWARE)
        records = [
            struct.pack(">H20sH4s", 1, ORDER_NUMBER.encode(), 0xC0, bytes((0, 4, 0, 1))),
            struct.pack(">H20sH4s", 7, b" " * 20, 0xC0, firmware),
        ]
    else:
        names = {1: STATION, 2: "CPU", 5: SERIAL_NUMBER, 7: MODULE}
        records = [struct.pack(">H32s", index, name.encode()) for index, name in names.items()]
    return struct.pack(">HHHH", number, 0, len(records[0]), len(records)) + b"".join(records)


def _block(number: int, length: int) -> bytes:
    head = struct.pack(">BBHHHBBBBH", 1, ord("A"), 0x4A, 0x22, 0x7070, 1, 1, 5, 0x0A, number)
    times = struct.pack(">IIIHIH", length + 92, 0, 0, 0, 0, 0)
    return head + times + struct.pack(">HHHH", 28, 0, 0, length) + b"Lineside" + bytes(24)


def _user_data(
    reference: int, question: tuple[int, int], sequence: int, more: bool, error: int, data: bytes
) -> bytes:
    group, function = question
    parameter = struct.pack(
        ">3sBBBBBBBH", b"\x00\x01\x12", 8, 0x12, 0x80 | group, function, sequence, 0, more, error
    )
    return _HEADER.pack(0x32, 7, 0, reference, len(parameter), len(data)) + parameter + data
