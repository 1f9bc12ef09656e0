"""Values and qualities as Sparkplug writes them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from edge_agent.model import Quality, Scaling, Value, ValueType


class DataType(IntEnum):
    """The scalar ones; an edge node of ours sends no others."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type stands in a metric: ``field`` of the oneof, and what is written for a value. ``written``
    raises TypeError or OverflowError for what is not of the type."""

    datatype: DataType
    field: str
    written: Callable[[Any], Any]


def _signed(bits: int, mask: int) -> Callable[[Any], int]:
    """Small signed numbers stand in a field of 32 bits without sign: two's complement of the whole field."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def written(value: Any) -> int:
        if not low <= value <= high:
            raise OverflowError(f"{value} does not fit into {bits} bits")
        return int(value & mask)

    return written


def _unsigned(bits: int) -> Callable[[Any], int]:
    high = (1 << bits) - 1

    def written(value: Any) -> int:
        if not 0 <= value <= high:
            raise OverflowError(f"{value} does not fit into {bits} bits without sign")
        return int(value | 0)  # a float is a TypeError here, not a number cut short

    return written


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


_KINDS = {
    ValueType.BOOL: Kind(DataType.BOOLEAN, "boolean_value", bool),
    ValueType.INT8: Kind(DataType.INT8, "int_value", _signed(8, 0xFFFFFFFF)),
    ValueType.INT16: Kind(DataType.INT16, "int_value", _signed(16, 0xFFFFFFFF)),
    ValueType.INT32: Kind(DataType.INT32, "int_value", _signed(32, 0xFFFFFFFF)),
    ValueType.INT64: Kind(DataType.INT64, "long_value", _signed(64, 0xFFFFFFFF_FFFFFFFF)),
    ValueType.UINT8: Kind(DataType.UINT8, "int_value", _unsigned(8)),
    ValueType.UINT16: Kind(DataType.UINT16, "int_value", _unsigned(16)),
    # the specification puts UInt32 into one field, most implementations into the other: some then read null
    ValueType.UINT32: Kind(DataType.INT64, "long_value", _unsigned(32)),
    ValueType.UINT64: Kind(DataType.UINT64, "long_value", _unsigned(64)),
    ValueType.FLOAT32: Kind(DataType.FLOAT, "float_value", float),
    ValueType.FLOAT64: Kind(DataType.DOUBLE, "double_value", float),
    ValueType.STRING: Kind(DataType.STRING, "string_value", _text),
}


def kind_of(type_: ValueType, scaling: Scaling | None) -> Kind:
    """What a host shows is in the tag's unit: a scaled number is a Double, all others keep their type (but
    UInt32, see above)."""
    return _KINDS[ValueType.FLOAT64 if scaling is not None and type_.is_numeric else type_]


GOOD, BAD, STALE = 192, 0, 500
"""The only codes that Sparkplug knows."""

_STALE = frozenset({Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED, Quality.STALE, Quality.WAITING})


def quality_code(quality: int) -> int:
    """STALE where a value stands that may no longer be true, or none was read yet; what is only not quite
    certain (its source's clock, a part of what it was calculated from) is GOOD with a reason."""
    if quality in _STALE:
        return STALE
    return GOOD if quality < 0x80 else BAD


def quality_name(quality: int) -> str:
    """The agent's own word, which says more than the code: ``bad_comm``."""
    try:
        return Quality(quality).name.lower()
    except ValueError:
        return f"0x{quality:02x}"


_BITS = {
    DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64,
    DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64,
}  # fmt: skip
_SIGNED = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})


def read(metric: Any, datatype: int) -> Value:
    """The value of a metric that was received, None where it has none. A negative Int8 or Int16 comes in 32
    bits from one maker and in its own width from the next; both are read. ValueError: not of that type."""
    field = metric.WhichOneof("value")
    if field is None or metric.is_null:
        return None
    value = getattr(metric, field)
    bits = _BITS.get(datatype)  # type: ignore[call-overload]
    if bits is None:
        if isinstance(value, bytes):
            raise ValueError(f"a value of datatype {datatype} cannot be read")
        return value  # type: ignore[no-any-return]
    if field not in ("int_value", "long_value"):
        raise ValueError(f"datatype {datatype} stands with a {field.removesuffix('_value')}")
    return _integer(value, bits, signed=datatype in _SIGNED)


def _integer(value: int, bits: int, *, signed: bool) -> int:
    if not signed or value < 1 << bits - 1:
        if value >= 1 << bits:
            raise ValueError(f"{value} does not fit into {bits} bits")
        return value
    for width in (bits, 32, 64):
        if width >= bits and (1 << width) - (1 << bits - 1) <= value < 1 << width:
            return value - (1 << width)
    raise ValueError(f"{value} does not fit into {bits} bits")
