"""Formulas a second time, simple and slow: every statement is kept, and the written tree is calculated in
base units (kelvin, joule, kilogram) with fractions. Shares the parser and the unit table, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from edge_agent.expression.nodes import Binary, Call, Name, Node, Number, Truth, Unary
from edge_agent.expression.units import unit

WAITING, STALE, UNCERTAIN, UNDEFINED = 0x87, 0x86, 0x40, 0x88


def written(number: float) -> Fraction:
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


@dataclass
class Said:
    mono_ns: int
    value: Any
    quality: int

    @property
    def usable(self) -> bool:
        return self.quality < 0x80


@dataclass
class Tag:
    unit: str
    max_age_ns: int
    counter: bool = False
    history: list[Said] = field(default_factory=list)
    totals: list[Said] = field(default_factory=list)  # of a counter
    since: int = 0  # statements before this one were made before a restart


class Naive:
    def __init__(self, tags: Mapping[str, Tag]) -> None:
        self.tags = tags
        self.now_ns = 0

    def forget(self, kept_ns: int) -> None:
        """What no span reaches any more, so that the tests do not take for ever."""
        for tag in self.tags.values():
            while len(tag.history) > 1 and tag.history[1].mono_ns < self.now_ns - kept_ns:
                del tag.history[0]
                tag.since = max(0, tag.since - 1)
            while len(tag.totals) > 1 and tag.totals[1].mono_ns < self.now_ns - kept_ns:
                del tag.totals[0]

    def result(self, node: Node, wanted: str, exact: bool = False) -> tuple[Any, int]:
        value, quality = self.calculate(node)
        if quality >= 0x80:
            return None, quality
        if isinstance(value, bool):
            return value, quality
        to = unit(wanted)
        if exact and not -(2**63) <= value / to.factor < 2**63:
            return None, UNDEFINED
        if to.zero_k is not None:
            value -= to.zero_k
        return value / to.factor, quality

    def calculate(self, node: Node) -> tuple[Any, int]:
        match node:
            case Number():
                return self.base(written(node.value), node.unit), 0
            case Truth():
                return node.value, 0
            case Name():
                return self.current(self.tags[node.name])
            case Unary():
                value, quality = self.calculate(node.arg)
                if quality >= 0x80:
                    return None, quality
                return (not value if node.op == "not" else -value), quality
            case Call():
                return self.call(node)
            case Binary():
                return self.binary(node)
        raise AssertionError(node)

    @staticmethod
    def base(value: Any, of: str) -> Any:
        if isinstance(value, bool):
            return value
        u = unit(of)
        return value * u.factor + (u.zero_k or 0)

    def current(self, tag: Tag) -> tuple[Any, int]:
        if len(tag.history) <= tag.since:
            return None, WAITING
        said = tag.history[-1]
        if said.usable and self.now_ns - said.mono_ns > tag.max_age_ns:
            return None, STALE
        value = said.value if isinstance(said.value, bool) or said.value is None else written(said.value)
        return (self.base(value, tag.unit) if said.usable else None), said.quality

    def binary(self, node: Binary) -> tuple[Any, int]:
        left, quality = self.calculate(node.left)
        if node.op in ("and", "or") and (quality >= 0x80 or left == (node.op == "or")):
            return left, quality
        right, other = self.calculate(node.right)
        quality = max(quality, other)
        if quality >= 0x80:
            return None, quality
        if node.op in ("and", "or"):
            return right, quality
        if (node.op == "/" and right == 0) or (node.op == "**" and left == 0 and right < 0):
            return None, UNDEFINED
        found = {
            "+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right,
            "/": lambda: left / right, "**": lambda: left ** int(right), "<": lambda: left < right,
            "<=": lambda: left <= right, ">": lambda: left > right, ">=": lambda: left >= right,
            "==": lambda: left == right, "!=": lambda: left != right,
        }[node.op]()  # fmt: skip
        return found, quality

    def call(self, node: Call) -> tuple[Any, int]:
        last = node.args[-1]
        if (
            isinstance(node.args[0], Name)
            and isinstance(last, Number)
            and unit(last.unit).dims == (("s", 1),)
        ):
            window_ns = int(written(last.value) * unit(last.unit).factor * 10**9)
            return self.over(node.name, self.tags[node.args[0].name], window_ns)
        if node.name == "if":
            value, quality = self.calculate(node.args[0])
            if quality >= 0x80:
                return None, quality
            value, other = self.calculate(node.args[1 if value else 2])
            return value, max(quality, other)
        args, quality = [], 0
        for arg in node.args:
            value, other = self.calculate(arg)
            args.append(value)
            quality = max(quality, other)
        if quality >= 0x80:
            return None, quality
        if node.name == "clamp":
            if args[1] > args[2]:
                return None, UNDEFINED
            return sorted(args)[1], quality
        made = {
            "min": min,
            "max": max,
            "sum": sum,
            "avg": lambda a: sum(a) / len(a),
            "abs": lambda a: abs(a[0]),
        }
        return made[node.name](args), quality

    # Over time

    def over(self, function: str, tag: Tag, window_ns: int) -> tuple[Any, int]:
        if function == "hold":
            return self.hold(tag, window_ns)
        if function in ("delta", "rate"):
            return self.ends(function, tag, window_ns)
        parts = self.parts(tag, window_ns)
        bad = tag.history[-1].quality if tag.history and not tag.history[-1].usable else WAITING
        if not parts:
            return None, bad
        known = sum(end - start for start, end, _, _ in parts)
        quality = max(said.quality for *_, said in parts)
        if known < 0.75 * window_ns:
            quality = max(quality, UNCERTAIN)
        values = [value for _, _, value, _ in parts]
        if function == "sum":
            floor_ns = self.now_ns - window_ns
            found = sum(v for _, _, v, said in parts if said.mono_ns > floor_ns)
        elif function == "avg":
            area = sum((end - start) * v for start, end, v, _ in parts)
            found = Fraction(area) / known if known else max(values)
        else:
            found = (min if function == "min" else max)(values)
        return self.base(Fraction(found), tag.unit), quality

    def parts(self, tag: Tag, window_ns: int) -> list[tuple[int, int, Fraction, Said]]:
        floor_ns, found = self.now_ns - window_ns, []
        for said, following in zip(tag.history, [*tag.history[1:], None], strict=False):
            end = min(following.mono_ns if following else self.now_ns, said.mono_ns + tag.max_age_ns)
            start = max(said.mono_ns, floor_ns)
            if said.usable and (end > start or said.mono_ns > floor_ns):
                found.append((start, end, written(said.value), said))
        return found

    def hold(self, tag: Tag, window_ns: int) -> tuple[Any, int]:
        if not tag.history:
            return None, WAITING
        said = tag.history[-1]
        if said.usable and self.now_ns - said.mono_ns <= tag.max_age_ns:
            return self.base(written(said.value), tag.unit), said.quality
        usable = [s for s in tag.history if s.usable]
        if usable and self.now_ns - usable[-1].mono_ns <= window_ns:
            return self.base(written(usable[-1].value), tag.unit), UNCERTAIN
        return None, STALE if said.usable else said.quality

    def ends(self, function: str, tag: Tag, window_ns: int) -> tuple[Any, int]:
        floor_ns = self.now_ns - window_ns
        readings = tag.totals if tag.counter else [s for s in tag.history if s.usable]
        bad = WAITING
        if not tag.counter and tag.history and not tag.history[-1].usable:
            bad = tag.history[-1].quality
        older = [i for i, s in enumerate(readings) if s.mono_ns <= floor_ns]
        first = older[-1] if older else 0
        if readings and readings[first].mono_ns < floor_ns - tag.max_age_ns:
            first += 1
        if len(readings) - first < 2 or readings[-1].mono_ns <= floor_ns:
            return None, bad
        base, last = readings[first], readings[-1]
        quality = max(s.quality for s in readings[first + 1 :])
        if last.mono_ns - max(base.mono_ns, floor_ns) < 0.75 * window_ns:
            quality = max(quality, UNCERTAIN)
        change = (written(last.value) - written(base.value)) * unit(tag.unit).factor
        return (change if function == "delta" else change * 10**9 / (last.mono_ns - base.mono_ns)), quality
