"""A status board made by hand: one press that lives, one oven that does not answer, one window, one
uplink."""

from __future__ import annotations

from typing import Any

from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow, UplinkRow

MONO_NS = 1_000_000_000_000
TIME_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND_NS = 1_000_000_000

PRESS_TAGS = (
    Tag("pressure", "hr:0", ValueType.FLOAT32, unit="MPa", metric=True),
    Tag("zone1_temperature", "hr:2", ValueType.INT16, unit="°C", scaling=Scaling(0.1, -5.0), metric=True),
    Tag("pump_on", "co:0", ValueType.BOOL, metric=True),
    Tag("meter", "hr:4", ValueType.INT64, unit="kWh", metric=True),
    Tag("充注温度", "hr:8", ValueType.INT16, unit="°C", metric=True),
    Tag("recipe", "hr:9", ValueType.STRING, metric=True),
    Tag("not_selected", "hr:12", ValueType.INT16),
)
PRESS_VALUES = (0.41, 1902, True, 9_007_199_254_740_993, None, "A7", 3)
PRESS_QUALITY = bytes([0, 0, 0, 0, Quality.BAD_COMM, 0, 0])
SELECTED = frozenset(
    {("press-1", tag.name) for tag in PRESS_TAGS if tag.metric} | {("oven-1", "zone1"), ("oven-1", "zone2")}
)
WINDOW = {
    "name": "press-1.pressure",
    "device": "press-1",
    "tag": "pressure",
    "state": "in",
    "reason": "",
    "active": False,
    "since_ns": TIME_NS - 5 * SECOND_NS,
    "value": 0.41,
    "unit": "MPa",
    "low": 0.3,
    "high": 0.5,
    "seconds": {"in": 95.5, "out": 2.5, "unknown": 2.0, "suppressed": 0.0},
    "excursions": 2,
}
ALARM = {
    "name": "press-1.pressure.high",
    "letter": "B",
    "state": "unacknowledged",
    "window": "press-1.pressure",
    "kind": "high",
    "priority": "high",
    "active": True,
    "first_out": True,
    "value": 0.52,
    "limit": 0.5,
    "unit": "MPa",
    "since_ns": TIME_NS - 5 * SECOND_NS,
    "until_ns": None,
    "acked_by": "",
    "user": "",
    "comment": "",
}
ALARM_FIGURES = {
    "states": {
        "unacknowledged": {"high": 1},
        "latched_acknowledged": {"low": 2, "diagnostic": 1},
        "shelved": {"medium": 2, "low": 1},
        "suppressed": {"low": 4},
    },
    "stale": 1,
    "suppressed_windows": 3,
    "silenced": False,
    "annunciated": {"low": 5, "medium": 0, "high": 1, "critical": 0},
    "per_10min": 6,
    "per_day": 6,
    "flood": True,
    "floods": 1,
    "flood_s": 12.5,
    "chattering": ["press-1.pressure.high"],
    "fleeting": 2,
    "top": [{"name": "press-1.pressure.high", "count": 6}],
    "top_share": 1.0,
}
PERIODS = {
    "state": "ok",
    "bytes": 70_000,
    "quota_bytes": 50_000_000,
    "in_memory_samples": 8,
    "committed_samples": 160,
    "late_samples": 3,
}
BUFFER = {
    "state": "ok",
    "reason": "",
    "epoch": 7,
    "segments": 12,
    "samples": 4800,
    "bytes": 1_000_000,
    "file_bytes": 1_200_000,
    "wal_bytes": 4096,
    "quota_bytes": 4_000_000_000,
    "memory_batches": 4,
    "memory_bytes": 2000,
    "appended_samples": 4840,
    "committed_samples": 4800,
    "in_memory_samples": 40,
    "lost_samples": 0,
    "corrupt_segments": 0,
    "flushes": 20,
    "last_flush_ns": TIME_NS - 2 * SECOND_NS,
    "commit_seconds": {"bounds": [0.01, 0.1, 1.0], "counts": [15, 4, 1, 0], "sum": 0.45},
    "databases_set_aside": 0,
    "losses": {"samples": {"quota": 30}, "unknown_extent": {"unclean_stop": 1}},
}


