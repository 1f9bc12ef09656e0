"""One poll group as control sees it: its newest batch, and the compiled check of the windows that read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.config.model import TagRef
from edge_agent.control.inputs import NO_STATEMENT, UNCHANGED, Input, Meaning
from edge_agent.control.lanes import Column, Lanes
from edge_agent.control.limits import REGARDLESS
from edge_agent.model import Batch, Schema, Value

if TYPE_CHECKING:
    from edge_agent.control.window import Watcher

    Step = Callable[[Value, Batch], bool]

PATIENCE = 4  # batches without a change before lanes are built: that costs as much as some twenty checks
FEWEST = 8  # windows for which lanes are worth it
_FOREVER_NS = 1 << 62


class Group:
    """``quiet``: windows that are inside, with the bounds of their raw values. ``discrete``: (index, allowed
    raw values, window) of quiet windows. ``paced``: (index, fall, rise, window) of those whose raw value must
    not change faster; ``stepped``: (index, step, window) of those that take note of every statement.
    ``watched``: (index, raw value) of set-points and conditions that quiet windows rely
    on. ``loud``: windows that are looked at with every batch. ``tracked``: those that must hear every
    statement while batches do not speak of every tag. ``allowed_age_ns``, ``others``: how old this
    group and others may be before quiet windows must be looked at as well.

    ``quality``: of the newest batch. All this holds while the next batch has the very same, or says of each
    tag it speaks of the same as before (``known_with``); None where a batch did not speak of every tag.
    """

    __slots__ = (
        "_calm", "_held", "_lanes", "_relied", "allowed_age_ns", "batch", "dirty", "discrete", "fresh_ns",
        "inputs", "key", "loud", "mono_ns", "others", "paced", "quality", "quiet", "schema", "stepped",
        "tracked", "watched", "windows",
    )  # fmt: skip

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        self.schema: Schema | None = None
        self.inputs: list[Input] = []
        self.windows: tuple[Watcher, ...] = ()
        self.batch: Batch | None = None
        self.mono_ns: int | None = None
        self.fresh_ns = 0  # no input that a quiet window relies on spoke last before this moment
        self.quality: bytes | None = None
        self.dirty = True  # what follows is out of date
        self.quiet: tuple[Watcher, ...] = ()
        self.discrete: list[tuple[int, frozenset[int | bool | str], Watcher]] = []
        self.paced: list[tuple[int, float, float, Watcher]] = []
        self.stepped: list[tuple[int, Step, Watcher]] = []
        self.watched: list[tuple[int, Value]] = []
        self.loud: list[Watcher] = []
        self.tracked: list[Watcher] = []
        self.allowed_age_ns = _FOREVER_NS
        self.others: list[tuple[Group, int]] = []
        self._relied: list[Input] = []  # inputs of this group that quiet windows read
        self._calm = 0  # batches since the last change
        self._held: tuple[Sequence[Value], bytes] | None = None  # said last, if not by the newest batch alone
        self._lanes: Lanes | None = None

    def bind(self, schema: Schema, inputs: dict[TagRef, Input]) -> None:
        """Takes over the inputs whose tags stand in the schema, with what they last said."""
        for held in self.inputs:
            held.pull()
            held.group = None
        self.schema, self.batch, self.quality, self.dirty = schema, None, None, True
        self._held = None
        self.inputs = []
        meanings: dict[Meaning, Meaning] = {}
        for index, name in enumerate(schema.names):
            found = inputs.get(TagRef(schema.device, name))
            if found is not None:
                meaning = Meaning(schema.types[index], schema.scaling[index])
                self._adopt(found, index, schema.units[index])
                found.mean(meanings.setdefault(meaning, meaning))

    def _adopt(self, found: Input, index: int, unit: str) -> None:
        if found.group is not None:  # the tag has moved to another poll group
            found.pull()
            found.group.inputs.remove(found)
            found.group.dirty = True
        found.group, found.index, found.unit = self, index, unit
        self.inputs.append(found)

    def release(self) -> None:
        """After a reload: the tags that are read from now on are other ones."""
        self.inputs, self.windows, self.schema, self.batch = [], (), None, None
        self.quality, self._held, self.dirty = None, None, True

    def complete(self, batch: Batch) -> Batch:
        """The batch with what was said before in place of UNCHANGED, which vouches for it. Where that makes a
        batch like the one before, it is as cheap as any."""
        if self.batch is None:
            return batch
        values, quality = self._said()
        known = [
            before if said == UNCHANGED and before < NO_STATEMENT else said
            for said, before in zip(batch.quality, quality, strict=True)
        ]
        filled = [
            before if said == UNCHANGED else value
            for said, value, before in zip(batch.quality, batch.values, values, strict=True)
        ]
        return replace(batch, values=tuple(filled), quality=bytes(known))

    def _said(self) -> tuple[Sequence[Value], bytes]:
        assert self.batch is not None
        return self._held or (self.batch.values, self.batch.quality)

    def _hold(self, batch: Batch) -> None:
        """Keeps what the batch does not speak of."""
        if self.batch is None:
            self._held = None
            return
        values, quality = self._said()
        kept = bytes(
            [
                said if said < NO_STATEMENT else before
                for said, before in zip(batch.quality, quality, strict=True)
            ]
        )
        self._held = _filled(batch, values), kept

    def known_with(self, batch: Batch) -> tuple[Value, ...] | None:
        """The values that are known once the batch has come: of the tags it does not speak of those from
        before. None when it says of some tag another quality than before."""
        if self.batch is None:
            return None
        values, quality = self._said()
        if batch.quality == quality:
            return batch.values
        pairs = zip(batch.quality, quality, strict=True)
        if not all(said == before or said >= NO_STATEMENT for said, before in pairs):
            return None
        return _filled(batch, values)

    def overdue(self, now_ns: int) -> bool:
        """Whether an input of a quiet window may be too old by now (never False when one is)."""
        if now_ns - self.fresh_ns > self.allowed_age_ns:
            return True
        for other, age_ns in self.others:
            if other.dirty:
                other.sort()
            if now_ns - other.fresh_ns > age_ns:
                return True
        return False

    def settled(self, now_ns: int) -> bool:
        """Whether time alone can change nothing yet for the quiet windows that read their source here."""
        if self.dirty:
            self.sort()
        return not self.overdue(now_ns)

    def apply(self, batch: Batch) -> None:
        """Makes the batch the newest. Before one that does not speak of every tag each window of ``tracked``
        must have pulled its inputs, so that what was said before is kept."""
        partial = batch.quality != self.quality and max(batch.quality, default=0) >= NO_STATEMENT
        if partial:
            self._hold(batch)
            for held in self.inputs:
                held.pull()  # what the batch before said, which is let go of here
        else:
            self._held = None
        self.batch, self.mono_ns = batch, batch.mono_ns
        if not partial:
            self.quality, self.fresh_ns = batch.quality, batch.mono_ns
        else:
            self.quality = None
            for held in self.inputs:
                held.pull()
            self.fresh_ns = self._oldest_ns()

    def _oldest_ns(self) -> int:
        return min([held.mono_ns or 0 for held in self._relied], default=0)

    def beyond(self, values: tuple[Value, ...]) -> Sequence[Watcher]:
        """The quiet windows whose value is not within their bounds. Raises TypeError where there is no
        number to compare."""
        if self._lanes is not None:
            if self._lanes.hold(values):
                return ()
        else:
            self._calm += 1
            if self._calm > PATIENCE and len(self.quiet) >= FEWEST:
                self._lanes = self._compiled(len(values))
        hits = []
        for window in self.quiet:
            low, high = window.bounds[2:]  # type: ignore[index]  # sorted by this
            if not low <= values[window.source.index] <= high:  # type: ignore[operator]  # TypeError: see above
                hits.append(window)
        return hits

    def stirred(self, batch: Batch) -> list[Watcher]:
        """The quiet windows that are to be looked at for another reason than the bounds of their value. Each
        that takes note of its source's statements has heard this one afterwards: call it once per batch."""
        values = batch.values
        found = self.switched(values)
        if self.paced and self.batch is not None and self.mono_ns is not None:
            before, elapsed_ns = self.batch.values, batch.mono_ns - self.mono_ns
            for index, fall, rise, window in self.paced:
                change = values[index] - before[index]  # type: ignore[operator]  # numbers: see ``beyond``
                if not fall * elapsed_ns <= change <= rise * elapsed_ns:
                    found.append(window)
        for index, step, window in self.stepped:
            if step(values[index], batch):
                found.append(window)
        return found

    def switched(self, values: tuple[Value, ...]) -> list[Watcher]:
        """The quiet windows whose value is not one of those allowed."""
        return [window for index, allowed, window in self.discrete if values[index] not in allowed]

    def _compiled(self, width: int) -> Lanes:
        columns = []
        for window in self.quiet:
            bounds, source = window.bounds, window.source
            assert bounds is not None and bounds.raw_low is not None and bounds.raw_high is not None
            columns.append(Column(source.index, source.meaning.type, bounds.raw_low, bounds.raw_high))
        return Lanes(columns, width)

    def sort(self) -> None:
        """Sorts the windows into quiet and loud. Called after any of them changed, before the next batch."""
        self.dirty, self._lanes, self._calm = False, None, 0
        quiet: list[Watcher] = []
        self.loud, self.discrete, self.paced, self.stepped = [], [], [], []
        ages: dict[Group, int] = {}
        watched: dict[Input, None] = {}
        relied: dict[Input, None] = {}
        self.tracked = [window for window in self.windows if window.track is not None]
        for window in self.windows:
            if window.bounds is None:
                self.loud.append(window)
                continue
            if window.bounds is REGARDLESS:
                continue
            if window.source.group is self:
                terms, index = window.terms, window.source.index
                if terms.numeric:
                    quiet.append(window)
                if terms.allowed is not None:
                    self.discrete.append((index, terms.allowed, window))
                if window.track is not None and terms.steps:
                    pace = window.track.pace()
                    if pace is None:
                        self.stepped.append((index, window.track.step, window))
                    else:
                        self.paced.append((index, *pace, window))
            for found in window.references:
                if found.group is self:
                    watched[found] = None
            for found in window.inputs:
                if found.group is self:
                    relied[found] = None
                if found.group is not None:
                    age_ns = ages.get(found.group, _FOREVER_NS)
                    ages[found.group] = min(age_ns, window.terms.max_age_ns)
        self.quiet = tuple(quiet)
        said = self._said()[0] if self.batch else ()
        self.watched = [(i.index, said[i.index]) for i in watched] if self.batch else []
        self._relied = list(relied)
        if self.quality is None:
            self.fresh_ns = self._oldest_ns()
        self.allowed_age_ns = ages.pop(self, _FOREVER_NS)
        self.others = list(ages.items())


def _filled(batch: Batch, before: Sequence[Value]) -> tuple[Value, ...]:
    """Its values, with those from before where it makes no statement."""
    pairs = zip(batch.values, batch.quality, before, strict=True)
    return tuple([value if said < NO_STATEMENT else known for value, said, known in pairs])
