"""Text -> Formula, or every mistake in it."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.expression import mistakes as m
from edge_agent.expression.check import Checker
from edge_agent.expression.emit import emit
from edge_agent.expression.formula import Formula
from edge_agent.expression.mistakes import Mistake, Mistakes
from edge_agent.expression.operand import Operand
from edge_agent.expression.parser import parse
from edge_agent.expression.rules import BOOL, INT, Typed, convert
from edge_agent.expression.units import KELVIN, unit
from edge_agent.model import ValueType
from edge_agent.settings import Text


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
