"""Steps with qualities, one by one: what is calculated whenever not every input is good.

The quality of a result is the largest number of those that had a say; so a bad input outweighs any uncertain
one. Only the branch that ``if`` takes has a say, and what ``and`` and ``or`` need not look at has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_agent.expression.emit import clamp, finite, power
from edge_agent.expression.nodes import Constant, Op, Read, Step
from edge_agent.expression.rating import BAD, UNDEFINED

Rated = tuple[Any, int]
"""A value and its quality; the value means nothing where that is bad."""


def rated(step: Step, values: Sequence[Any], qualities: Sequence[int]) -> Rated:
    if isinstance(step, Read):
        return values[step.slot], qualities[step.slot]
    if isinstance(step, Constant):
        return step.value, 0
    first, quality = rated(step.args[0], values, qualities)
    if step.op in ("if", "and", "or"):
        return _chosen(step, first, quality, values, qualities)
    args = [first]
    for arg in step.args[1:]:
        value, found = rated(arg, values, qualities)
        args.append(value)
        quality = max(quality, found)
    if quality >= BAD:
        return None, quality
    try:
        return finite(_apply(step.op, args)), quality
    except (ZeroDivisionError, OverflowError):
        return None, max(quality, UNDEFINED)


def _chosen(step: Op, first: Any, quality: int, values: Sequence[Any], qualities: Sequence[int]) -> Rated:
    if quality >= BAD:
        return None, quality
    if step.op == "if":
        then = step.args[1] if first else step.args[2]
    elif first is (step.op == "or"):
        return first, quality
    else:
        then = step.args[1]
    value, found = rated(then, values, qualities)
    return value, max(quality, found)


def _apply(op: str, args: list[Any]) -> Any:
    match op:
        case "+":
            return args[0] + args[1]
        case "-":
            return args[0] - args[1]
        case "*":
            return args[0] * args[1]
        case "/":
            return args[0] / args[1]
        case "power":
            return power(args[0], args[1])
        case "sum" | "avg":
            total = args[0]
            for arg in args[1:]:
                total = total + arg
            return total / len(args) if op == "avg" else total
        case "min":
            return min(args)
        case "max":
            return max(args)
        case "clamp":
            return clamp(args[0], args[1], args[2])
        case "neg":
            return -args[0]
        case "abs":
            return abs(args[0])
        case "not":
            return not args[0]
    return _compare(op, args[0], args[1])


def _compare(op: str, left: Any, right: Any) -> bool:
    match op:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
    raise AssertionError(op)
