"""A meter is replaced: what a person declares, and what is remembered for one who declares it late."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Replacement:
    """``old_final`` and ``new_start`` as the displays showed them, in the counter's unit without
    multiplier."""

    at_ns: int
    old_final: Decimal
    new_start: Decimal

    def as_list(self) -> list[Any]:
        return [self.at_ns, str(self.old_final), str(self.new_start)]

    @classmethod
    def from_list(cls, item: list[Any]) -> Replacement:
        return cls(int(item[0]), Decimal(item[1]), Decimal(item[2]))


@dataclass(frozen=True, slots=True)
class Jump:
    """The last jump or reset: raw counts before and after, and how many of them were counted."""

    from_ns: int
    to_ns: int
    before: Decimal
    after: Decimal
    counted: Decimal

    def as_list(self) -> list[Any]:
        return [self.from_ns, self.to_ns, str(self.before), str(self.after), str(self.counted)]

    @classmethod
    def from_list(cls, item: list[Any]) -> Jump:
        return cls(int(item[0]), int(item[1]), *(Decimal(text) for text in item[2:5]))
