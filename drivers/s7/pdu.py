"""S7 PDUs: Setup Communication, Read Var, Write Var, and the checks every reply must pass. No I/O in here.

header   32 | ROSCTR | 00 00 | reference | parameter length | data length [| error class, code]
Read Var parameter   04 | item count | items of 12 bytes (request only)
Read Var data        per item: return code | transport size | length | data, padded to even but the last
Write Var            the same with 05; the data stands in the request, the reply has one return code per item

An item names bytes of an area (transport size 02, the address in bits), or timers (1D) and counters (1C) by
their number, two bytes each.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge_agent.errors import BadReply, Busy, DriverError, Refused
from edge_agent.model import Quality
from edge_agent.settings import Text

ITEMS_MAX = 20
"""No controller takes more variables in one request."""
REQUEST_HEAD = 12
REQUEST_ITEM = 12
REPLY_HEAD = 14
REPLY_ITEM = 4
SMALLEST = 240
"""The shortest PDU any controller grants; assumed before a connection."""

_PROTOCOL = 0x32
_JOB, _ACK, _ACK_DATA = 1, 2, 3
_READ, _WRITE, _SETUP = 0x04, 0x05, 0xF0
_HEADER = struct.Struct(">BBHHHHBB")
_JOB_HEADER = struct.Struct(">BBHHHH")
_ITEM = struct.Struct(">BBBBHHI")
_ITEM_HEAD = struct.Struct(">BBH")
_SETUP_PARAMETER = struct.Struct(">BBHHH")
_AREAS: Mapping[str, int] = {"DB": 0x84, "M": 0x83, "I": 0x81, "Q": 0x82, "C": 0x1C, "T": 0x1D}
_NUMBERED = ("C", "T")
_BIT, _BYTE = 0x01, 0x02
_DATA_BIT, _DATA_BYTES, _DATA_OCTETS = 0x03, 0x04, 0x09
_GOOD = 0xFF
_IN_BITS, _IN_BYTES = (0x04, 0x05), (0x06, 0x07, 0x09)
_QUALITY = {0x0A: Quality.BAD_ADDRESS, 0x05: Quality.BAD_ADDRESS, 0x03: Quality.BAD_CONFIG}
_NO_ERROR = 0
_WRITE_REFUSED: Mapping[int, tuple[str, str]] = {
    0x01: ("it reports a hardware fault there", "device"),
    0x03: ("it does not allow access there", "permission"),
    0x05: ("the address is out of range", "illegal_address"),
    0x06: ("it does not support that type there", "illegal_address"),
    0x07: ("the type does not fit", "illegal_address"),
    0x0A: ("there is no such block", "illegal_address"),
}


class Range(NamedTuple):
    """``length`` bytes of an area, from ``start`` on; of timers and counters two bytes each."""

    area: str
    db: int
    start: int
    length: int


def setup_request(reference: int, pdu: int) -> bytes:
    """Setup Communication asking for PDUs of ``pdu`` bytes, one job at a time."""
    parameter = _SETUP_PARAMETER.pack(_SETUP, 0, 1, 1, pdu)
    return _JOB_HEADER.pack(_PROTOCOL, _JOB, 0, reference, len(parameter), 0) + parameter


def read_request(ranges: Sequence[Range]) -> bytes:
    """Read Var with reference 0; ``with_reference`` sets it."""
    parameter = bytes((_READ, len(ranges))) + b"".join(_variable(wanted) for wanted in ranges)
    return _JOB_HEADER.pack(_PROTOCOL, _JOB, 0, 0, len(parameter), 0) + parameter


def write_request(target: Range, data: bytes, bit: int | None = None) -> bytes:
    """Write Var of one item with reference 0: bytes, timers or counters, or with ``bit`` one bit (``data`` is
    then one byte, 00 or 01)."""
    if bit is not None:
        where = _AREAS[target.area] << 24 | target.start << 3 | bit
        item = _ITEM.pack(0x12, 0x0A, 0x10, _BIT, 1, target.db, where)
        head = _ITEM_HEAD.pack(0, _DATA_BIT, 1)
    else:
        item = _variable(target)
        octets = target.area in _NUMBERED
        head = _ITEM_HEAD.pack(
            0, _DATA_OCTETS if octets else _DATA_BYTES, len(data) if octets else 8 * len(data)
        )
    parameter = bytes((_WRITE, 1)) + item
    header = _JOB_HEADER.pack(_PROTOCOL, _JOB, 0, 0, len(parameter), len(head) + len(data))
    return header + parameter + head + data


def _variable(wanted: Range) -> bytes:
    area = _AREAS[wanted.area]
    if wanted.area in _NUMBERED:
        return _ITEM.pack(0x12, 0x0A, 0x10, area, wanted.length // 2, 0, area << 24 | wanted.start // 2)
    return _ITEM.pack(0x12, 0x0A, 0x10, _BYTE, wanted.length, wanted.db, area << 24 | wanted.start << 3)


def with_reference(pdu: bytes, reference: int) -> bytes:
    return pdu[:4] + reference.to_bytes(2) + pdu[6:]


def reply_length(lengths: Sequence[int]) -> int:
    """Bytes of a Read Var reply in which every item is good."""
    padding = sum(length % 2 for length in lengths[:-1])
    return REPLY_HEAD + REPLY_ITEM * len(lengths) + sum(lengths) + padding


def reference_of(pdu: bytes) -> int | None:
    """The PDU reference, or None where this is no S7 PDU at all."""
    if len(pdu) < 10 or pdu[0] != _PROTOCOL:
        return None
    return int.from_bytes(pdu[4:6])


def parse_setup(reply: bytes) -> tuple[int, int]:
    """(PDU length granted, parallel jobs). Raises BadReply, Refused, Busy."""
    parameter, data = _sections(reply)
    if len(parameter) != _SETUP_PARAMETER.size or data or parameter[0] != _SETUP:
        raise BadReply(
            Text(
                "the controller's answer to Setup Communication does not fit the request",
                "控制器对 Setup Communication 的应答与请求不符",
            )
        )
    _, _, jobs, _, pdu = _SETUP_PARAMETER.unpack(parameter)
    return pdu, jobs


def parse_read(reply: bytes, lengths: Sequence[int]) -> tuple[bytes | Quality, ...]:
    """The data of every item asked for, exactly as long as asked, or the quality its return code means.

    Raises BadReply where count, lengths or total do not fit the request; Refused or Busy where the
    controller refused the whole of it.
    """
    parameter, data = _sections(reply)
    if len(parameter) != 2 or parameter[0] != _READ:
        raise BadReply(
            Text("the controller answered another function than the one asked", "控制器应答的功能与请求不符")
        )
    if parameter[1] != len(lengths):
        got, most = parameter[1], max(1, parameter[1])
        raise BadReply(
            Text(
                f"asked for {len(lengths)} items, the controller answered {got}; if it never takes more, set "
                f"max_items: {most}",
                f"请求 {len(lengths)} 项，控制器只应答 {got} 项；若始终如此，请设置 max_items: {most}",
            )
        )
    results = []
    at = 0
    for number, length in enumerate(lengths):
        result, used = _parse_item(data, at, length, number)
        results.append(result)
        at += used
        if number < len(lengths) - 1:
            at += used % 2
    if at != len(data):
        raise BadReply(
            Text(
                f"the controller sent {len(data)} bytes of data where {at} were announced",
                f"控制器声明 {at} 字节数据，实际发来 {len(data)} 字节",
            )
        )
    return tuple(results)


def parse_write(reply: bytes) -> None:
    """Returns when the one item was written. Raises Refused with the controller's reason, BadReply, Busy."""
    parameter, data = _sections(reply)
    if parameter != bytes((_WRITE, 1)) or len(data) != 1:
        raise BadReply(
            Text(
                "the controller's answer does not fit a write of one value",
                "控制器的应答与写一个值的请求不符",
            )
        )
    if data[0] != _GOOD:
        why, reason = _WRITE_REFUSED.get(data[0], (f"return code 0x{data[0]:02X}", "device"))
        raise Refused(f"the controller did not write the value: {why}", reason=reason)


