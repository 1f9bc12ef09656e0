"""One formula, ready to be calculated. What made it, the language and its checks, is not needed for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.expression.emit import Fast, emit
from edge_agent.expression.exact import rated
from edge_agent.expression.nodes import Slot, Step
from edge_agent.expression.rating import BAD, UNDEFINED
from edge_agent.model import Value, ValueType

_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Formula:
    """``slots``: what must be read, in the order in which ``evaluate`` takes it. ``type`` is BOOL, INT64 (all
    integers: exact) or FLOAT64; ``unit`` what the result is in. Equal when all of that is; a pickle carries
    the steps, and the function is made of them again."""

    text: str
    type: ValueType
    unit: str
    slots: tuple[Slot, ...]
    step: Step
    fast: Fast = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.text, self.type, self.unit, self.slots, self.step)

    def evaluate(self, values: Sequence[Value], qualities: Sequence[int]) -> tuple[Value, int]:
        """The value and its quality; the value is None where that is bad, and never a NaN or infinity.

        A value whose quality is below 0x80 must be a finite number, or a bool for a bool tag.
        """
        quality = max(qualities)
        if quality:
            value, quality = rated(self.step, values, qualities)
            if quality >= BAD:
                return None, quality
        else:
            try:
                value = self.fast(values)
            except (ZeroDivisionError, OverflowError):
                return None, UNDEFINED
        if self.type is ValueType.BOOL:
            return value, quality
        return self._number(value, quality)

    def _number(self, value: int | float, quality: int) -> tuple[Value, int]:
        if self.type is ValueType.INT64:
            fits = -_INT64 <= value < _INT64
            return (value, quality) if fits else (None, UNDEFINED)
        try:
            number = float(value)
        except OverflowError:
            return None, UNDEFINED
        return (number, quality) if number - number == 0 else (None, UNDEFINED)


def _again(text: str, type_: ValueType, unit: str, slots: tuple[Slot, ...], step: Step) -> Formula:
    return Formula(text, type_, unit, slots, step, emit(step))
