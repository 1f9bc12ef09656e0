"""Text -> tokens. Names may contain dots and hyphens, as tags do, so the names that exist decide what a
hyphen between two words is; full-width punctuation from a Chinese keyboard is read as what it looks like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from edge_agent.expression import mistakes as m
from edge_agent.expression.mistakes import Mistakes
from edge_agent.settings import Text


class Sort(StrEnum):
    NUMBER = "number"
    UNIT = "unit"  # in brackets: [kWh/kg]
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """``text``: of a sign its plain form, of a unit what stands between the brackets."""

    sort: Sort
    text: str
    start: int
    end: int


_ALIKE: Final = str.maketrans("（），＋－−＊×／÷＜＞＝！［］．", "(),+--**//<>=![].")
_WIDER: Final = MappingProxyType({"≤": "<=", "≥": ">=", "≠": "!="})
_SIGNS: Final = (
    "**",
    "<=",
    ">=",
    "==",
    "!=",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    ",",
    "<",
    ">",
    "%",
    "‰",
    "°C",
    "°F",
    "℃",
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+", re.ASCII)
_WORD: Final = re.compile(r"\w(?:[\w.-]*\w)?")
_ELEMENT: Final = re.compile(r"\[\d{1,6}\]", re.ASCII)
_CURES: Final = MappingProxyType(
    {
        "=": Text("Compare with '=='", "比较请用 '=='"),
        "^": Text("Powers are written with '**'", "乘方请用 '**'"),
        "&": Text("Write 'and'", "请用 and"),
        "|": Text("Write 'or'", "请用 or"),
        "!": Text("Write 'not'", "请用 not"),
        "?": Text("Write if(condition, a, b)", "请写 if(条件, a, b)"),
        '"': Text("Names stand without quotes", "点名不加引号"),
        "'": Text("Names stand without quotes", "点名不加引号"),
        ";": Text("Part arguments with ','", "参数之间用 ','"),
    }
)
_MEANT: Final = MappingProxyType({"=": "==", "^": "**", ";": ","})
"""Read on as if this stood there, so that what else is wrong is found too."""
_TAKE_AWAY: Final = Text("Take it away", "请删去")


def tokens(text: str, known: Container[str], found: Mistakes) -> list[Token]:
    """All of them, ending with END. What has no meaning is reported and passed over."""
    return _Reader(text, known, found).read()


class _Reader:
    def __init__(self, text: str, known: Container[str], found: Mistakes) -> None:
        self.plain = text.translate(_ALIKE)
        self.known = known
        self.mistakes = found
        self.at = 0
        self.out: list[Token] = []

    def read(self) -> list[Token]:
        while self.at < len(self.plain):
            if self.plain[self.at].isspace():
                self.at += 1
            else:
                self._one(self.plain[self.at])
        self._put(Sort.END, "", 0)
        return self.out

    def _put(self, sort: Sort, text: str, length: int) -> None:
        self.out.append(Token(sort, text, self.at, self.at + length))
        self.at += length

    def _one(self, first: str) -> None:
        word = _WORD.match(self.plain, self.at)
        if word is not None and (not first.isascii() or not first.isdigit() or word[0] in self.known):
            self._word(word[0])
        elif first.isascii() and (first.isdigit() or first == "."):
            self._number(word)
        elif first == "[":
            self._bracket()
        elif first in _WIDER:
            self._put(Sort.SIGN, _WIDER[first], 1)
        else:
            self._sign(first)

    def _sign(self, first: str) -> None:
        for sign in _SIGNS:
            if self.plain.startswith(sign, self.at):
                self._put(Sort.SIGN, sign, len(sign))
                return
        cure = _CURES.get(first, _TAKE_AWAY)
        self.mistakes.add(m.CHARACTER, self.at, self.at + 1, found=first, cure=cure)
        meant = _MEANT.get(first)
        if meant is None:
            self.at += 1
        else:
            self._put(Sort.SIGN, meant, 1)

    def _bracket(self) -> None:
        end = self.plain.find("]", self.at)
        if end < 0:
            self.mistakes.add(m.UNCLOSED, self.at, self.at + 1, found="[", wanted="]")
            end = len(self.plain) - 1
        self._put(Sort.UNIT, self.plain[self.at + 1 : end].strip(), end + 1 - self.at)

    def _number(self, word: re.Match[str] | None) -> None:
        match = _NUMBER.match(self.plain, self.at)
        if match is None:
            self.mistakes.add(m.NUMBER, self.at, self.at + 1, found=self.plain[self.at])
            self.at += 1
            return
        after = self.plain[match.end() : match.end() + 1]
        if after == "." or (after.isdigit() and after.isascii()) or not _finite(match[0]):
            shown = word[0] if word is not None else match[0]
            self.mistakes.add(m.NUMBER, self.at, self.at + len(shown), found=shown)
            self._put(Sort.NUMBER, "1", max(len(shown), len(match[0])))
            return
        self._put(Sort.NUMBER, match[0], len(match[0]))

    def _word(self, word: str) -> None:
        """The longest name that exists, be it an element of an array; hyphens that belong to none are minus
        signs."""
        element = _ELEMENT.match(self.plain, self.at + len(word))
        if element is not None and word + element[0] in self.known:
            self._put(Sort.NAME, word + element[0], len(word) + len(element[0]))
            return
        pieces = word.split("-")
        if len(pieces) == 1:
            self._put(Sort.NAME, word, len(word))
            return
        if word in self.known:
            if self._parts(pieces):
                self.mistakes.add(m.AMBIGUOUS, self.at, self.at + len(word), name=word)
            self._put(Sort.NAME, word, len(word))
            return
        for count in range(len(pieces) - 1, 0, -1):
            name = "-".join(pieces[:count])
            if name in self.known or (count == 1 and self._parts(pieces)):
                self._put(Sort.NAME, name, len(name))
                return
        whole = word if self.plain[self.at + len(word) :].lstrip()[:1] != "(" else pieces[0]
        self._put(Sort.NAME, whole, len(whole))

    def _parts(self, pieces: list[str]) -> bool:
        """Whether the word reads as names and numbers with minus signs between them."""
        return all(piece in self.known or _NUMBER.fullmatch(piece) for piece in pieces)


def _finite(text: str) -> bool:
    return len(text) <= 40 and math.isfinite(float(text))
