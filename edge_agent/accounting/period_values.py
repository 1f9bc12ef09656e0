"""Minute, hour and day values of chosen tags. Pure: batches and clock readings in; batches and events out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from edge_agent.accounting.calendar import HOUR
from edge_agent.accounting.period_beside import Watched
from edge_agent.accounting.period_book import PeriodBook
from edge_agent.accounting.period_increase import Increase
from edge_agent.accounting.period_intake import Intake
from edge_agent.config.period_values import Beside, PeriodTag, PeriodValues
from edge_agent.expression.rating import BAD
from edge_agent.model import Batch, Event, Quality, Schema

_PREFIX: Final = "periods:"
_AT_ONCE: Final = 20_000  # values per tick: two days that are told late do not come all at once
_UNCHANGED: Final = int(Quality.UNCHANGED)


@dataclass(slots=True)
class Closed:
    """``batches``: one per device and period, in the order of their ends."""

    batches: list[Batch] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What a batch of one schema is to us."""

    intakes: tuple[tuple[PeriodBook, Intake], ...] = ()
    watched: tuple[tuple[int, Watched], ...] = ()
    registers: tuple[tuple[int, str, Increase], ...] = ()


class PeriodProducer:
    """``on_batch`` for every batch, after derived values and counters have heard it; ``tick`` about twice a
    second. Call it from one thread. ``total_of``: the total of a register (``DEVICE.TAG``), None while it is
    not known.

    A restart: ``restore_rows``, then ``know`` with every batch the store holds from ``replay_from_ns`` on,
    ``went_on``, and ``on_batch(..., replay=True)`` with the stored samples from that moment on, in order.
    What the store holds is not told again; what it lacks is told from the samples, as if there had been no
    restart. ``rows`` must be saved only when all that was told is durable.
    """

    def __init__(
        self,
        plan: PeriodValues,
        config_version: str,
        total_of: Callable[[str], Decimal | None] = lambda key: None,
    ) -> None:
        self._version = config_version
        self._grace_ns = round(plan.grace_s * 1e9)
        self._total_of = total_of
        self._watched = {beside: Watched(beside) for tag in plan.tags for beside in _besides(tag)}
        by_device: dict[str, list[PeriodTag]] = {}
        for tag in plan.tags:
            by_device.setdefault(tag.tag.device, []).append(tag)
        self.books = {
            device: PeriodBook(device, tags, config_version, self._watched)
            for device, tags in by_device.items()
        }
        self._readers: dict[str, _Reader | None] = {}
        self._said: dict[str, tuple[int, int]] = {}  # by device: late samples told of, and when
        self._elsewhere: dict[str, Any] = {}  # rows of devices that are not configured any more

    @property
    def late_samples(self) -> int:
        """Of all devices, since their first start."""
        return sum(book.late_samples for book in self.books.values())

    def on_batch(self, batch: Batch, *, replay: bool = False) -> None:
        """Costs one look-up where no tag of the batch is chosen."""
        schema = batch.schema
        try:
            reader = self._readers[schema.digest]
        except KeyError:
            reader = self._readers[schema.digest] = self._bind(schema)
        if reader is None:
            return
        for index, watched in reader.watched:
            watched.say(batch.time_ns, batch.values[index], batch.quality[index])
        for book, intake in reader.intakes:
            if not replay or batch.time_ns > book.booked_ns(schema.group):
                intake.put(batch)
        for index, key, increase in () if replay else reader.registers:
            quality = batch.quality[index]
            if quality < BAD or quality == _UNCHANGED:
                total = self._total_of(key)
                if total is not None:
                    increase.say(batch.time_ns, total)

    def tick(self, mono_ns: int, time_ns: int) -> Closed:
        """Closes what ended ``grace`` ago or longer."""
        closed, closing_ns, left = Closed(), time_ns - self._grace_ns, _AT_ONCE
        for book in self.books.values():
            book.begin(time_ns)
            leap = book.leap(closing_ns, mono_ns)
            if leap is not None:
                detail = {"from_ns": leap[0], "to_ns": leap[1]}
                closed.batches += leap[2]
                closed.events.append(self._event("period_gap", book.device, time_ns, mono_ns, detail))
            while left > 0 and book.due(closing_ns):
                for batch in book.close_next(mono_ns):
                    closed.batches.append(batch)
                    left -= len(batch.values)
            self._late(closed, book, time_ns, mono_ns)
        return closed

    def _late(self, closed: Closed, book: PeriodBook, time_ns: int, mono_ns: int) -> None:
        told, said_ns = self._said.get(book.device, (0, mono_ns - HOUR))
        if book.late_samples > told and mono_ns - said_ns >= HOUR:
            detail = {"samples": book.late_samples - told, "oldest_ns": book.late_ns}
            closed.events.append(self._event("period_late", book.device, time_ns, mono_ns, detail))
            self._said[book.device] = book.late_samples, mono_ns

    def _event(self, kind: str, device: str, time_ns: int, mono_ns: int, detail: dict[str, Any]) -> Event:
        return Event(kind, device, time_ns, mono_ns, self._version, detail)

    def _bind(self, schema: Schema) -> _Reader | None:
        places = {f"{schema.device}.{name}": index for index, name in enumerate(schema.names)}
        book = self.books.get(schema.device)
        intake = book.intake(schema) if book is not None else None
        watched = [
            (places[str(beside.tag)], seen)
            for beside, seen in self._watched.items()
            if str(beside.tag) in places
        ]
        registers = [
            (places[key], key, one)
            for book_ in self.books.values()
            for key, one in book_.increases.items()
            if key in places
        ]
        if intake is None and not watched and not registers:
            return None
        pairs = ((book, intake),) if book is not None and intake is not None else ()
        return _Reader(pairs, tuple(watched), tuple(registers))

    # --- restart and reload --------------------------------------------------------------------------------

    def rows(self) -> dict[str, Any]:
        """All state, JSON-able, by the name under which each part is stored (``periods:...``)."""
        return self._elsewhere | {_PREFIX + name: book.snapshot() for name, book in self.books.items()}

    def restore_rows(self, rows: Mapping[str, Any]) -> list[str]:
        """Before the first batch. Returns what could not be used: those devices begin anew."""
        failed = []
        for name, row in rows.items():
            if not name.startswith(_PREFIX):
                continue
            book = self.books.get(name.removeprefix(_PREFIX))
            if book is None:
                self._elsewhere[name] = row
                continue
            try:
                book.restore(row)
            except (KeyError, TypeError, ValueError, AttributeError, LookupError):
                failed.append(name)
                again = PeriodBook(book.device, book.tags, self._version, self._watched)
                self.books[book.device] = again
        for book in self.books.values():
            self._said[book.device] = book.late_samples, -HOUR
        return failed

    def replay_from_ns(self) -> int | None:
        """From when on the stores are to be read after ``restore_rows``: the oldest minute not closed; None
        where nothing was restored."""
        marks = [book.mark_ns for book in self.books.values() if book.mark_ns is not None]
        return min(marks, default=None)

    def know(self, batch: Batch) -> None:
        """A period batch that the store holds."""
        book = self.books.get(batch.schema.device)
        if book is not None:
            book.know(batch)

    def went_on(self) -> None:
        """After the last ``know``."""
        for book in self.books.values():
            book.go_on()


def _besides(tag: PeriodTag) -> Iterator[Beside]:
    for beside in (tag.weight_by, tag.maintenance, tag.calibration):
        if beside is not None:
            yield beside
