"""What a controller tells of itself: its name and order number (system status lists), and which data blocks
it has. Asked as user data; not every CPU answers, and those that do not are none the worse. No I/O in here
but through ``ask``.

request   parameter 00 01 12 04 11 4G SS NN             data FF 09 length | payload, or 0A 00 0000
more      parameter 00 01 12 08 12 4G SS NN 00 00 0000  data 0A 00 0000
reply     parameter 00 01 12 08 12 8G SS NN uu LL EEEE  data FF 09 length | payload
          G group, SS function, NN sequence, uu data unit, LL 00: complete, EEEE error
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge_agent.errors import BadReply, Refused

Ask = Callable[[bytes], Awaitable[bytes]]
"""One round trip; raises DriverError."""

_HEADER = struct.Struct(">BBHHHH")
_SYSTEM_LIST, _BLOCKS = 4, 3
_READ_LIST, _LIST_OF_TYPE, _BLOCK_INFO = 1, 2, 3
_DATA_BLOCK = b"0A"
_NOTHING = b"\x0a\x00\x00\x00"
_PIECES_MAX = 64
_ORDER_NUMBERS, _NAMES = 0x0011, 0x001C
_MODULE, _FIRMWARE = 1, 7
_STATION_NAME, _SERIAL, _MODULE_TYPE = 1, 5, 7
_LENGTH_AT = 40  # of the data, in what is told of a block


@dataclass(frozen=True, slots=True)
class Cpu:
    """What a CPU says it is; "" where it does not."""

    module: str = ""
    order_number: str = ""
    firmware: str = ""
    name: str = ""
    serial: str = ""


async def identify(ask: Ask) -> Cpu:
    """Raises LinkLost. A list that is refused leaves its part empty."""
    numbers, names = await _list_or_none(ask, _ORDER_NUMBERS), await _list_or_none(ask, _NAMES)
    return Cpu(
        module=_text(names.get(_MODULE_TYPE, b"")),
        order_number=_text(numbers.get(_MODULE, b"")[:20]),
        firmware=_version(numbers.get(_FIRMWARE, b"")),
        name=_text(names.get(_STATION_NAME, b"")),
        serial=_text(names.get(_SERIAL, b"")),
    )


async def data_blocks(ask: Ask) -> list[int]:
    """The numbers of the data blocks there are. Refused where this CPU does not tell."""
    payload = await converse(ask, _BLOCKS, _LIST_OF_TYPE, _DATA_BLOCK)
    return sorted(int.from_bytes(payload[at : at + 2]) for at in range(0, len(payload) - 3, 4))


async def block_length(ask: Ask, number: int) -> int:
    """Bytes of a data block. Refused where this CPU does not tell, or has no such block."""
    payload = await converse(ask, _BLOCKS, _BLOCK_INFO, _DATA_BLOCK + b"%05dA" % number)
    if len(payload) < _LENGTH_AT + 2:
        raise BadReply("what the controller tells of a block is too short")
    return int.from_bytes(payload[_LENGTH_AT : _LENGTH_AT + 2])


async def converse(ask: Ask, group: int, function: int, payload: bytes) -> bytes:
    """The whole payload of the reply, put together of as many pieces as the controller makes of it. Refused
    where the controller has no such thing; BadReply."""
    whole, sequence = b"", None
    for _ in range(_PIECES_MAX):
        reply = await ask(_request(group, function, payload, sequence))
        piece, sequence, complete = _piece(reply, group, function)
        whole += piece
        if complete:
            return whole
    raise BadReply(f"the controller's answer has more than {_PIECES_MAX} pieces")


def _request(group: int, function: int, payload: bytes, sequence: int | None) -> bytes:
    if sequence is None:
        parameter = bytes((0, 1, 0x12, 4, 0x11, 0x40 | group, function, 0))
        data = struct.pack(">BBH", 0xFF, 0x09, len(payload)) + payload
    else:
        parameter = bytes((0, 1, 0x12, 8, 0x12, 0x40 | group, function, sequence, 0, 0, 0, 0))
        data = _NOTHING
    return _HEADER.pack(0x32, 7, 0, 0, len(parameter), len(data)) + parameter + data


def _piece(reply: bytes, group: int, function: int) -> tuple[bytes, int, bool]:
    """(payload, sequence, complete)."""
    if len(reply) < _HEADER.size:
        raise BadReply("the controller's answer is too short")
    _, kind, _, _, parameter_size, data_size = _HEADER.unpack_from(reply)
    if kind != 7:
        raise Refused("the controller does not answer questions about itself")
    parameter = reply[_HEADER.size : _HEADER.size + parameter_size]
    data = reply[_HEADER.size + parameter_size :]
    if len(parameter) != 12 or len(data) != data_size or parameter[5:7] != bytes((0x80 | group, function)):
        raise BadReply("the controller's answer does not fit the question")
    error = int.from_bytes(parameter[10:12])
    if error or not data or data[0] != 0xFF:
        raise Refused(f"the controller does not tell (error 0x{error:04X})")
    length = int.from_bytes(data[2:4])
    if len(data) < 4 + length:
        raise BadReply("the controller's answer ends before its data")
    return data[4 : 4 + length], parameter[7], parameter[9] == 0


async def _list_or_none(ask: Ask, number: int) -> dict[int, bytes]:
    """Index -> record of a system status list; empty where it is refused."""
    try:
        payload = await converse(ask, _SYSTEM_LIST, _READ_LIST, struct.pack(">HH", number, 0))
    except (Refused, BadReply):
        return {}
    if len(payload) < 8:
        return {}
    size, count = struct.unpack_from(">HH", payload, 4)
    found = {}
    for at in range(8, 8 + size * count, max(size, 1)):
        record = payload[at : at + size]
        if len(record) == size > 2:
            found[int.from_bytes(record[:2])] = record[2:]
    return found


def _text(data: bytes) -> str:
    plain = data.partition(b"\0")[0].decode("latin-1").strip()
    return "".join(character for character in plain if character.isprintable())


def _version(record: bytes) -> str:
    """``V4.2.3`` of the last three bytes, where a V stands before them."""
    tail = record[-4:]
    return "V" + ".".join(map(str, tail[1:])) if len(tail) == 4 and tail[:1] == b"V" else ""
