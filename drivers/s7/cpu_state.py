"""Whether the CPU is in RUN: system status list (SZL) 0x0424, asked as user data. No I/O in here.

request   parameter 00 01 12 04 11 44 01 00                 data FF 09 0004 | 0424 0000
reply     parameter 00 01 12 08 12 84 01 ss rr LL EE EE     data FF 09 llll | 0424 0000 | record length,
          LL 00: complete, EE EE: error                     count | records; byte 3 of the first is the mode

Controllers differ in whether they answer this at all. Whatever is no proper answer means "not known": it is
never a reason to distrust values.
"""

from __future__ import annotations

import struct
from enum import Enum


class CpuState(Enum):
    UNKNOWN = "unknown"
    RUN = "RUN"
    STOP = "STOP"


_PROTOCOL, _USER_DATA = 0x32, 7
_HEADER = struct.Struct(">BBHHHH")
_SZL = 0x0424
_ASK = bytes.fromhex("0001120411440100")
_ANSWER = bytes.fromhex("00011208128401")
_RUNNING = frozenset({0x8, 0x9, 0xB, 0xC})  # RUN; of redundant CPUs also RUN-R, LINK-UP, UPDATE
_RECORDS = 12  # of the data section: item head 4, list id and index 4, record length and count 4

REQUEST_BYTES = 26
REPLY_BYTES = 60
"""Of a CPU with one record, for the cost model."""


def request(reference: int) -> bytes:
    data = struct.pack(">BBHHH", 0xFF, 0x09, 4, _SZL, 0)
    return _HEADER.pack(_PROTOCOL, _USER_DATA, 0, reference, len(_ASK), len(data)) + _ASK + data


def parse(reply: bytes) -> CpuState:
    """Never raises: see above."""
    if len(reply) < _HEADER.size or reply[1] != _USER_DATA:
        return CpuState.UNKNOWN
    _, _, _, _, parameter_length, data_length = _HEADER.unpack_from(reply)
    if len(reply) != _HEADER.size + parameter_length + data_length:
        return CpuState.UNKNOWN
    parameter = reply[_HEADER.size : _HEADER.size + parameter_length]
    data = reply[_HEADER.size + parameter_length :]
    if len(parameter) != 12 or not parameter.startswith(_ANSWER) or parameter[9:12] != bytes(3):
        return CpuState.UNKNOWN
    if len(data) < _RECORDS + 4 or data[0] != 0xFF or int.from_bytes(data[4:6]) != _SZL:
        return CpuState.UNKNOWN
    record_length, count = struct.unpack_from(">HH", data, 8)
    if record_length < 4 or count < 1 or len(data) < _RECORDS + record_length:
        return CpuState.UNKNOWN
    return _mode(data[_RECORDS + 3])


def _mode(byte: int) -> CpuState:
    """The low half is the present mode; some CPUs give the previous one in the high half."""
    mode = byte & 0x0F
    if mode == 0:
        return CpuState.UNKNOWN
    return CpuState.RUN if mode in _RUNNING else CpuState.STOP
