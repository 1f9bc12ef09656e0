"""What formulas may read: the tags of every device, by ``DEVICE.TAG`` and, of the device a formula belongs
to, by ``TAG``. Built when the first formula asks."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence

from edge_agent.config import catalogue as c
from edge_agent.config.derived_place import report
from edge_agent.config.devices import Draft
from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.config.virtual import Feed, default_age_s
from edge_agent.expression import Formula, Mistake, Operand
from edge_agent.model import Tag, ValueType

UNKNOWN = "E-FORMULA-NAME"


class Operands:
    """``complete``: every device file gave a device. ``counters``: keys of the tags that are counters, by the
    counter's own name. ``derived``: filled with the derived tags once they are known."""

    def __init__(
        self,
        drafts: Mapping[str, Draft],
        complete: bool,
        collector: Collector,
        counters: Mapping[str, str] | None = None,
    ) -> None:
        self.drafts = drafts
        self.complete = complete
        self.collector = collector
        self.counters = counters or {}
        self.derived: dict[str, Operand] = {}
        self._all: dict[str, Operand] = {}
        self._devices: dict[str, Mapping[str, Operand]] = {}

    @property
    def all(self) -> dict[str, Operand]:
        """By ``DEVICE.TAG``."""
        if not self._all:
            counted = frozenset(self.counters.values())
            for draft in self.drafts.values():
                self._all.update(_of(draft, counted))
        return self._all

    def named(self) -> Mapping[str, Operand]:
        """Counters by their own names, and everything."""
        own = {name: self.all[key] for name, key in self.counters.items() if key in self.all}
        return ChainMap(own, self.all)

    def of(self, device: str) -> Mapping[str, Operand]:
        """For a formula that belongs to a device and may name its tags alone. Asked for when ``derived`` is
        complete."""
        if device not in self._devices:
            start, found = f"{device}.", self.all | self.derived
            own = {key[len(start) :]: one for key, one in found.items() if key.startswith(start)}
            self._devices[device] = ChainMap(own, found)
        return self._devices[device]

    def feed(self, key: str) -> Feed:
        """Where a tag of a device comes from."""
        device, _, name = key.partition(".")
        draft = self.drafts[device]
        group = draft.tags[name].group
        period_s = draft.periods_s.get(group, 1.0)
        return device, group, period_s, default_age_s(period_s)

    # --- what is reported ----------------------------------------------------------------------------------

    def tell(self, mistakes: Sequence[Mistake], source: Source, at: Position, path: Path, text: str) -> None:
        """All but what follows from another mistake: names in files that could not be read whole."""
        for mistake in mistakes:
            name = text[mistake.column - 1 : mistake.column - 1 + mistake.length]
            if mistake.code != UNKNOWN or not self._excused(name):
                report(self.collector, source, at, path, text, mistake)

    def _excused(self, name: str) -> bool:
        device = self.drafts.get(name.partition(".")[0])
        if device is None:
            return not self.complete and "." in name
        return device.table is None or not device.table.usable

    def off(self, formula: Formula, source: Source, at: Position, path: Path) -> None:
        """Reports what is read of devices that are switched off."""
        for name in dict.fromkeys(slot.name for slot in formula.slots):
            device = self.drafts.get(name.partition(".")[0])
            if device is not None and not device.enabled:
                values: dict[str, object] = {"name": name, "device": device.name}
                self.collector.add(source, at, c.DEVICE_OFF, path, **values)


def _of(draft: Draft, counted: Collection[str]) -> Iterable[tuple[str, Operand]]:
    for name, tag in draft.tags.items():
        key = f"{draft.name}.{name}"
        period_s = draft.periods_s.get(tag.group, 0.0)
        yield key, Operand(key, _kind(tag), tag.unit, key in counted, period_s)
    for name in draft.table.names if draft.table is not None else ():
        if name not in draft.tags and name not in draft.arrays:  # its row has a mistake, told elsewhere
            key = f"{draft.name}.{name}"
            yield key, Operand(key, None)


def _kind(tag: Tag) -> ValueType:
    """Of the engineering value."""
    return ValueType.FLOAT64 if tag.scaling is not None and tag.type.is_numeric else tag.type
