"""What the windows tell the alarms: the only thing that passes between the two."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.config.model import LimitKind
from edge_agent.control.excursion import Moment


class Change(StrEnum):
    ALARM = "alarm"  # the condition of one limit has come
    RETURN = "return"  # it has gone
    SUPPRESS = "suppress"  # the window does not apply: all its alarms are suppressed by design
    UNSUPPRESS = "unsuppress"


@dataclass(frozen=True, slots=True)
class Transition:
    """``kind`` is None for SUPPRESS and UNSUPPRESS, which concern every alarm of the window. ``limit``: the
    limit in force at that moment, in engineering units (a rate for RISE and FALL); None where there is none.
    ``quality``: name of the source's quality. ``reason``: a short text for people, or empty."""

    change: Change
    window: str
    kind: LimitKind | None
    at: Moment
    value: float | int | bool | str | None = None
    limit: float | None = None
    deadband: float = 0.0
    unit: str = ""
    quality: str = "good"
    reason: str = ""
