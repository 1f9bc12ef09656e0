"""Results of a Read call or of a subscription -> columns. Takes asyncua's objects without importing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, Value, ValueType

_BOOLEAN, _FLOAT, _DOUBLE, _STRING = 1, 10, 11, 12  # Part 6, table 1: ids of the built-in types
_DATETIME, _GUID, _BYTESTRING, _XML, _NODE_ID, _EXPANDED, _STATUS, _QUALIFIED, _TEXT = range(13, 22)
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
_BUILT_IN: Mapping[str, tuple[ValueType, int]] = {
    "boolean": (ValueType.BOOL, _BOOLEAN),
    "sbyte": (ValueType.INT8, 2),
    "byte": (ValueType.UINT8, 3),
    "float": (ValueType.FLOAT32, _FLOAT),
    "double": (ValueType.FLOAT64, _DOUBLE),
    "statuscode": (ValueType.UINT32, _STATUS),
}
TYPES: Mapping[str, ValueType] = {name: kind for name, (kind, _) in _BUILT_IN.items()}
"""The names an OPC UA browser shows, beside the agent's own: ``DriverPlugin.types``. They are exact: a node
of another type is BAD_DECODE even where each of its values would fit."""

_MEANING = {  # the upper half of a StatusCode; the lower half are flags
    0x8034: Quality.BAD_ADDRESS,  # BadNodeIdUnknown
    0x8033: Quality.BAD_ADDRESS,  # BadNodeIdInvalid
    0x8035: Quality.BAD_ADDRESS,  # BadAttributeIdInvalid
    0x8036: Quality.BAD_ADDRESS,  # BadIndexRangeInvalid
    0x8037: Quality.BAD_ADDRESS,  # BadIndexRangeNoData
    0x803E: Quality.BAD_ADDRESS,  # BadNotFound
    0x803F: Quality.BAD_ADDRESS,  # BadObjectDeleted
    0x8031: Quality.BAD_COMM,  # BadNoCommunication
    0x808A: Quality.BAD_COMM,  # BadNotConnected
    0x800A: Quality.BAD_COMM,  # BadTimeout
    0x8005: Quality.BAD_COMM,  # BadCommunicationError
    0x800D: Quality.BAD_COMM,  # BadServerNotConnected
    0x80AE: Quality.BAD_COMM,  # BadConnectionClosed
    0x800C: Quality.BAD_COMM,  # BadShutdown
    0x800E: Quality.BAD_COMM,  # BadServerHalted
    0x8032: Quality.BAD_COMM,  # BadWaitingForInitialData
    0x809B: Quality.BAD_COMM,  # BadNoData
    0x809E: Quality.BAD_COMM,  # BadDataUnavailable
    0x80B1: Quality.BAD_COMM,  # BadNoDataAvailable
    0x801F: Quality.BAD_CONFIG,  # BadUserAccessDenied
    0x803A: Quality.BAD_CONFIG,  # BadNotReadable
    0x803D: Quality.BAD_CONFIG,  # BadNotSupported
    0x8089: Quality.BAD_CONFIG,  # BadConfigurationError
    0x80E6: Quality.BAD_CONFIG,  # BadSecurityModeInsufficient
    0x8038: Quality.BAD_CONFIG,  # BadDataEncodingInvalid
    0x8039: Quality.BAD_CONFIG,  # BadDataEncodingUnsupported
    0x8074: Quality.BAD_CONFIG,  # BadTypeMismatch
    0x808B: Quality.BAD_DEVICE,  # BadDeviceFailure
    0x808C: Quality.BAD_DEVICE,  # BadSensorFailure
    0x8007: Quality.BAD_DECODE,  # BadDecodingError
    0x8006: Quality.BAD_DECODE,  # BadEncodingError
    0x803C: Quality.BAD_DECODE,  # BadOutOfRange
}
_OVERFLOW_MASK, _OVERFLOW = 0x0C80, 0x0480  # Part 4, 7.39: the info bits are a DataValue's, and bit 7 is set
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1601, 1, 2, tzinfo=UTC)  # servers without a clock send the beginning of 1601
_LATEST = datetime(2262, 1, 1, tzinfo=UTC)  # beyond it nanoseconds since 1970 leave 64 bits
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """How one tag is taken from its node's value."""

    kind: ValueType
    built_in: int = 0  # the only built-in type it may come as; 0: whatever fits
    encoding: str = ""
    element: tuple[int, ...] = ()

    @classmethod
    def of(cls, tag: Tag, element: tuple[int, ...]) -> Reading:
        built_in = _BUILT_IN[tag.wire][1] if tag.wire in _BUILT_IN else 0
        return cls(tag.type, built_in, tag.encoding, element)


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a plan. ``tags``: all it serves. ``users``: for each of its nodes, in the order of the
    results, the tags that take their value from it. A tag of none is in a namespace the server does not
    have: BAD_ADDRESS."""

    tags: tuple[int, ...]
    users: tuple[tuple[int, ...], ...]


class Decoder:
    """Replies of one plan -> columns in tag order. See ``Plan.decode``.

    A reply holds per node a DataValue, or a Quality where the link did not ask for it."""

    def __init__(self, readings: Sequence[Reading], parts: Sequence[Part]) -> None:
        self._readings = tuple(readings)
        self.parts = tuple(parts)

    def __call__(self, replies: Sequence[Any]) -> Columns:
        count = len(self._readings)
        values: list[Value] = [None] * count
        quality = bytearray((Quality.BAD_ADDRESS,)) * count
        source: list[int | None] = [None] * count
        for reply, part in zip(replies, self.parts, strict=True):
            if isinstance(reply, Quality):
                for tag in part.tags:
                    quality[tag] = reply
                continue
            for users, result in zip(part.users, reply, strict=True):
                self._place(users, result, values, quality, source)
        return Columns(tuple(values), bytes(quality), tuple(source))

    def changes(self, unreported: bytes, changed: Iterable[tuple[tuple[int, ...], Any]]) -> Columns:
        """A change report. ``unreported``: the quality of each tag that has not changed. ``changed``: per
        changed node its tags and the new DataValue."""
        values: list[Value] = [None] * len(unreported)
        quality = bytearray(unreported)
        source: list[int | None] = [None] * len(unreported)
        for users, result in changed:
            self._place(users, result, values, quality, source)
        return Columns(tuple(values), bytes(quality), tuple(source))

    def _place(
        self,
        users: tuple[int, ...],
        result: Any,
        values: list[Value],
        quality: bytearray,
        source: list[int | None],
    ) -> None:
        if isinstance(result, Quality):
            for tag in users:
                quality[tag] = result
            return
        stamp = source_ns(result)
        for tag in users:
            values[tag], quality[tag] = value_of(result, self._readings[tag])
            source[tag] = stamp


def value_of(result: Any, reading: Reading) -> tuple[Value, Quality]:
    """The raw value of one DataValue and its quality; the value is None exactly where that is bad."""
    status = status_of(result)
    severity = status >> 30
    if severity >= 2:
        return None, _MEANING.get(status >> 16, Quality.BAD)
    value = _taken(result.Value, reading)
    if isinstance(value, Quality):
        return None, value
    return value, Quality.UNCERTAIN if severity else Quality.GOOD


def status_of(result: Any) -> int:
    """A DataValue's StatusCode as a number; one that is left out is Good."""
    return 0 if result.StatusCode is None else int(result.StatusCode.value)


