"""Process windows of all devices: their references are looked up, their limits checked against each other and
against those handed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.inherit import Bounds, Handed, bounds_of, settle
from edge_agent.config.located import Collector
from edge_agent.config.model import TagRef, Window
from edge_agent.config.process import Limit, LimitKind, Origin
from edge_agent.config.shapes import WindowFile
from edge_agent.config.standards import Standards
from edge_agent.config.suggest import said
from edge_agent.config.window_checks import in_order, warn_of_plausible
from edge_agent.config.window_limits import ABSOLUTE, PLAIN, LimitReader, Stated
from edge_agent.config.window_place import Key, Place
from edge_agent.config.window_references import References
from edge_agent.model import Tag
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.config.derived_conditions import Conditions

_NUMERIC = (*ABSOLUTE, "target", "tolerance", LimitKind.RISE, LimitKind.FALL, "early")
_ORDER = {kind: place for place, kind in enumerate(LimitKind)}
_OWN = Origin()


@dataclass(frozen=True, slots=True)
class Note:
    """What ``explain`` tells of a window beside the window itself."""

    place: Place
    handed: Handed
    quantity: str
    equipment: str


class WindowReader:
    """``complete``: every device file gave a device, so that an unknown device is really one. ``notes``: of
    each window that was read, by its name."""

    def __init__(
        self,
        drafts: Mapping[str, Draft],
        complete: bool,
        collector: Collector,
        standards: Standards | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        self.collector = collector
        self.standards = standards or Standards()
        self.references = References(drafts, complete, conditions)
        self.limits = LimitReader()
        self.notes: dict[str, Note] = {}
        self._adopted: set[tuple[str, str]] = set()

    def read(self, draft: Draft) -> tuple[Window, ...]:
        """The sound windows of one device: those of its file, those of its table, and those that only a
        standard asks for."""
        found: dict[str, tuple[Window, str]] = {}
        limited: set[str] = set()
        for number, written in draft.windows:
            limited.add(written.tag)
            place = Place(self.collector, draft, ("windows", number))
            _limits_twice(place, written)
            window = self._from_file(place, written)
            if window is not None:
                self._keep(window, place, "name" if written.name else "tag", found)
        for name, row in draft.rows.items():
            limits = row.limits
            if (limits or (self.standards and draft.quantities.get(name))) and name not in limited:
                place = Place(self.collector, draft, ("tags", row.name), row, name)
                window = self._from_table(place, limits)
                if window is not None:
                    self._keep(window, place, "name", found)
        self._unread(draft)
        self._misspelt(draft)
        return tuple(window for window, _ in found.values())

    def _unread(self, draft: Draft) -> None:
        """Of windows with a mistake in a key: what they refer to is looked up all the same."""
        read = {number for number, _ in draft.windows}
        items = draft.document.data.get("windows")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if number in read or not isinstance(item, dict):
                continue
            place = Place(self.collector, draft, ("windows", number))
            found = {
                key: item[key] for key in ("tag", "when") if item.get(key) and isinstance(item[key], str)
            }
            written = WindowFile.model_construct(**found)
            if "tag" in found:
                self.references.own(place, written.tag)
            self.references.when(place, written, f"{draft.name}.{found.get('tag', number)}")

    def _keep(self, window: Window, place: Place, key: str, found: dict[str, tuple[Window, str]]) -> None:
        if window.name in found:
            name = window.name.split(".", 1)[1]
            place.add(key, c.DUPLICATE_WINDOW, name=name, other=found[window.name][1])
            return
        found[window.name] = (window, place.line(key))

    # --- making one window ---------------------------------------------------------------------------------

    def _from_file(self, place: Place, written: WindowFile) -> Window | None:
        draft = place.draft
        target, target_tag = self.references.target(place, written)
        tag = self.references.own(place, written.tag)
        name = f"{draft.name}.{written.name or (tag.name if tag else written.tag)}"
        when = self.references.when(place, written, name)
        if written.grace > 0 and not written.when:
            place.add("grace", c.GRACE_ALONE)
        if tag is None or not _type_fits(place, written, tag):
            return None
        stated = self.limits.read(place, written, tag)
        if target_tag is not None and target_tag.unit != tag.unit and target_tag.unit and tag.unit:
            place.add("target", c.W_UNITS, found=target_tag.unit, tag=tag.name, wanted=tag.unit)
        sound = stated.sound and (written.target is None or target is not None)
        handed = self._handed(place, written, tag) if sound else None
        if handed is None:
            return None
        number = target if isinstance(target, float) else None
        follows = isinstance(target, TagRef)
        sound = settle(place, tag, stated, number, follows, handed)
        sound = _whole(place, written.tag, stated) and sound
        sound = in_order(place, stated, number, follows) and sound
        max_age_s = _max_age(place, written, tag)
        period_s = draft.periods_s.get(tag.group, 1.0)
        warn_of_plausible(place, stated, number, period_s, max_age_s)
        if not sound:
            return None
        quantity, equipment = written.quantity or "", written.equipment or ""
        self._note(name, place, handed, tag, quantity, equipment)
        return _window(
            name,
            TagRef(draft.name, tag.name),
            tag,
            stated,
            handed,
            target=target,
            max_age_s=max_age_s,
            when=when,
            grace_s=float(written.grace),
            description=written.description or tag.description,
        )

    def _from_table(self, place: Place, limits: dict[str, float]) -> Window | None:
        draft, tag = place.draft, place.draft.tags[place.tag]
        stated = Stated(deadband=limits.get("deadband", 0.0), alarming=self.limits.alarmings.default)
        for kind in ABSOLUTE:
            if kind in limits:
                stated.limits[kind] = stated.plain(kind, limits[kind])
        handed = Handed({})
        if self.standards and draft.quantities.get(tag.name):
            bounds = self._bounds(place, "quantity", tag, "", "")
            if bounds is None:
                return None
            handed = Handed(bounds)
            if not settle(place, tag, stated, None, False, handed):
                return None
        if not stated.limits or not in_order(place, stated, None, False):
            return None
        name = f"{draft.name}.{tag.name}"
        self._note(name, place, handed, tag, "", "")
        max_age_s = _default_age(draft, tag)
        source = TagRef(draft.name, tag.name)
        return _window(name, source, tag, stated, handed, max_age_s=max_age_s, description=tag.description)

    # --- handed down ---------------------------------------------------------------------------------------

    def _handed(self, place: Place, written: WindowFile, tag: Tag) -> Handed | None:
        """None where the units do not fit. The first window of a tag adopts what it lacks."""
        key = "quantity" if written.quantity else "tag"
        bounds = self._bounds(place, key, tag, written.quantity or "", written.equipment or "")
        if bounds is None:
            return None
        key_of_tag = (place.draft.name, tag.name)
        handed = Handed(bounds, adopt=key_of_tag not in self._adopted)
        if bounds:
            self._adopted.add(key_of_tag)
        return handed

    def _bounds(self, place: Place, key: Key, tag: Tag, quantity: str, equipment: str) -> Bounds | None:
        if not self.standards:
            return {}
        quantity, equipment = _described(place.draft, tag, quantity, equipment)
        return bounds_of(self.standards, place, key, tag, quantity, equipment) if quantity else {}

    def _note(self, name: str, place: Place, handed: Handed, tag: Tag, quantity: str, equipment: str) -> None:
        described = _described(place.draft, tag, quantity, equipment)
        self.notes.setdefault(name, Note(place, handed, *described))

    def _misspelt(self, draft: Draft) -> None:
        """A quantity or a kind of equipment that no document names, but one nearly does."""
        if not self.standards:
            return
        what = Text("quantity", "物理量")
        strange = {name for name in draft.quantities.values() if name not in self.standards.quantities}
        for name in strange:
            tag = next(tag for tag, quantity in draft.quantities.items() if quantity == name)
            row = draft.rows.get(tag)
            if row is not None and (near := _near(name, self.standards.quantities)):
                place = Place(self.collector, draft, ("tags", row.name), row, tag)
                place.add("quantity", c.W_QUANTITY, what=what, found=name, hint=said(near))
        for number, written in draft.windows:
            place = Place(self.collector, draft, ("windows", number))
            if near := _near(written.quantity, self.standards.quantities):
                place.add("quantity", c.W_QUANTITY, what=what, found=written.quantity, hint=said(near))
            self._strange_equipment(place, written.equipment)
        self._strange_equipment(Place(self.collector, draft, ()), draft.equipment)

    def _strange_equipment(self, place: Place, name: str | None) -> None:
        if near := _near(name, self.standards.equipment):
            what = Text("equipment", "设备类别")
            place.add("equipment", c.W_QUANTITY, what=what, found=name, hint=said(near))


# --- one window ------------------------------------------------------------------------------------------


def _window(
    name: str,
    source: TagRef,
    tag: Tag,
    stated: Stated,
    handed: Handed,
    *,
    max_age_s: float,
    target: TagRef | float | None = None,
    when: TagRef | None = None,
    grace_s: float = 0.0,
    description: str = "",
) -> Window:
    limits = stated.limits
    origin = _common_origin(stated)
    low, high = (_plain_value(stated, kind, origin) for kind in PLAIN)
    further = tuple(
        limits[kind]
        for kind in sorted(limits, key=_ORDER.__getitem__)
        if limits[kind] != _plain(stated, limits[kind], origin)
    )
    return Window(
        name=name,
        source=source,
        low=low,
        high=high,
        target=target,
        tolerance=stated.tolerance,
        deadband=stated.deadband,
        on_delay_s=stated.on_delay_s,
        off_delay_s=stated.off_delay_s,
        max_age_s=max_age_s,
        when=when,
        unit=tag.unit,
        description=description,
        alarming=stated.alarming,
        further=further,
        allowed=stated.allowed,
        plausible=stated.plausible,
        early=stated.early,
        grace_s=grace_s,
        standards=handed.standards,
        origin=origin,
    )


def _common_origin(stated: Stated) -> Origin:
    """Of the plain limits: the line's where one of them is its own."""
    plain = [stated.limits[kind] for kind in (*PLAIN, LimitKind.STATE) if kind in stated.limits]
    if any(not limit.origin.standard for limit in plain) or not plain:
        return _OWN
    return plain[0].origin


