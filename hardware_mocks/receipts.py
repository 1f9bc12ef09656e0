"""What the park has received: each key once, with duplicates, conflicts and gaps counted."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hardware_mocks.message import Identity, Item, Message, check_segment, rows_of

MOST_RANGES = 50


@dataclass(slots=True)
class Sorting:
    """One message, sorted against what is there; nothing is kept until ``Receipts.keep``."""

    agent: str
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # new ones
    fresh: dict[Identity, tuple[Item, int]] = field(default_factory=dict)  # with its number of samples
    known: list[Item] = field(default_factory=list)
    conflicts: list[Item] = field(default_factory=list)
    unknown_schemas: set[str] = field(default_factory=set)

    @property
    def acknowledged(self) -> list[str]:
        return [item.key for item, _ in self.fresh.values()] + [item.key for item in self.known]


class Receipts:
    """In memory, one entry per (agent, stream, epoch, seq). The first arrival stays, for ever."""

    def __init__(self) -> None:
        self.schemas: dict[str, Mapping[str, Any]] = {}
        self._items: dict[Identity, Item] = {}
        self._samples = 0
        self._duplicates = 0
        self._schema_conflicts = 0
        self._conflicts: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._devices: Counter[str] = Counter()
        self._lanes: Counter[str] = Counter()
        self._newest_us = 0
        self._last_seq: dict[tuple[str, str, str], tuple[int, int]] = {}  # per lane, agent and stream
        self._descents: Counter[str] = Counter()

    def sort(self, message: Message, refused: Sequence[str] = ()) -> Sorting:
        """Raises message.Unreadable if a segment does not fit its schema. ``refused`` keys are left out."""
        sorting = Sorting(message.agent)
        for digest, schema in message.schemas.items():
            if digest not in self.schemas:
                sorting.schemas[digest] = schema
            elif self.schemas[digest] != schema:
                self._schema_conflicts += 1
        for item in message.items:
            if item.key not in refused:
                self._sort_item(sorting, item)
        return sorting

    def _sort_item(self, sorting: Sorting, item: Item) -> None:
        samples = 0
        if "schema" in item.body or "values" in item.body:
            digest = str(item.body.get("schema"))
            schema = sorting.schemas.get(digest) or self.schemas.get(digest)
            if schema is None:
                sorting.unknown_schemas.add(digest)
                return
            samples = check_segment(item.body, schema)
        earlier = self._items.get(item.identity)
        if earlier is None and item.identity in sorting.fresh:
            earlier = sorting.fresh[item.identity][0]
        if earlier is None:
            sorting.fresh[item.identity] = (item, samples)
            return
        sorting.known.append(item)
        if earlier.content != item.content:
            sorting.conflicts.append(item)

    def keep(self, sorting: Sorting) -> None:
        """Takes it in. The caller has made it durable before, if anything is."""
        self.schemas |= sorting.schemas
        self._duplicates += len(sorting.known)
        self._conflicts += [item.key for item in sorting.conflicts]
        for identity, (item, samples) in sorting.fresh.items():
            self._items[identity] = item
            self._samples += samples
            self._lanes[item.lane] += 1
            self._follow_order(item)
            if "kind" in item.body:
                self._kinds[item.body["kind"]] += 1
                continue
            self._devices[self.schemas[item.body["schema"]]["device"]] += samples
            self._newest_us = max(self._newest_us, *item.body["time_us"])

    def _follow_order(self, item: Item) -> None:
        line = (item.lane, item.identity.agent, item.identity.stream)
        place = (item.identity.epoch, item.identity.seq)
        if place < self._last_seq.get(line, (0, -1)):
            self._descents[item.lane] += 1
        self._last_seq[line] = place

    def report(self) -> dict[str, Any]:
        gaps = list(self._gaps())
        return {
            "segments": sum("values" in item.body for item in self._items.values()),
            "samples": self._samples,
            "events": dict(self._kinds),
            "duplicates": self._duplicates,
            "conflicts": len(self._conflicts),
            "conflicting_keys": self._conflicts[:MOST_RANGES],
            "schema_conflicts": self._schema_conflicts,
            "missing": sum(gap["missing"] for gap in gaps),
            "gaps": gaps,
            "lanes": {lane: self._lanes[lane] for lane in ("live", "backlog")},
            "order": {lane: {"descents": self._descents[lane]} for lane in ("live", "backlog")},
            "devices": dict(self._devices),
            "agents": sorted({identity.agent for identity in self._items}),
            "newest_us": self._newest_us,
            "schemas": dict(self.schemas),
        }

    def _gaps(self) -> Iterator[dict[str, Any]]:
        """One entry per (agent, stream, epoch): first and last seq seen, and what is missing between."""
        seen: dict[tuple[str, str, int], list[int]] = {}
        for identity in self._items:
            seen.setdefault((identity.agent, identity.stream, identity.epoch), []).append(identity.seq)
        for (agent, stream, epoch), numbers in sorted(seen.items()):
            numbers.sort()
            ranges = [[a + 1, b - 1] for a, b in pairwise(numbers) if b > a + 1]
            yield {
                "agent": agent,
                "stream": stream,
                "epoch": epoch,
                "first": numbers[0],
                "last": numbers[-1],
                "missing": sum(last - first + 1 for first, last in ranges),
                "ranges": ranges[:MOST_RANGES],
            }

    def samples(self, device: str, tag: str) -> Iterator[tuple[int, Any, int, str]]:
        """(time_us, raw value, quality, key), each key once, in order of (agent, epoch, seq, row)."""
        for identity, item in sorted(self._items.items(), key=lambda entry: entry[0]):
            if identity.stream == "event" or "schema" not in item.body:
                continue
            schema = self.schemas[item.body["schema"]]
            if schema["device"] == device and tag in schema["names"]:
                names = schema["names"]
                for time_us, value, code in rows_of(item.body, names.index(tag), len(names)):
                    yield time_us, value, code, item.key

    def events(self) -> list[dict[str, Any]]:
        """Every event once, in order of (agent, epoch, seq)."""
        ordered = sorted(self._items.items(), key=lambda entry: entry[0])
        return [{"agent": identity.agent, **item.body} for identity, item in ordered if "kind" in item.body]


class Journal:
    """A JSONL file with one line per message, on disk before the answer goes out."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Iterator[dict[str, Any]]:
        """The messages of earlier runs. A last line that was torn by a crash is cut off: it was never
        acknowledged."""
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)
        for line in data[:whole].splitlines():
            yield json.loads(line)

    def append(self, sorting: Sorting) -> None:
        """Blocks until it is synced; OSError if it cannot be."""
        if not sorting.fresh and not sorting.schemas:
            return
        bodies = [item.body for item, _ in sorting.fresh.values()]
        record = {
            "format": "lineside/1",
            "agent": sorting.agent,
            "line": "stored",
            "sent_us": 0,
            "schemas": sorting.schemas,
            "segments": [body for body in bodies if "values" in body],
            "events": [body for body in bodies if "values" not in body],
        }
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._path.open("ab") as file:
            size = file.tell()
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)  # no half a line may stand before the next one
                raise
