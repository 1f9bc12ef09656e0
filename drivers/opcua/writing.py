"""One raw value -> a Variant of exactly the type the node has. Imports asyncua."""

from __future__ import annotations

import struct
from math import isfinite
from typing import Any

from drivers.opcua.faults import ua
from edge_agent.errors import Refused, StationError, StationSilent
from edge_agent.model import Value

_Code = ua.StatusCodes
_Kind = ua.VariantType
_BITS = {
    _Kind.SByte: (-(2**7), 2**7 - 1),
    _Kind.Byte: (0, 2**8 - 1),
    _Kind.Int16: (-(2**15), 2**15 - 1),
    _Kind.UInt16: (0, 2**16 - 1),
    _Kind.Int32: (-(2**31), 2**31 - 1),
    _Kind.UInt32: (0, 2**32 - 1),
    _Kind.Int64: (-(2**63), 2**63 - 1),
    _Kind.UInt64: (0, 2**64 - 1),
}
_DEFINITE = {  # the server has looked at it and left the node alone
    _Code.BadNotWritable,
    _Code.BadUserAccessDenied,
    _Code.BadTypeMismatch,
    _Code.BadOutOfRange,
    _Code.BadNodeIdUnknown,
    _Code.BadNodeIdInvalid,
    _Code.BadAttributeIdInvalid,
    _Code.BadWriteNotSupported,
    _Code.BadNotSupported,
    _Code.BadIndexRangeInvalid,
    _Code.BadSecurityModeInsufficient,
}


def kind_of(result: Any, where: str) -> Any:
    """The variant type a node has now, from a read of its value. Raises Refused where it cannot be told or is
    no single value."""
    variant = result.Value
    if result.StatusCode is not None and result.StatusCode.is_bad():
        raise Refused(f"{where} cannot be read ({result.StatusCode.name}), so its type is not known")
    if variant is None or variant.VariantType is _Kind.Null:
        raise Refused(f"{where} holds nothing, so its type is not known")
    if variant.is_array:
        raise Refused(f"{where} is an array and cannot be written as one value")
    return variant.VariantType


def variant_of(raw: Value, kind: Any, where: str) -> Any:
    """Raises Refused for a value that does not fit; nothing is rounded but a decimal to the nearest Float."""
    fits = False
    if kind is _Kind.Boolean:
        fits = isinstance(raw, bool)
    elif kind in _BITS:
        low, high = _BITS[kind]
        fits = isinstance(raw, int) and not isinstance(raw, bool) and low <= raw <= high
    elif kind in (_Kind.Float, _Kind.Double):
        fits = isinstance(raw, (int, float)) and not isinstance(raw, bool) and _is_number(raw, kind)
        raw = float(raw) if fits else raw  # type: ignore[arg-type]
    elif kind is _Kind.String:
        fits = isinstance(raw, str)
    else:
        raise Refused(f"{where} is a {kind.name}: values of that type are not written")
    if not fits:
        raise Refused(f"{raw!r} does not fit {where}, which is a {kind.name}", reason="other")
    return ua.Variant(raw, kind)


def request_for(node_id: Any, variant: Any) -> Any:
    """Without time stamps and status: most servers refuse to have them set (BadWriteNotSupported)."""
    request = ua.WriteRequest()
    value = ua.DataValue(variant, StatusCode=None)
    request.Parameters.NodesToWrite = [
        ua.WriteValue(NodeId=node_id, AttributeId=ua.AttributeIds.Value, Value=value)
    ]
    return request


def verdict(status: Any, where: str) -> StationError | None:
    """What the server's status of one write means; None: confirmed."""
    if status.is_good():
        return None
    if status.value in _DEFINITE:
        return Refused(f"the server refuses the write to {where}: {status.name}", reason="other")
    return StationSilent(f"whether {where} was written is not known: {status.name}", reason="other")


def _is_number(raw: float, kind: Any) -> bool:
    try:
        struct.pack("<f" if kind is _Kind.Float else "<d", raw)
    except (OverflowError, struct.error):
        return False
    return isfinite(raw)
