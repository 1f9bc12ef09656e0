"""One reading in five, when there is no room for all: what is kept of twenty readings of one group. Pure.

Of every tag the first and the last reading, the lowest and the highest value, and every reading whose quality
differs from the one before: four of twenty, and more only where quality changes. What is kept is what was
read, at its own time; the rest of such a batch says NOT_REPORTED, as a change report does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from edge_agent.model import Batch, Quality, Value

WINDOW = 20
_SILENT = Quality.NOT_REPORTED
_BAD = Quality.BAD


@dataclass(frozen=True, slots=True)
class Gone:
    """Samples that will not be stored, and the span of time they are from."""

    reason: str
    samples: int
    t0_ns: int
    t1_ns: int

    @classmethod
    def of(cls, reason: str, batches: Sequence[Batch], samples: int | None = None) -> Gone:
        """``batches``: at least one. ``samples``: how many of theirs; None: all."""
        times = [batch.time_ns for batch in batches]
        count = sum(batch.samples for batch in batches) if samples is None else samples
        return cls(reason, count, min(times), max(times))


def thin(batches: Sequence[Batch]) -> tuple[list[Batch], Gone | None]:
    """``batches``: readings of one schema, in their order. Returns what is kept of them, and what is not."""
    kept = _kept_rows(batches)
    out: list[Batch] = []
    touched: list[Batch] = []
    for row, batch in enumerate(batches):
        mine = kept[row]
        if len(mine) == batch.samples:
            out.append(batch)
            continue
        touched.append(batch)
        if mine:
            out.append(_sparse(batch, mine))
    dropped = sum(batch.samples for batch in batches) - sum(batch.samples for batch in out)
    return out, Gone.of("thinned", touched, dropped) if dropped else None


def _kept_rows(batches: Sequence[Batch]) -> list[list[int]]:
    """Per row, the columns of which the reading is kept."""
    kept: list[list[int]] = [[] for _ in batches]
    plain = not any(any(batch.quality) for batch in batches)
    last = len(batches) - 1
    for column, values in enumerate(zip(*(batch.values for batch in batches), strict=True)):
        if not plain:
            rows = _chosen(values, [batch.quality[column] for batch in batches])
        elif values.count(values[0]) == len(values):
            rows = {0, last}
        else:
            rows = {0, last, values.index(min(values)), values.index(max(values))}
        for row in rows:
            kept[row].append(column)
    return kept


def _chosen(values: Sequence[Any], quality: Sequence[int]) -> set[int]:
    told = [row for row, flag in enumerate(quality) if flag < _SILENT]
    if not told:
        return set()
    rows = {row for before, row in pairwise(told) if quality[before] != quality[row]}
    rows |= {told[0], told[-1]}
    sound = [row for row in told if quality[row] < _BAD and values[row] is not None]
    if sound:
        rows.add(min(sound, key=values.__getitem__))
        rows.add(max(sound, key=values.__getitem__))
    return rows


def _sparse(batch: Batch, columns: Sequence[int]) -> Batch:
    """The batch with its readings in ``columns`` only. What was silent stays so."""
    values: list[Value] = [None] * len(batch.values)
    quality = bytearray(flag if flag >= _SILENT else _SILENT for flag in batch.quality)
    offsets: list[int | None] = [None] * len(values)
    for column in columns:
        values[column] = batch.values[column]
        quality[column] = batch.quality[column]
        if batch.offsets_ns is not None:
            offsets[column] = batch.offsets_ns[column]
    return replace(
        batch,
        values=tuple(values),
        quality=bytes(quality),
        offsets_ns=None if batch.offsets_ns is None else tuple(offsets),
    )
