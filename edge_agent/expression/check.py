"""The tree -> steps: types and units are settled, conversions put in. Every mistake is told, with both places
where two do not fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edge_agent.expression import mistakes as m
from edge_agent.expression.exact import rated
from edge_agent.expression.mistakes import Mistakes
from edge_agent.expression.nodes import (
    Binary,
    Call,
    Constant,
    Name,
    Node,
    Number,
    Op,
    Read,
    Slot,
    Step,
    Truth,
    Unary,
)
from edge_agent.expression.operand import FUNCTIONS, LONGEST_S, MOST_READINGS, Operand
from edge_agent.expression.rules import BOOL, COMPARISON, FLOAT, INT, USERS, Rules, Typed, convert, literal
from edge_agent.expression.suggest import hint, spoken
from edge_agent.expression.units import ONE, SECOND, Unit, known_symbols, unit
from edge_agent.model import ValueType
from edge_agent.settings import Text

_LONG: Final = Text("For longer times use the totals of hours and days", "更长时间请用小时、日统计值")
_SHORT: Final = Text(
    "Write 1s or more; the present value is the name of the tag alone", "请写 1s 或更长；当前值直接写点名即可"
)
_TOTAL: Final = re.compile(r"\.(hour|day|month)(\.coverage)?$")
_COMPARE: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})


class Checker:
    """One formula. ``operands``: by the name that may be written."""

    def __init__(
        self, text: str, operands: Mapping[str, Operand], found: Mistakes, spans: bool = True
    ) -> None:
        self.spans = spans
        self.rules = Rules(text, found)
        self.operands = operands
        self.mistakes = found
        self.slots: dict[Slot, int] = {}

    def check(self, node: Node) -> Typed | None:
        """None where something in it was reported."""
        match node:
            case Number():
                return self._number(node)
            case Truth():
                return Typed(node, Constant(node.value), BOOL)
            case Name():
                return self._name(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)
        return None

    def _number(self, node: Number) -> Typed:
        kind = INT if isinstance(node.value, int) else FLOAT
        return Typed(node, Constant(node.value), kind, unit(node.unit), node.value == 0 and not node.unit)

    def _name(self, node: Name) -> Typed | None:
        operand = self._operand(node)
        if operand is None:
            return None
        return Typed(node, self._read(Slot(operand.key)), _kind(operand.type), unit(operand.unit))

    def _operand(self, node: Name) -> Operand | None:
        operand = self.operands.get(node.name)
        if operand is None:
            guess = hint(node.name, self.operands)
            total = _TOTAL.search(node.name)
            if total is not None and f"{total[0]}'" not in guess.en:
                self.mistakes.add(m.UNKNOWN_TOTAL, node.start, node.end, name=node.name)
                return None
            if node.name in known_symbols():
                guess = Text(
                    "Units of more than one part stand in brackets, such as 0.5 [m3/t]. ",
                    "由多个部分组成的单位须放在方括号中，例如 0.5 [m3/t]。",
                )
            self.mistakes.add(m.UNKNOWN_NAME, node.start, node.end, name=node.name, hint=guess)
        elif operand.type is ValueType.STRING:
            self.mistakes.add(m.TEXT_TAG, node.start, node.end, name=node.name)
            return None
        elif operand.type is None:
            return None
        return operand

    def _read(self, slot: Slot) -> Read:
        return Read(self.slots.setdefault(slot, len(self.slots)))

    def _unary(self, node: Unary) -> Typed | None:
        arg = self.check(node.arg)
        if node.op == "not":
            return Typed(node, Op("not", (arg.step,)), BOOL) if self.rules.truth(arg, "not") and arg else None
        if not self.rules.number_in(arg, "neg") or arg is None or not self.rules.no_scale(arg, "neg"):
            return None
        return replace(arg, node=node, step=Op("neg", (arg.step,)))

    def _binary(self, node: Binary) -> Typed | None:
        if node.op == "**":
            return self._power(node)
        left, right = self.check(node.left), self.check(node.right)
        if node.op in ("and", "or"):
            sound = [self.rules.truth(left, node.op), self.rules.truth(right, node.op)]
            if left is None or right is None or not all(sound):
                return None
            return Typed(node, Op(node.op, (left.step, right.step)), BOOL)
        if node.op in _COMPARE:
            return self._comparison(node, left, right)
        sound = [self.rules.number_in(left, node.op), self.rules.number_in(right, node.op)]
        if left is None or right is None or not all(sound):
            return None
        if node.op in ("*", "/"):
            return self._product(node, left, right)
        return self._sum(node, left, right)

    def _product(self, node: Binary, left: Typed, right: Typed) -> Typed | None:
        if not all([self.rules.no_scale(left, node.op), self.rules.no_scale(right, node.op)]):
            return None
        if node.op == "/" and self._never_divides(right):
            return None
        kind = INT if node.op == "*" and left.kind == right.kind == INT else FLOAT
        together = left.unit.times(right.unit, 1 if node.op == "*" else -1)
        zero = left.any_unit or (node.op == "*" and right.any_unit)
        return Typed(node, Op(node.op, (left.step, right.step)), kind, together, zero and node.op == "*")

    def _never_divides(self, divisor: Typed) -> bool:
        """Reports a divisor that is 0 whatever is read."""
        if not _is_constant(divisor.step) or rated(divisor.step, (), ()) != (0, 0):
            return False
        part = divisor.node
        self.mistakes.add(m.DIVISION, part.start, part.end, part=self.rules.part(part))
        return True

    def _power(self, node: Binary) -> Typed | None:
        base, exponent = self.check(node.left), node.right
        if not isinstance(exponent, Number) or exponent.unit or exponent.value not in range(-9, 10):
            self.mistakes.add(m.EXPONENT, exponent.start, exponent.end)
            return None
        if not self.rules.number_in(base, "**") or base is None or not self.rules.no_scale(base, "**"):
            return None
        power = int(exponent.value)
        if power < 0 and self._never_divides(base):
            return None
        kind = INT if base.kind == INT and power >= 0 else FLOAT
        return Typed(node, Op("power", (base.step, Constant(power))), kind, ONE.times(base.unit, power))

    def _sum(self, node: Binary, left: Typed, right: Typed) -> Typed | None:
        """Reading - reading is a difference, reading +- difference a reading; two readings have no sum."""
        if left.unit.is_scale and right.unit.is_scale:
            if node.op == "+":
                self.rules.scale(right, USERS["+"])
                return None
            return self._summed(node, left, convert(right, left.unit), left.unit.difference)
        if right.unit.is_scale and node.op == "+" and left.unit.fits(right.unit.difference):
            return self._summed(node, convert(left, right.unit.difference), right, right.unit)
        wanted = left.unit.difference if left.unit.is_scale else left.unit
        if left.any_unit and not right.unit.is_scale:
            return self._summed(node, left, right, right.unit)
        if right.any_unit or right.unit.fits(wanted):
            return self._summed(node, left, convert(right, wanted), left.unit)
        self.rules.mismatch(node.op, left, right)
        return None

    def _summed(self, node: Binary, left: Typed, right: Typed, result: Unit) -> Typed:
        kind = INT if left.kind == right.kind == INT else FLOAT
        zero = left.any_unit and right.any_unit
        return Typed(node, Op(node.op, (left.step, right.step)), kind, result, zero)

    def _comparison(self, node: Binary, left: Typed | None, right: Typed | None) -> Typed | None:
        if left is None or right is None:
            return None
        if left.kind == right.kind == BOOL and node.op in ("==", "!="):
            return Typed(node, Op(node.op, (left.step, right.step)), BOOL)
        fitted = self.rules.alike(node, COMPARISON, [left, right])
        return None if fitted is None else Typed(node, Op(node.op, tuple(t.step for t in fitted)), BOOL)

    # --- functions ---------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Typed | None:
        function = FUNCTIONS.get(node.name)
        if function is None:
            guess, known = hint(node.name, FUNCTIONS), ", ".join(FUNCTIONS)
            end = node.start + len(node.name)
            self.mistakes.add(m.UNKNOWN_FUNCTION, node.start, end, name=node.name, hint=guess, known=known)
            for arg in node.args:
                self.check(arg)
            return None
        if function.over and (not function.most or _is_over(node)):
            return self._over(node)
        if self._lacks_unit(node):
            return None
        args = [self.check(arg) for arg in node.args]
        if not function.least <= len(args) <= function.most:
            wanted = spoken(function.least, function.most)
            self._arguments(node, wanted, function.usage)
            return None
        if any(arg is None for arg in args):
            return None
        return self._plain(node, [arg for arg in args if arg is not None])

    def _lacks_unit(self, node: Call) -> bool:
        """Whether ``avg(power, 10)`` was written for ``avg(power, 10min)``, which is then reported. A number
        of the tag's own kind may be meant by the others."""
        if not FUNCTIONS[node.name].over or len(node.args) != 2:
            return False
        tag, number = node.args
        if not isinstance(tag, Name) or not isinstance(number, Number) or number.unit:
            return False
        operand = self.operands.get(tag.name)
        if operand is None or operand.type in (None, ValueType.STRING):
            return False
        of, value = unit(operand.unit), Text("", "")
        if node.name != "avg":
            if operand.type is ValueType.BOOL or of.fits(ONE) or not number.value:
                return False
            one = f"{node.name}({tag.name}, {self.rules.part(number)} {literal(of)})"
            value = Text(f"; with a value instead: {one}", f"；若指数值：{one}")
        values = {"name": node.name, "tag": tag.name, "part": self.rules.part(number), "value": value}
        self.mistakes.add(m.SPAN_UNIT, number.start, number.end, **values)
        return True

    def _arguments(self, node: Call, wanted: Text, usage: str) -> None:
        values = {"name": node.name, "wanted": wanted, "found": len(node.args), "usage": usage}
        self.mistakes.add(m.ARGUMENTS, node.start, node.end, **values)

    def _plain(self, node: Call, args: list[Typed]) -> Typed | None:
        steps: list[Step] = []
        if node.name == "if":
            if not self.rules.truth(args[0], "if"):
                return None
            steps, args = [args[0].step], args[1:]
            if args[0].kind == args[1].kind == BOOL:
                return Typed(node, Op("if", (*steps, *(a.step for a in args))), BOOL)
        elif node.name in ("abs", "sum") and not self.rules.no_scales(args, node.name):
            return None
        fitted = self.rules.alike(node, USERS[node.name], args)
        if fitted is None:
            return None
        kind = INT if all(t.kind == INT for t in fitted) and node.name != "avg" else FLOAT
        first = next((t for t in fitted if not t.any_unit), fitted[0])
        return Typed(
            node, Op(node.name, (*steps, *(t.step for t in fitted))), kind, first.unit,
            all(t.any_unit for t in fitted),
        )  # fmt: skip

    def _over(self, node: Call) -> Typed | None:
        """(TAG, SPAN)."""
        if not self.spans:
            self.mistakes.add(m.SPAN_OF_TOTAL, node.start, node.end)
            return None
        usage = FUNCTIONS[node.name].usage.rpartition(" or ")[2]
        if len(node.args) != 2:
            self._arguments(node, Text("a tag and a time span", "一个点和一个时间长度"), usage)
            return None
        tag, span = node.args
        window_ns = self._span(node, span, usage)
        if not isinstance(tag, Name):
            values = {"name": node.name, "part": self.rules.part(tag)}
            self.mistakes.add(m.OVER_TAG, tag.start, tag.end, **values)
            return None
        operand = self._operand(tag)
        if operand is None or window_ns is None or not self._fitting(node, tag, operand, span, window_ns):
            return None
        kind = _kind(operand.type)
        step = self._read(Slot(operand.key, node.name, window_ns))
        return Typed(node, step, *_over_result(node.name, kind, unit(operand.unit), operand.counter))

    def _span(self, node: Call, span: Node, usage: str) -> int | None:
        given = unit(span.unit) if isinstance(span, Number) else None
        if not isinstance(span, Number) or given is None or given.dims != SECOND.dims:
            self.mistakes.add(m.WINDOW, span.start, span.end, name=node.name, usage=usage)
            return None
        seconds = float(span.value * given.factor)
        if not 1.0 <= seconds <= LONGEST_S:
            cure = _SHORT if seconds < 1.0 else _LONG
            self.mistakes.add(m.WINDOW_LENGTH, span.start, span.end, low="1s", high="1d", cure=cure)
            return None
        return round(seconds * 1e9)

    def _fitting(self, node: Call, tag: Name, operand: Operand, span: Node, window_ns: int) -> bool:
        if node.name == "delta" and not operand.counter:
            values: dict[str, object] = {"part": tag.name, "cure": _counter_cure(tag.name, operand)}
            self.mistakes.add(m.COUNTER, tag.start, tag.end, **values)
            return False
        if node.name != "hold" and operand.type is ValueType.BOOL and node.name != "avg":
            values = {"part": tag.name, "user": node.name}
            self.mistakes.add(m.NOT_NUMBER, tag.start, tag.end, **values)
            return False
        if node.name == "sum" and unit(operand.unit).is_scale:
            self.rules.scale(Typed(tag, Constant(0), FLOAT, unit(operand.unit)), USERS["sum"])
            return False
        longest_s = operand.period_s * MOST_READINGS
        if operand.period_s and window_ns > longest_s * 1e9:
            cure = Text(
                f"'{tag.name}' is read every {operand.period_s:g} s: shorten the span or read it less often",
                f"'{tag.name}' 每 {operand.period_s:g} 秒读取一次：请缩短时间或降低读取频率",
            )
            high = f"{longest_s:g}s"
            self.mistakes.add(m.WINDOW_LENGTH, span.start, span.end, low="1s", high=high, cure=cure)
            return False
        return True