def _plain(stated: Stated, limit: Limit, origin: Origin) -> Limit | None:
    """What the window itself stands for; a limit that differs from it goes into ``further``."""
    if limit.kind is LimitKind.STATE:
        return Limit(
            limit.kind,
            on_delay_s=stated.on_delay_s,
            off_delay_s=stated.off_delay_s,
            alarming=stated.alarming,
            origin=origin,
        )
    if limit.kind not in PLAIN:
        return None
    return Limit(
        limit.kind,
        limit.value,
        stated.tolerance,
        stated.deadband,
        stated.on_delay_s,
        stated.off_delay_s,
        alarming=stated.alarming,
        origin=origin,
    )


def _plain_value(stated: Stated, kind: LimitKind, origin: Origin) -> float | None:
    limit = stated.limits.get(kind)
    if limit is None or limit != _plain(stated, limit, origin):
        return None
    return limit.value


def _type_fits(place: Place, written: WindowFile, tag: Tag) -> bool:
    """Only numbers have limits; texts and bools have allowed values."""
    if tag.type.is_numeric:
        return True
    given = [str(key) for key in _NUMERIC if getattr(written, key) is not None]
    wrong: Key | None = given[0] if given else None
    if written.plausible is not None:
        edges = [key for key in ("low", "high", "slope") if getattr(written.plausible, key) is not None]
        wrong = wrong or (("plausible", edges[0]) if edges else None)
    if wrong is None and (written.allowed is not None or written.bad_input is not None):
        return True
    early = wrong in (None, "low", "high", "target", "tolerance") and written.allowed is None
    place.add("tag" if wrong is None or early else wrong, c.NOT_NUMERIC, tag=tag.name, type=tag.type)
    return False


