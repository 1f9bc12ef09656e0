"""One alarm's case: what is known of it from the alarm's events, and how it survives a restart. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from edge_agent.config.model import TagRef, Window
from edge_agent.control.evidence import Band, band_of
from edge_agent.model import Event

NOTES = 100
"""So many acknowledgements, and so many repetitions, stand in a record; the rest is counted."""


@dataclass(slots=True)
class Case:
    """``facts``: the window as it was configured when the alarm came. ``due_ns``: monotonic, when the next
    record is to be written; None: not before something happens. ``again``: [returned, raised] of an alarm
    that came back while its case was open."""

    name: str
    raised_ns: int
    config_version: str
    alarm: Mapping[str, Any]
    facts: Mapping[str, Any]
    due_ns: int | None
    returned_ns: int | None = None
    reason: str = ""
    interim: bool = False
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    again: list[list[int]] = field(default_factory=list)
    uncounted: int = 0

    @property
    def id(self) -> str:
        """The same for ever: the alarm_raised event's source and time."""
        return f"{self.name}@{self.raised_ns}"

    @property
    def window(self) -> str:
        return str(self.alarm.get("window", ""))

    @property
    def source(self) -> TagRef | None:
        return _tag(self.facts.get("source"))

    @property
    def target(self) -> TagRef | None:
        return _tag(self.facts.get("target_tag"))

    @property
    def band(self) -> Band:
        band = dict(self.facts.get("band", {}))
        return Band(**band | {"allowed": tuple(band.get("allowed", ()))})

    @property
    def max_age_ns(self) -> int:
        return round(float(self.facts.get("max_age_s", 0.0)) * 1e9)

    @property
    def on_delay_ns(self) -> int:
        """The value left its limit so long before the alarm came."""
        return round(float(self.facts.get("on_delay_s", 0.0)) * 1e9)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; ``due_ns`` is left out: monotonic times mean nothing after a restart."""
        return {
            "name": self.name,
            "raised_ns": self.raised_ns,
            "config_version": self.config_version,
            "alarm": dict(self.alarm),
            "facts": dict(self.facts),
            "returned_ns": self.returned_ns,
            "reason": self.reason,
            "interim": self.interim,
            "acknowledged": list(self.acknowledged),
            "again": list(self.again),
            "uncounted": self.uncounted,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Raises what malformed data raises."""
        case = cls(**{**saved, "due_ns": None})
        _ = case.id, case.source, case.target, case.band, case.max_age_ns, case.on_delay_ns
        int(case.raised_ns)
        return case


def case_of(event: Event, window: Window | None, due_ns: int) -> Case:
    """``event``: alarm_raised."""
    detail = event.detail
    told = ("window", "kind", "priority", "value", "limit", "deadband", "unit", "annunciated", "first_out")
    alarm = {key: detail[key] for key in told if key in detail}
    facts = {} if window is None else _facts(window, str(detail.get("kind", "")))
    return Case(event.source, event.time_ns, event.config_version, alarm, facts, due_ns)


def _facts(window: Window, kind: str) -> dict[str, Any]:
    band = band_of(window, kind)
    target = window.target
    delays = [limit.on_delay_s for limit in window.limits if limit.kind == kind]
    return {
        "source": [window.source.device, window.source.tag],
        "target": str(target) if isinstance(target, TagRef) else target,
        "target_tag": [target.device, target.tag] if isinstance(target, TagRef) else None,
        "max_age_s": window.max_age_s,
        "on_delay_s": max(delays, default=0.0),
        "unit": window.unit,
        "band": {
            "low": band.low,
            "high": band.high,
            "below": band.below,
            "above": band.above,
            "allowed": list(band.allowed),
        },
        "limits": [
            {
                "kind": str(limit.kind),
                "value": limit.value,
                "tolerance": limit.tolerance,
                "deadband": limit.deadband,
                "on_delay_s": limit.on_delay_s,
                "off_delay_s": limit.off_delay_s,
                "level": limit.origin.level,
                "standard": limit.origin.standard,
                "place": limit.origin.place,
            }
            for limit in window.limits
        ],
        "standards": list(window.standards),
    }


def _tag(pair: Any) -> TagRef | None:
    return None if pair is None else TagRef(str(pair[0]), str(pair[1]))
