"""``periods`` of device files and of derived.d -> ``PeriodTag``s: names looked up, rules filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import ceil
from typing import Any

from edge_agent.config import catalogue as c
from edge_agent.config.derivation import Counter
from edge_agent.config.devices import Draft
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.located import Collector, Path
from edge_agent.config.period_shapes import PeriodFile, StateFile
from edge_agent.config.period_values import MINUTES, Beside, Mean, PeriodTag
from edge_agent.config.plugins import Keys
from edge_agent.config.process import TagRef
from edge_agent.config.shapes import AgentFile
from edge_agent.config.suggest import NOTHING, hint
from edge_agent.config.virtual import default_age_s
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

_LIST = Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）")
_ENTRY = Text("period values ('tags: ...' and 'rule: ...')", "周期值（'tags: ...' 和 'rule: ...'）")
_NUMBER = Text("a number", "数值")
_STATE = Text("a number or an on/off tag", "数值或开关量")
_MEANINGLESS = ("weight_by", "min_samples", "integral_per", "maintenance", "calibration")
_TIMES = {"s": 1.0, "min": 60.0, "h": 3600.0}

VALUE_BYTES = 60
"""What one period of one tag takes on disk, everything included (docs/periods.md): 90 kB a day."""
_MOST_BYTES = 4_000_000_000  # that are taken without being asked
_LEAST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class _Rule:
    minute_s: int
    per_minute: int
    share: float
    minutes: float  # of those in an hour
    hours: int
    uncertain: bool
    mean: Mean


_RULES = {
    "gas": _Rule(60, 12, 75.0, 45 / 60, 20, False, Mean.SAMPLES),
    "water": _Rule(600, 12, 100.0, 0.0, 1, False, Mean.SAMPLES),
    "plain": _Rule(60, 0, 75.0, 0.0, 0, True, Mean.TIME),
}


def period_bytes(
    model: AgentFile, tags: Sequence[PeriodTag], document: Document, collector: Collector
) -> int:
    """The quota of their store: what is written, else what they need for as long as they are to be kept."""
    if model.buffer.periods_quota is not None:
        return int(model.buffer.periods_quota)
    periods = sum(float(model.periods.keep) / tag.minute_s for tag in tags)
    needed = max(round(periods * VALUE_BYTES), _LEAST_BYTES)
    if needed > _MOST_BYTES:
        path = ("periods", "keep")
        values: dict[str, object] = {"needed": f"{needed / 1e9:.1f}GB", "most": f"{_MOST_BYTES / 1e9:g}GB"}
        collector.add(document.source, document.value(path), c.W_PERIOD_SPACE, path, **values)
    return min(needed, _MOST_BYTES)


class PeriodReader:
    """``complete``: every device file gave a device. ``counters``: of the virtual device, by name."""

    def __init__(
        self,
        drafts: Mapping[str, Draft],
        complete: bool,
        counters: Mapping[str, Counter],
        collector: Collector,
    ) -> None:
        self.drafts = drafts
        self._complete = complete
        self._counters = counters
        self.collector = collector
        self._found: dict[str, tuple[PeriodTag, str]] = {}  # and where it is said
        self._minutes: dict[str, tuple[int, str]] = {}

    def read(self, drafts: Sequence[Draft], derived: Sequence[Draft]) -> tuple[PeriodTag, ...]:
        """Of all files; those of the virtual device may name counters. Mistakes: the collector."""
        for draft in (*drafts, *derived):
            counters = self._counters if draft in derived else {}
            entries = [
                (_Entry(self, draft, path, counters), written) for path, written in self._entries(draft)
            ]
            stated = [minute_s for one, written in entries if (minute_s := one.minute(written))]
            for entry, written in entries:
                entry.read(written, stated[0] if stated else None)
        off = {draft.name for draft in drafts if not draft.enabled}
        return tuple(tag for tag, _ in self._found.values() if tag.tag.device not in off)

    def _entries(self, draft: Draft) -> Iterator[tuple[Path, PeriodFile]]:
        document, items = draft.document, draft.document.data.get("periods")
        if items is not None and not isinstance(items, list):
            self._wrong(draft, ("periods",), items, _LIST)
            return
        for number, item in enumerate(items or ()):
            path: Path = ("periods", number)
            if not isinstance(item, dict):
                self._wrong(draft, path, item, _ENTRY)
                continue
            keys = Keys(document, path, item, PeriodFile, PeriodFile, self.collector)
            keys.report_unknown()
            written, bad = keys.read(PeriodFile)
            if written is not None and "tags" not in bad:
                yield path, written

    def _wrong(self, draft: Draft, path: Path, found: Any, wanted: Text) -> None:
        values: dict[str, object] = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
        at = draft.document.value(path)
        self.collector.add(draft.document.source, at, c.WRONG_TYPE, path, key=path[0], **values)

    def length(self, entry: _Entry, minute_s: int) -> None:
        """One length for all minute values of a device."""
        name, place = entry.draft.name, entry.line("minute")
        other, where = self._minutes.setdefault(name, (minute_s, place))
        if other != minute_s:
            entry.add(("minute",), c.PERIOD_MINUTES, other=where, length=f"{other // 60}min")

    def keep(self, entry: _Entry, index: int, made: PeriodTag) -> None:
        place = entry.line("tags")
        first, where = self._found.setdefault(str(made.tag), (made, place))
        if first is not made:
            entry.add(("tags", index), c.PERIOD_TWICE, tag=made.tag.tag, other=where)

    def beside(self, entry: _Entry, key: str, written: str, values: Sequence[float] = ()) -> Beside | None:
        """A tag of the entry's device or, as DEVICE.TAG, of any."""
        draft, name = entry.draft, written
        if name not in draft.tags:
            device, _, rest = written.partition(".")
            draft, name = (self.drafts[device], rest) if device in self.drafts else (draft, written)
        tag = draft.tags.get(name)
        if tag is None:
            if self._complete and _whole(draft):
                known = [*entry.draft.tags, *(f"{d.name}.{t}" for d in self.drafts.values() for t in d.tags)]
                entry.add((key,), c.PERIOD_REFERENCE, name=written, hint=hint(written, known))
            return None
        if tag.type is ValueType.STRING or (key == "weight_by" and tag.type is ValueType.BOOL):
            wanted = _NUMBER if key == "weight_by" else _STATE
            entry.add((key,), c.PERIOD_REFERENCE_TEXT, tag=written, type=tag.type, key=key, wanted=wanted)
            return None
        age_s = _age_s(draft, tag)
        return Beside(TagRef(draft.name, name), tuple(values), tag.scaling, age_s)


