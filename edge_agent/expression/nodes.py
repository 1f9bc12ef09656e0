"""A formula as it was written (``Node``) and as it is calculated (``Step``). Data only.

``start`` and ``end`` are character positions in the formula. Depth is bounded by the parser, so that whatever
walks a tree may do so recursively.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    start: int
    end: int
    value: int | float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    start: int
    end: int
    value: bool


@dataclass(frozen=True, slots=True)
class Name:
    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """``op``: ``-`` or ``not``."""

    start: int
    end: int
    op: str
    arg: Node
    depth: int


@dataclass(frozen=True, slots=True)
class Binary:
    """``op``: + - * / ** < <= > >= == != and or."""

    start: int
    end: int
    op: str
    left: Node
    right: Node
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    start: int
    end: int
    name: str
    args: tuple[Node, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """Stands where a mistake was reported; nothing further is said of it."""

    start: int
    end: int


Node = Number | Truth | Name | Unary | Binary | Call | Wrong


def depth(node: Node) -> int:
    return node.depth if isinstance(node, (Unary, Binary, Call)) else 1


@dataclass(frozen=True, slots=True)
class Slot:
    """What is read: a tag as of now (``function`` is ""), or over the last ``window_ns``. ``name`` is the key
    of the operand, not what was written."""

    name: str
    function: str = ""
    window_ns: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool | int | float


@dataclass(frozen=True, slots=True)
class Read:
    """The value in that place of the slots."""

    slot: int


@dataclass(frozen=True, slots=True)
class Op:
    """``op``: an operator, ``neg``, ``abs``, ``min``, ``max``, ``sum``, ``avg``, ``clamp``, ``power``,
    ``if``. ``power`` has the constant exponent as its second argument. Unit conversions are plain ``*``,
    ``/``, ``+``."""

    op: str
    args: tuple[Step, ...]


Step = Constant | Read | Op
