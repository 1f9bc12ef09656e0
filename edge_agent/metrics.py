"""Every Prometheus name of the agent, and how the status board becomes them.

Two steps, because the text is the expensive part. ``collect`` runs in the event loop and only copies numbers;
``exposition`` turns that copy into bytes and may run in a worker thread. Metric objects are new for each
scrape: what is no longer on the board is no longer exported. A tag value is exported only while it is good
and young enough to be shown as live, so the series of a dead device ends instead of freezing at its last
number.

The agent polls on a timer of its own (its process windows need that), so a scrape reads the newest poll and
never asks a device; ``edgeagent_poll_last_success_timestamp_seconds`` tells how old that is. Which machine
and which line this is are labels of the scrape configuration, not of the agent.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric, Sample
from prometheus_client.registry import Collector

from edge_agent.config.model import WebConfig
from edge_agent.model import ValueType, engineering
from edge_agent.status import Board, DeviceRow, GroupRow, Histogram, UplinkRow, max_age_ns, quality_counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WINDOW_STATES = ("in", "out", "unknown", "suppressed")


@dataclass(frozen=True, slots=True)
class Name:
    """One metric family. A label whose value is empty is left out, which means the same to Prometheus."""

    name: str
    kind: str  # gauge, counter or histogram
    help: str
    labels: tuple[str, ...] = ()


def _gauge(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}", "gauge", help_, labels)


def _counter(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}_total", "counter", help_, labels)


def _histogram(name: str, help_: str, *labels: str) -> Name:
    return Name(f"edgeagent_{name}", "histogram", help_, labels)


BUILD_INFO = _gauge("build_info", "Version of the agent and of Python; always 1.", "version", "python")
START_TIME = _gauge("start_time_seconds", "When the agent started, Unix time.")
TIME = _gauge("time_seconds", "The agent's wall clock at the scrape, Unix time.")
CLOCK = _gauge("clock_synchronised", "Whether the operating system says that its clock is synchronised.")
LOOP_LAG = _histogram("event_loop_lag_seconds", "How late a timer of the event loop woke up.")
SAMPLES_READ = _counter("samples_read", "Tag values read from devices since start, good or bad.")
EVENTS = _counter("events", "Events recorded since start.", "kind")

CONFIG_OK = _gauge(
    "config_last_reload_successful", "Whether the newest attempt to load the configuration succeeded."
)
CONFIG_TIME = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the configuration in use was loaded, Unix time."
)
CONFIG_INFO = _gauge(
    "config_info",
    "The configuration in use; source is last_good after a start with a broken one; always 1.",
    "hash",
    "source",
)

DEVICE_UP = _gauge("device_up", "Whether the device answers.", "device")
DEVICE_INFO = _gauge("device_info", "What the device is; always 1.", "device", "driver", "endpoint")
DEVICE_CONNECTS = _counter("device_connects", "Connections to the device that came up.", "device")
DEVICE_DISCONNECTS = _counter("device_disconnects", "Connections to the device that were lost.", "device")
DEVICE_REQUESTS = _counter("device_requests", "Requests sent to the device.", "device")
DEVICE_FAILURES = _counter("device_request_failures", "Requests that failed, by reason.", "device", "reason")
DEVICE_DURATION = _histogram("device_request_duration_seconds", "Duration of one request.", "device")

POLLS = _counter("polls", "Polls of the group that were completed, well or badly.", "device", "group")
POLL_OVERRUNS = _counter(
    "poll_overruns", "Poll slots skipped because the one before had not ended.", "device", "group"
)
POLL_SUCCESS = _gauge(
    "poll_last_success_timestamp_seconds", "Newest poll with a good value, Unix time.", "device", "group"
)
POLL_DURATION = _histogram(
    "poll_duration_seconds", "From a poll's start to its last reply.", "device", "group"
)
POLL_LATE = _histogram("poll_late_seconds", "How late after its slot a poll started.", "device", "group")
TAGS = _gauge("tags", "Tags by their quality now: good, uncertain, bad, stale.", "device", "quality")
TAG_VALUE = _gauge(
    "tag_value", "Value in engineering units; absent while bad or too old.", "device", "tag", "unit"
)
SERIES_DROPPED = _gauge("metrics_series_dropped", "Tags left out because of web.max_series.")

WINDOW_STATE = _gauge("window_state", "1 for the state the process window is in, else 0.", "window", "state")
WINDOW_SECONDS = _counter(
    "window_seconds", "Time the window spent in a state; outlives restarts.", "window", "state"
)
WINDOW_EXCURSIONS = _counter("window_excursions", "Excursions that began; outlives restarts.", "window")
WINDOW_ACTIVE = _gauge(
    "window_excursion_active", "Whether an excursion is active; it stays so while unknown.", "window"
)
WINDOW_LIMIT = _gauge("window_limit", "Limit in force, in engineering units.", "window", "bound")

BUFFER = {  # key of the buffer's own report -> metric
    "segments": _gauge("buffer_segments", "Segments on disk."),
    "samples": _gauge("buffer_samples", "Samples on disk."),
    "bytes": _gauge("buffer_bytes", "Space used in the store on disk."),
    "quota_bytes": _gauge("buffer_capacity_bytes", "Size at which the oldest data is removed."),
    "in_memory_samples": _gauge("buffer_memory_samples", "Samples not yet on disk."),
    "memory_bytes": _gauge("buffer_memory_bytes", "Memory used by samples not yet on disk."),
    "appended_samples": _counter("buffer_appended_samples", "Samples handed to the store."),
    "committed_samples": _counter("buffer_committed_samples", "Samples written to disk."),
    "flushes": _counter("buffer_flushes", "Flushes to disk."),
    "corrupt_segments": _counter("buffer_corrupt_segments", "Segments that no longer pass their checksum."),
    "databases_set_aside": _counter("buffer_databases_set_aside", "Broken stores replaced by a new one."),
}
BUFFER_DEGRADED = _gauge("buffer_degraded", "Whether the store cannot write to disk at the moment.")
BUFFER_FLUSHED = _gauge("buffer_last_flush_timestamp_seconds", "Newest flush to disk, Unix time.")
BUFFER_COMMIT = _histogram("buffer_commit_duration_seconds", "Time one commit to disk took.")
BUFFER_LOST = _counter("buffer_lost_samples", "Samples written off in the loss ledger.", "reason")
BUFFER_UNKNOWN = _counter("buffer_losses_unknown_extent", "Losses of unknown size.", "reason")
# Exported from the start with 0: Prometheus cannot see a counter rise from nothing.
LOSSES = ("memory", "quota", "corrupt", "uplink_removed", "unencodable")
LOSSES_UNKNOWN = ("unclean_stop", "quarantined_database", "missing_database")

UPLINK_UP = _gauge("uplink_up", "Whether the destination accepts data.", "uplink")
UPLINK_INFO = _gauge("uplink_info", "What the destination is; always 1.", "uplink", "type", "endpoint")
UPLINK_SENDS = _counter("uplink_sends", "Messages sent to the destination.", "uplink")
UPLINK_FAILURES = _counter("uplink_send_failures", "Messages that failed, by reason.", "uplink", "reason")
UPLINK_ACKNOWLEDGED = _counter(
    "uplink_acknowledged_samples", "Samples the destination has confirmed.", "uplink"
)
UPLINK_PENDING = _gauge("uplink_pending_samples", "Samples committed but not yet confirmed.", "uplink")
UPLINK_QUARANTINED = _gauge(
    "uplink_quarantined_samples", "Samples the destination refused, kept aside.", "uplink"
)
UPLINK_OLDEST = _gauge(
    "uplink_oldest_pending_timestamp_seconds", "Oldest sample not yet confirmed, Unix time.", "uplink"
)
UPLINK_SUCCESS = _gauge("uplink_last_success_timestamp_seconds", "Newest confirmation, Unix time.", "uplink")
UPLINK_DURATION = _histogram("uplink_send_duration_seconds", "From message to answer.", "uplink")

Row = tuple[tuple[str, ...], Any]
Family = tuple[Name, list[Row]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the board's numbers that may leave the event loop."""

    families: tuple[Family, ...]


