"""What the agent knows about itself, in one place: page, CLI, metrics and API all show this.

The loops (acquisition, forwarding, agent) write their own row; readers call ``Board.snapshot`` or walk the
rows. Everything here is touched only in the event loop; ``snapshot`` returns plain data that may leave it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.model import Batch, Quality, Schema, engineering

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Classic cumulative-bucket histogram; ``observe`` costs one bisect."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = REQUEST_SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_many(self, value: float, count: int) -> None:
        """As ``count`` observations of the same value."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.total += value * count


class GroupRow:
    """One poll group of one device. ``latest`` is its newest batch, good or bad."""

    __slots__ = ("duration", "last_success_ns", "late", "latest", "overruns", "period_s", "polls", "schema")

    def __init__(self, schema: Schema, period_s: float) -> None:
        self.schema = schema
        self.period_s = period_s
        self.latest: Batch | None = None
        self.polls = 0
        self.overruns = 0
        self.last_success_ns: int | None = None
        self.duration = Histogram()
        self.late = Histogram((0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0))


class DeviceRow:
    """``state``: connecting, up, silent (no answer, neighbours fine), down (its link is gone), refused.

    ``reason``/``since_ns``: why, and since when (wall time). ``failures`` counts by fixed reason labels.
    """

    __slots__ = (
        "connects", "disconnects", "driver", "duration", "endpoint", "failures", "groups", "name", "reason",
        "requests", "since_ns", "state",
    )  # fmt: skip

    def __init__(self, name: str, driver: str, endpoint: str) -> None:
        self.name = name
        self.driver = driver
        self.endpoint = endpoint
        self.state = "connecting"
        self.reason = ""
        self.since_ns = 0
        self.requests = 0
        self.failures: Counter[str] = Counter()
        self.connects = 0
        self.disconnects = 0
        self.duration = Histogram()
        self.groups: dict[str, GroupRow] = {}

    @property
    def up(self) -> bool:
        return self.state == "up"

    def turn(self, state: str, reason: str, time_ns: int) -> bool:
        """Moves to a state; True when that is news (so that the caller logs once)."""
        changed = state != self.state
        if changed or not self.since_ns:
            self.since_ns = time_ns
        self.state, self.reason = state, reason
        return changed


class UplinkRow:
    """One destination. ``acknowledged_*`` and ``quarantined_*`` count since its store began, ``pending_*``
    are now; ``sends`` and ``failures`` count since start."""

    __slots__ = (
        "acknowledged_samples", "acknowledged_segments", "duration", "endpoint", "failures",
        "last_success_ns", "name", "oldest_pending_ns", "pending_samples", "pending_segments",
        "quarantined_samples", "quarantined_segments", "reason", "sends", "since_ns", "type", "up",
    )  # fmt: skip

    def __init__(self, name: str, type_: str, endpoint: str) -> None:
        self.name = name
        self.type = type_
        self.endpoint = endpoint
        self.up = False
        self.reason = "not connected yet"
        self.since_ns = 0
        self.sends = 0
        self.failures: Counter[str] = Counter()
        self.acknowledged_segments = 0
        self.acknowledged_samples = 0
        self.quarantined_segments = 0
        self.quarantined_samples = 0
        self.pending_segments = 0
        self.pending_samples = 0
        self.oldest_pending_ns: int | None = None
        self.last_success_ns: int | None = None
        self.duration = Histogram()

    def turn(self, up: bool, reason: str, time_ns: int) -> bool:
        changed = up != self.up or not self.since_ns
        if changed:
            self.since_ns = time_ns
        self.up, self.reason = up, reason
        return changed


