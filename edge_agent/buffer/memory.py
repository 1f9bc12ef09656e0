"""Batches between two flushes: a bounded queue that gives up its oldest, windows in which readings are
thinned while room is short, and what is on its way to the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from edge_agent.buffer.thinning import WINDOW, Gone, thin
from edge_agent.model import Batch, ValueType

_SEGMENT_SAMPLES = 32_768
SEGMENT_NS = 120_000_000_000
"""No segment lasts longer, however long the disk refused: who looks for a moment looks so far back."""
WINDOW_NS = 60_000_000_000
"""No window of thinning waits longer for its readings: so much more is in memory while they are thinned."""


class Memory:
    """``limit_bytes`` covers the queue, the windows and what is flying; what flies is not dropped.

    ``thinning``: the store is short of room. ``behind``: the disk does not keep up; readings are then thinned
    from half the limit on. Setting either changes what is appended from now on."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.samples = 0
        self.thinning = False
        self.behind = False
        self._queue: deque[tuple[Batch, int]] = deque()
        self._queue_bytes = 0
        self._windows: dict[str, list[Batch]] = {}
        self._windows_bytes = 0
        self._flying: list[Batch] = []
        self._flying_bytes = 0

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    @property
    def empty(self) -> bool:
        return not self._queue and not self._flying and not self._windows

    @property
    def batches(self) -> int:
        return len(self._queue) + len(self._flying) + sum(map(len, self._windows.values()))

    @property
    def bytes(self) -> int:
        return self._queue_bytes + self._windows_bytes + self._flying_bytes

    def held(self) -> list[Batch]:
        """All of them; those of one poll group oldest first."""
        windows = (batch for window in self._windows.values() for batch in window)
        return [*self._flying, *(batch for batch, _ in self._queue), *windows]

    def append(self, batch: Batch) -> Sequence[Gone]:
        """Returns what had to go for it."""
        self.samples += batch.samples
        gone: list[Gone] = []
        if self.thinning or (self.behind and self.bytes > self.limit_bytes // 2):
            window = self._windows.setdefault(batch.schema.digest, [])
            window.append(batch)
            self._windows_bytes += _weight(batch)
            if len(window) >= WINDOW:
                gone += self._close(batch.schema.digest)
        else:
            if batch.schema.digest in self._windows:
                self._release(batch.schema.digest)
            self._put(batch)
        if self.bytes > self.limit_bytes:
            gone += self._drop()
        return gone

    def settle(self, mono_ns: int, *, everything: bool = False) -> Sequence[Gone]:
        """Before ``take_off``: windows that have waited long enough, or all, are closed."""
        gone: list[Gone] = []
        for digest, window in list(self._windows.items()):
            if not self.thinning and not self.behind:
                self._release(digest)
            elif everything or mono_ns - window[0].mono_ns >= WINDOW_NS:
                gone += self._close(digest)
        return gone

    def take_off(self) -> list[Batch]:
        """Everything in the queue, in order. Ends with ``landed`` or ``back``."""
        flying = [batch for batch, _ in self._queue]
        self._flying, self._flying_bytes = flying, self._queue_bytes
        self._queue.clear()
        self._queue_bytes = 0
        return flying

    def landed(self) -> None:
        """What was flying is no longer ours."""
        self.samples -= sum(batch.samples for batch in self._flying)
        self._flying, self._flying_bytes = [], 0

    def back(self) -> Sequence[Gone]:
        """What was flying is in the queue again, before what came meanwhile; returns what had to go."""
        for batch in reversed(self._flying):
            weight = _weight(batch)
            self._queue.appendleft((batch, weight))
            self._queue_bytes += weight
        self._flying, self._flying_bytes = [], 0
        return self._drop()

    def _put(self, batch: Batch) -> None:
        weight = _weight(batch)
        self._queue.append((batch, weight))
        self._queue_bytes += weight

    def _leave(self, digest: str) -> list[Batch]:
        window = self._windows.pop(digest)
        self._windows_bytes -= sum(map(_weight, window))
        return window

    def _close(self, digest: str) -> list[Gone]:
        """The window is full or old: what is kept of it goes into the queue."""
        window = self._leave(digest)
        try:
            kept, gone = thin(window)
        except (TypeError, ValueError, IndexError):  # batches that are none: the codec says so
            kept, gone = window, None
        for batch in kept:
            self._put(batch)
        if gone is None:
            return []
        self.samples -= gone.samples
        return [gone]

    def _release(self, digest: str) -> None:
        """There is room again."""
        for batch in self._leave(digest):
            self._put(batch)

    def _drop(self) -> list[Gone]:
        dropped = []
        while self.bytes > self.limit_bytes and (self._queue or self._windows):
            if not self._queue:
                self._release(next(iter(self._windows)))
            batch, weight = self._queue.popleft()
            self._queue_bytes -= weight
            self.samples -= batch.samples
            dropped.append(batch)
        return [Gone.of("memory", dropped)] if dropped else []


def groups(batches: Iterable[Batch]) -> list[tuple[Batch, ...]]:
    """One group per schema, in order of their first batches; very large and very long ones in several
    parts."""
    by_schema: dict[str, list[Batch]] = {}
    for batch in batches:
        by_schema.setdefault(batch.schema.digest, []).append(batch)
    parts = [part for group in by_schema.values() for part in _parts(group)]
    return sorted(parts, key=lambda part: part[0].mono_ns)


def _parts(group: Sequence[Batch]) -> Iterator[tuple[Batch, ...]]:
    most = max(_SEGMENT_SAMPLES // max(len(group[0].values), 1), 1)
    begin = 0
    for index, batch in enumerate(group):
        if index - begin == most or batch.mono_ns - group[begin].mono_ns >= SEGMENT_NS:
            yield tuple(group[begin:index])
            begin = index
    yield tuple(group[begin:])


def _weight(batch: Batch) -> int:
    """About what a batch costs in memory; text by its length."""
    weight = 300 + 37 * len(batch.values)
    if ValueType.STRING in batch.schema.types:
        weight += sum(len(v) for v in batch.values if isinstance(v, str))
    if batch.offsets_ns is not None:
        weight += 36 * len(batch.offsets_ns)
    return weight
