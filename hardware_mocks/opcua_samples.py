"""Nodes of every type, beside those of the line: constants, so that any client can be compared with them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_WHEN = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)


def samples(ua: Any) -> Mapping[str, tuple[str, Any]]:
    """Node id -> (OPC UA type, value); a list is an array. ``ua``: asyncua's module of that name."""
    return {
        "Sample.Boolean": ("Boolean", True),
        "Sample.SByte": ("SByte", -128),
        "Sample.Byte": ("Byte", 255),
        "Sample.Int16": ("Int16", -32_768),
        "Sample.UInt16": ("UInt16", 65_535),
        "Sample.Int32": ("Int32", -(2**31)),
        "Sample.UInt32": ("UInt32", 2**32 - 1),
        "Sample.Int64": ("Int64", -(2**63)),
        "Sample.UInt64": ("UInt64", 2**64 - 1),
        "Sample.Float": ("Float", 0.5),
        "Sample.Double": ("Double", 0.1),
        "Sample.String": ("String", "配方 7"),
        "Sample.DateTime": ("DateTime", _WHEN),
        "Sample.Guid": ("Guid", uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a")),
        "Sample.ByteString": ("ByteString", b"\x00\xff\x10"),
        "Sample.StatusCode": ("StatusCode", ua.StatusCode(ua.StatusCodes.BadTimeout)),
        "Sample.QualifiedName": ("QualifiedName", ua.QualifiedName("Oven")),
        "Sample.LocalizedText": ("LocalizedText", ua.LocalizedText("自动", "zh")),
        "Sample.Floats": ("Float", [20.5, 21.5, 22.5]),
        "Sample.Words": ("UInt16", list(range(100))),
        "Sample.Matrix": ("Int32", [[1, 2, 3], [4, 5, 6]]),
        "Sample.Writable": ("Float", 0.0),
    }