def lost_samples(result: Any) -> bool:
    """Whether the server says that its queue was too short: samples before this one are gone."""
    return status_of(result) & _OVERFLOW_MASK == _OVERFLOW


def source_ns(result: Any) -> int | None:
    """The source's time stamp in ns since 1970, or None where there is none that means anything."""
    stamp = result.SourceTimestamp
    if stamp is None:
        return None
    stamp = _utc(stamp)
    if not _EARLIEST <= stamp < _LATEST:
        return None
    picoseconds = result.SourcePicoseconds or 0  # in units of 10 ps, below one microsecond
    return int((stamp - _EPOCH) // _MICROSECOND * 1000 + min(picoseconds, 99_999) // 100)


def _utc(stamp: datetime) -> datetime:
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp


def _taken(variant: Any, reading: Reading) -> Value | Quality:
    """The tag's value out of a variant, or why there is none. Nothing is converted or rounded."""
    if variant is None:
        return Quality.BAD_DECODE
    value = variant.Value
    if reading.element:
        if not variant.is_array:
            return Quality.BAD_DECODE
        for index in reading.element:
            if not isinstance(value, (list, tuple)):
                return Quality.BAD_DECODE
            if index >= len(value):
                return Quality.BAD_ADDRESS
            value = value[index]
        if isinstance(value, (list, tuple)):
            return Quality.BAD_DECODE  # a row of a matrix
    elif variant.is_array:
        return Quality.BAD_DECODE
    built_in = int(variant.VariantType.value)
    if reading.built_in and reading.built_in != built_in:
        return Quality.BAD_DECODE
    fitting = _fitting(value, built_in, reading)
    return Quality.BAD_DECODE if fitting is None else fitting


def _fitting(value: Any, built_in: int, reading: Reading) -> Value:
    """The value if its type fits the tag's, else None."""
    kind = reading.kind
    if kind is ValueType.STRING:
        return _text(value, built_in, reading.encoding)
    if value is None:
        return None
    if kind in _RANGE:
        if built_in == _STATUS:
            value, built_in = value.value, 7
        low, high = _RANGE[kind]
        return int(value) if built_in in _INTEGERS and low <= value <= high else None
    if kind is ValueType.BOOL:
        return bool(value) if built_in == _BOOLEAN else None
    if built_in == _FLOAT or (built_in == _DOUBLE and kind is ValueType.FLOAT64):
        return float(value) if isfinite(value) else None
    return None


def _text(value: Any, built_in: int, encoding: str) -> str | None:
    """Text, and whatever OPC UA knows that is shown as text; the null string is an empty one."""
    if built_in == _STRING:
        return _characters(value, encoding)
    if built_in == _BYTESTRING:
        return (value or b"").hex()
    if value is None:
        return None
    if built_in == _TEXT:
        return _characters(value.Text, encoding)
    if built_in == _DATETIME:
        return _utc(value).astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    if built_in == _GUID:
        return str(value)
    if built_in == _QUALIFIED:
        name = _characters(value.Name, encoding)
        return name if name is None or not value.NamespaceIndex else f"{value.NamespaceIndex}:{name}"
    if built_in == _STATUS:
        return str(value.name)
    if built_in == _XML:
        return _characters(getattr(value, "Value", value), encoding)
    if built_in in (_NODE_ID, _EXPANDED):
        return str(value.to_string())
    return None


def _characters(text: str | None, encoding: str) -> str | None:
    """OPC UA text is UTF-8. The library lets other bytes through as lone surrogates: those are no text,
    unless the tag names the encoding that the server really uses."""
    if not text or text.isascii():
        return text or ""
    try:
        coded = text.encode("utf-8", "surrogateescape")
        return coded.decode(encoding or "utf-8")
    except (UnicodeError, LookupError):
        return None