def _parse_item(data: bytes, at: int, length: int, number: int) -> tuple[bytes | Quality, int]:
    """One item -> its result and the bytes it took, padding excluded."""
    if at + REPLY_ITEM > len(data):
        raise BadReply(
            Text(
                f"the controller's answer ends before item {number + 1}",
                f"控制器的应答缺少第 {number + 1} 项",
            )
        )
    code, size, announced = _ITEM_HEAD.unpack_from(data, at)
    if code != _GOOD:  # no data follows, whatever the length field says
        return _QUALITY.get(code, Quality.BAD_DEVICE), REPLY_ITEM
    if size in _IN_BITS and announced % 8 == 0:
        announced //= 8
    elif size not in _IN_BYTES:
        raise BadReply(
            Text(
                f"item {number + 1} has transport size 0x{size:02X}, which was not asked for",
                f"第 {number + 1} 项的传输类型 0x{size:02X} 与请求不符",
            )
        )
    end = at + REPLY_ITEM + length
    if announced != length or end > len(data):
        raise BadReply(
            Text(
                f"item {number + 1} has {announced} bytes, {length} were asked for",
                f"第 {number + 1} 项有 {announced} 字节，请求的是 {length} 字节",
            )
        )
    return data[at + REPLY_ITEM : end], REPLY_ITEM + length


