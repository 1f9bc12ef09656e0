"""What a recorded program promised, up to a moment: kept segments and events, verdicts, notes, snapshots.

The program writes one line of JSON per promise to its marks file: what it was told is durable after it was
told so; what it asks for (``settles``, ``wants``, ``asks_states``, ``keeps``, ``saves``) before it asks.
"""

from __future__ import annotations

import hashlib
import json
import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.model import Batch, Event


def digest_of(batches: Iterable[Batch]) -> str:
    parts = [
        (b.schema.digest, b.time_ns, b.mono_ns, b.values, b.quality, b.offsets_ns, int(b.clock))
        for b in batches
    ]
    return hashlib.blake2b(marshal.dumps(parts, 2), digest_size=8).hexdigest()


def wire_digest(schema: str, times_us: Sequence[int], values: Sequence[Sequence[object]]) -> str:
    """Of what a park sees of a segment."""
    return hashlib.blake2b(json.dumps([schema, times_us, values]).encode(), digest_size=8).hexdigest()


def wire_digest_of_event(event: Mapping[str, Any]) -> str:
    """Of an element of ``events``."""
    parts = [event[name] for name in ("kind", "source", "time_us", "config_version", "detail")]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def as_on_the_wire(batches: Sequence[Batch]) -> str:
    times_us = [batch.time_ns // 1000 for batch in batches]
    return wire_digest(batches[0].schema.digest, times_us, [batch.values for batch in batches])


def event_as_on_the_wire(event: Event) -> str:
    return wire_digest_of_event({
        "kind": event.kind, "source": event.source, "time_us": event.time_ns // 1000,
        "config_version": event.config_version, "detail": event.detail,
    })  # fmt: skip


def digest_of_event(event: Event) -> str:
    detail = json.dumps(event.detail, sort_keys=True, default=str)
    parts = (event.kind, event.source, event.time_ns, event.mono_ns, event.config_version, detail)
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """One committed unit; ``time_ns``: of its newest reading."""

    digest: str
    schema: str
    time_ns: int


@dataclass(slots=True)
class Told:
    """By stream. ``settled``: uplink -> keys about which a verdict was given, and which one."""

    agent: str = ""
    epoch: int = 0
    running: bool = False  # since ``opened``, until ``closed``: also after a kill
    stopping: bool = False
    time_ns: int = 0
    damaged: set[str] = field(default_factory=set)  # streams whose file the story itself has damaged
    wants: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, dict[tuple[int, int], Kept]] = field(default_factory=dict)
    settled: dict[str, dict[str, set[tuple[int, int]]]] = field(default_factory=dict)
    since: dict[str, dict[str, int]] = field(default_factory=dict)
    losses: dict[str, dict[int, str]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)  # the promised one, and those asked for since
    notes: dict[str, list[str]] = field(default_factory=dict)
    saved: list[str] = field(default_factory=list)

    def hear(self, text: str) -> None:
        for name, value in json.loads(text).items():
            getattr(self, f"_{name}")(value)

    def _opened(self, value: dict[str, Any]) -> None:
        self.agent, self.epoch, self.running = value["agent"], value["epoch"], True

    def _damages(self, value: str) -> None:
        self.damaged.add(value)

    def _closing(self, value: int) -> None:
        self.stopping = True

    def _closed(self, value: int) -> None:
        self.running = self.stopping = False

    def _time(self, value: int) -> None:
        self.time_ns = value

    def _wants(self, value: dict[str, list[str]]) -> None:
        self.wants = value

    def _registered(self, value: dict[str, Any]) -> None:
        """What each uplink of a store is asked to take begins above this number."""
        known = self.since.setdefault(value["stream"], {})
        names = value["uplinks"]
        for gone in [name for name in known if name not in names]:
            del known[gone]
            self.settled.get(value["stream"], {}).pop(gone, None)
        for name in names:
            known[name] = min(known.get(name, value["head"]), value["head"])  # a new file begins at 1

    def _kept(self, value: dict[str, Any]) -> None:
        units = self.kept.setdefault(value["stream"], {})
        for epoch, seq, digest, schema, time_ns in value["units"]:
            units[epoch, seq] = Kept(digest, schema, time_ns)
        if "states" in value:
            self.states = [value["states"]]

    def _asks_states(self, value: str) -> None:
        self.states = [*(self.states or ["{}"]), value]

    def _settles(self, value: dict[str, Any]) -> None:
        stream = self.settled.setdefault(value["stream"], {})
        stream.setdefault(value["uplink"], set()).update((e, s) for e, s in value["keys"])

    def _lost(self, value: dict[str, Any]) -> None:
        rows = self.losses.setdefault(value["stream"], {})
        rows.update((number, text) for number, text in value["rows"])

    def _keeps(self, value: Sequence[str]) -> None:
        name, text = value
        self.notes.setdefault(name, [""]).append(text)

    def _has_kept(self, value: Sequence[str]) -> None:
        name, text = value
        self.notes[name] = [text]

    def _saves(self, value: str) -> None:
        self.saved = [*(self.saved or [""]), value]

    def _has_saved(self, value: str) -> None:
        self.saved = [value]
