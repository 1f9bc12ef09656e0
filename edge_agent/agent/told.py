"""How an event reads in the log: one line, without the tables that some carry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from edge_agent.log import fields

if TYPE_CHECKING:
    from edge_agent.model import Event

log = logging.getLogger("edge_agent.events")

_LOUD = frozenset(
    {
        "excursion_begin", "data_lost", "clock_step", "clock_correction", "storage_wear", "uplink_denied",
        "alarm_raised", "alarm_realarmed", "write_failed", "write_mismatch", "write_locked",
        "counter_reset", "counter_jump",
    }
)  # fmt: skip
_BRIEF = {  # of these kinds so much; of others everything
    "alarm": ("before", "after", "priority", "value", "limit", "unit", "reason", "user", "comment"),
    "period_total": ("period", "start_ns", "revision"),
    "window_times": ("period", "name", "start_ns"),
    "alarm_evidence": ("case", "interim", "complete", "note"),
}


def tell(event: Event) -> None:
    level = logging.WARNING if event.kind in _LOUD else logging.INFO
    if event.kind == "alarm_raised" and not event.detail.get("annunciated"):
        level = logging.INFO
    log.log(level, event.kind, extra=fields(**{"source": event.source, **_spoken(event)}))


def _spoken(event: Event) -> dict[str, Any]:
    names = _BRIEF.get(event.kind) or _BRIEF.get(event.kind.partition("_")[0])
    if names is None:
        return dict(event.detail)
    return {name: event.detail[name] for name in names if event.detail.get(name) not in (None, "")}
