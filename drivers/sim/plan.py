"""Tags -> mistakes, requests, and the way back from replies to columns. Pure: no I/O, no clock, no state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.sim.address import Signal, parse
from drivers.sim.settings import SimSettings
from edge_agent.driver import Columns, Plan, Request
from edge_agent.model import Quality, Tag, Value, ValueType
from edge_agent.settings import Problem, Text

_BITS = {f"{sign}int{width}": width for width in (8, 16, 32, 64) for sign in ("", "u")}


def check(settings: SimSettings, tags: Sequence[Tag]) -> list[Problem]:
    """Every mistake, not only the first. ``path`` lets the loader find file, line and column."""
    problems = []
    for tag in tags:
        signal = parse(tag.address)
        if signal is None:
            problems.append(_bad_address(tag))
        elif not _fits(signal, tag.type):
            problems.append(_bad_type(tag))
    return problems


def unwritable(settings: SimSettings, tag: Tag) -> Text:
    """Why a tag cannot be written; None where it can. This link has no ``write``, so none can."""
    return Text("simulated values are only read", "模拟数值只能读取")


def plan(settings: SimSettings, tags: Sequence[Tag], limits: Any, learned: Any) -> Plan:
    """One request for everything: a simulated device has no limits. A real one packs here."""
    if not tags:
        return Plan((), lambda replies: Columns((), b""))
    signals = tuple(signal for tag in tags if (signal := parse(tag.address)))
    request = Request(tags=tuple(range(len(tags))), body=signals, text=f"{len(tags)} simulated values")
    types = tuple(tag.type for tag in tags)

    def decode(replies: Sequence[Any]) -> Columns:
        reply = replies[0]
        if isinstance(reply, Quality):  # the exchange failed: that quality, and no value
            return Columns((None,) * len(types), bytes([reply]) * len(types))
        values = tuple(_as_type(number, kind) for number, kind in zip(reply, types, strict=True))
        return Columns(values, bytes(len(types)))  # bytes(n): n times Quality.GOOD

    return Plan((request,), decode)


def _as_type(number: float, kind: ValueType) -> Value:
    if kind is ValueType.BOOL:
        return int(number) % 2 == 1  # odd is on: constant:1 is on, a counter toggles
    if kind.is_float:
        return number
    bits = _BITS[kind]
    wrapped = int(number) % (1 << bits)
    return wrapped - (1 << bits) if kind.startswith("i") and wrapped >> (bits - 1) else wrapped


def _fits(signal: Signal, kind: ValueType) -> bool:
    if kind is ValueType.STRING:
        return False
    if kind not in _BITS:
        return True
    low, high = (-(1 << _BITS[kind] - 1), (1 << _BITS[kind] - 1) - 1)
    if kind.startswith("u"):
        low, high = 0, (1 << _BITS[kind]) - 1
    return low <= signal.span[0] and signal.span[1] <= high


def _bad_address(tag: Tag) -> Problem:
    return Problem(
        "E-SIM-001",
        ("tags", tag.name, "address"),
        Text(f"'{tag.address}' is not a simulated signal", f"“{tag.address}”不是模拟信号"),
        Text(
            "write sine:60s, ramp:100, constant:5 or counter",
            "请写 sine:60s、ramp:100、constant:5 或 counter",
        ),
    )


def _bad_type(tag: Tag) -> Problem:
    return Problem(
        "E-SIM-002",
        ("tags", tag.name, "type"),
        Text(f"{tag.type} cannot hold {tag.address}", f"{tag.type} 放不下 {tag.address}"),
        Text("use float32 or a wider integer", "请改用 float32 或更宽的整数类型"),
    )
