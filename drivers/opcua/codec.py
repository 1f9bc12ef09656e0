"""Results of a Read call -> columns. Takes asyncua's DataValues as they are, without importing asyncua."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from edge_agent.driver import Columns
from edge_agent.model import Quality, Value, ValueType

_BOOLEAN, _FLOAT, _DOUBLE, _STRING = 1, 10, 11, 12  # Part 6, table 1: ids of the built-in types
_INTEGERS = range(2, 10)  # SByte to UInt64
_RANGE = {
    ValueType.INT8: (-(2**7), 2**7 - 1),
    ValueType.UINT8: (0, 2**8 - 1),
    ValueType.INT16: (-(2**15), 2**15 - 1),
    ValueType.UINT16: (0, 2**16 - 1),
    ValueType.INT32: (-(2**31), 2**31 - 1),
    ValueType.UINT32: (0, 2**32 - 1),
    ValueType.INT64: (-(2**63), 2**63 - 1),
    ValueType.UINT64: (0, 2**64 - 1),
}
_MEANING = {  # the upper half of a StatusCode; the lower half are flags
    0x8034: Quality.BAD_ADDRESS,  # BadNodeIdUnknown
    0x8033: Quality.BAD_ADDRESS,  # BadNodeIdInvalid
    0x8035: Quality.BAD_ADDRESS,  # BadAttributeIdInvalid
    0x8031: Quality.BAD_COMM,  # BadNoCommunication
    0x808A: Quality.BAD_COMM,  # BadNotConnected
    0x800A: Quality.BAD_COMM,  # BadTimeout
    0x8005: Quality.BAD_COMM,  # BadCommunicationError
    0x801F: Quality.BAD_CONFIG,  # BadUserAccessDenied
    0x803A: Quality.BAD_CONFIG,  # BadNotReadable
    0x808B: Quality.BAD_DEVICE,  # BadDeviceFailure
    0x808C: Quality.BAD_DEVICE,  # BadSensorFailure
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1601, 1, 2, tzinfo=UTC)  # servers without a clock send the beginning of 1601
_LATEST = datetime(2262, 1, 1, tzinfo=UTC)  # beyond it nanoseconds since 1970 leave 64 bits
_MICROSECOND = timedelta(microseconds=1)


class Decoder:
    """Replies of one plan -> columns in tag order. See ``Plan.decode``.

    ``requests``: per request the tags it serves and those of them that have a node, in the order of its
    results; a tag without one is in a namespace the server does not have, and its quality is BAD_ADDRESS.
    """

    def __init__(
        self, types: Sequence[ValueType], requests: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
    ) -> None:
        self._types = tuple(types)
        self._requests = tuple(requests)

    def __call__(self, replies: Sequence[Any]) -> Columns:
        count = len(self._types)
        values: list[Value] = [None] * count
        quality = bytearray((Quality.BAD_ADDRESS,)) * count
        source: list[int | None] = [None] * count
        for reply, (served, answered) in zip(replies, self._requests, strict=True):
            if isinstance(reply, Quality):
                for tag in served:
                    quality[tag] = reply
                continue
            for tag, result in zip(answered, reply, strict=True):
                values[tag], quality[tag] = value_of(result, self._types[tag])
                source[tag] = source_ns(result)
        return Columns(tuple(values), bytes(quality), tuple(source))


def value_of(result: Any, kind: ValueType) -> tuple[Value, Quality]:
    """The raw value of one DataValue and its quality; the value is None exactly where that is bad."""
    status = 0 if result.StatusCode is None else result.StatusCode.value
    severity = status >> 30
    if severity >= 2:
        return None, _MEANING.get(status >> 16, Quality.BAD)
    value = _fitting(result.Value, kind)
    if value is None:
        return None, Quality.BAD_DECODE
    return value, Quality.UNCERTAIN if severity else Quality.GOOD


def source_ns(result: Any) -> int | None:
    """The source's time stamp in ns since 1970, or None where there is none that means anything."""
    stamp = result.SourceTimestamp
    if stamp is None:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    if not _EARLIEST <= stamp < _LATEST:
        return None
    picoseconds = result.SourcePicoseconds or 0  # in units of 10 ps, below one microsecond
    return int((stamp - _EPOCH) // _MICROSECOND * 1000 + min(picoseconds, 99_999) // 100)


def _fitting(variant: Any, kind: ValueType) -> Value:
    """The variant's value if its type fits the tag's, else None. Nothing is converted or rounded."""
    if variant is None or variant.is_array:
        return None
    type_id, value = int(variant.VariantType.value), variant.Value
    if kind in _RANGE:
        low, high = _RANGE[kind]
        return int(value) if type_id in _INTEGERS and low <= value <= high else None
    if kind is ValueType.BOOL:
        return bool(value) if type_id == _BOOLEAN else None
    if kind is ValueType.STRING:
        return (value or "") if type_id == _STRING else None  # the null string is an empty one
    if type_id == _FLOAT or (type_id == _DOUBLE and kind is ValueType.FLOAT64):
        return float(value) if isfinite(value) else None
    return None