STORAGE: dict[str, Any] = {
    "stores": {
        "samples": {
            "state": "ok",
            "quota_bytes": 4_000_000_000,
            "quota_used_ratio": 0.42,
            "unsent_ratio": 0.05,
            "thinning": False,
            "outage_hours_left": 812.5,
            "disk_free_bytes": 9_000_000_000,
            "salvaged_samples": 0,
            "oldest_unsent_ns": TIME_NS - 3 * SECOND_NS,
        },
        "events": {
            "state": "ok",
            "quota_bytes": 200_000_000,
            "quota_used_ratio": 0.01,
            "unsent_ratio": 0.0,
            "thinning": False,
            "outage_hours_left": None,
            "disk_free_bytes": 9_000_000_000,
            "events_dropped": 0,
            "oldest_unsent_ns": None,
        },
    },
    "written": {
        "disks": ["mmcblk0"],
        "device_bytes": 7_000_000,
        "own_bytes": 5_000_000,
        "own_source": "kernel",
        "own_day_bytes": 4_000_000,
        "daily_budget_bytes": 1_500_000_000,
    },
}
WRITES: dict[str, Any] = {
    "outcomes": {"done": 7, "reverted": 1, "dry_run": 0, "refused": 12, "failed": 0, "mismatch": 2},
    "writables": [
        {"tag": "press-1.setpoint", "mismatch": None},
        {"tag": "press-1.horn", "mismatch": {"wrote": True, "read_back": False, "since_ns": 1, "times": 3}},
    ],
    "locked": [{"device": "press-1", "reason": "wrote 5, read back 4", "since_ns": 1}],
}


def make_board() -> Board:
    """As it is at MONO_NS / TIME_NS."""
    board = Board()
    board.line, board.version, board.agent_id = "press-line-1", "0.1.0", "0f" * 16
    board.started_ns = board.config_reloaded_ns = TIME_NS - 100 * SECOND_NS
    board.config_version = "3fa2c1d09b77"
    board.clock_synchronised = True
    board.loop_lag.observe(0.0005)
    board.loop_lag.observe(3.0)
    board.samples_read = 1234
    board.events_total["excursion_begin"] = 2
    board.devices = {"press-1": _press(), "oven-1": _oven()}
    board.uplinks = {"park": _uplink()}
    board.windows = lambda: [dict(WINDOW)]
    board.alarms = lambda: {"rows": [dict(ALARM)], "kpi": dict(ALARM_FIGURES)}
    board.writes = lambda: dict(WRITES)
    board.buffer = lambda: BUFFER | {"periods": PERIODS}
    board.storage = lambda: dict(STORAGE)
    return board


def press_batch(age_s: float = 0.0) -> Batch:
    age_ns = round(age_s * SECOND_NS)
    schema = Schema.of("press-1", "fast", "3fa2c1d09b77", PRESS_TAGS)
    return Batch(schema, TIME_NS - age_ns, MONO_NS - age_ns, PRESS_VALUES, PRESS_QUALITY)


def _press() -> DeviceRow:
    row = DeviceRow("press-1", "modbus", "tcp://127.0.0.1:502")
    row.turn("up", "", TIME_NS - 90 * SECOND_NS)
    row.requests, row.connects, row.disconnects = 100, 2, 1
    row.failures.update({"timeout": 3, "checksum": 1})
    row.mismatches = 1
    row.proofs.update({"ok": 5, "failed": 2})
    row.duration.observe(0.004)
    row.duration.observe(0.02)
    latest = press_batch(0.1)
    group = row.groups["fast"] = GroupRow(latest.schema, 0.5)
    group.latest, group.polls, group.overruns, group.last_success_ns = latest, 50, 1, latest.time_ns
    group.duration.observe(0.03)
    group.late.observe(0.0004)
    return row


def _oven() -> DeviceRow:
    row = DeviceRow("oven-1", "s7", 's7://"Halle \\ 2"')  # a label that needs escaping
    row.turn("down", "no connection", TIME_NS - 10 * SECOND_NS)
    tags = [
        Tag("zone1", "DB1.DBD0", ValueType.FLOAT32, unit="°C"),
        Tag("zone2", "DB1.DBD4", ValueType.FLOAT32),
    ]
    schema = Schema.of("oven-1", "slow", "3fa2c1d09b77", tags)
    group = row.groups["slow"] = GroupRow(schema, 5.0)
    # Read well one second before the connection was lost: young enough, but not live.
    group.latest = Batch(schema, TIME_NS - 11 * SECOND_NS, MONO_NS - 11 * SECOND_NS, (180.0, 181.0), bytes(2))
    row.facts = lambda: {
        "own_certificate": {"days_left": 365.0},
        "server_certificate": None,
        "subscriptions": [{"overflows": 3}, {"overflows": 4}],
    }
    return row


def _uplink() -> UplinkRow:
    row = UplinkRow("park", "http", "https://park.example/ingest")
    row.turn(True, "", TIME_NS - 80 * SECOND_NS)
    row.sends, row.acknowledged_samples, row.pending_samples, row.quarantined_samples = 9, 4000, 800, 0
    row.failures["unreachable"] = 2
    row.oldest_pending_ns, row.last_success_ns = TIME_NS - 6 * SECOND_NS, TIME_NS - SECOND_NS
    row.duration.observe(0.08)
    return row
