"""One formula, ready to be calculated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.expression import mistakes as m
from edge_agent.expression.check import Checker
from edge_agent.expression.emit import Fast, emit
from edge_agent.expression.exact import rated
from edge_agent.expression.mistakes import Mistake, Mistakes
from edge_agent.expression.nodes import Slot, Step
from edge_agent.expression.operand import Operand
from edge_agent.expression.parser import parse
from edge_agent.expression.rating import BAD, UNDEFINED
from edge_agent.expression.rules import BOOL, INT, Typed, convert
from edge_agent.expression.units import KELVIN, unit
from edge_agent.model import Value, ValueType
from edge_agent.settings import Text

_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Formula:
    """``slots``: what must be read, in the order in which ``evaluate`` takes it. ``type`` is BOOL, INT64 (all
    integers: exact) or FLOAT64; ``unit`` what the result is in."""

    text: str
    type: ValueType
    unit: str
    slots: tuple[Slot, ...]
    step: Step
    fast: Fast

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


def compile_formula(
    text: str, operands: Mapping[str, Operand], wanted_unit: str | None = None, *, spans: bool = True
) -> Formula | list[Mistake]:
    """The formula, or every mistake in it, in the order of the text.

    ``operands``: what may be read, by each name under which it may be written (``TAG`` of the same device,
    ``DEVICE.TAG``). ``wanted_unit``: the declared unit of the result, to which it is converted; None to take
    what comes out. ``spans``: whether functions over a time span may be used (not in figures of totals).
    """
    found = Mistakes()
    node = parse(text, operands, found)
    checker = Checker(text, operands, found, spans)
    typed = checker.check(node)
    if typed is not None and not checker.slots:
        found.add(m.NO_TAG, node.start, node.end)
    if typed is not None and wanted_unit is not None:
        typed = _in_unit(typed, wanted_unit, text, found)
    elif typed is not None and unit(str(typed.unit)).is_scale != typed.unit.is_scale:
        typed = convert(typed, KELVIN)  # a difference of readings in °F must not be taken for a reading
    if found or typed is None:
        return sorted(found, key=lambda mistake: mistake.column)
    kind = {BOOL: ValueType.BOOL, INT: ValueType.INT64}.get(typed.kind, ValueType.FLOAT64)
    shown = str(typed.unit) if wanted_unit is None else wanted_unit
    return Formula(text, kind, shown, tuple(checker.slots), typed.step, emit(typed.step))


def _in_unit(typed: Typed, wanted_unit: str, text: str, found: Mistakes) -> Typed | None:
    wanted = unit(wanted_unit)
    if typed.any_unit or typed.unit.fits(wanted):
        return convert(typed, wanted)
    part = text[typed.node.start : typed.node.end]
    values = {"part": part, "found": _shown(str(typed.unit)), "wanted": _shown(wanted_unit)}
    found.add(m.RESULT_UNIT, typed.node.start, typed.node.end, **values)
    return None


def _shown(of: str) -> Text | str:
    return of or Text("without a unit", "无单位")
