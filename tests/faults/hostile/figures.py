"""What a run against hostile devices came to, and what it must not exceed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.hostile.behaviours import APPLICABLE, FAULTS, Behaviour

SHARE = 0.2
RSS_GROWTH_MB = 20.0
LOOP_LAG_MS = 250.0
BACK_WITHIN_S = 15.0
GOOD_SHARE = 0.3
"""Good values per request that was answered honestly, at least; else that none was wrong proves little."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``counts``: transport -> behaviour -> requests treated so. ``lag_ms``: the worst of the loop, after
    warm-up. ``back_s``: until every device delivered good values again when the last fault was over, None if
    one never did."""

    counts: Mapping[str, Mapping[str, int]]
    good: Mapping[str, int]
    wrong_values: int
    hangs: int
    unexpected: int
    rss_growth_mb: float
    lag_ms: float
    back_s: float | None
    seconds: float
    sentences: tuple[str, ...]
    seed: str

    @property
    def reads(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    @property
    def faulted(self) -> int:
        return self.reads - sum(counts[Behaviour.OK] for counts in self.counts.values())

    @property
    def share(self) -> float:
        return self.faulted / self.reads if self.reads else 0.0

    @property
    def least(self) -> int:
        """How often the rarest of all transport x behaviour came."""
        return min(
            counts.get(behaviour, 0)
            for transport, counts in self.counts.items()
            for behaviour in APPLICABLE[transport]
        )

    def table(self) -> str:
        """Transport x behaviour."""
        head = ["", "reads", *FAULTS, "good values"]
        rows = [head]
        for transport, counts in self.counts.items():
            cells = [str(counts[b]) if b in APPLICABLE[transport] else "-" for b in FAULTS]
            rows.append([transport, str(sum(counts.values())), *cells, str(self.good.get(transport, 0))])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join(
            " ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
        )


def problems(found: Outcome, *, reads: int, least: int, calm_lag_ms: float | None = None) -> list[str]:
    """What is worse than it must be. ``calm_lag_ms``: of the fault-free run beside it."""
    told = list(found.sentences)
    if found.wrong_values:
        told.append(f"{found.wrong_values} wrong values were delivered as good")
    if found.hangs:
        told.append(f"{found.hangs} exchanges ended after their deadline")
    if found.unexpected:
        told.append(f"{found.unexpected} errors that no driver may raise")
    if found.reads < reads:
        told.append(f"{found.reads} reads, {reads} wanted")
    if found.share < SHARE:
        told.append(f"{100 * found.share:.1f} % of the reads were faulted, {100 * SHARE:g} % wanted")
    if found.least < least:
        told.append(f"the rarest behaviour came {found.least} times, {least} wanted")
    if found.rss_growth_mb > RSS_GROWTH_MB:
        told.append(f"memory grew by {found.rss_growth_mb:.1f} MB")
    if calm_lag_ms is not None and found.lag_ms - calm_lag_ms > LOOP_LAG_MS:
        told.append(f"the loop stood still for {found.lag_ms:.0f} ms, {calm_lag_ms:.0f} ms in the calm run")
    if found.back_s is None or found.back_s > BACK_WITHIN_S:
        told.append(f"not every device came back when the faults ended: {found.back_s}")
    for transport, counts in found.counts.items():
        good, honest = found.good.get(transport, 0), counts[Behaviour.OK]
        if good < GOOD_SHARE * honest:
            told.append(f"{transport}: only {good} good values of {honest} honest answers")
    return told
