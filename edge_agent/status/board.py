"""All rows in one place, and their snapshot as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.model import Batch, Quality
from edge_agent.status.live import keep, live_values, quality_counts
from edge_agent.status.rows import DeviceRow, GroupRow, Histogram, UplinkRow


class Board:
    """All rows. ``windows``, ``alarms``, ``writes``, ``buffer`` and ``storage`` (``stores``: by name, what is
    left of their room; ``written``: bytes to the card) are asked for at the moment of a snapshot.
    ``alarms``: ``rows``, one plain row per alarm that is not normal, the most urgent first, and ``kpi``,
    figures of alarm management; empty where there are no alarms at all. ``writes``: as ``writes status``
    tells it."""

    def __init__(self) -> None:
        self.line = ""
        self.language = "en"  # of a reader who does not say
        self.version = ""
        self.agent_id = ""
        self.started_ns = 0
        self.config_version = ""
        self.config_source = "current"  # or last_good
        self.config_reloaded_ns = 0
        self.config_reload_ok = True
        self.config_problems: tuple[Mapping[str, str], ...] = ()  # place, code, en, zh
        self.config_directory = ""
        self.clock_synchronised: bool | None = None
        self.devices: dict[str, DeviceRow] = {}
        self.uplinks: dict[str, UplinkRow] = {}
        self.loop_lag = Histogram((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5))
        self.samples_read = 0
        self.samples_derived = 0
        self.samples_good: Counter[str] = Counter()  # by driver
        self.events_total: Counter[str] = Counter()  # by kind
        self.windows: Callable[[], Sequence[Mapping[str, Any]]] = tuple
        self.alarms: Callable[[], Mapping[str, Any]] = dict
        self.writes: Callable[[], Mapping[str, Any]] = dict
        self.buffer: Callable[[], Mapping[str, Any]] = dict
        self.storage: Callable[[], Mapping[str, Any]] = dict

    def record(self, driver: str, batch: Batch) -> None:
        """Counts what a batch says, and merges it into what was last said of its group's tags. A report that
        nothing has changed counts nothing, but is a sign of life."""
        good = batch.quality.count(0)
        self.samples_read += batch.samples
        self.samples_good[driver] += good
        row = self.devices[batch.schema.device].groups[batch.schema.group]
        latest = keep(row, batch)
        if good or (Quality.UNCHANGED in batch.quality and 0 in latest.quality):
            row.last_success_ns = batch.time_ns

    def record_derived(self, row: GroupRow, batch: Batch) -> None:
        """The same for what was calculated here. It was read from nobody: who stores it counts it apart."""
        keep(row, batch)
        if 0 in batch.quality:
            row.last_success_ns = batch.time_ns

    def snapshot(
        self, now_ns: int, mono_ns: int, *, tags: bool = False, windows: bool = True
    ) -> dict[str, Any]:
        """JSON-able state of everything; with ``tags`` also each tag's value, quality and age. Without
        ``windows`` their list and that of the alarms are empty: for readers who take thousands of them a few
        at a time."""
        alarms = self.alarms()
        return {
            "agent": {
                "id": self.agent_id,
                "line": self.line,
                "version": self.version,
                "started_ns": self.started_ns,
                "time_ns": now_ns,
                "clock_synchronised": self.clock_synchronised,
            },
            "config": {
                "version": self.config_version,
                "source": self.config_source,
                "reloaded_ns": self.config_reloaded_ns,
                "reload_ok": self.config_reload_ok,
                "problems": [f"{p['place']}: {p['code']} {p['en']}" for p in self.config_problems],
                "problem_texts": [dict(p) for p in self.config_problems],
                "directory": self.config_directory,
            },
            "totals": {
                "samples_read": self.samples_read,
                "samples_derived": self.samples_derived,
                "samples_good": dict(self.samples_good),
                "requests": sum(d.requests for d in self.devices.values()),
                "events": dict(self.events_total),
            },
            "devices": [_device(d, mono_ns, tags) for d in self.devices.values()],
            "windows": [dict(w) for w in self.windows()] if windows else [],
            "alarms": [dict(a) for a in alarms.get("rows", ())] if windows else [],
            "alarm_figures": dict(alarms.get("kpi", {})),
            "writes": dict(self.writes()),
            "uplinks": [_uplink(u) for u in self.uplinks.values()],
            "buffer": dict(self.buffer()),
            "storage": dict(self.storage()),
        }


def _device(row: DeviceRow, mono_ns: int, tags: bool) -> dict[str, Any]:
    return {
        "name": row.name,
        "driver": row.driver,
        "endpoint": row.endpoint,
        "state": row.state,
        "reason": row.reason,
        "since_ns": row.since_ns,
        "requests": row.requests,
        "failures": dict(row.failures),
        "mismatches": row.mismatches,
        "proofs": dict(row.proofs),
        "connects": row.connects,
        "disconnects": row.disconnects,
        "facts": dict(row.facts()) if row.facts is not None else {},
        "groups": [_group(name, g, row.up, mono_ns, tags) for name, g in row.groups.items()],
    }


def _group(name: str, row: GroupRow, up: bool, mono_ns: int, tags: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "group": name,
        "period_s": row.period_s,
        "polls": row.polls,
        "overruns": row.overruns,
        "last_success_ns": row.last_success_ns,
        "tags": len(row.schema.names) - len(row.hidden),
        "quality": quality_counts(row, mono_ns, up=up),
    }
    if tags:
        out["values"] = live_values(row, mono_ns, up=up)
    return out


def _uplink(row: UplinkRow) -> dict[str, Any]:
    return {
        name: getattr(row, name) for name in UplinkRow.__slots__ if name not in ("duration", "failures")
    } | {"failures": dict(row.failures)}
