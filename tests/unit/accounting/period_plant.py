"""A device with chosen tags, its samples one by one, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_agent.accounting.period_values import Closed, PeriodProducer
from edge_agent.config.period_values import Mean, PeriodTag, PeriodValues
from edge_agent.config.process import TagRef
from edge_agent.model import Batch, Event, Level, Quality, Scaling, Schema, Tag, ValueType

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
COMM, FAULT, STOPPED = int(Quality.BAD_COMM), int(Quality.BAD_DEVICE), int(Quality.UNCERTAIN_STOPPED)
MIDNIGHT = 1_767_196_800 * S  # of Beijing, 2026-01-01
GRACE_S = 5.0

GAS = {"mean": Mean.SAMPLES, "min_samples": 12, "valid_minutes": 45, "valid_hours": 20, "uncertain": False}
WATER = {
    "mean": Mean.SAMPLES, "minute_s": 600, "min_samples": 120, "share": 100.0, "valid_minutes": 1,
    "valid_hours": 1, "uncertain": False,
}  # fmt: skip


def chosen(name: str, device: str = "d", **rule: Any) -> PeriodTag:
    me = TagRef(device, name)
    return PeriodTag(me, me, rule.pop("type", ValueType.FLOAT64), **rule)


class Plant:
    """``told``: the figures of every period, by device, level and start; twice the same is an error."""

    def __init__(self, *tags: PeriodTag, names: Sequence[str] = (), group: str = "g", **given: Any) -> None:
        self.plan = PeriodValues(tags, GRACE_S)
        self.schema = schema_of(names or [tag.tag.tag for tag in tags], group=group, **given)
        self.producer = PeriodProducer(self.plan, "v")
        self.told: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.quality: dict[tuple[str, str, int], dict[str, int]] = {}
        self.batches: list[Batch] = []
        self.events: list[Event] = []

    def say(self, time_ns: int, *values: Any, quality: Sequence[int] | int = 0) -> None:
        rated = bytes([quality] * len(values)) if isinstance(quality, int) else bytes(quality)
        self.producer.on_batch(Batch(self.schema, time_ns, time_ns, values, rated))

    def tick(self, time_ns: int) -> Closed:
        closed = self.producer.tick(time_ns, time_ns)
        self.events += closed.events
        for batch in closed.batches:
            key = batch.schema.device, batch.schema.group, batch.time_ns
            assert key not in self.told, f"{key} is told twice"
            self.told[key] = dict(zip(batch.schema.names, batch.values, strict=True))
            self.quality[key] = dict(zip(batch.schema.names, batch.quality, strict=True))
            self.batches.append(batch)
        return closed

    def settle(self, time_ns: int) -> None:
        """Until nothing more is told at this moment."""
        while self.tick(time_ns).batches:
            pass

    def restart(self, *, rows: Any = None, stored: Sequence[Batch] | None = None) -> PeriodProducer:
        """Without the samples of before; ``stored``: what the store of periods holds."""
        saved = self.producer.rows() if rows is None else rows
        self.producer = PeriodProducer(self.plan, "v")
        assert self.producer.restore_rows(saved) == []
        for batch in self.batches if stored is None else stored:
            self.producer.know(batch)
        self.producer.went_on()
        return self.producer

    def figures(self, level: Level, start_ns: int, tag: str = "x", device: str = "d") -> dict[str, Any]:
        found = self.told[device, level, start_ns]
        return {name.partition(".")[2]: v for name, v in found.items() if name.startswith(f"{tag}.")}

    def flag(self, level: Level, start_ns: int, tag: str = "x") -> str:
        return str(self.figures(level, start_ns, tag)["flag"])


def schema_of(
    names: Sequence[str],
    device: str = "d",
    group: str = "g",
    type_: ValueType = ValueType.FLOAT64,
    scaling: Scaling | None = None,
) -> Schema:
    return Schema.of(device, group, "v", [Tag(name, "", type_, scaling=scaling) for name in names])


def fill(
    plant: Plant, start: int, end: int, every_s: float = 1.0, quality: int = 0, value: float = 1.0
) -> None:
    at = start
    while at < end:
        plant.say(at, value if quality < 0x80 else None, quality=quality)
        at += round(every_s * S)
