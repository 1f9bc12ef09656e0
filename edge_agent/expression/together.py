"""Several formulas that may read one another: brought into order, compiled, and circles told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.expression import mistakes as m
from edge_agent.expression.compiling import compile_formula
from edge_agent.expression.formula import Formula
from edge_agent.expression.mistakes import Mistake, Mistakes
from edge_agent.expression.nodes import Binary, Call, Name, Node, Unary
from edge_agent.expression.operand import Operand
from edge_agent.expression.parser import parse

_OPEN: Final = Operand("", None)  # known by name only: what is wrong with it is told elsewhere


@dataclass(frozen=True, slots=True)
class Definition:
    """A derived tag as it is written. ``unit`` None: whatever comes out."""

    name: str
    text: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """By name: what is sound, in an order in which each comes after those it reads, and every mistake."""

    formulas: Mapping[str, Formula]
    mistakes: Mapping[str, Sequence[Mistake]]


def compile_together(
    definitions: Sequence[Definition], operands: Mapping[str, Operand], device: str
) -> Compiled:
    """Compiles the derived tags of one virtual device. ``operands``: the tags of all others, by each name
    under which they may be written. A derived tag is read as ``NAME`` or ``DEVICE.NAME``."""
    own = {d.name: d.name for d in definitions} | {f"{device}.{d.name}": d.name for d in definitions}
    known = dict(operands) | dict.fromkeys(own, _OPEN)
    reads = {d.name: _reads(d, known, own) for d in definitions}
    formulas: dict[str, Formula] = {}
    mistakes: dict[str, list[Mistake]] = {}
    for definition in _ordered(definitions, reads):
        circle = _circle(definition.name, reads)
        if circle:
            name = reads[definition.name][circle[1]]
            told = Mistakes()
            told.add(m.CYCLE, name.start, name.end, name=definition.name, way=" -> ".join(circle))
            mistakes[definition.name] = told
            continue
        made = compile_formula(definition.text, known, definition.unit)
        if isinstance(made, Formula):
            formulas[definition.name] = made
            period_s = _period_s(made, known)
            operand = Operand(f"{device}.{definition.name}", made.type, made.unit, period_s=period_s)
            known |= {definition.name: operand, f"{device}.{definition.name}": operand}
        elif made:
            mistakes[definition.name] = made
    return Compiled(formulas, mistakes)


def _reads(definition: Definition, known: Mapping[str, Operand], own: Mapping[str, str]) -> dict[str, Name]:
    """The derived tags it reads, and where each is first named."""
    names: dict[str, Name] = {}
    for node in _names(parse(definition.text, known, Mistakes())):
        if node.name in own:
            names.setdefault(own[node.name], node)
    return names


def _names(node: Node) -> Iterator[Name]:
    match node:
        case Name():
            yield node
        case Unary():
            yield from _names(node.arg)
        case Binary():
            yield from _names(node.left)
            yield from _names(node.right)
        case Call():
            for arg in node.args:
                yield from _names(arg)


def _ordered(definitions: Sequence[Definition], reads: Mapping[str, Mapping[str, Name]]) -> list[Definition]:
    """Each after those it reads, as far as there are no circles."""
    placed: dict[str, Definition] = {}
    waiting = list(definitions)
    while waiting:
        ready = [d for d in waiting if all(name in placed for name in reads[d.name])] or waiting[:1]
        placed |= {d.name: d for d in ready}
        waiting = [d for d in waiting if d.name not in placed]
    return list(placed.values())


def _circle(name: str, reads: Mapping[str, Mapping[str, Name]]) -> list[str]:
    """The shortest way from a tag back to itself, or nothing."""
    ways = [[name, following] for following in reads[name]]
    seen: set[str] = set()
    for way in ways:
        if way[-1] == name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, following] for following in reads[way[-1]]]
    return []


def _period_s(formula: Formula, known: Mapping[str, Operand]) -> float:
    periods = {operand.key: operand.period_s for operand in known.values()}
    return min((periods.get(slot.name, 0.0) for slot in formula.slots), default=0.0)
