"""The rows of the board: what each loop writes about itself."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.model import Batch, Schema

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
    """One poll group of one device.

    ``latest``: what was last said of each tag, good or bad, as one batch (``live.keep`` makes it).
    ``spoke_ns``: when that was (monotonic; None: never), tag by tag where it was not the same moment for all.
    ``liveness_s``: while its changes are reported, how long the device may be silent before that counts as
    dead; else 0. ``polls``: reads that ended, well or badly. ``labels``: what numbers mean, by the position
    of the tag; only of tags for which the table says so. ``hidden``: positions of tags that are not shown.
    """

    __slots__ = (
        "duration", "hidden", "labels", "last_success_ns", "late", "latest", "liveness_s", "overruns",
        "period_s", "polls", "schema", "spoke_ns",
    )  # fmt: skip

    def __init__(self, schema: Schema, period_s: float) -> None:
        self.schema = schema
        self.period_s = period_s
        self.latest: Batch | None = None
        self.spoke_ns: tuple[int | None, ...] | None = None
        self.liveness_s = 0.0
        self.hidden: frozenset[int] = frozenset()
        self.labels: dict[int, dict[int, str]] = {}
        self.polls = 0
        self.overruns = 0
        self.last_success_ns: int | None = None
        self.duration = Histogram()
        self.late = Histogram((0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0))


class DeviceRow:
    """``state``: connecting, up, proving (it answers, but which request its answers belong to is not certain:
    its tags are bad), silent (no answer, neighbours fine), down (its link is gone), refused.

    ``reason``/``since_ns``: why, and since when (wall time). ``failures`` counts by fixed reason labels.
    ``mismatches``: replies that did not fit their request. ``proofs``: tries to restore trust, by result (ok,
    failed, outwaited); where replies carry an identity of their own each is ok at once. ``facts``: asks the
    present connection what else it knows (``driver.Reporter``).
    """

    __slots__ = (
        "connects", "disconnects", "driver", "duration", "endpoint", "facts", "failures", "groups",
        "mismatches", "name", "proofs", "reason", "requests", "since_ns", "state",
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
        self.mismatches = 0
        self.proofs: Counter[str] = Counter()
        self.connects = 0
        self.disconnects = 0
        self.duration = Histogram()
        self.groups: dict[str, GroupRow] = {}
        self.facts: Callable[[], Mapping[str, Any]] | None = None

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