def _sections(reply: bytes) -> tuple[bytes, bytes]:
    """Parameter and data of an acknowledgement whose lengths add up and whose header reports no error."""
    if len(reply) < _HEADER.size or reply[1] not in (_ACK, _ACK_DATA):
        raise BadReply(
            Text(
                "the controller's answer is not an acknowledgement with data", "控制器的应答不是带数据的确认"
            )
        )
    _, kind, _, _, parameter_length, data_length, error_class, error_code = _HEADER.unpack_from(reply)
    if len(reply) != _HEADER.size + parameter_length + data_length:
        raise BadReply(
            Text(
                f"the controller's answer is {len(reply)} bytes long and says otherwise",
                f"控制器的应答长 {len(reply)} 字节，与其声明不符",
            )
        )
    if (error_class, error_code) != (_NO_ERROR, _NO_ERROR):
        raise _refusal(error_class, error_code)
    if kind != _ACK_DATA:
        raise BadReply(Text("the controller acknowledged without data", "控制器的确认不带数据"))
    split = _HEADER.size + parameter_length
    return reply[_HEADER.size : split], reply[split:]


def _refusal(error_class: int, error_code: int) -> DriverError:
    """What an error in the header asks of the caller."""
    number = f"error 0x{error_class:02X}{error_code:02X}"
    if (error_class, error_code) == (0x81, 0x04):
        text = Text(
            f"the controller does not allow this access ({number}): is PUT/GET permitted?",
            f"控制器不允许此访问（{number}）：是否已允许 PUT/GET？",
        )
        return Refused(text, reason="permission")
    if error_class == 0x83:
        return Busy(
            Text(f"the controller has no resources free ({number})", f"控制器没有空闲资源（{number}）")
        )
    if error_class == 0x85:
        return BadReply(
            Text(
                f"the controller says that the PDU length is wrong ({number})",
                f"控制器认为 PDU 长度不对（{number}）",
            )
        )
    if error_class == 0xD6:
        return Refused(
            Text(f"the controller is protected by a password ({number})", f"控制器有密码保护（{number}）"),
            reason="auth",
        )
    if error_class in (0x81, 0x82, 0x84, 0x87, 0xD2, 0xD4):
        return Refused(
            Text(f"the controller refuses the request ({number})", f"控制器拒绝该请求（{number}）")
        )
    return BadReply(Text(f"the controller reports an unknown {number}", f"控制器报告未知错误 {number}"))
