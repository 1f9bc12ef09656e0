"""One item of ``counters:`` -> a ``Counter``: its tag looked up, nameplate and multipliers made numbers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal
from fractions import Fraction

from edge_agent.config import catalogue as c
from edge_agent.config.derivation import Counter
from edge_agent.config.derived_shapes import CounterFile, MultiplierFile
from edge_agent.config.devices import Draft
from edge_agent.config.document import Document
from edge_agent.config.located import Collector, Path
from edge_agent.config.process import TagRef
from edge_agent.config.suggest import NOTHING, hint, said
from edge_agent.expression.units import SECOND, unit
from edge_agent.model import Scaling, Tag, ValueType

_NAMEPLATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(\S.*)", re.ASCII)
_ZONE = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)
_SIGNIFICANT = 30
_BITS = {
    ValueType.INT8: 7, ValueType.UINT8: 8, ValueType.INT16: 15, ValueType.UINT16: 16,
    ValueType.INT32: 31, ValueType.UINT32: 32, ValueType.INT64: 63, ValueType.UINT64: 64,
}  # fmt: skip
_FLOAT32_EXACT = 1 << 24


def zone_of(written: str | int) -> int | None:
    """``+08:00``, ``UTC+8``, ``UTC`` -> seconds ahead of UTC; None for anything else."""
    text = f"{written:+d}" if isinstance(written, int) else written.strip()
    if text.upper() in ("UTC", "Z"):
        return 0
    match = _ZONE.fullmatch(text)
    if match is None or int(match[2]) > 14:
        return None
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    return seconds if match[1] == "+" else -seconds


class CounterMaker:
    """Of one file. ``zone_s``: in which a date without a zone is meant."""

    def __init__(
        self, document: Document, drafts: dict[str, Draft], complete: bool, zone_s: int, collector: Collector
    ) -> None:
        self.document = document
        self.drafts = drafts
        self.complete = complete
        self.zone_s = zone_s
        self.collector = collector

    def make(self, path: Path, written: CounterFile) -> Counter | None:
        """None when it has a mistake, or its tag has one."""
        found = self._tag(path, written.tag)
        multipliers = self._multipliers(path, written.multiplier)
        if found is None:
            return None
        draft, tag = found
        if not unit(tag.unit).counts_up:
            self._add(path, "tag", c.COUNTER_UNIT, tag=written.tag, unit=tag.unit)
            return None
        scale = self._scale(path, tag)
        max_rate = self._max_rate(path, written.nameplate, tag.unit)
        if not self._rollover(path, written.rollover, tag) or None in (scale, max_rate, multipliers):
            return None
        if tag.type is ValueType.FLOAT32:
            most = f"{_FLOAT32_EXACT * float(scale or 1):,.0f} {tag.unit}".strip()
            self._add(path, "tag", c.W_FLOAT_COUNTER, tag=written.tag, most=most)
        period_s = draft.periods_s.get(tag.group, 1.0)
        return Counter(
            TagRef(draft.name, tag.name),
            written.name or tag.name,
            tag.unit,
            max_rate or "",
            scale or "",
            None if written.rollover is None else _exact(written.rollover),
            _exact(written.step),
            _exact(written.noise),
            multipliers or (),
            float(written.lag),
            max(60.0, 3 * period_s) if written.max_gap is None else float(written.max_gap),
            written.confirm,
        )

    # --- the tag -------------------------------------------------------------------------------------------

    def _tag(self, path: Path, text: str) -> tuple[Draft, Tag] | None:
        device, dot, name = text.partition(".")
        draft = self.drafts.get(device)
        if not dot:
            elsewhere = [f"{d}.{text}" for d, other in self.drafts.items() if text in other.tags]
            self._add(
                path, "tag", c.NOT_OF_DEVICE, tag=text, hint=said(elsewhere[0]) if elsewhere else NOTHING
            )
        elif draft is None:
            if self.complete:
                self._add(path, "tag", c.UNKNOWN_DEVICE, device=device, hint=hint(device, self.drafts))
        elif not draft.enabled:
            self._add(path, "tag", c.DEVICE_OFF, name=text, device=device)
        elif name not in draft.tags:
            self._absent(path, draft, name)
        elif not draft.tags[name].type.is_numeric:
            self._add(path, "tag", c.COUNTER_TYPE, tag=text, type=draft.tags[name].type)
        else:
            return draft, draft.tags[name]
        return None

    def _absent(self, path: Path, draft: Draft, name: str) -> None:
        if name in draft.arrays:
            last = draft.arrays[name] - 1
            self._add(path, "tag", c.WHOLE_ARRAY, tag=name, count=last + 1, last=last)
        elif draft.table is not None and draft.table.usable and draft.table.named(name) is None:
            file, guess = draft.table.source.name, hint(name, draft.tags)
            self._add(path, "tag", c.UNKNOWN_TAG, device=draft.name, tag=name, file=file, hint=guess)

    def _scale(self, path: Path, tag: Tag) -> str | None:
        scaling = tag.scaling or Scaling()
        if scaling.scale > 0 and not scaling.offset:
            return _exact(scaling.scale)
        values = {"tag": tag.name, "scale": f"{scaling.scale:g}", "offset": f"{scaling.offset:g}"}
        self._add(path, "tag", c.COUNTER_SCALE, **values)
        return None

    def _rollover(self, path: Path, rollover: float | None, tag: Tag) -> bool:
        bits = _BITS.get(tag.type)
        if rollover is None or bits is None or rollover <= 1 << bits:
            return True
        found = _exact(rollover)
        self._add(path, "rollover", c.ROLLOVER, found=found, type=tag.type, most=1 << bits)
        return False

    # --- numbers -------------------------------------------------------------------------------------------

    def _max_rate(self, path: Path, text: str, of: str) -> str | None:
        """In ``of`` per second."""
        wanted = unit(of)
        example = "500 kW" if wanted.dims == unit("kWh").dims else f"100 {of or 1}/h"
        match = _NAMEPLATE.fullmatch(text.strip())
        if match is None or float(match[1]) <= 0:
            self._add(path, "nameplate", c.NAMEPLATE, found=text, example=example)
            return None
        given = unit(match[2])
        per_second = wanted.times(SECOND, -1)
        if not given.fits(per_second):
            self._add(path, "nameplate", c.NAMEPLATE_UNIT, found=match[2], unit=of or "1", example=example)
            return None
        return _decimal(Fraction(match[1]) * given.to(per_second))

    def _multipliers(self, path: Path, items: list[MultiplierFile]) -> tuple[tuple[int, str], ...] | None:
        found: list[tuple[int, str]] = []
        sound = True
        for number, item in enumerate(items):
            place = (*path, "multiplier", number)
            from_ns = 0 if item.since is None else self._moment(item.since)
            if from_ns is None:
                self._add(place, "from", c.MOMENT, found=item.since)
                sound = False
            elif found and from_ns <= found[-1][0]:
                self._add(place, "from", c.MULTIPLIERS, found=item.since or "-")
                sound = False
            else:
                found.append((from_ns, _exact(item.factor)))
        return tuple(found) if sound else None

    def _moment(self, text: str) -> int | None:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=timezone(timedelta(seconds=self.zone_s)))
        try:
            return int(at.timestamp()) * 1_000_000_000
        except OverflowError:
            return None

    def _add(self, path: Path, key: str, entry: c.Entry, /, **values: object) -> None:
        full = (*path, key)
        self.collector.add(self.document.source, self.document.value(full), entry, full, **values)


def _exact(written: float) -> str:
    """The decimal that a person wrote."""
    return _decimal(Fraction(str(written)))


def _decimal(number: Fraction) -> str:
    """Exact where it ends, else to 30 digits."""
    found = Context(prec=_SIGNIFICANT).divide(Decimal(number.numerator), Decimal(number.denominator))
    return f"{found.normalize():f}"
