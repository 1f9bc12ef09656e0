"""The status board as metric families: rows of label values and numbers, copied so that they may leave the
event loop."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.config.model import WebConfig
from edge_agent.metrics import names
from edge_agent.metrics.names import Name
from edge_agent.metrics.selection import Selected, Selector, tag_values
from edge_agent.metrics.text import Row
from edge_agent.status import Board, DeviceRow, GroupRow, Histogram, UplinkRow, quality_counts

Family = tuple[Name, Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the board's numbers that may leave the event loop."""

    families: tuple[Family, ...]


def snapshot(
    board: Board, web: WebConfig, selector: Selector, *, mono_ns: int, time_ns: int, selected: Selected
) -> Snapshot:
    devices = list(board.devices.values())
    named = [(device, name, group) for device in devices for name, group in device.groups.items()]
    groups = [(device, group) for device, _, group in named]
    windows = board.windows()
    selection = selector.choose(board, web, groups, len(windows), selected)
    return Snapshot(
        (
            *_agent(board, time_ns),
            *_devices(devices),
            *_polls([(device.name, name, group) for device, name, group in named]),
            (names.TAGS, [row for device in devices for row in _tag_counts(device, mono_ns)]),
            (names.TAG_VALUE, tag_values(groups, selection, mono_ns)),
            (names.SERIES_DROPPED, [((), selection.dropped)]),
            *_windows(windows[: selection.windows]),
            *_alarms(board.alarms().get("kpi", {})),
            *_writes(board.writes()),
            *_buffer(buffer := board.buffer()),
            *_periods(buffer.get("periods", {})),
            *_storage(board.storage()),
            *_uplinks(list(board.uplinks.values())),
        )
    )


def _copied(histogram: Histogram) -> tuple[tuple[float, ...], tuple[int, ...], float]:
    return histogram.bounds, tuple(histogram.counts), histogram.total


def _agent(board: Board, time_ns: int) -> Iterator[Family]:
    yield names.BUILD_INFO, [((board.version, platform.python_version()), 1)]
    yield names.START_TIME, [((), board.started_ns / 1e9)]
    yield names.TIME, [((), time_ns / 1e9)]
    if board.clock_synchronised is not None:
        yield names.CLOCK, [((), int(board.clock_synchronised))]
    yield names.LOOP_LAG, [((), _copied(board.loop_lag))]
    yield names.SAMPLES_READ, [((), board.samples_read)]
    yield names.EVENTS, [((kind,), count) for kind, count in board.events_total.items()]
    yield names.CONFIG_OK, [((), int(board.config_reload_ok))]
    if board.config_reloaded_ns:
        yield names.CONFIG_TIME, [((), board.config_reloaded_ns / 1e9)]
    yield names.CONFIG_INFO, [((board.config_version, board.config_source), 1)]


def _devices(rows: list[DeviceRow]) -> Iterator[Family]:
    yield names.DEVICE_UP, [((d.name,), int(d.up)) for d in rows]
    yield names.DEVICE_INFO, [((d.name, d.driver, d.endpoint), 1) for d in rows]
    yield names.DEVICE_CONNECTS, [((d.name,), d.connects) for d in rows]
    yield names.DEVICE_DISCONNECTS, [((d.name,), d.disconnects) for d in rows]
    yield names.DEVICE_REQUESTS, [((d.name,), d.requests) for d in rows]
    yield names.DEVICE_FAILURES, [((d.name, why), count) for d in rows for why, count in d.failures.items()]
    yield names.DEVICE_MISMATCHES, [((d.name,), d.mismatches) for d in rows]
    yield names.DEVICE_PROOFS, [((d.name, result), d.proofs[result]) for d in rows for result in names.PROOFS]
    yield from _facts(rows)
    yield names.DEVICE_DURATION, [((d.name,), _copied(d.duration)) for d in rows]


