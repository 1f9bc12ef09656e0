"""Stored units -> letters, and verdicts for units that need none. Pure, but for one memory: which unit
speaks for which real-time slot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.errors import Denied
from edge_agent.model import Batch
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Envelope, Key, Lane, Stream, Verdict
from edge_agent.uplinks.hj212.letter import Identity, Letter, data_letter
from edge_agent.uplinks.hj212.moment import stamp
from edge_agent.uplinks.hj212.record import COMMANDS, Recorder, WrongUnit

MAX_SLOTS = 8192
_SECOND_NS = 1_000_000_000

NOT_CARRIED = Verdict(Answer.ACKNOWLEDGED, "nothing in it is mapped to a factor of HJ 212")
NOT_DUE = Verdict(Answer.ACKNOWLEDGED, "between two real-time packets")


@dataclass(slots=True)
class Draft:
    """``verdicts`` by the place of the item; those without one are in ``letters``."""

    letters: list[Letter] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)


@dataclass(slots=True)
class _Record:
    texts: dict[str, str] = field(default_factory=dict)
    keys: dict[Key, int] = field(default_factory=dict)


class Drafter:
    def __init__(self, identity: Identity, recorder: Recorder, real_time_s: float) -> None:
        self._identity = identity
        self._recorder = recorder
        self._slot_ns = round(real_time_s * 1e9)
        self._slots: OrderedDict[tuple[str, str, int], tuple[Key, int]] = OrderedDict()

    def draft(self, items: Sequence[Envelope], on_its_way: Callable[[Key], bool]) -> Draft:
        """Units of the same command, second and lane share one packet: a platform that has seen a DataTime
        drops the next packet with it. Denied when a tag has another unit than its factor."""
        draft = Draft()
        records: dict[tuple[str, int, Lane], _Record] = {}
        for place, item in enumerate(items):
            if on_its_way(item.key):
                draft.verdicts[place] = PENDING
                continue
            try:
                verdict = self._enter(place, item, records)
            except WrongUnit as error:
                raise Denied(str(error)) from error
            if verdict is not None:
                draft.verdicts[place] = verdict
        for (stream, second_ns, lane), record in records.items():
            self._write(draft, COMMANDS[stream], second_ns, lane, record)
        draft.letters = [item for item in draft.letters if item.keys]
        return draft

    def _enter(
        self, place: int, item: Envelope, records: dict[tuple[str, int, Lane], _Record]
    ) -> Verdict | None:
        stream = item.key.stream
        if item.schema is None or stream not in COMMANDS or not self._recorder.carries(item.schema, stream):
            return NOT_CARRIED
        entered = False
        for batch, texts in self._texts(item):
            second_ns = batch.time_ns - batch.time_ns % _SECOND_NS
            record = records.setdefault((stream, second_ns, item.lane), _Record())
            record.texts |= texts
            record.keys[item.key] = place
            entered = True
        return None if entered else NOT_DUE

    def _texts(self, item: Envelope) -> Iterator[tuple[Batch, dict[str, str]]]:
        stream = item.key.stream
        if stream != Stream.SAMPLES:
            for batch in item.batches:
                if texts := self._recorder.texts(batch, stream):
                    yield batch, texts
            return
        for index, batch in enumerate(item.batches):
            slot = (batch.schema.device, batch.schema.group, batch.time_ns // self._slot_ns)
            speaker = (item.key, index)
            if self._slots.get(slot, speaker) != speaker:
                continue
            texts = self._recorder.texts(batch, stream)
            if not texts:
                continue
            self._slots[slot] = speaker
            while len(self._slots) > MAX_SLOTS:
                self._slots.popitem(last=False)
            yield batch, texts

    def _write(self, draft: Draft, cn: str, second_ns: int, lane: Lane, record: _Record) -> None:
        ordered = [record.texts[code] for code in sorted(record.texts, key=self._recorder.order.__getitem__)]
        try:
            when = stamp(second_ns)
            draft.letters.append(
                data_letter(self._identity, cn, when, ordered, lane=lane, keys=tuple(record.keys))
            )
        except ValueError as error:
            refusal = Verdict(Answer.REJECTED, f"cannot be written in HJ 212: {error}")
            draft.verdicts.update((place, refusal) for place in record.keys.values())


def verdict_of(key: Key, waiting: bool, refused: dict[Key, str]) -> Verdict:
    if key in refused:
        return Verdict(Answer.REJECTED, refused.pop(key))
    return PENDING if waiting else ACKNOWLEDGED
