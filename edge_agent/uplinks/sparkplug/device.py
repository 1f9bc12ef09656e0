"""What the host application knows of one device: its metrics, their newest values, whether it is alive. Pure.

A metric is one name with one type and one unit, for a host shows old values under what the birth said. When
the configuration gives a tag another type or unit, the present one keeps the name, and what is stored of the
former goes out under a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.model import Batch, Quality, Scaling, Schema, Value, ValueType
from edge_agent.uplinks.sparkplug.values import Kind, kind_of


@dataclass(slots=True)
class Metric:
    """``tag``: its name in the agent, with which a command for it is asked."""

    name: str
    alias: int
    kind: Kind
    unit: str
    tag: str
    type: ValueType
    scaling: Scaling | None
    value: Value = None  # raw
    quality: int = int(Quality.WAITING)
    time_ms: int = 0  # 0: never told


@dataclass(frozen=True, slots=True)
class Columns:
    """One schema of the device: where each column goes, and which of them are text, whose length varies."""

    metrics: tuple[Metric, ...]
    texts: tuple[int, ...]


@dataclass(slots=True)
class Device:
    """``born``: the host application has a birth of it that holds. ``reached_ns``: per poll group, the
    monotonic time of the newest reading that it was told as the present one."""

    id: str
    name: str
    mortal: bool = True
    born: bool = False
    metrics: dict[str, Metric] = field(default_factory=dict)
    columns: dict[str, Columns] = field(default_factory=dict)
    reached_ns: dict[str, int] = field(default_factory=dict)
    unreachable: dict[str, bool] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """No poll group of it reaches the controller."""
        return self.mortal and bool(self.unreachable) and all(self.unreachable.values())

    def is_news(self, batch: Batch) -> bool:
        """Whether it is later than all that was told of its group."""
        return batch.mono_ns > self.reached_ns.get(batch.schema.group, -1)

    def told(self, batch: Batch) -> None:
        """This reading is, or is about to be, what the host application has as the present one."""
        group = batch.schema.group
        self.reached_ns[group] = batch.mono_ns
        if batch.samples:
            self.unreachable[group] = unreachable(batch)

    def by_alias(self, alias: int) -> Metric | None:
        return next((metric for metric in self.metrics.values() if metric.alias == alias), None)


def unreachable(batch: Batch) -> bool:
    """Of all that this reading speaks of, nothing could be asked."""
    return batch.samples > 0 and batch.quality.count(Quality.BAD_COMM) == batch.samples


class Devices:
    """All devices of the node, and the aliases, which are the node's."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self._aliases = 0

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def get(self, id_: str) -> Device | None:
        return self._devices.get(id_)

    def of(self, schema: Schema, *, periods: bool) -> Device:
        """The device of a schema. Period values stand in one of their own, which does not die with the
        controller: the agent calculates them, also while nothing answers. A dot is in no name of a device."""
        id_ = f"{schema.device}.periods" if periods else schema.device
        found = self._devices.get(id_)
        if found is None:
            found = self._devices[id_] = Device(id_, schema.device, mortal=not periods)
        return found

    def columns(self, device: Device, schema: Schema, *, present: bool) -> Columns:
        """``present``: the schema is that of the configuration as it is now. The device needs another birth
        (``born`` is taken from it) when the schema brings a metric that it lacked."""
        names = _names(schema, periods=not device.mortal)
        known = device.columns.get(schema.digest)
        if known is not None and not (
            present and any(m.name != n for m, n in zip(known.metrics, names, strict=True))
        ):
            return known
        metrics = tuple(
            self._metric(device, schema, index, name, present=present) for index, name in enumerate(names)
        )
        texts = tuple(i for i, m in enumerate(metrics) if m.kind.field == "string_value")
        made = device.columns[schema.digest] = Columns(metrics, texts)
        return made

    def _metric(self, device: Device, schema: Schema, index: int, name: str, *, present: bool) -> Metric:
        type_, unit, scaling = schema.types[index], schema.units[index], schema.scaling[index]
        kind = kind_of(type_, scaling)
        found = device.metrics.get(name)
        if found is not None and (found.kind, found.unit) != (kind, unit):
            if present:
                self._rename(device, found)
                found = None
            else:
                name = _former(name, kind, unit)
                found = device.metrics.get(name)
        if found is None:
            self._aliases += 1
            found = Metric(name, self._aliases, kind, unit, schema.names[index], type_, scaling)
            device.metrics[name] = found
            device.born = False
        elif present and (found.type, found.scaling) != (type_, scaling):
            found.type, found.scaling = type_, scaling
            device.born = False
        return found

    def _rename(self, device: Device, metric: Metric) -> None:
        del device.metrics[metric.name]
        metric.name = _former(metric.name, metric.kind, metric.unit)
        self._aliases += 1
        metric.alias = self._aliases
        device.metrics[metric.name] = metric


def _former(name: str, kind: Kind, unit: str) -> str:
    parts = [name, "former", kind.datatype.name.lower(), *([unit.replace("/", "_")] if unit else [])]
    return "/".join(parts)


def _names(schema: Schema, *, periods: bool) -> Sequence[str]:
    """``pressure.avg`` of minutes is ``pressure/minute/avg``: a host shows these as folders."""
    if not periods:
        return schema.names
    split = (name.rpartition(".") for name in schema.names)
    return [f"{tag}/{schema.group}/{figure}" for tag, _, figure in split]
