"""Which stored reading speaks for a real-time slot: the first one that is sent for it, and no other after it.

A platform that has a DataTime takes a second packet with it for a contradiction. So the choice outlives the
connection: it is kept in the uplink's memory when one ends. A power cut costs it, and only for the slots in
which more than one reading was under way.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable

from edge_agent.model import Batch
from edge_agent.uplink import Key, Lane
from edge_agent.uplinks.hj212.moment import SECOND_NS

MAX_SLOTS = 8192
KEPT = 400
"""The newest ones, which are those that a backlog may touch again; some 20 kB of text."""

Group = tuple[str, str]
"""Device and poll group."""

Slot = tuple[str, str, int]
"""Device, poll group, and which of the intervals of real-time packets since 1970."""


class Slots:
    """Seconds are counted since 1970. ``close`` tells that the packet of one is made, ``finish`` that the
    platform has it. Until then it may have to go again, and then with the same values."""

    def __init__(self) -> None:
        self._speakers: OrderedDict[Slot, tuple[Key, int, int]] = OrderedDict()
        self._members: dict[int, set[Group]] = {}
        self._closed: OrderedDict[int, bool] = OrderedDict()
        self._paces: dict[Group, tuple[int, int]] = {}
        self._newest_ns: dict[tuple[Lane, Group], int] = {}

    @property
    def groups(self) -> set[Group]:
        """Those that have spoken lately."""
        return {(device, group) for device, group, _ in self._speakers}

    def observe(self, batches: Iterable[Batch], lane: Lane) -> None:
        """How often each poll group is read, and how far each lane has come, as the time stamps tell."""
        for batch in batches:
            group = batch.schema.device, batch.schema.group
            last_ns, shortest_ns = self._paces.get(group, (batch.time_ns, 0))
            apart_ns = batch.time_ns - last_ns
            if apart_ns > 0 and (not shortest_ns or apart_ns < shortest_ns):
                shortest_ns = apart_ns
            self._paces[group] = batch.time_ns, shortest_ns
            self._newest_ns[lane, group] = max(self._newest_ns.get((lane, group), 0), batch.time_ns)

    def is_past(self, group: Group, lane: Lane, second: int, length_ns: int) -> bool:
        """Whether nothing of this second is to be waited for: the group speaks for the slot at another time,
        or the lane, which is in order, has come further."""
        held = self._speakers.get((*group, second * SECOND_NS // length_ns))
        if held is not None and held[2] != second:
            return True
        return self._newest_ns.get((lane, group), 0) // SECOND_NS > second

    def members(self, second: int) -> set[Group] | None:
        """Whose readings its packet holds; None while there is no packet."""
        return self._members.get(second, set()) if second in self._closed else None

    def free_for(self, batch: Batch, unit: Key, index: int, length_ns: int) -> bool:
        """Whether this reading may be sent. ``length_ns``: of a slot. A second whose packet is made is left
        to it: where the poll group is read again within the slot, its next reading speaks."""
        second = batch.time_ns // SECOND_NS
        held = self._speakers.get(_slot(batch, length_ns))
        if held is not None:
            return held[:2] == (unit, index) and not self._closed.get(second, False)
        _, shortest_ns = self._paces.get((batch.schema.device, batch.schema.group), (0, 0))
        return second not in self._closed or not 0 < 2 * shortest_ns <= length_ns

    def take(self, batch: Batch, unit: Key, index: int, length_ns: int) -> None:
        self._take(_slot(batch, length_ns), (unit, index, batch.time_ns // SECOND_NS))

    def close(self, second: int) -> None:
        self._closed.setdefault(second, False)
        while len(self._closed) > MAX_SLOTS:
            self._closed.popitem(last=False)

    def finish(self, second: int) -> None:
        self.close(second)
        self._closed[second] = True

    def text(self) -> str:
        rows = []
        for slot, (key, index, second) in list(self._speakers.items())[-KEPT:]:
            stage = 0 if second not in self._closed else 1 + self._closed[second]
            rows.append([*slot, key.stream, key.epoch, key.seq, index, second, stage])
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    def read(self, text: str) -> None:
        """What is missing or damaged counts as nothing."""
        try:
            for device, group, number, stream, epoch, seq, index, second, stage in json.loads(text or "[]"):
                self._take((device, group, number), (Key(stream, epoch, seq), index, int(second)))
                if stage:
                    (self.finish if stage == 2 else self.close)(int(second))
        except (ValueError, TypeError):
            return

    def _take(self, slot: Slot, speaker: tuple[Key, int, int]) -> None:
        self._speakers[slot] = speaker
        self._members.setdefault(speaker[2], set()).add(slot[:2])
        while len(self._speakers) > MAX_SLOTS:
            _, (_, _, second) = self._speakers.popitem(last=False)
            self._members.pop(second, None)


def _slot(batch: Batch, length_ns: int) -> Slot:
    return batch.schema.device, batch.schema.group, batch.time_ns // length_ns
