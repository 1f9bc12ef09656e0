"""Stored units -> letters, and verdicts for units that need none. Pure, but for two memories: which unit
speaks for which real-time slot (``slots``), and which records wait for the rest of their moment.

A platform that has seen a DataTime drops the next packet with it. So everything of one command and one second
shares a packet (or its parts); what is still missing of it is waited for a while: a second may be cut by a
flush or by the end of a message, and one device's periods come before the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.errors import Denied
from edge_agent.model import Batch, Level
from edge_agent.uplink import PENDING, Answer, Envelope, Key, Lane, Verdict
from edge_agent.uplinks.hj212.facilities import RUNNING_HOURS, Facilities
from edge_agent.uplinks.hj212.letter import Identity, Letter, data_letter
from edge_agent.uplinks.hj212.moment import SECOND_NS, stamp
from edge_agent.uplinks.hj212.orders import Orders
from edge_agent.uplinks.hj212.record import COMMANDS, SAMPLES, Recorder, WrongUnit, kind_of
from edge_agent.uplinks.hj212.slots import Group, Slots

GATHER_S = 15.0
"""A period whose other devices have not come by then goes without them."""

REST_S = 1.5
"""The same for a second of real-time data. Live data must not wait longer."""

_ANY = ""
"""The poll group of a device of which nothing has come yet."""

NOT_CARRIED = Verdict(Answer.ACKNOWLEDGED, "nothing in it is mapped to a factor of HJ 212")
NOT_DUE = Verdict(Answer.ACKNOWLEDGED, "between two real-time packets")
NOT_WANTED = Verdict(Answer.ACKNOWLEDGED, "the platform has stopped the upload of real-time data")


@dataclass(slots=True)
class Draft:
    """``verdicts``: of units that need no packet, or cannot have one. ``parked``: units that now stand in a
    record that waits; ``freed``: those whose record waited and is among ``letters``, or refused. A unit
    stands in either list once for each of its records."""

    letters: list[Letter] = field(default_factory=list)
    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    parked: list[Key] = field(default_factory=list)
    freed: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class _Record:
    """What one packet will say, and the units that say it. ``until_ns``: 0 unless it waits."""

    kind: str
    second_ns: int
    lane: Lane
    until_ns: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    hours: list[str] = field(default_factory=list)
    sources: set[Group] = field(default_factory=set)
    keys: dict[Key, None] = field(default_factory=dict)


class Drafter:
    """``orders`` is asked for the interval of real-time packets and whether any are wanted. ``slots``
    remembers over connections who speaks for which of them."""

    def __init__(
        self,
        identity: Identity,
        recorder: Recorder,
        orders: Callable[[], Orders],
        facilities: Facilities | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._identity = identity
        self._recorder = recorder
        self._orders = orders
        self._facilities = facilities or Facilities()
        self._slots = slots or Slots()
        self._parked: dict[tuple[str, int], _Record] = {}
        self._expected = {kind: {(device, str(kind)) for device in recorder.devices} for kind in COMMANDS}
        groups = {group for group in self._slots.groups if group[0] in recorder.devices}
        unknown = recorder.devices - {device for device, _ in groups}
        self._expected[SAMPLES] = groups | {(device, _ANY) for device in unknown}

    def draft(self, items: Sequence[Envelope], on_its_way: Callable[[Key], bool], now_ns: int) -> Draft:
        """Units of the same kind and second share one packet. Denied when a tag has another unit than its
        factor."""
        draft = Draft()
        records: dict[tuple[str, int, Lane], _Record] = {}
        for item in items:
            if on_its_way(item.key):
                draft.verdicts[item.key] = PENDING
                continue
            try:
                verdict = self._enter(item, records)
            except WrongUnit as error:
                raise Denied(str(error)) from error
            if verdict is not None:
                draft.verdicts[item.key] = verdict
        for record in records.values():
            self._gather(record, draft, now_ns)
        self._go_on(draft)
        return draft

    @property
    def _slot_ns(self) -> int:
        return round(self._orders().real_time_s * 1e9)

    def next_ns(self) -> int | None:
        """When ``overdue`` has something to give."""
        return min((record.until_ns for record in self._parked.values()), default=None)

    def overdue(self, now_ns: int) -> Draft:
        """Records that have waited long enough. Who did not come is not waited for again until it has been
        seen."""
        draft = Draft()
        for place, record in list(self._parked.items()):
            if record.until_ns <= now_ns:
                del self._parked[place]
                self._expected[record.kind] &= record.sources
                draft.freed += record.keys
                self._write(draft, record)
        return draft

    def _enter(self, item: Envelope, records: dict[tuple[str, int, Lane], _Record]) -> Verdict | None:
        kind = kind_of(item.key.stream, item.schema) if item.schema is not None else ""
        if item.schema is None or not kind:
            return NOT_CARRIED
        if kind == SAMPLES and self._orders().stopped:
            return NOT_WANTED
        entered = False
        for batch, texts, hours in self._said(item, kind):
            second_ns = batch.time_ns - batch.time_ns % SECOND_NS
            record = records.setdefault((kind, second_ns, item.lane), _Record(kind, second_ns, item.lane))
            record.texts |= texts
            record.hours += hours
            record.sources.add((batch.schema.device, batch.schema.group))
            record.keys[item.key] = None
            entered = True
        if entered:
            return None
        return NOT_DUE if self._recorder.carries(item.schema, kind) else NOT_CARRIED

    def _said(self, item: Envelope, kind: str) -> Iterator[tuple[Batch, dict[str, str], list[str]]]:
        if kind == SAMPLES:
            yield from ((batch, texts, []) for batch, texts in self._readings(item))
            return
        for batch in item.batches:
            texts = self._recorder.texts(batch, kind)
            hours = self._facilities.running_texts(batch) if kind == Level.DAY else []
            if texts or hours:
                yield batch, texts, hours

    def _readings(self, item: Envelope) -> Iterator[tuple[Batch, dict[str, str]]]:
        slot_ns = self._slot_ns
        self._slots.observe(item.batches, item.lane)
        for index, batch in enumerate(item.batches):
            place = batch, item.key, index, slot_ns
            if not self._slots.free_for(*place):
                continue
            texts = self._recorder.texts(batch, SAMPLES)
            if texts:
                self._slots.take(*place)
                yield batch, texts

    def _gather(self, record: _Record, draft: Draft, now_ns: int) -> None:
        """Writes the record when it is whole; else it waits for the rest."""
        expected = self._expected[record.kind]
        expected |= {source for source in record.sources if source[0] in self._recorder.devices}
        expected -= {(device, _ANY) for device, _ in record.sources}
        place = (record.kind, record.second_ns)
        new, earlier = list(record.keys), self._parked.pop(place, None)
        if earlier is not None:
            earlier.texts |= record.texts
            earlier.hours += record.hours
            earlier.sources |= record.sources
            earlier.keys |= record.keys
            record = earlier
        if self._whole(record):
            draft.freed += [key for key in record.keys if key not in new]
            self._write(draft, record)
            return
        rest_s = REST_S if record.kind == SAMPLES else GATHER_S
        record.until_ns = record.until_ns or now_ns + round(rest_s * 1e9)
        self._parked[place] = record
        draft.parked += new

    def _whole(self, record: _Record) -> bool:
        expected = self._expected[record.kind]
        if record.kind != SAMPLES:
            return expected <= record.sources
        second, length_ns = record.second_ns // SECOND_NS, self._slot_ns
        members = self._slots.members(second)
        if members is not None:  # it goes again, and must say what it said
            return members <= record.sources
        missing = expected - record.sources
        return all(self._slots.is_past(group, record.lane, second, length_ns) for group in missing)

    def _go_on(self, draft: Draft) -> None:
        """What has come since tells that nothing more comes for some of what waits."""
        for place, record in list(self._parked.items()):
            if record.kind == SAMPLES and self._whole(record):
                del self._parked[place]
                draft.freed += record.keys
                self._write(draft, record)

    def _write(self, draft: Draft, record: _Record) -> None:
        second = record.second_ns // SECOND_NS if record.kind == SAMPLES else 0
        if second:
            self._slots.close(second)
        order = self._recorder.order
        factors = [record.texts[code] for code in sorted(record.texts, key=order.__getitem__)]
        keys = tuple(record.keys)
        made = []
        try:
            when = stamp(record.second_ns)
            for cn, texts in ((COMMANDS[record.kind], factors), (RUNNING_HOURS, record.hours)):
                if texts:
                    made.append(data_letter(self._identity, cn, when, texts, lane=record.lane, keys=keys))
        except ValueError as error:
            refusal = Verdict(Answer.REJECTED, f"cannot be written in HJ 212: {error}")
            draft.verdicts.update((key, refusal) for key in record.keys)
            return
        for letter in made:
            letter.second = second
        draft.letters += made


def together(letters: Sequence[Letter]) -> list[list[Letter]]:
    """Letters that share stored units are accepted together or not at all."""
    clusters: list[tuple[set[Key], list[Letter]]] = []
    for item in letters:
        keys, joined, others = set(item.keys), [item], []
        for cluster in clusters:
            if keys.isdisjoint(cluster[0]):
                others.append(cluster)
            else:
                keys |= cluster[0]
                joined = [*cluster[1], *joined]
        clusters = [*others, (keys, joined)]
    return [joined for _, joined in clusters]
