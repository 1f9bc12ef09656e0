"""What people and events are shown of a window, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.config.model import LimitKind
from edge_agent.control.excursion import State
from edge_agent.control.inputs import quality_name

if TYPE_CHECKING:
    from edge_agent.control.excursion import Moment
    from edge_agent.control.limit import Machine
    from edge_agent.control.terms import Number
    from edge_agent.control.window import Watcher


def facts(watcher: Watcher, at: Moment) -> dict[str, Any]:
    """What every event of the window tells. ``limits``: the kinds of the limits that are active."""
    window = watcher.window
    low, high = _plain(watcher, at.now_ns)
    return {
        "device": window.source.device,
        "tag": window.source.tag,
        "value": watcher.value(at.now_ns),
        "unit": window.unit or watcher.source.unit,
        "low": low,
        "high": high,
        "deadband": window.deadband,
        "quality": quality_name(watcher.source.quality),
        "active": watcher.active,
        "limits": [str(kind) for kind in watcher.active_kinds],
        "standards": list(window.standards),
    }


def _plain(watcher: Watcher, now_ns: int) -> tuple[Number | None, Number | None]:
    """The limits LOW and HIGH as they apply now."""
    low = high = None
    for rule in watcher.terms.rules:
        if rule.kind is LimitKind.LOW:
            low = watcher.limit(rule, now_ns)
        elif rule.kind is LimitKind.HIGH:
            high = watcher.limit(rule, now_ns)
    return low, high


def row(watcher: Watcher, mono_ns: int, now_ns: int) -> dict[str, Any]:
    """With the times up to ``mono_ns``; values and limits as of ``now_ns``. ``suppressed``: whether its
    suppression stands, also while it is unknown after that. ``unknown_by`` (only where there is any): seconds
    of the unknown time by reason."""
    watcher.account(mono_ns)
    watcher.source.pull()
    window = watcher.window
    low, high = _plain(watcher, now_ns)
    active = watcher.active_kinds
    shown: dict[str, Any] = {
        "name": window.name,
        "device": window.source.device,
        "tag": window.source.tag,
        "state": str(watcher.state),
        "reason": watcher.reason,
        "active": watcher.active,
        "suppressed": watcher.suppressed,
        "since_ns": watcher.since_ns,
        "value": watcher.value(now_ns),
        "unit": window.unit or watcher.source.unit,
        "low": low,
        "high": high,
        "limits": [
            {"kind": str(rule.kind), "value": watcher.limit(rule, now_ns), "active": rule.kind in active}
            for rule in watcher.terms.rules
        ],
        "standards": list(window.standards),
        "seconds": watcher.spent.seconds(),
        "excursions": watcher.excursions,
    }
    unknown_by = watcher.spent.by_reason()
    if unknown_by:
        shown["unknown_by"] = {reason: ns / 1e9 for reason, ns in unknown_by.items()}
    return shown


def why_out(active: list[Machine]) -> str:
    """Of a window that is out: what keeps it so."""
    outside = [str(machine.rule.kind) for machine in active if machine.outside_ns is not None]
    if outside:
        return ", ".join(outside)
    if any(machine.clear_ns is None for machine in active):
        return "not clear of the limit by the deadband"
    return "inside, off-delay running"


def kind_of(old: State, new: State) -> str:
    """The event of a change in which no excursion begins or ends."""
    if new is State.UNKNOWN:
        return "window_unknown"
    if new is State.SUPPRESSED:
        return "window_suppressed"
    return "window_unsuppressed" if old is State.SUPPRESSED else "window_known"