def render(
    board: Board,
    web: WebConfig,
    *,
    mono_ns: int,
    time_ns: int,
    selected: Collection[tuple[str, str]] = frozenset(),
) -> bytes:
    """Both steps in one call, for callers without an event loop to keep responsive."""
    return exposition(collect(board, web, mono_ns=mono_ns, time_ns=time_ns, selected=selected))


def collect(
    board: Board,
    web: WebConfig,
    *,
    mono_ns: int,
    time_ns: int,
    selected: Collection[tuple[str, str]] = frozenset(),
) -> Snapshot:
    """Copies what a scrape needs. Call in the event loop; about 3 ms at 5,000 tags.

    ``selected``: the (device, tag) pairs that become series when ``web.tags`` is ``selected``.
    """
    devices = list(board.devices.values())
    groups = [(d.name, name, row) for d in devices for name, row in d.groups.items()]
    return Snapshot(
        (
            *_agent(board, time_ns),
            *_devices(devices),
            *_polls(groups),
            (TAGS, [row for device in devices for row in _tag_counts(device, mono_ns)]),
            *_tag_values(devices, web, selected, mono_ns),
            *_windows(board.windows()),
            *_buffer(board.buffer()),
            *_uplinks(list(board.uplinks.values())),
        )
    )


def exposition(snapshot: Snapshot, *, process: bool = True) -> bytes:
    """The text format, UTF-8, ``CONTENT_TYPE``. Thread-safe. ``process``: also the process and Python
    metrics."""
    return generate_latest(_Scrape(snapshot, process=process))


