"""Sparkplug payloads read byte by byte, and the few that a host application writes. By hand, from the table
of field numbers: no protobuf library, so that a mistake in how the agent uses one cannot hide."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

Value = bool | int | float | str | bytes | None

_BITS = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64}
_SIGNED = (1, 2, 3, 4)


class Malformed(ValueError):
    """Not a payload, or one that breaks the rules of its types."""


@dataclass(slots=True)
class Metric:
    """``value`` is as it stands on the wire, see ``typed``; ``kind``: its field number, 0 for none."""

    name: str = ""
    alias: int | None = None
    time_ms: int | None = None
    datatype: int | None = None
    historical: bool = False
    null: bool = False
    kind: int = 0
    value: Value = None
    properties: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Payload:
    time_ms: int | None = None
    seq: int | None = None
    metrics: list[Metric] = field(default_factory=list)


def typed(metric: Metric, datatype: int) -> Value:
    """The value under the type that the birth gave. Malformed when the field is not the one of that type."""
    if metric.null or metric.kind == 0:
        return None
    wanted = {9: 12, 10: 13, 11: 14, 12: 15, 13: 11, 14: 15, 15: 15, 4: 11, 8: 11}.get(datatype, 10)
    if metric.kind != wanted:
        raise Malformed(f"datatype {datatype} in field {metric.kind}, expected {wanted}")
    bits = _BITS.get(datatype)
    if bits is None or not isinstance(metric.value, int):
        return metric.value
    value = metric.value
    if datatype in _SIGNED:
        width = 64 if bits == 64 else 32
        if value >= 1 << width - 1:
            value -= 1 << width
        elif bits < 32 and 1 << bits - 1 <= value < 1 << bits:
            value -= 1 << bits
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise Malformed(f"{metric.value} does not fit into {bits} bits")
    elif value >= 1 << bits:
        raise Malformed(f"{metric.value} does not fit into {bits} bits")
    return value


def read_payload(data: bytes) -> Payload:
    payload = Payload()
    for number, value in _fields(data):
        if number == 1:
            payload.time_ms = _number(value)
        elif number == 2:
            payload.metrics.append(_metric(_bytes(value)))
        elif number == 3:
            payload.seq = _number(value)
    return payload


def _metric(data: bytes) -> Metric:
    metric = Metric()
    for number, value in _fields(data):
        match number:
            case 1:
                metric.name = _text(value)
            case 2:
                metric.alias = _number(value)
            case 3:
                metric.time_ms = _number(value)
            case 4:
                metric.datatype = _number(value)
            case 5:
                metric.historical = bool(_number(value))
            case 7:
                metric.null = bool(_number(value))
            case 9:
                metric.properties = _properties(_bytes(value))
            case 10 | 11 | 12 | 13 | 14 | 15 | 16:
                metric.kind, metric.value = number, _value(number, value)
            case _:
                pass
    return metric


def _value(number: int, value: int | bytes) -> Value:
    """``number`` as in a metric; those of a property are 7 less."""
    match number:
        case 12:
            return float(struct.unpack("<f", _bytes(value))[0])
        case 13:
            return float(struct.unpack("<d", _bytes(value))[0])
        case 14:
            return bool(_number(value))
        case 15:
            return _text(value)
        case 16:
            return _bytes(value)
        case _:
            return _number(value)


def _properties(data: bytes) -> dict[str, Value]:
    keys: list[str] = []
    values: list[Value] = []
    for number, value in _fields(data):
        if number == 1:
            keys.append(_text(value))
        elif number == 2:
            inner = [_value(n + 7, v) for n, v in _fields(_bytes(value)) if n >= 3]
            values.append(inner[0] if inner else None)
    if len(keys) != len(values):
        raise Malformed(f"{len(keys)} property keys, {len(values)} values")
    return dict(zip(keys, values, strict=True))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, form = tag >> 3, tag & 7
        if form == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if form == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(form, -1)
        if size < 0 or at + size > len(data):
            raise Malformed(f"field {number} of form {form} does not fit")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Malformed("a number without an end")


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise Malformed("bytes where a number belongs")
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Malformed("a number where bytes belong")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8") from error


# What a host application writes


def command(time_ms: int, metrics: list[bytes]) -> bytes:
    """NCMD or DCMD: it has no sequence number."""
    return _field(1, time_ms) + b"".join(_field(2, metric) for metric in metrics)


def commanded(
    value: Value, *, name: str = "", alias: int | None = None, datatype: int | None = None
) -> bytes:
    """One metric of a command. Whole numbers go into the field of 64 bits when they need it."""
    out = _field(1, name.encode()) if name else b""
    out += b"" if alias is None else _field(2, alias)
    out += b"" if datatype is None else _field(4, datatype)
    if isinstance(value, bool):
        return out + _field(14, int(value))
    if isinstance(value, int):
        wide = not -(2**31) <= value < 2**32
        return out + _field(11 if wide else 10, value & (2**64 - 1 if wide else 2**32 - 1))
    if isinstance(value, float):
        return out + bytes([13 << 3 | 1]) + struct.pack("<d", value)
    if isinstance(value, str):
        return out + _field(15, value.encode())
    return out + _field(7, 1)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint_of(number << 3) + _varint_of(value)
    return _varint_of(number << 3 | 2) + _varint_of(len(value)) + value


def _varint_of(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