def _counter_cure(name: str, operand: Operand) -> Text:
    if unit(operand.unit).counts_up:
        return Text("List it under 'counters' with its nameplate value", "请在 counters 下列出它及其铭牌值")
    return Text(
        f"A value in {operand.unit} is no meter register: use avg({name}, 1h), or the tag of the register",
        f"以 {operand.unit} 表示的值不是表计寄存器：请用 avg({name}, 1h)，或改用寄存器的点",
    )


def _is_constant(step: Step) -> bool:
    if isinstance(step, Op):
        return all(_is_constant(arg) for arg in step.args)
    return isinstance(step, Constant)


def _is_over(node: Call) -> bool:
    if len(node.args) != 2 or not isinstance(node.args[0], Name):
        return False
    last = node.args[1]
    return isinstance(last, Number) and unit(last.unit).dims == SECOND.dims


def _over_result(function: str, kind: str, of: Unit, counter: bool) -> tuple[str, Unit]:
    if function == "hold":
        return kind, of
    if function == "rate":
        return FLOAT, of.difference.times(SECOND, -1)
    if kind == BOOL:
        return FLOAT, ONE  # avg of on/off: the share of time
    return (FLOAT if function == "avg" or counter else kind), of


def _kind(type_: ValueType | None) -> str:
    if type_ is ValueType.BOOL or type_ is None:
        return BOOL
    return FLOAT if type_.is_float else INT
