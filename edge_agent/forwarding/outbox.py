"""One uplink's view of all stores: which units are to be sent now, and what became of those that were.

A unit is in one place at a time: in the store only (free), *out* (in the message being sent), *held* (waits)
or *suspect* (part of a message that was refused as a whole, to be tried again in a smaller one).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_agent.clock import Clock
from edge_agent.forwarding.held import Held
from edge_agent.forwarding.store import Store
from edge_agent.status import UplinkRow
from edge_agent.uplink import Envelope, Key, Lane, Stream

MAX_SAMPLES = 20_000
"""Per message, unless a single segment is larger: bounds memory and the time spent on encoding."""

WINDOW_MESSAGES = 4
"""So many messages' worth of units may wait in each lane before no more are taken from it."""

_NO_LIMIT = 2**31 - 1


class Outbox:
    def __init__(
        self,
        uplink: str,
        stores: Sequence[Store],
        max_items: int,
        row: UplinkRow,
        clock: Clock,
        *,
        waiting: int = 0,
    ) -> None:
        """``waiting``: so many units may wait in each lane, if that is more than a few messages' worth."""
        self._uplink = uplink
        self._stores = sorted(stores, key=lambda store: store.stream != Stream.EVENT)
        self._by_stream = {store.stream: store for store in stores}
        self._window = max(WINDOW_MESSAGES * max_items, waiting)
        self._row = row
        self._out: dict[Key, Envelope] = {}
        self._suspects: list[list[Envelope]] = []
        self.held = Held(clock.mono_ns)

    @property
    def has_suspects(self) -> bool:
        return bool(self._suspects)

    async def pick(self, lane: Lane, max_items: int) -> list[Envelope]:
        """Free units of a lane, events before samples; they are now *out*. Empty when there are none, or when
        too many wait already."""
        self._out.clear()  # what a lost connection or a cancellation left is free again
        busy = self._busy()
        room = min(max_items, self._window - sum(item.lane is lane for item in busy.values()))
        budget = MAX_SAMPLES
        picked: list[Envelope] = []
        for store in self._stores:
            if room > 0 and budget > 0:
                found = await self._free(store, lane, room, budget, busy)
                self._out.update((item.key, item) for item in found)
                picked += found
                room -= len(found)
                budget -= sum(item.samples for item in found)
        return [item for item in picked if item.key in self._out]  # some may have been confirmed meanwhile

    def pick_suspects(self, max_items: int) -> list[Envelope]:
        """The next part of a refused message; it is now *out*."""
        self._out.clear()
        if not self._suspects:
            return []
        chunk = self._suspects.pop()
        chunk, rest = chunk[:max_items], chunk[max_items:]
        if rest:
            self._suspects.append(rest)
        self._out.update((item.key, item) for item in chunk)
        return chunk

    def split(self, items: Sequence[Envelope]) -> None:
        """The message was refused as a whole: its halves are tried one after the other."""
        left = [item for item in items if self._out.pop(item.key, None)]
        middle = (len(left) + 1) // 2
        self._suspects += [half for half in (left[middle:], left[:middle]) if half]

    def acknowledge(self, items: Iterable[Envelope]) -> None:
        keys: dict[str, list[Key]] = {}
        for item in items:
            if self._leave(item.key):
                keys.setdefault(item.key.stream, []).append(item.key)
                self._row.acknowledged_segments += item.event is None
                self._row.acknowledged_samples += item.samples
        for stream, settled in keys.items():
            self._by_stream[stream].acknowledge(self._uplink, settled)

    def quarantine(self, item: Envelope, reason: str) -> None:
        if self._leave(item.key):
            self._by_stream[item.key.stream].quarantine(self._uplink, item.key, reason)

    def defer(self, item: Envelope, until_ns: int) -> None:
        if self._out.pop(item.key, None):
            self.held.defer(item, until_ns)

    def await_confirmation(self, item: Envelope, until_ns: int) -> None:
        if self._out.pop(item.key, None):
            self.held.await_confirmation(item, until_ns)

    def confirmed(self, keys: Sequence[Key]) -> bool:
        """Keys that the destination confirmed later than its answer, or before it. Unknown ones are ignored;
        True when one was not."""
        items = self._settled_late(keys)
        self.acknowledge(items)
        return bool(items)

    def refused(self, keys: Sequence[Key], reason: str) -> bool:
        """The same for those that the destination refused later than its answer."""
        items = self._settled_late(keys)
        for item in items:
            self.quarantine(item, reason)
        return bool(items)

    def _settled_late(self, keys: Sequence[Key]) -> list[Envelope]:
        items = []
        for key in dict.fromkeys(keys):
            waiting = self.held.release(key)
            item = self._out.get(key) or waiting
            if item is not None:
                self._out[key] = item
                items.append(item)
                self._suspects = [c for c in ([i for i in s if i.key != key] for s in self._suspects) if c]
        return items

    def _leave(self, key: Key) -> bool:
        """False for a unit that was settled while its message was out."""
        self.held.release(key)
        return self._out.pop(key, None) is not None

    def _busy(self) -> dict[Key, Envelope]:
        waiting = [*self.held.active(), *(item for chunk in self._suspects for item in chunk)]
        return {item.key: item for item in waiting}

    async def _free(
        self, store: Store, lane: Lane, room: int, budget: int, busy: dict[Key, Envelope]
    ) -> list[Envelope]:
        mine = [item for key, item in busy.items() if key.stream == store.stream]
        max_items = room + len(mine)
        max_samples = budget + sum(item.samples for item in mine)
        found = await store.take(self._uplink, lane, max_items=max_items, max_samples=max_samples)
        free = [item for item in found if item.key not in busy]
        if not free and found:  # the sample limit ended the list behind units that wait
            found = await store.take(self._uplink, lane, max_items=len(mine) + 1, max_samples=_NO_LIMIT)
            free = [item for item in found if item.key not in busy]
        return free[:room]
