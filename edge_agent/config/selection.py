"""Which stored units, and which columns of them, go to one destination.

A selection is a property of the configuration: a store counts for an uplink only what it selects, so that
committed and selected = acknowledged + pending + quarantined + lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from edge_agent.model import Batch, Schema
from edge_agent.uplink import Envelope, Stream

_T = TypeVar("_T")

_EARLY = 2.2
"""The first reading of a segment counts as the first of its interval when the interval began this many polls
ago or less: where one segment ends and the next begins, at worst one reading more is sent, never one less."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    schema: Schema
    columns: tuple[int, ...] | None  # None: all of them


@dataclass(frozen=True, slots=True)
class Selection:
    """``tags``: patterns of DEVICE.TAG, empty for all; they say nothing about events. ``every_s``: at most
    one reading per poll group and interval of this length (0: all), of samples only; ``periods_s``: how often
    a (device, poll group) is polled. The same unit is always cut in the same way."""

    streams: frozenset[Stream] = frozenset(Stream)
    tags: tuple[str, ...] = ()
    every_s: float = 0.0
    periods_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    _cuts: dict[str, _Cut] = field(default_factory=dict, init=False, repr=False, compare=False)

    def wants(self, schema: Schema) -> bool:
        """Whether any column of it is selected."""
        return not self.tags or self._cut(schema).columns != ()

    @property
    def digest(self) -> str:
        """Changes whenever other units are selected; the rate selects readings, not units."""
        return hashlib.blake2b(json.dumps(self.tags).encode(), digest_size=8).hexdigest() if self.tags else ""

    def cut(self, item: Envelope) -> Envelope:
        """The unit as the destination gets it: same key, selected columns, readings at the rate."""
        if item.schema is None:
            return item
        batches = self._at_rate(item) if self.every_s and item.key.stream == Stream.SAMPLES else item.batches
        cut = self._cut(item.schema) if self.tags else _Cut(item.schema, None)
        if cut.columns is None and len(batches) == len(item.batches):
            return item
        batches = tuple(self.narrowed(batch) for batch in batches)
        return replace(item, schema=cut.schema, batches=batches, samples=sum(b.samples for b in batches))

    def narrowed(self, batch: Batch) -> Batch:
        """A batch with its selected columns only; one without any must not be asked for."""
        if not self.tags:
            return batch
        cut = self._cut(batch.schema)
        if cut.columns is None:
            return batch
        values, quality, offsets = batch.values, batch.quality, batch.offsets_ns
        return replace(
            batch,
            schema=cut.schema,
            values=tuple(values[i] for i in cut.columns),
            quality=bytes(quality[i] for i in cut.columns),
            offsets_ns=None if offsets is None else tuple(offsets[i] for i in cut.columns),
        )

    def _at_rate(self, item: Envelope) -> tuple[Batch, ...]:
        assert item.schema is not None
        every_ns = round(self.every_s * 1e9)
        period_s = self.periods_s.get((item.schema.device, item.schema.group), 0.0)
        last_slot = None
        kept = []
        for batch in item.batches:
            slot, into_ns = divmod(batch.time_ns, every_ns)
            first = into_ns <= period_s * _EARLY * 1e9 if last_slot is None else slot != last_slot
            if first or not period_s:
                kept.append(batch)
            last_slot = slot
        return tuple(kept)

    def _cut(self, schema: Schema) -> _Cut:
        cut = self._cuts.get(schema.digest)
        if cut is None:
            cut = self._cuts[schema.digest] = self._made(schema)
        return cut

    def _made(self, schema: Schema) -> _Cut:
        columns = tuple(i for i, name in enumerate(schema.names) if self.selects(schema.device, name))
        if len(columns) == len(schema.names):
            return _Cut(schema, None)
        return _Cut(
            replace(
                schema,
                names=_at(schema.names, columns),
                types=_at(schema.types, columns),
                units=_at(schema.units, columns),
                scaling=_at(schema.scaling, columns),
            ),
            columns,
        )

    def selects(self, device: str, name: str) -> bool:
        """``name``: a tag, or a figure of one (``kwh.day``, ``pressure.avg``): the tag's pattern counts."""
        whole = f"{device}.{name}"
        tag = whole.rpartition(".")[0] if "." in name else whole
        return any(fnmatchcase(whole, pattern) or fnmatchcase(tag, pattern) for pattern in self.tags)


def _at(items: Sequence[_T], columns: Sequence[int]) -> tuple[_T, ...]:
    return tuple(items[i] for i in columns)