class _Scrape(Collector):
    def __init__(self, snapshot: Snapshot, *, process: bool) -> None:
        self._snapshot = snapshot
        self._process = process

    def collect(self) -> Iterable[Metric]:
        for name, rows in self._snapshot.families:
            if rows:
                yield _family(name, rows)
        if self._process:
            yield from _process_registry().collect()


@cache
def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _family(name: Name, rows: Iterable[Row]) -> Metric:
    if name.kind == "histogram":
        return _histogram_family(name, rows)
    # The client appends _total to a counter's family name when it writes the text.
    metric = Metric(name.name.removesuffix("_total"), name.help, name.kind)
    names, samples = name.labels, metric.samples
    for values, value in rows:
        labels = {key: text for key, text in zip(names, values, strict=True) if text}
        samples.append(Sample(name.name, labels, value))
    return metric


def _histogram_family(name: Name, rows: Iterable[Row]) -> Metric:
    metric = HistogramMetricFamily(name.name, name.help, labels=name.labels)
    for values, (bounds, counts, total) in rows:
        cumulated, buckets = 0, []
        for bound, count in zip((*bounds, inf), counts, strict=True):
            cumulated += count
            buckets.append(("+Inf" if bound == inf else repr(bound), float(cumulated)))
        metric.add_metric(values, buckets, total)
    return metric


def _copied(histogram: Histogram) -> tuple[tuple[float, ...], tuple[int, ...], float]:
    return histogram.bounds, tuple(histogram.counts), histogram.total


def _agent(board: Board, time_ns: int) -> Iterator[Family]:
    yield BUILD_INFO, [((board.version, platform.python_version()), 1)]
    yield START_TIME, [((), board.started_ns / 1e9)]
    yield TIME, [((), time_ns / 1e9)]
    if board.clock_synchronised is not None:
        yield CLOCK, [((), int(board.clock_synchronised))]
    yield LOOP_LAG, [((), _copied(board.loop_lag))]
    yield SAMPLES_READ, [((), board.samples_read)]
    yield EVENTS, [((kind,), count) for kind, count in board.events_total.items()]
    yield CONFIG_OK, [((), int(board.config_reload_ok))]
    if board.config_reloaded_ns:
        yield CONFIG_TIME, [((), board.config_reloaded_ns / 1e9)]
    yield CONFIG_INFO, [((board.config_version, board.config_source), 1)]


def _devices(rows: list[DeviceRow]) -> Iterator[Family]:
    yield DEVICE_UP, [((d.name,), int(d.up)) for d in rows]
    yield DEVICE_INFO, [((d.name, d.driver, d.endpoint), 1) for d in rows]
    yield DEVICE_CONNECTS, [((d.name,), d.connects) for d in rows]
    yield DEVICE_DISCONNECTS, [((d.name,), d.disconnects) for d in rows]
    yield DEVICE_REQUESTS, [((d.name,), d.requests) for d in rows]
    yield DEVICE_FAILURES, [((d.name, why), count) for d in rows for why, count in d.failures.items()]
    yield DEVICE_DURATION, [((d.name,), _copied(d.duration)) for d in rows]


def _polls(rows: list[tuple[str, str, GroupRow]]) -> Iterator[Family]:
    yield POLLS, [((device, group), row.polls) for device, group, row in rows]
    yield POLL_OVERRUNS, [((device, group), row.overruns) for device, group, row in rows]
    yield (
        POLL_SUCCESS,
        [((device, group), row.last_success_ns / 1e9) for device, group, row in rows if row.last_success_ns],
    )
    yield POLL_DURATION, [((device, group), _copied(row.duration)) for device, group, row in rows]
    yield POLL_LATE, [((device, group), _copied(row.late)) for device, group, row in rows]


def _tag_counts(device: DeviceRow, mono_ns: int) -> list[Row]:
    total = {"good": 0, "uncertain": 0, "bad": 0, "stale": 0}
    for group in device.groups.values():
        for quality, count in quality_counts(group, mono_ns).items():
            # What a device said before it went is old, however young: tags and values must not contradict.
            live = device.up or quality == "bad"
            total[quality if live else "stale"] += count
    return [((device.name, quality), count) for quality, count in total.items()]


