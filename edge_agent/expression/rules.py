"""What fits what: numbers and truths, units and scales. Reports what does not, naming both places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge_agent.expression import mistakes as m
from edge_agent.expression.mistakes import Mistakes
from edge_agent.expression.nodes import Constant, Node, Number, Op, Step
from edge_agent.expression.units import ONE, Unit
from edge_agent.settings import Text

INT: Final = "int"
FLOAT: Final = "float"
BOOL: Final = "bool"

USERS: Final = MappingProxyType({
    "+": Text("a sum", "加法"), "-": Text("a difference", "减法"), "min": Text("min", "min"),
    "max": Text("max", "max"), "avg": Text("avg", "avg"), "sum": Text("sum", "sum"), "if": Text("if", "if"),
    "clamp": Text("clamp", "clamp"), "*": Text("a product", "乘法"), "/": Text("a division", "除法"),
    "**": Text("a power", "乘方"), "neg": Text("a change of sign", "取负"), "abs": Text("abs", "abs"),
    "not": Text("'not'", "not"), "and": Text("'and'", "and"), "or": Text("'or'", "or"),
})  # fmt: skip
"""What needs something of its operands, for sentences."""
COMPARISON: Final = Text("a comparison", "比较")
_SAME: Final = Text(
    "Give both the same kind of unit, or correct the unit in the tag table",
    "请使两边单位一致，或更正点表中的单位",
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A part of the formula that was understood. ``any_unit``: a plain 0, which fits every unit but a
    scale."""

    node: Node
    step: Step
    kind: str
    unit: Unit = ONE
    any_unit: bool = False


class Rules:
    """For one formula. What returns False or None has reported why."""

    def __init__(self, text: str, found: Mistakes) -> None:
        self.text = text
        self.mistakes = found

    def part(self, node: Node) -> str:
        return self.text[node.start : node.end]

    def alike(self, node: Node, user: Text, args: Sequence[Typed]) -> list[Typed] | None:
        """All converted to the unit of the first that has one."""
        numbers = [arg for arg in args if arg.kind != BOOL]
        if len(numbers) < len(args):
            if numbers:
                flag = next(arg for arg in args if arg.kind == BOOL)
                left, right = sorted((flag.node, numbers[0].node), key=lambda n: n.start)
                values = {"left": self.part(left), "left_at": left.start + 1}
                values |= {"right": self.part(right), "right_at": right.start + 1}
                self.mistakes.add(m.MIXED, node.start, node.end, **values)
            else:
                self.not_number(args[0], user)
            return None
        first = next((arg for arg in args if not arg.any_unit), args[0])
        sound = True
        for arg in args:
            if not arg.unit.fits(first.unit) and not (arg.any_unit and not first.unit.is_scale):
                self.mismatch(user, *sorted((first, arg), key=lambda typed: typed.node.start))
                sound = False
        return [convert(arg, first.unit) for arg in args] if sound else None

    def mismatch(self, user: Text | str, left: Typed, right: Typed) -> None:
        name = USERS[user] if isinstance(user, str) else user
        values: dict[str, object] = {
            "user": name, "left": self.part(left.node), "left_at": left.node.start + 1,
            "right": self.part(right.node), "right_at": right.node.start + 1,
            "left_unit": _shown(left.unit), "right_unit": _shown(right.unit),
        }  # fmt: skip
        cure = _SAME
        for number, other in ((left, right), (right, left)):
            if isinstance(number.node, Number) and not number.node.unit:
                written = f"{self.part(number.node)} {literal(other.unit)}"
                cure = Text(f"Write the number with its unit: {written}", f"请给数值写上单位：{written}")
        if left.unit.is_scale != right.unit.is_scale and left.unit.dims == right.unit.dims:
            cure = Text(
                "A reading in °C and a difference in K: subtract 0 °C from the reading to have both in K",
                "一个是 °C 读数，一个是 K 温差：读数减去 0 °C 即为 K",
            )
        self.mistakes.add(m.UNITS, left.node.start, right.node.end, cure=cure, **values)

    def number_in(self, arg: Typed | None, user: str) -> bool:
        if arg is not None and arg.kind == BOOL:
            self.not_number(arg, USERS[user])
            return False
        return arg is not None

    def not_number(self, arg: Typed, user: Text) -> None:
        self.mistakes.add(m.NOT_NUMBER, arg.node.start, arg.node.end, part=self.part(arg.node), user=user)

    def truth(self, arg: Typed | None, user: str) -> bool:
        if arg is not None and arg.kind != BOOL:
            values = {"part": self.part(arg.node), "user": USERS[user]}
            self.mistakes.add(m.NOT_BOOL, arg.node.start, arg.node.end, **values)
            return False
        return arg is not None

    def no_scale(self, arg: Typed, user: str) -> bool:
        if arg.unit.is_scale:
            self.scale(arg, USERS[user])
        return not arg.unit.is_scale

    def no_scales(self, args: Sequence[Typed], user: str) -> bool:
        return not [arg for arg in args if not self.no_scale(arg, user)]

    def scale(self, arg: Typed, user: Text) -> None:
        values = {"part": self.part(arg.node), "unit": str(arg.unit), "user": user}
        self.mistakes.add(m.SCALE, arg.node.start, arg.node.end, **values)


def convert(typed: Typed, wanted: Unit) -> Typed:
    """``typed`` in another unit that fits."""
    if typed.any_unit:
        return typed
    factor, shift = typed.unit.to(wanted), typed.unit.shift(wanted)
    if factor == 1 and not shift:
        return typed
    step, kind = typed.step, typed.kind
    if factor.denominator == 1:
        step = Op("*", (step, Constant(factor.numerator)))
    else:
        kind = FLOAT
        if factor.numerator != 1:
            step = Op("*", (step, Constant(factor.numerator)))
        step = Op("/", (step, Constant(factor.denominator)))
    if shift:
        step, kind = Op("+", (step, Constant(float(shift)))), FLOAT
    return Typed(typed.node, step, kind, wanted)


def _shown(of: Unit) -> Text | str:
    return str(of) or Text("without a unit", "无单位")


def literal(of: Unit) -> str:
    """As it stands behind a number."""
    text = str(of)
    return text if text.isalpha() or text in ("°C", "°F", "%") else f"[{text}]"