def _whole(place: Place, tag: str, stated: Stated) -> bool:
    """Whether there is anything to judge, and to come near."""
    if not stated.limits:
        place.add("tag", c.NO_LIMITS, tag=tag)
        return False
    early = stated.early
    if early is not None and early.ahead_s is not None and not any(k in stated.limits for k in ABSOLUTE):
        place.add(("early", "ahead"), c.EARLY_NO_LIMIT, tag=tag)
        return False
    return True


def _max_age(place: Place, written: WindowFile, tag: Tag) -> float:
    if written.max_age is None:
        return _default_age(place.draft, tag)
    period = place.draft.periods_s.get(tag.group, 1.0)
    age = float(written.max_age)
    if age < period:
        place.add("max_age", c.W_SHORT_AGE, age=f"{age:g}s", period=f"{period:g}s")
    return age


def _default_age(draft: Draft, tag: Tag) -> float:
    own = draft.ages_s.get(tag.group)
    return max(3 * draft.periods_s.get(tag.group, 1.0), 1.0) if own is None else own


def _described(draft: Draft, tag: Tag, quantity: str, equipment: str) -> tuple[str, str]:
    """What a tag measures, and of which kind of equipment; the window's word counts first."""
    return quantity or draft.quantities.get(tag.name, ""), equipment or draft.equipment


def _near(name: str | None, known: set[str]) -> str | None:
    """A known word that was probably meant by one that is not known."""
    if not name or name in known:
        return None
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), None)


def _limits_twice(place: Place, written: WindowFile) -> None:
    table, row = place.draft.table, place.draft.rows.get(written.tag)
    if table and row and row.limits:
        column = next(iter(row.limits))
        other = table.source.row(table.position(written.tag, column)[0])
        place.add("tag", c.LIMITS_TWICE, tag=written.tag, other=other)
