"""Which stored reading speaks for a real-time slot: the first one that is sent for it, and no other after it.

A platform that has a DataTime takes a second packet with it for a contradiction. So the choice outlives the
connection: it is kept in the uplink's memory when one ends. A power cut costs it, and only for the slots in
which more than one reading was under way.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterable

from edge_agent.model import Batch
from edge_agent.uplink import Key

MAX_SLOTS = 8192
KEPT = 400
"""The newest ones, which are those that a backlog may touch again; some 20 kB of text."""

Slot = tuple[str, str, int]
"""Device, poll group, and which of the intervals of real-time packets since 1970."""

_SECOND_NS = 1_000_000_000


class Slots:
    """``begin`` opens a message: what it sends of one second shares a packet."""

    def __init__(self) -> None:
        self._speakers: OrderedDict[Slot, tuple[Key, int, int]] = OrderedDict()
        self._seconds: Counter[int] = Counter()
        self._fresh: set[int] = set()
        self._paces: dict[tuple[str, str], tuple[int, int]] = {}

    def begin(self) -> None:
        self._fresh.clear()

    def observe(self, batches: Iterable[Batch]) -> None:
        """How often each poll group is read, as far as its time stamps tell."""
        for batch in batches:
            group = batch.schema.device, batch.schema.group
            last_ns, shortest_ns = self._paces.get(group, (batch.time_ns, 0))
            apart_ns = batch.time_ns - last_ns
            if apart_ns > 0 and (not shortest_ns or apart_ns < shortest_ns):
                shortest_ns = apart_ns
            self._paces[group] = batch.time_ns, shortest_ns

    def free_for(self, batch: Batch, unit: Key, index: int, length_ns: int) -> bool:
        """Whether this reading may be sent. ``length_ns``: of a slot. A second of which a packet has gone
        already is left to it, if the poll group will be read again within the slot."""
        held = self._speakers.get(_slot(batch, length_ns))
        if held is not None:
            return held[:2] == (unit, index)
        second = batch.time_ns // _SECOND_NS
        _, shortest_ns = self._paces.get((batch.schema.device, batch.schema.group), (0, 0))
        sent = self._seconds[second] and second not in self._fresh
        return not (sent and 0 < 2 * shortest_ns <= length_ns)

    def take(self, batch: Batch, unit: Key, index: int, length_ns: int) -> None:
        second = batch.time_ns // _SECOND_NS
        self._fresh.add(second)
        self._take(_slot(batch, length_ns), (unit, index, second))

    def text(self) -> str:
        rows = []
        for slot, (key, index, second) in list(self._speakers.items())[-KEPT:]:
            rows.append([*slot, key.stream, key.epoch, key.seq, index, second])
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    def read(self, text: str) -> None:
        """What is missing or damaged counts as nothing."""
        try:
            for device, group, number, stream, epoch, seq, index, second in json.loads(text) if text else ():
                self._take((device, group, number), (Key(stream, epoch, seq), index, int(second)))
        except (ValueError, TypeError):
            return

    def _take(self, slot: Slot, speaker: tuple[Key, int, int]) -> None:
        if self._speakers.get(slot) == speaker:
            return
        self._speakers[slot] = speaker
        self._seconds[speaker[2]] += 1
        while len(self._speakers) > MAX_SLOTS:
            _, (_, _, second) = self._speakers.popitem(last=False)
            self._seconds[second] -= 1
            if not self._seconds[second]:
                del self._seconds[second]


def _slot(batch: Batch, length_ns: int) -> Slot:
    return batch.schema.device, batch.schema.group, batch.time_ns // length_ns