def _tag_values(
    devices: list[DeviceRow], web: WebConfig, selected: Collection[tuple[str, str]], mono_ns: int
) -> Iterator[Family]:
    """Room under ``max_series`` is given by place in the configuration, whether a tag is live or not: a
    device that dies must not make other series come and go."""
    if web.tags == "off":
        return
    wanted = None if web.tags == "all" else selected
    rows: list[Row] = []
    room, dropped = web.max_series, 0
    for device in devices:
        for group in device.groups.values():
            columns = _exported(device.name, group, wanted)
            taken, room = columns[:room], max(0, room - len(columns))
            dropped += len(columns) - len(taken)
            if _live(device, group, mono_ns):
                rows += _good_values(device.name, group, taken)
    yield TAG_VALUE, rows
    yield SERIES_DROPPED, [((), dropped)]


def _exported(device: str, group: GroupRow, wanted: Collection[tuple[str, str]] | None) -> list[int]:
    schema = group.schema
    return [
        index
        for index, type_ in enumerate(schema.types)
        if type_ is not ValueType.STRING and (wanted is None or (device, schema.names[index]) in wanted)
    ]


def _live(device: DeviceRow, group: GroupRow, mono_ns: int) -> bool:
    latest = group.latest
    return device.up and latest is not None and mono_ns - latest.mono_ns <= max_age_ns(group)


def _good_values(device: str, group: GroupRow, columns: list[int]) -> Iterator[Row]:
    batch, schema = group.latest, group.schema
    assert batch is not None  # asked for live groups only
    for index in columns:
        if batch.quality[index] < 0x40:
            value = engineering(batch.values[index], schema.scaling[index])
            if isinstance(value, (bool, int, float)):
                yield (device, schema.names[index], schema.units[index]), float(value)


def _windows(rows: Iterable[Mapping[str, Any]]) -> Iterator[Family]:
    rows = list(rows)
    yield (
        WINDOW_STATE,
        [((w["name"], state), int(w["state"] == state)) for w in rows for state in WINDOW_STATES],
    )
    yield (
        WINDOW_SECONDS,
        [((w["name"], state), spent) for w in rows for state, spent in w.get("seconds", {}).items()],
    )
    yield WINDOW_EXCURSIONS, [((w["name"],), w["excursions"]) for w in rows if "excursions" in w]
    yield WINDOW_ACTIVE, [((w["name"],), int(w["active"])) for w in rows if "active" in w]
    yield (
        WINDOW_LIMIT,
        [
            ((w["name"], bound), w[bound])
            for w in rows
            for bound in ("low", "high")
            if w.get(bound) is not None
        ],
    )


def _buffer(numbers: Mapping[str, Any]) -> Iterator[Family]:
    """A buffer tells what it knows; what it does not tell is not exported."""
    for key, name in BUFFER.items():
        if numbers.get(key) is not None:
            yield name, [((), numbers[key])]
    if "state" in numbers:
        yield BUFFER_DEGRADED, [((), int(numbers["state"] != "ok"))]
    if numbers.get("last_flush_ns"):
        yield BUFFER_FLUSHED, [((), numbers["last_flush_ns"] / 1e9)]
    if (spent := numbers.get("commit_seconds")) is not None:
        yield BUFFER_COMMIT, [((), (tuple(spent["bounds"]), tuple(spent["counts"]), spent["sum"]))]
    if (losses := numbers.get("losses")) is not None:
        samples = dict.fromkeys(LOSSES, 0) | losses["samples"]
        unknown = dict.fromkeys(LOSSES_UNKNOWN, 0) | losses["unknown_extent"]
        yield BUFFER_LOST, [((reason,), count) for reason, count in samples.items()]
        yield BUFFER_UNKNOWN, [((reason,), count) for reason, count in unknown.items()]


def _uplinks(rows: list[UplinkRow]) -> Iterator[Family]:
    yield UPLINK_UP, [((u.name,), int(u.up)) for u in rows]
    yield UPLINK_INFO, [((u.name, u.type, u.endpoint), 1) for u in rows]
    yield UPLINK_SENDS, [((u.name,), u.sends) for u in rows]
    yield UPLINK_FAILURES, [((u.name, why), count) for u in rows for why, count in u.failures.items()]
    yield UPLINK_ACKNOWLEDGED, [((u.name,), u.acknowledged_samples) for u in rows]
    yield UPLINK_PENDING, [((u.name,), u.pending_samples) for u in rows]
    yield UPLINK_QUARANTINED, [((u.name,), u.quarantined_samples) for u in rows]
    yield UPLINK_OLDEST, [((u.name,), u.oldest_pending_ns / 1e9) for u in rows if u.oldest_pending_ns]
    yield UPLINK_SUCCESS, [((u.name,), u.last_success_ns / 1e9) for u in rows if u.last_success_ns]
    yield UPLINK_DURATION, [((u.name,), _copied(u.duration)) for u in rows]
