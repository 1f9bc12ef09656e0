"""What a cell of column ``type`` means to the driver of a device: value type, wire form, length, elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.config import catalogue as c
from edge_agent.config.suggest import nearest, said
from edge_agent.model import ValueType

LENGTH_MAX = 16_382  # characters: the longest string any driver has (a WSTRING of an S7-1500)
ELEMENTS_MAX = 10_000

_PLAIN = [str(kind) for kind in ValueType if kind is not ValueType.STRING]
_NAMES = [*_PLAIN, "string", "string[20]"]
_MEANT = {
    "bit": "bool", "boolean": "bool", "byte": "uint8", "sint": "int8", "usint": "uint8",
    "int": "int16", "short": "int16", "word": "uint16", "uint": "uint16", "ushort": "uint16",
    "dint": "int32", "long": "int32", "dword": "uint32", "udint": "uint32", "ulong": "uint32",
    "lint": "int64", "lword": "uint64", "ulint": "uint64",
    "real": "float32", "float": "float32", "single": "float32", "lreal": "float64", "double": "float64",
    "str": "string[20]", "char": "string[1]", "text": "string[20]",
}  # fmt: skip
_FORM = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Kind:
    """``wire`` and ``length`` as in ``Tag``. ``elements``: of an array, else None."""

    type: ValueType
    wire: str = ""
    length: int = 1
    elements: int | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a cell."""

    entry: c.Entry
    values: dict[str, object]


def plain_type(text: str) -> str | None:
    """The type that another tool's word stands for."""
    word = text.lower()
    return word if word in _PLAIN else _MEANT.get(word)


class Kinds:
    """The types of one driver; ``types`` is None while nobody knows which driver it is, and then a strange
    name is a mistake only where it is near to one of the agent's own."""

    def __init__(self, types: Mapping[str, ValueType] | None) -> None:
        self._own = {name.lower(): kind for name, kind in (types or {}).items()}
        self._sure = types is not None
        self._known = [*_NAMES, *(name for name in self._own if name not in _NAMES)]
        self._read: dict[str, Kind | Mistake | None] = {}

    def read(self, text: str) -> Kind | Mistake | None:
        """None where that cannot be told without the driver. ``string`` alone is for protocols whose strings
        know their own length: length 0. ``string[20][4]`` is an array of four, ``string[][4]`` one of strings
        that know their length."""
        if text not in self._read:
            self._read[text] = self._make(text)
        return self._read[text]

    def _make(self, text: str) -> Kind | Mistake | None:
        form = _FORM.fullmatch(text.lower().replace(" ", ""))
        name, brackets = (form[1], _BRACKET.findall(form[2])) if form else (text, [])
        kind = self._type(name)
        if form is None and self._type(text.lower().partition("[")[0].strip()) is not None:
            return _brackets(text, ELEMENTS_MAX)
        if kind is None or form is None:
            return self._unknown(text, name, form[2] if form else "")
        wire = "" if name in frozenset(ValueType) else name
        if kind is not ValueType.STRING:
            brackets = ["", *brackets]
        length, count = [*brackets, None, None][:2]
        if len(brackets) > 2 or (length and not _within(length, LENGTH_MAX)):
            return _brackets(text, LENGTH_MAX if len(brackets) < 3 else ELEMENTS_MAX)
        if count is not None and not _within(count, ELEMENTS_MAX):
            return _brackets(text, ELEMENTS_MAX)
        if kind is ValueType.STRING and brackets == [""]:
            return _brackets(text, LENGTH_MAX)
        short = 0 if kind is ValueType.STRING else 1
        return Kind(kind, wire, int(length) if length else short, None if count is None else int(count))

    def _type(self, name: str) -> ValueType | None:
        return ValueType(name) if name in frozenset(ValueType) else self._own.get(name)

    def _unknown(self, text: str, name: str, brackets: str) -> Mistake | None:
        meant = plain_type(name)
        guess = meant or nearest(name, self._known) or nearest(text, self._known)
        if not self._sure and (meant or not guess):
            return None
        if guess and brackets and "[" not in guess:
            guess += brackets
        return Mistake(c.BAD_TYPE, {"found": text, "hint": said(guess), "known": ", ".join(self._known)})


def _within(digits: str, most: int) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) <= 9 and 1 <= int(digits) <= most


def _brackets(text: str, most: int) -> Mistake:
    return Mistake(c.BAD_BRACKETS, {"found": text, "limit": most})
