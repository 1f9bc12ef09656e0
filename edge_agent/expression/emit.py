"""Steps -> one Python function, for values that are all good. Its text is made of our own steps only: reads
by number, constants by ``repr``, operators from this page; nothing a person wrote reaches the compiler.

A float that has left the finite numbers stays outside through + - *, so it is looked for where it could come
back: as a divisor, in comparisons, min, max, clamp; and at the end, by ``Formula``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from edge_agent.expression.nodes import Constant, Op, Read, Step

Fast = Callable[[Sequence[Any]], Any]

LARGEST_BITS: Final = 1024


def emit(step: Step) -> Fast:
    """The function raises ZeroDivisionError or OverflowError where the formula is undefined."""
    names: dict[str, Any] = {"__builtins__": {}, "min": min, "max": max, "abs": abs}
    names |= {"finite": finite, "power": power, "clamp": clamp}
    text = f"lambda v: {_text(step)}"
    made: Fast = eval(compile(text, "<formula>", "eval"), names)
    return made


def finite(value: Any) -> Any:
    """The number itself, if it is one."""
    if value - value != 0:
        raise OverflowError
    return value


def power(base: int | float, exponent: int) -> int | float:
    """Bounded, so that no formula can make numbers of a size that stops the agent."""
    if isinstance(base, int) and base.bit_length() * abs(exponent) > LARGEST_BITS:
        raise OverflowError
    result: int | float = base**exponent
    return result


def clamp(value: Any, low: Any, high: Any) -> Any:
    """Undefined where low is above high."""
    if low > high:
        raise ZeroDivisionError
    return low if value < low else high if value > high else value


def _text(step: Step) -> str:
    if isinstance(step, Read):
        return f"v[{step.slot:d}]"
    if isinstance(step, Constant):
        return _literal(step.value)
    args = [_text(arg) for arg in step.args]
    op = step.op
    if op in _INFIX:
        guarded = [_guarded(arg, text) for arg, text in zip(step.args, args, strict=True)]
        left, right = (args[0] if op in _OPEN else guarded[0]), (args[1] if op in _CARRIES else guarded[1])
        return f"({left} {op} {right})"
    if op in _CALLS:
        inner = (_guarded(arg, text) for arg, text in zip(step.args, args, strict=True))
        return args[0] if op in ("min", "max") and len(args) == 1 else f"{op}({', '.join(inner)})"
    return _special(op, args)


def _special(op: str, args: list[str]) -> str:
    match op:
        case "neg":
            return f"(-{args[0]})"
        case "not":
            return f"(not {args[0]})"
        case "abs":
            return f"abs({args[0]})"
        case "sum":
            return f"({' + '.join(args)})"
        case "avg":
            return f"(({' + '.join(args)}) / {len(args)})"
        case "if":
            return f"({args[1]} if {args[0]} else {args[2]})"
    raise AssertionError(op)


def _guarded(step: Step, text: str) -> str:
    """Only arithmetic can leave the finite numbers; what is read never is outside them."""
    return f"finite({text})" if isinstance(step, Op) and step.op not in _TRUTHS else text


def _literal(value: bool | int | float) -> str:
    return f"({value!r})" if value < 0 else repr(value)


_CARRIES: Final = frozenset(
    {"+", "-", "*", "and", "or"}
)  # not finite on the right: not finite, or not a number
_OPEN: Final = _CARRIES | {"/"}
_INFIX: Final = frozenset({"+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "or"})
_CALLS: Final = frozenset({"min", "max", "clamp", "power"})
_TRUTHS: Final = frozenset({"<", "<=", ">", ">=", "==", "!=", "and", "or", "not"})