class Board:
    """All rows. ``windows`` and ``buffer`` are asked for at the moment of a snapshot."""

    def __init__(self) -> None:
        self.line = ""
        self.version = ""
        self.agent_id = ""
        self.started_ns = 0
        self.config_version = ""
        self.config_source = "current"  # or last_good
        self.config_reloaded_ns = 0
        self.config_reload_ok = True
        self.config_problems: tuple[str, ...] = ()
        self.clock_synchronised: bool | None = None
        self.devices: dict[str, DeviceRow] = {}
        self.uplinks: dict[str, UplinkRow] = {}
        self.loop_lag = Histogram((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5))
        self.samples_read = 0
        self.samples_good: Counter[str] = Counter()  # by driver
        self.events_total: Counter[str] = Counter()  # by kind
        self.windows: Callable[[], Sequence[Mapping[str, Any]]] = tuple
        self.buffer: Callable[[], Mapping[str, Any]] = dict

    def record(self, driver: str, batch: Batch) -> None:
        """Counts a batch and keeps it as its group's newest."""
        good = batch.quality.count(0)
        self.samples_read += batch.samples
        self.samples_good[driver] += good
        row = self.devices[batch.schema.device].groups[batch.schema.group]
        row.latest = batch
        row.polls += 1
        if good:
            row.last_success_ns = batch.time_ns

    def snapshot(
        self, now_ns: int, mono_ns: int, *, tags: bool = False, windows: bool = True
    ) -> dict[str, Any]:
        """JSON-able state of everything; with ``tags`` also each tag's value, quality and age. Without
        ``windows`` their list is empty: for readers who take thousands of them a few at a time."""
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
                "problems": list(self.config_problems),
            },
            "totals": {
                "samples_read": self.samples_read,
                "samples_good": dict(self.samples_good),
                "requests": sum(d.requests for d in self.devices.values()),
                "events": dict(self.events_total),
            },
            "devices": [_device(d, mono_ns, tags) for d in self.devices.values()],
            "windows": [dict(w) for w in self.windows()] if windows else [],
            "uplinks": [_uplink(u) for u in self.uplinks.values()],
            "buffer": dict(self.buffer()),
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
        "connects": row.connects,
        "disconnects": row.disconnects,
        "groups": [_group(name, g, row.up, mono_ns, tags) for name, g in row.groups.items()],
    }


def _group(name: str, row: GroupRow, up: bool, mono_ns: int, tags: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "group": name,
        "period_s": row.period_s,
        "polls": row.polls,
        "overruns": row.overruns,
        "last_success_ns": row.last_success_ns,
        "tags": len(row.schema.names),
        "quality": quality_counts(row, mono_ns, up=up),
    }
    if tags:
        out["values"] = list(_values(row, mono_ns, up=up))
    return out


def max_age_ns(row: GroupRow) -> int:
    """A tag is stale after three poll periods, but not before one second."""
    return int(max(3 * row.period_s, 1.0) * 1e9)


def _by_severity(byte: int) -> Quality:
    """A plug-in's own reason, which has no name here, counts as what its high bits say."""
    try:
        return Quality(byte)
    except ValueError:
        return (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.NOT_REPORTED)[byte >> 6]


def live_quality(row: GroupRow, index: int, mono_ns: int, *, up: bool) -> Quality:
    """The quality a reader must show now: that of the newest batch, or STALE once it is too old. What a
    device said before it went (not ``up``) is old, however young."""
    if row.latest is None:
        return Quality.WAITING
    quality = _by_severity(row.latest.quality[index])
    if quality < 0x80 and (not up or mono_ns - row.latest.mono_ns > max_age_ns(row)):
        return Quality.STALE
    return quality


def quality_counts(row: GroupRow, mono_ns: int, *, up: bool) -> dict[str, int]:
    """How many tags are good, uncertain, bad, stale at this moment, as ``live_quality`` has it."""
    counts = {"good": 0, "uncertain": 0, "bad": 0, "stale": 0}
    if row.latest is None:
        counts["bad"] = len(row.schema.names)
        return counts
    stale = not up or mono_ns - row.latest.mono_ns > max_age_ns(row)
    quality = row.latest.quality
    counts["stale" if stale else "good"] = quality.count(0)
    for value, count in Counter(quality.translate(None, b"\x00")).items():  # nearly always none
        if value >= 0x80:
            counts["bad"] += count
        elif stale:
            counts["stale"] += count
        else:
            counts["good" if value < 0x40 else "uncertain"] += count
    return counts


def _values(row: GroupRow, mono_ns: int, *, up: bool) -> Sequence[dict[str, Any]]:
    schema, latest = row.schema, row.latest
    out = []
    for index, name in enumerate(schema.names):
        quality = live_quality(row, index, mono_ns, up=up)
        shown = latest is not None and quality < 0x80
        out.append(
            {
                "tag": name,
                "value": engineering(latest.values[index], schema.scaling[index])
                if latest and shown
                else None,
                "unit": schema.units[index],
                "quality": quality.name.lower(),
                "time_ns": latest.time_ns if latest else None,
                "age_s": round((mono_ns - latest.mono_ns) / 1e9, 3) if latest else None,
            }
        )
    return out


def _uplink(row: UplinkRow) -> dict[str, Any]:
    return {
        name: getattr(row, name) for name in UplinkRow.__slots__ if name not in ("duration", "failures")
    } | {"failures": dict(row.failures)}
