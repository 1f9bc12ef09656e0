"""Process windows of all devices: their references are looked up, their limits checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.config.model import TagRef, Window
from edge_agent.config.shapes import WindowFile
from edge_agent.config.suggest import hint, said
from edge_agent.config.table import TagRow, array_of
from edge_agent.model import Tag, ValueType


@dataclass(slots=True)
class _Place:
    """Where a window stands: its keys in the device file, or the cells of its tag in the table."""

    draft: Draft
    path: Path
    row: TagRow | None = None
    tag: str = ""

    @property
    def source(self) -> Source:
        if self.row is not None and self.draft.table is not None:
            return self.draft.table.source
        return self.draft.document.source

    def at(self, key: str) -> Position:
        if self.row is not None and self.draft.table is not None:
            return self.draft.table.position(self.tag, key)
        return self.draft.document.value((*self.path, key))


class WindowReader:
    """``complete``: every device file gave a device, so that an unknown device is really one."""

    def __init__(self, drafts: Mapping[str, Draft], complete: bool, collector: Collector) -> None:
        self.drafts = drafts
        self.complete = complete
        self.collector = collector

    def read(self, draft: Draft) -> tuple[Window, ...]:
        """The sound windows of one device: those of its file, then those of its table."""
        found: dict[str, tuple[Window, str]] = {}
        limited: set[str] = set()
        for number, written in draft.windows:
            limited.add(written.tag)
            place = _Place(draft, ("windows", number))
            self._limits_twice(place, written)
            window = self._from_file(place, written)
            if window is not None:
                self._keep(window, place, "name" if written.name else "tag", found)
        for name, row in draft.rows.items():
            if row.limits and name not in limited:
                place = _Place(draft, ("tags", row.name), row, name)
                window = self._from_table(place, row.limits)
                if window is not None:
                    self._keep(window, place, "name", found)
        return tuple(window for window, _ in found.values())

    def _keep(self, window: Window, place: _Place, key: str, found: dict[str, tuple[Window, str]]) -> None:
        at = place.at(key)
        if window.name in found:
            name = window.name.split(".", 1)[1]
            self._add(place, at, c.DUPLICATE_WINDOW, key, name=name, other=found[window.name][1])
            return
        found[window.name] = (window, f"{place.source.name}:{at[0]}")

    def _limits_twice(self, place: _Place, written: WindowFile) -> None:
        table = place.draft.table
        row = place.draft.rows.get(written.tag)
        if table and row and row.limits:
            column = next(iter(row.limits))
            other = f"{table.source.name}:{table.position(written.tag, column)[0]}"
            self._add(place, place.at("tag"), c.LIMITS_TWICE, "tag", tag=written.tag, other=other)

    # --- making one window ---------------------------------------------------------------------------------

    def _from_file(self, place: _Place, written: WindowFile) -> Window | None:
        draft = place.draft
        sound = self._consistent(place, written)
        tag = self._own(place, written.tag)
        target, target_tag = self._target(place, written)
        when = self._when(place, written)
        if tag is None:
            return None
        if not tag.type.is_numeric:
            self._add(place, place.at("tag"), c.NOT_NUMERIC, "tag", tag=tag.name, type=tag.type)
            return None
        if target_tag is not None and target_tag.unit != tag.unit and target_tag.unit and tag.unit:
            values = {"found": target_tag.unit, "tag": tag.name, "wanted": tag.unit}
            self._add(place, place.at("target"), c.W_UNITS, "target", **values)
        if not sound or (written.target is not None and target is None):
            return None
        return Window(
            name=f"{draft.name}.{written.name or tag.name}",
            source=TagRef(draft.name, tag.name),
            low=written.low,
            high=written.high,
            target=target,
            tolerance=written.tolerance,
            deadband=written.deadband,
            on_delay_s=float(written.on_delay),
            off_delay_s=float(written.off_delay),
            max_age_s=self._max_age(place, written, tag),
            when=when,
            unit=tag.unit,
            description=written.description or tag.description,
        )

    def _from_table(self, place: _Place, limits: dict[str, float]) -> Window | None:
        draft, tag = place.draft, place.draft.tags[place.tag]
        low, high, deadband = limits.get("low"), limits.get("high"), limits.get("deadband", 0.0)
        if not self._ordered(place, low, high, deadband):
            return None
        period = draft.periods_s.get(tag.group, 1.0)
        return Window(
            name=f"{draft.name}.{tag.name}",
            source=TagRef(draft.name, tag.name),
            low=low,
            high=high,
            deadband=deadband,
            max_age_s=_default_age(period),
            unit=tag.unit,
            description=tag.description,
        )

    def _max_age(self, place: _Place, written: WindowFile, tag: Tag) -> float:
        period = place.draft.periods_s.get(tag.group, 1.0)
        if written.max_age is None:
            return _default_age(period)
        age = float(written.max_age)
        if age < period:
            values = {"age": f"{age:g}s", "period": f"{period:g}s"}
            self._add(place, place.at("max_age"), c.W_SHORT_AGE, "max_age", **values)
        return age

    # --- limits --------------------------------------------------------------------------------------------

    def _consistent(self, place: _Place, written: WindowFile) -> bool:
        """Limits or target, whole and not both."""
        limits = [key for key in ("low", "high") if getattr(written, key) is not None]
        if written.target is not None and limits:
            self._add(place, place.at("target"), c.TARGET_AND_LIMITS, "target")
            return False
        if written.target is not None and written.tolerance is None:
            self._add(place, place.at("target"), c.TARGET_ALONE, "target")
            return False
        if written.tolerance is not None and written.target is None:
            self._add(place, place.at("tolerance"), c.TOLERANCE_ALONE, "tolerance")
            return False
        if written.target is None and not limits:
            self._add(place, place.at("tag"), c.NO_LIMITS, "tag", tag=written.tag)
            return False
        if written.tolerance is not None:
            return self._deadband_fits(place, written.deadband, written.tolerance)
        return self._ordered(place, written.low, written.high, written.deadband)

    def _ordered(self, place: _Place, low: float | None, high: float | None, deadband: float) -> bool:
        if low is None or high is None:
            return True
        if low >= high:
            self._add(place, place.at("low"), c.LOW_HIGH, "low", low=f"{low:g}", high=f"{high:g}")
            return False
        return self._deadband_fits(place, deadband, (high - low) / 2)

    def _deadband_fits(self, place: _Place, deadband: float, half: float) -> bool:
        if deadband < half:
            return True
        values = {"deadband": f"{deadband:g}", "limit": f"{half:g}"}
        self._add(place, place.at("deadband"), c.DEADBAND_WIDE, "deadband", **values)
        return False

    # --- references ----------------------------------------------------------------------------------------

    def _own(self, place: _Place, name: str) -> Tag | None:
        draft = place.draft
        if name in draft.tags:
            return draft.tags[name]
        self._absent(place, "tag", draft, name)
        return None

    def _target(self, place: _Place, written: WindowFile) -> tuple[TagRef | float | None, Tag | None]:
        if not isinstance(written.target, str):
            return written.target, None
        found = self._any(place, "target", written.target)
        if found is None:
            return None, None
        reference, tag = found
        if not tag.type.is_numeric:
            self._add(place, place.at("target"), c.NOT_NUMERIC, "target", tag=tag.name, type=tag.type)
            return None, None
        return reference, tag

    def _when(self, place: _Place, written: WindowFile) -> TagRef | None:
        found = self._any(place, "when", written.when) if written.when else None
        if found is None:
            return None
        reference, tag = found
        if tag.type is not ValueType.BOOL:
            self._add(place, place.at("when"), c.NOT_BOOL, "when", tag=tag.name, type=tag.type)
        return reference

    def _any(self, place: _Place, key: str, text: str) -> tuple[TagRef, Tag] | None:
        """A tag of this device, or ``DEVICE.TAG``."""
        own = place.draft
        if text in own.tags:
            return TagRef(own.name, text), own.tags[text]
        device, dot, name = text.partition(".")
        if not dot or (own.table and own.table.named(text)):
            self._missing_own(place, key, text)
            return None
        other = self.drafts.get(device)
        if other is None:
            if self.complete:
                guess = hint(device, self.drafts)
                self._add(place, place.at(key), c.UNKNOWN_DEVICE, key, device=device, hint=guess)
            return None
        if not other.enabled and other is not own:
            self._add(place, place.at(key), c.DEVICE_OFF, key, name=text, device=device)
            return None
        if name in other.tags:
            return TagRef(device, name), other.tags[name]
        self._absent(place, key, other, name)
        return None

    def _missing_own(self, place: _Place, key: str, name: str) -> None:
        elsewhere = [device for device, draft in self.drafts.items() if name in draft.tags]
        self._absent(place, key, place.draft, name, f"{elsewhere[0]}.{name}" if elsewhere else None)

    def _absent(self, place: _Place, key: str, draft: Draft, name: str, elsewhere: str | None = None) -> None:
        """A tag that is not there; nothing is said where its row has a mistake that is reported anyway."""
        if name in draft.arrays:
            last = draft.arrays[name] - 1
            self._add(place, place.at(key), c.WHOLE_ARRAY, key, tag=name, count=last + 1, last=last)
        elif _knows_all(draft) and draft.table:
            row = draft.table.named(name)
            if row is None or (array_of(name) != name and _whole(draft, array_of(name))):
                guess = said(elsewhere) if elsewhere else hint(name, draft.tags)
                self._unknown_tag(place, key, draft, name, guess)

    def _unknown_tag(self, place: _Place, key: str, draft: Draft, name: str, guess: object) -> None:
        file = draft.table.source.name if draft.table else ""
        self._add(
            place, place.at(key), c.UNKNOWN_TAG, key, device=draft.name, tag=name, file=file, hint=guess
        )

    def _add(self, place: _Place, at: Position, entry: c.Entry, key: str, /, **values: object) -> None:
        self.collector.add(place.source, at, entry, (*place.path, key), **values)


def _knows_all(draft: Draft) -> bool:
    """Whether every name of the device's table could be read, so that an absent one is a mistake."""
    return draft.table is not None and draft.table.usable


def _whole(draft: Draft, name: str) -> bool:
    """Whether all elements of an array are known, or the tag is none: what is in brackets is then wrong."""
    return name in draft.arrays or name in draft.tags


def _default_age(period_s: float) -> float:
    return max(3 * period_s, 1.0)
