"""How S7 codes each type: the one table that addresses, decoding, writing and arrays look things up in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from drivers.s7 import moments, texts
from edge_agent.model import Tag, Value, ValueType

Convert = Callable[[Any], Value]


@dataclass(frozen=True, slots=True)
class Kind:
    """``code``: the struct letter of the stored form. ``convert``, ``revert``: stored form <-> value, None
    where they are the same. ``size``: bytes; of a text, those of one character, without ``head``."""

    name: str
    type: ValueType
    code: str
    size: int
    convert: Convert | None = None
    revert: Callable[[Any], Any] | None = None
    head: int = 0
    most: int = 0  # characters of a text; 0: not a text
    unsaid: int = 1  # characters where the table gives no length, as in the controller's declarations

    @property
    def is_text(self) -> bool:
        return self.most > 0

    def characters(self, length: int) -> int:
        """``length`` as in ``Tag``; 0 stands for none."""
        return length or self.unsaid

    def bytes_of(self, length: int) -> int:
        return self.head + self.size * self.characters(length) if self.is_text else self.size


_NUMBERS = [
    Kind("bool", ValueType.BOOL, "B", 1),
    Kind("byte", ValueType.UINT8, "B", 1),
    Kind("usint", ValueType.UINT8, "B", 1),
    Kind("sint", ValueType.INT8, "b", 1),
    Kind("word", ValueType.UINT16, "H", 2),
    Kind("uint", ValueType.UINT16, "H", 2),
    Kind("int", ValueType.INT16, "h", 2),
    Kind("dword", ValueType.UINT32, "I", 4),
    Kind("udint", ValueType.UINT32, "I", 4),
    Kind("dint", ValueType.INT32, "i", 4),
    Kind("lword", ValueType.UINT64, "Q", 8),
    Kind("ulint", ValueType.UINT64, "Q", 8),
    Kind("lint", ValueType.INT64, "q", 8),
    Kind("real", ValueType.FLOAT32, "f", 4),
    Kind("lreal", ValueType.FLOAT64, "d", 8),
    Kind("bcd16", ValueType.INT16, "H", 2, moments.bcd_number, moments.bcd_word),
]
_TIMES = [
    Kind("s5time", ValueType.UINT32, "H", 2, moments.s5time_ms, moments.s5time_word),
    Kind("timer", ValueType.UINT32, "H", 2, moments.s5time_ms, moments.s5time_word),
    Kind("counter", ValueType.UINT16, "H", 2, moments.counter_value, moments.counter_word),
    Kind("time", ValueType.INT32, "i", 4),
    Kind("ltime", ValueType.INT64, "q", 8),
    Kind("tod", ValueType.UINT32, "I", 4, moments.day_ms, moments.day_ms),
    Kind("time_of_day", ValueType.UINT32, "I", 4, moments.day_ms, moments.day_ms),
    Kind("ltod", ValueType.UINT64, "Q", 8, moments.day_ns, moments.day_ns),
    Kind("date", ValueType.STRING, "H", 2, moments.date_text, moments.date_days),
    Kind("dt", ValueType.STRING, "8s", 8, moments.dt_text, moments.dt_bytes),
    Kind("date_and_time", ValueType.STRING, "8s", 8, moments.dt_text, moments.dt_bytes),
    Kind("ldt", ValueType.STRING, "q", 8, moments.ldt_text, moments.ldt_nanoseconds),
    Kind("dtl", ValueType.STRING, "12s", 12, moments.dtl_text, moments.dtl_bytes),
]
_TEXTS = [
    Kind("string", ValueType.STRING, "", 1, head=texts.STRING_HEAD, most=texts.STRING_MAX, unsaid=254),
    Kind("wstring", ValueType.STRING, "", 2, head=texts.WSTRING_HEAD, most=texts.WSTRING_MAX, unsaid=254),
    Kind("char", ValueType.STRING, "", 1, most=65_536),
    Kind("wchar", ValueType.STRING, "", 2, most=32_768),
]
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (*_NUMBERS, *_TIMES, *_TEXTS)}

TYPES: Mapping[str, ValueType] = {
    name: kind.type for name, kind in KINDS.items() if name not in ("bool", "string")
}
"""``DriverPlugin.types``: every name of S7 that is not one of the agent's own already."""

_PLAIN = {
    ValueType.BOOL: "bool",
    ValueType.INT8: "sint",
    ValueType.UINT8: "usint",
    ValueType.INT16: "int",
    ValueType.UINT16: "uint",
    ValueType.INT32: "dint",
    ValueType.UINT32: "udint",
    ValueType.INT64: "lint",
    ValueType.UINT64: "ulint",
    ValueType.FLOAT32: "real",
    ValueType.FLOAT64: "lreal",
    ValueType.STRING: "string",
}
_TIMER_OR_COUNTER = {("T", ValueType.UINT32): "timer", ("C", ValueType.UINT16): "counter"}


def kind_of(tag: Tag, area: str) -> Kind | None:
    """How the tag is coded in that area; None for a name S7 does not have. In the areas of timers and
    counters the plain type means the time, or the count."""
    name = tag.wire or _TIMER_OR_COUNTER.get((area, tag.type)) or _PLAIN[tag.type]
    return KINDS.get(name)


def converter(kind: Kind, encoding: str) -> Convert | None:
    """Stored form -> value; the stored form of a text is its bytes."""
    if kind.name == "string":
        return partial(texts.string_text, encoding=encoding)
    if kind.name == "char":
        return partial(texts.char_text, encoding=encoding)
    if kind.name == "wstring":
        return texts.wstring_text
    if kind.name == "wchar":
        return texts.wchar_text
    return kind.convert