@dataclass(slots=True)
class _Entry:
    """One item of the list."""

    reader: PeriodReader
    draft: Draft
    path: Path
    counters: Mapping[str, Counter]

    def add(self, key: Path, entry: c.Entry, /, **values: object) -> None:
        path, document = (*self.path, *key), self.draft.document
        self.reader.collector.add(document.source, document.value(path), entry, path, **values)

    def line(self, key: str) -> str:
        document = self.draft.document
        return f"{document.source.name}:{document.value((*self.path, key))[0]}"

    def minute(self, written: PeriodFile) -> int | None:
        """The length that is written, where it is one."""
        if written.minute is None:
            return None
        minutes = float(written.minute) / 60
        if minutes not in MINUTES:
            found = f"{float(written.minute):g} s"
            self.add(("minute",), c.PERIOD_MINUTE, found=found, known=", ".join(map(str, MINUTES)))
            return None
        return round(minutes) * 60

    def read(self, written: PeriodFile, minute_s: int | None) -> None:
        rule = _RULES[written.rule]
        length_s = self.minute(written) or minute_s or rule.minute_s
        self.reader.length(self, length_s)
        subs = 3600 // length_s
        self._at_most("valid_minutes", written.valid_minutes, subs, Text("hour", "小时"))
        pattern = self._made(written, rule, length_s)
        for index, name in enumerate(written.tags):
            for one in self._named(index, name):
                made = self._of_tag(one, pattern) if isinstance(one, Tag) else self._of_counter(one, pattern)
                self.reader.keep(self, index, made)
                if isinstance(one, Tag):
                    self._often_enough(one, made)

    def _at_most(self, key: str, found: int | None, most: int, whole: Text) -> None:
        if found is not None and found > most:
            self.add((key,), c.PERIOD_TOO_MANY, key=key, found=found, most=most, whole=whole)

    def _made(self, written: PeriodFile, rule: _Rule, length_s: int) -> PeriodTag:
        """The rule, without a tag."""
        flow = None if written.weight_by is None else self.reader.beside(self, "weight_by", written.weight_by)
        nobody = TagRef("", "")
        return PeriodTag(
            nobody,
            nobody,
            ValueType.FLOAT64,
            sum_unit=written.sum_unit or "",
            mean=Mean.FLOW if written.weight_by is not None else rule.mean,
            minute_s=length_s,
            min_samples=_or(written.min_samples, rule.per_minute * length_s // 60),
            share=rule.share if written.valid_share is None else written.valid_share,
            valid_minutes=_or(written.valid_minutes, ceil(rule.minutes * (3600 // length_s))),
            valid_hours=_or(written.valid_hours, rule.hours),
            uncertain=rule.uncertain if written.uncertain is None else written.uncertain == "valid",
            weight_by=flow,
            integral_s=None if written.integral_per is None else float(written.integral_per),
            maintenance=self._state("maintenance", written.maintenance),
            calibration=self._state("calibration", written.calibration),
        )

    def _state(self, key: str, written: StateFile | None) -> Beside | None:
        return None if written is None else self.reader.beside(self, key, written.tag, written.values)

    def _named(self, index: int, pattern: str) -> Iterator[Tag | Counter]:
        """A name, or all that fit a pattern and are no text."""
        tags = {n: t for n, t in self.draft.tags.items() if not t.group.startswith("total.")}
        if pattern in self.counters:
            yield self.counters[pattern]
        elif pattern in tags:
            if tags[pattern].type is ValueType.STRING:
                self.add(("tags", index), c.PERIOD_TEXT, tag=pattern)
            else:
                yield tags[pattern]
        else:
            fits = [t for n, t in tags.items() if fnmatchcase(n, pattern) and t.type is not ValueType.STRING]
            if not fits and _whole(self.draft):
                known = [*tags, *self.counters]
                values: dict[str, object] = {"pattern": pattern, "device": self.draft.name}
                self.add(("tags", index), c.PERIOD_NO_TAG, hint=hint(pattern, known), **values)
            yield from fits

    def _of_tag(self, tag: Tag, pattern: PeriodTag) -> PeriodTag:
        me = TagRef(self.draft.name, tag.name)
        unit = pattern.sum_unit or _sum_unit(tag.unit, pattern.integral_s)
        return replace(
            pattern,
            tag=me,
            key=me,
            type=tag.type,
            unit=tag.unit,
            sum_unit=unit,
            scaling=tag.scaling,
            max_age_s=_age_s(self.draft, tag),
        )

    def _of_counter(self, counter: Counter, pattern: PeriodTag) -> PeriodTag:
        given = self.draft.document.get(self.path)
        for key in _MEANINGLESS if isinstance(given, dict) else ():
            if given.get(key) is not None:
                self.add((key,), c.PERIOD_COUNTER_KEY, key=key, tag=counter.name)
        unit = pattern.sum_unit or counter.unit
        source = self.reader.drafts.get(counter.tag.device)
        tag = source.tags.get(counter.tag.tag) if source is not None else None
        age_s = counter.max_gap_s if source is None or tag is None else _age_s(source, tag)
        return PeriodTag(
            TagRef(self.draft.name, counter.name),
            counter.tag,
            ValueType.FLOAT64,
            counter.unit,
            unit,
            mean=Mean.COUNTER,
            minute_s=pattern.minute_s,
            share=pattern.share,
            max_age_s=max(age_s, counter.max_gap_s),
        )

    def _often_enough(self, tag: Tag, made: PeriodTag) -> None:
        """A minute that cannot become valid, or only just, is worth a word."""
        period_s = self.draft.periods_s.get(tag.group)
        if not period_s or not made.min_samples or tag.group in _subscribed(self.draft):
            return
        values: dict[str, object] = {"tag": tag.name, "period": f"{period_s:g}s"}
        key: Path = ("min_samples",) if self._says("min_samples") else ("rule",)
        if made.min_samples > made.minute_s / period_s:
            length = f"{made.minute_s // 60}min"
            self.add(key, c.PERIOD_RARE, length=length, wanted=made.min_samples, **values)
        elif made.min_samples == made.minute_s / period_s:
            self.add(key, c.W_PERIOD_MARGIN, **values)

    def _says(self, key: str) -> bool:
        return self.draft.document.get((*self.path, key)) is not None


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _age_s(draft: Draft, tag: Tag) -> float:
    return draft.ages_s.get(tag.group) or default_age_s(draft.periods_s.get(tag.group, 1.0))


def _subscribed(draft: Draft) -> frozenset[str]:
    if draft.plugin is None or draft.settings is None:
        return frozenset()
    return frozenset(draft.plugin.subscribed(draft.settings))


def _whole(draft: Draft) -> bool:
    """Whether every tag of it is known, so that an absent one is a mistake."""
    if draft.table is not None:
        known = draft.tags.keys() | draft.arrays.keys()
        return draft.table.usable and all(name in known for name in draft.table.names)
    return bool(draft.listed_in) and not draft.unsound


def _sum_unit(unit: str, per_s: float | None) -> str:
    """kW over hours is kWh, L/s over seconds is L; else the unit times the time, as plainly as possible."""
    if per_s is None:
        return unit
    name = next((name for name, seconds in _TIMES.items() if seconds == per_s), f"{per_s:g}s")
    if unit.endswith(f"/{name}"):
        return unit.removesuffix(f"/{name}")
    joined = "" if unit.endswith("W") and name == "h" else "·"
    return f"{unit}{joined}{name}" if unit else name
