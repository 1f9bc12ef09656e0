"""The limits a window states in its file: keys -> ``Limit``, each with the settings it has of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.config import catalogue as c
from edge_agent.config.meanings import span
from edge_agent.config.process import Alarming, Early, Limit, LimitKind, Plausible, Priority
from edge_agent.config.quantities import exact, number
from edge_agent.config.suggest import NOTHING, hint, listed
from edge_agent.config.window_place import Place
from edge_agent.config.window_shapes import AlarmKeys, LimitFile, RateFile, WindowFile
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

ABSOLUTE = (LimitKind.LOLO, LimitKind.LOW, LimitKind.HIGH, LimitKind.HIHI)
PLAIN = (LimitKind.LOW, LimitKind.HIGH)
RATES = (LimitKind.RISE, LimitKind.FALL)


_ALARMING = Alarming()
_FEWEST = 8  # readings from which a trend is told


@dataclass(slots=True)
class Stated:
    """What a window says of itself; ``limits`` grow by what is handed down."""

    limits: dict[LimitKind, Limit] = field(default_factory=dict)
    tolerance: float | None = None
    deadband: float = 0.0
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    alarming: Alarming = _ALARMING
    allowed: tuple[int | bool | str, ...] = ()
    plausible: Plausible | None = None
    early: Early | None = None
    sound: bool = True

    def plain(self, kind: LimitKind, value: float | None, tolerance: float | None = None) -> Limit:
        """A limit with the settings of the window."""
        return Limit(
            kind, value, tolerance, self.deadband, self.on_delay_s, self.off_delay_s, alarming=self.alarming
        )


class Alarmings:
    """Makes each setting once: 5,000 windows share a few objects."""

    def __init__(self) -> None:
        self._known: dict[Alarming, Alarming] = {}
        self.default = self.of(_ALARMING)

    def of(self, alarming: Alarming) -> Alarming:
        return self._known.setdefault(alarming, alarming)

    def read(self, keys: AlarmKeys, default: Alarming) -> Alarming:
        given = keys.model_fields_set
        if not given & AlarmKeys.model_fields.keys():
            return default
        return self.of(
            Alarming(
                default.priority if keys.priority is None else Priority[keys.priority.upper()],
                default.latch if keys.latch is None else keys.latch,
                default.ack if keys.ack is None else keys.ack,
                default.realarm_s if keys.realarm is None else float(keys.realarm),
                default.first_out if keys.first_out is None else keys.first_out,
                default.max_shelve_s if keys.max_shelve is None else float(keys.max_shelve),
            )
        )


class LimitReader:
    """One window at a time; mistakes are reported at their place, and ``Stated.sound`` says so."""

    def __init__(self) -> None:
        self.alarmings = Alarmings()

    def read(self, place: Place, written: WindowFile, tag: Tag) -> Stated:
        stated = Stated(
            tolerance=written.tolerance,
            deadband=written.deadband,
            on_delay_s=float(written.on_delay),
            off_delay_s=float(written.off_delay),
            alarming=self.alarmings.read(written, self.alarmings.default),
        )
        stated.sound = _target(place, written)
        period_s = place.draft.periods_s.get(tag.group, 1.0)
        for limit in self._absolute(place, written, stated):
            stated.limits[limit.kind] = limit
        for kind in RATES:
            block: RateFile | None = getattr(written, kind)
            if block is not None:
                stated.limits[kind] = self._rate(place, kind, block, stated, period_s)
        if written.allowed is not None:
            self._allowed(place, written.allowed, tag, stated)
        self._plausible(place, written, stated)
        if (bad := written.bad_input) is not None:
            alarming = self.alarmings.read(bad, stated.alarming)
            kind = LimitKind.BAD_INPUT
            delays = float(bad.on_delay), float(bad.off_delay)
            stated.limits[kind] = Limit(kind, None, None, 0.0, *delays, alarming=alarming)
        self._early(place, written, stated, period_s)
        return stated

    # --- lolo, low, high, hihi -----------------------------------------------------------------------------

    def _absolute(self, place: Place, written: WindowFile, stated: Stated) -> Iterator[Limit]:
        for kind in ABSOLUTE:
            block: LimitFile | None = getattr(written, kind)
            if block is not None:
                stated.sound &= _one_number(place, str(kind), block)
                yield Limit(
                    kind,
                    block.at,
                    block.tolerance,
                    stated.deadband if block.deadband is None else block.deadband,
                    stated.on_delay_s if block.on_delay is None else float(block.on_delay),
                    stated.off_delay_s if block.off_delay is None else float(block.off_delay),
                    alarming=self.alarmings.read(block, stated.alarming),
                )
            elif kind in PLAIN and written.tolerance is not None:
                yield stated.plain(kind, None, written.tolerance)

    def _rate(self, place: Place, kind: LimitKind, block: RateFile, stated: Stated, period_s: float) -> Limit:
        key, per, over_s = str(kind), exact(float(block.per)), float(block.over)
        if block.deadband >= block.at:
            values = {"deadband": number(block.deadband), "at": number(block.at)}
            place.add((key, "deadband"), c.RATE_DEADBAND, key=key, **values)
            stated.sound = False
        if 0 < over_s < period_s:
            spans = {"over": f"{over_s:g}s", "period": f"{period_s:g}s"}
            place.add((key, "over"), c.RATE_OVER, key=key, **spans)
            stated.sound = False
        return Limit(
            kind,
            float(exact(block.at) / per),
            None,
            float(exact(block.deadband) / per),
            stated.on_delay_s if block.on_delay is None else float(block.on_delay),
            stated.off_delay_s if block.off_delay is None else float(block.off_delay),
            over_s,
            self.alarmings.read(block, stated.alarming),
        )

    # --- discrete ------------------------------------------------------------------------------------------

    def _allowed(
        self, place: Place, written: list[bool | int | float | str], tag: Tag, stated: Stated
    ) -> None:
        what = _not_discrete(tag)
        if what is not None:
            place.add("allowed", c.NOT_DISCRETE, tag=tag.name, what=what)
            stated.sound = False
            return
        labels = {text: value for value, text in tag.labels}
        found: list[int | bool | str] = []
        for index, item in enumerate(written):
            value = _state(item, tag, labels)
            if value is None:
                self._unknown_state(place, index, item, tag, labels)
                stated.sound = False
            elif value not in found:
                found.append(value)
        if tag.type is ValueType.BOOL and len(found) == 2:
            place.add("allowed", c.W_ALL_ALLOWED, tag=tag.name)
        stated.allowed = tuple(found)
        stated.limits[LimitKind.STATE] = Limit(
            LimitKind.STATE,
            on_delay_s=stated.on_delay_s,
            off_delay_s=stated.off_delay_s,
            alarming=stated.alarming,
        )

    def _unknown_state(
        self, place: Place, index: int, item: object, tag: Tag, labels: dict[str, int]
    ) -> None:
        known = [*labels, "true", "false"] if tag.type is ValueType.BOOL else list(labels)
        possible: object = listed(known)
        if not known:
            possible = Text("text", "文字") if tag.type is ValueType.STRING else Text("whole numbers", "整数")
        at = place.draft.document.value((*place.path, "allowed", index))
        shown = str(item).lower() if isinstance(item, bool) else str(item)
        values = {"found": shown, "tag": tag.name, "type": tag.type, "known": possible}
        path = (*place.path, "allowed", index)
        place.collector.add(place.source, at, c.UNKNOWN_STATE, path, **values, hint=hint(shown, known))

    # --- what can be believed, and early warning -----------------------------------------------------------

    def _plausible(self, place: Place, written: WindowFile, stated: Stated) -> None:
        block = written.plausible
        if block is None:
            return
        if block.low is None and block.high is None and block.slope is None and block.frozen is None:
            place.add("plausible", c.NOTHING_IN_BLOCK, key="plausible", known="low, high, slope, frozen")
            stated.sound = False
        if block.low is not None and block.high is not None and block.low >= block.high:
            names = {"lower": "plausible.low", "upper": "plausible.high", "by": NOTHING}
            values = {"below": number(block.low), "above": number(block.high)}
            place.add(("plausible", "low"), c.LIMIT_ORDER, **names, **values)
            stated.sound = False
        slope = block.slope
        stated.plausible = Plausible(
            block.low,
            block.high,
            None if slope is None else float(exact(slope.at) / exact(float(slope.per))),
            None if block.frozen is None else float(block.frozen),
        )

    def _early(self, place: Place, written: WindowFile, stated: Stated, period_s: float) -> None:
        """Advice has an alarm of its own priority; it neither latches nor is announced again."""
        block = written.early
        if block is None:
            return
        if block.ahead is None and not block.rules:
            place.add("early", c.NOTHING_IN_BLOCK, key="early", known="ahead, rules")
            stated.sound = False
        over_s = float(block.over)
        if block.ahead is not None and over_s < _FEWEST * period_s:
            unit = Text("the poll period", "轮询周期")
            spans = {"found": f"{over_s:g}s", "other": f"{period_s:g}s", "count": _FEWEST, "unit": unit}
            place.add(("early", "over"), c.SHORT_SPAN, key="over", **spans)
            stated.sound = False
        ahead_s = None if block.ahead is None else float(block.ahead)
        rules = tuple(sorted({int(rule) for rule in block.rules}))
        stated.early = Early(over_s, ahead_s, rules, float(block.every))
        alarming = self.alarmings.of(
            Alarming(
                Priority[block.priority.upper()],
                ack=stated.alarming.ack,
                max_shelve_s=stated.alarming.max_shelve_s,
            )
        )
        if ahead_s is not None:
            stated.limits[LimitKind.EARLY] = Limit(LimitKind.EARLY, alarming=alarming)
        if rules:
            stated.limits[LimitKind.PATTERN] = Limit(LimitKind.PATTERN, alarming=alarming)


def _target(place: Place, written: WindowFile) -> bool:
    """Limits or target, whole and not both."""
    blocks = {key: getattr(written, key) for key in ABSOLUTE if getattr(written, key) is not None}
    relative = [key for key, block in blocks.items() if block.tolerance is not None]
    if written.target is None:
        if written.tolerance is not None:
            place.add("tolerance", c.TOLERANCE_ALONE)
        for key in relative:
            if blocks[key].at is None:
                place.add((str(key), "tolerance"), c.TOLERANCE_ALONE)
        return written.tolerance is None and not relative
    if any(key in blocks and blocks[key].at is not None for key in PLAIN):
        place.add("target", c.TARGET_AND_LIMITS)
        return False
    if written.tolerance is None and not relative:
        place.add("target", c.TARGET_ALONE)
        return False
    return True


def _one_number(place: Place, key: str, block: LimitFile) -> bool:
    if block.at is None and block.tolerance is None:
        place.add(key, c.LIMIT_EMPTY, key=key)
        return False
    if block.at is not None and block.tolerance is not None:
        place.add((key, "tolerance"), c.AT_AND_TOLERANCE, key=key)
        return False
    return True


def _not_discrete(tag: Tag) -> Text | None:
    if tag.type.is_float:
        return Text(f"a decimal number ({tag.type})", f"小数（{tag.type}）")
    if tag.scaling is not None:
        return Text("scaled", "带倍率的量")
    return None


def _state(item: bool | int | float | str, tag: Tag, labels: dict[str, int]) -> int | bool | str | None:
    """The raw value that is meant, None for none of this tag."""
    if tag.type is ValueType.STRING:
        return item if isinstance(item, str) else None if isinstance(item, bool) else str(item)
    value: bool | int | float | str | None = item
    if isinstance(item, str):
        value = labels.get(item.strip())
    if tag.type is ValueType.BOOL:
        return bool(value) if value in (0, 1) and not isinstance(value, float) else None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and isinstance(value, int) and _holds(tag.type, value) else None


def _holds(kind: ValueType, value: int) -> bool:
    low, high = span(kind)
    return low <= value <= high