def _facts(rows: list[DeviceRow]) -> Iterator[Family]:
    """What a connection tells beyond values (``driver.Reporter``); nothing of devices that tell nothing."""
    known = [(d.name, d.facts()) for d in rows if d.facts is not None]
    left = [
        ((name, whose), facts[f"{whose}_certificate"]["days_left"] * 86_400.0)
        for name, facts in known
        for whose in ("own", "server")
        if facts.get(f"{whose}_certificate")
    ]
    yield names.DEVICE_CERTIFICATE, left
    overflows = [
        ((name,), sum(subscription["overflows"] for subscription in facts["subscriptions"]))
        for name, facts in known
        if facts.get("subscriptions")
    ]
    yield names.DEVICE_OVERFLOWS, overflows


def _polls(rows: list[tuple[str, str, GroupRow]]) -> Iterator[Family]:
    yield names.POLLS, [((device, group), row.polls) for device, group, row in rows]
    yield names.POLL_OVERRUNS, [((device, group), row.overruns) for device, group, row in rows]
    yield (
        names.POLL_SUCCESS,
        [((device, group), row.last_success_ns / 1e9) for device, group, row in rows if row.last_success_ns],
    )
    yield names.POLL_DURATION, [((device, group), _copied(row.duration)) for device, group, row in rows]
    yield names.POLL_LATE, [((device, group), _copied(row.late)) for device, group, row in rows]


def _tag_counts(device: DeviceRow, mono_ns: int) -> list[Row]:
    total = {"good": 0, "uncertain": 0, "bad": 0, "stale": 0}
    for group in device.groups.values():
        for quality, count in quality_counts(group, mono_ns, up=device.up).items():
            total[quality] += count
    return [((device.name, quality), count) for quality, count in total.items()]


def _windows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Family]:
    yield (
        names.WINDOW_STATE,
        [((w["name"], state), int(w["state"] == state)) for w in rows for state in names.WINDOW_STATES],
    )
    yield (
        names.WINDOW_SECONDS,
        [((w["name"], state), spent) for w in rows for state, spent in w.get("seconds", {}).items()],
    )
    yield names.WINDOW_EXCURSIONS, [((w["name"],), w["excursions"]) for w in rows if "excursions" in w]
    yield names.WINDOW_ACTIVE, [((w["name"],), int(w["active"])) for w in rows if "active" in w]
    yield (
        names.WINDOW_LIMIT,
        [
            ((w["name"], bound), w[bound])
            for w in rows
            for bound in ("low", "high")
            if w.get(bound) is not None
        ],
    )


def _alarms(figures: Mapping[str, Any]) -> Iterator[Family]:
    """Nothing where there are no alarms."""
    if not figures:
        return
    states: Mapping[str, Mapping[str, int]] = figures["states"]
    zeros = dict.fromkeys(names.ALARM_PRIORITIES, 0)
    counts = [(state, zeros | dict(states.get(state, {}))) for state in names.ALARM_STATES]
    yield names.ALARMS, [((state, p), n) for state, by_priority in counts for p, n in by_priority.items()]
    for state, name in names.ALARMS_COVERED.items():
        yield name, [((), sum(states.get(state, {}).values()))]
    yield names.ALARMS_ANNUNCIATED, [((priority,), n) for priority, n in figures["annunciated"].items()]
    yield names.ALARMS_FLEETING, [((), figures["fleeting"])]
    yield names.ALARMS_STALE, [((), figures["stale"])]
    yield names.ALARMS_CHATTERING, [((), len(figures["chattering"]))]
    yield names.ALARM_FLOOD, [((), int(figures["flood"]))]
    yield names.ALARM_FLOOD_SECONDS, [((), figures["flood_s"])]


def _writes(status: Mapping[str, Any]) -> Iterator[Family]:
    """Nothing where nothing may be written."""
    rows = status.get("writables")
    if not rows:
        return
    locked = {row["device"] for row in status["locked"]}
    devices = {row["tag"].partition(".")[0] for row in rows}
    yield names.WRITES, [((outcome,), count) for outcome, count in status["outcomes"].items()]
    yield names.WRITES_LOCKED, [((device,), int(device in locked)) for device in sorted(devices)]
    yield names.WRITES_MISMATCHED, [((), sum(row["mismatch"] is not None for row in rows))]


