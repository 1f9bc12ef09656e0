"""Batches between two flushes: a bounded queue that gives up its oldest, and what is on its way to the
disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from edge_agent.model import Batch, ValueType

_SEGMENT_SAMPLES = 32_768
SEGMENT_NS = 120_000_000_000
"""No segment lasts longer, however long the disk refused: who looks for a moment looks so far back."""


class Memory:
    """``limit_bytes`` covers both the queue and what is flying; what flies is not dropped."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.samples = 0
        self._queue: deque[tuple[Batch, int]] = deque()
        self._queue_bytes = 0
        self._flying: list[Batch] = []
        self._flying_bytes = 0

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    @property
    def empty(self) -> bool:
        return not self._queue and not self._flying

    @property
    def batches(self) -> int:
        return len(self._queue) + len(self._flying)

    @property
    def bytes(self) -> int:
        return self._queue_bytes + self._flying_bytes

    def held(self) -> list[Batch]:
        """All of them, oldest first."""
        return [*self._flying, *(batch for batch, _ in self._queue)]

    def append(self, batch: Batch) -> Sequence[Batch]:
        """Returns what had to go for it."""
        weight = _weight(batch)
        self.samples += batch.samples
        self._queue.append((batch, weight))
        self._queue_bytes += weight
        return self._drop() if self.bytes > self.limit_bytes else ()

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

    def back(self) -> Sequence[Batch]:
        """What was flying is in the queue again, before what came meanwhile; returns what had to go."""
        for batch in reversed(self._flying):
            weight = _weight(batch)
            self._queue.appendleft((batch, weight))
            self._queue_bytes += weight
        self._flying, self._flying_bytes = [], 0
        return self._drop()

    def _drop(self) -> list[Batch]:
        dropped = []
        while self._queue and self.bytes > self.limit_bytes:
            batch, weight = self._queue.popleft()
            self._queue_bytes -= weight
            self.samples -= batch.samples
            dropped.append(batch)
        return dropped


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