def _buffer(numbers: Mapping[str, Any]) -> Iterator[Family]:
    """A buffer tells what it knows; what it does not tell is not exported."""
    for key, name in names.BUFFER.items():
        if numbers.get(key) is not None:
            yield name, [((), numbers[key])]
    if "state" in numbers:
        yield names.BUFFER_DEGRADED, [((), int(numbers["state"] != "ok"))]
    if numbers.get("last_flush_ns"):
        yield names.BUFFER_FLUSHED, [((), numbers["last_flush_ns"] / 1e9)]
    if (spent := numbers.get("commit_seconds")) is not None:
        yield names.BUFFER_COMMIT, [((), (tuple(spent["bounds"]), tuple(spent["counts"]), spent["sum"]))]
    if (losses := numbers.get("losses")) is not None:
        samples = dict.fromkeys(names.LOSSES, 0) | losses["samples"]
        unknown = dict.fromkeys(names.LOSSES_UNKNOWN, 0) | losses["unknown_extent"]
        yield names.BUFFER_LOST, [((reason,), count) for reason, count in samples.items()]
        yield names.BUFFER_UNKNOWN, [((reason,), count) for reason, count in unknown.items()]


def _periods(numbers: Mapping[str, Any]) -> Iterator[Family]:
    """Nothing where there is no store of period values."""
    if not numbers:
        return
    for key, name in names.PERIODS.items():
        yield name, [((), numbers[key])]
    yield names.PERIODS_DEGRADED, [((), int(numbers["state"] != "ok"))]


def _storage(numbers: Mapping[str, Any]) -> Iterator[Family]:
    stores, written = numbers.get("stores", {}), numbers.get("written", {})
    for key, name in names.STORE.items():
        found = [
            ((store,), int(row[key]) if isinstance(row[key], bool) else row[key])
            for store, row in stores.items()
            if row.get(key) is not None
        ]
        if found:
            yield name, found
    hours = {s: row.get("outage_hours_left") for s, row in stores.items()}
    left = [((s,), h * 3600.0) for s, h in hours.items() if h is not None]
    if left:
        yield names.STORE_OUTAGE, left
    oldest = [
        ((s,), row["oldest_unsent_ns"] / 1e9) for s, row in stores.items() if row.get("oldest_unsent_ns")
    ]
    if oldest:
        yield names.STORE_OLDEST, oldest
    if written:
        sources = {"device": written["device_bytes"], "own": written["own_bytes"]}
        yield names.STORAGE_WRITTEN, [((s,), n) for s, n in sources.items() if n is not None]
        yield names.STORAGE_DAY, [((), written["own_day_bytes"])]
        yield names.STORAGE_BUDGET, [((), written["daily_budget_bytes"])]


def _uplinks(rows: list[UplinkRow]) -> Iterator[Family]:
    yield names.UPLINK_UP, [((u.name,), int(u.up)) for u in rows]
    yield names.UPLINK_INFO, [((u.name, u.type, u.endpoint), 1) for u in rows]
    yield names.UPLINK_SENDS, [((u.name,), u.sends) for u in rows]
    yield names.UPLINK_FAILURES, [((u.name, why), count) for u in rows for why, count in u.failures.items()]
    yield names.UPLINK_ACKNOWLEDGED, [((u.name,), u.acknowledged_samples) for u in rows]
    yield names.UPLINK_PENDING, [((u.name,), u.pending_samples) for u in rows]
    yield names.UPLINK_QUARANTINED, [((u.name,), u.quarantined_samples) for u in rows]
    yield names.UPLINK_OLDEST, [((u.name,), u.oldest_pending_ns / 1e9) for u in rows if u.oldest_pending_ns]
    yield names.UPLINK_SUCCESS, [((u.name,), u.last_success_ns / 1e9) for u in rows if u.last_success_ns]
    yield names.UPLINK_DURATION, [((u.name,), _copied(u.duration)) for u in rows]
