"""Opens one disk state with the program under test and compares what is there with what was promised."""

from __future__ import annotations

import json
import shutil
import sqlite3
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edge_agent.buffer import Buffer, Codec, EventStore, Notes, SegmentCorrupt, read_identity
from edge_agent.config import last_good_marker
from edge_agent.config.model import BufferConfig, Selection
from edge_agent.model import Event, Schema
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Lane, Stream
from tests.crash.disk import State
from tests.crash.told import (
    Told,
    as_on_the_wire,
    digest_of,
    digest_of_event,
    event_as_on_the_wire,
)
from tests.unit.buffer.plant import PRESS, batch_of, event_of

Unit = tuple[int, int]
FILES = {"samples": "buffer.db", "periods": "periods.db", "event": "events.db"}
DAY_NS = 86_400_000_000_000
FAULTS = frozenset(("quarantined_database", "missing_database"))


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind``: lost, corrupt, not_starting, or a word of its own."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Loss:
    number: int
    reason: str
    epoch: int
    uplink: str | None
    first: int | None
    last: int | None
    samples: int | None
    t0_ns: int
    new: bool  # made by the start under test

    def covers(self, uplink: str, unit: Unit, time_ns: int) -> bool:
        if self.samples is None and self.first is None:
            told = self.new or self.reason in FAULTS
            return told and self.epoch >= unit[0] and self.t0_ns <= time_ns
        within = self.last is not None and (self.first or 0) <= unit[1] <= self.last
        return within and self.uplink in (None, uplink)

    def __str__(self) -> str:
        return f"{self.reason} {self.epoch} {self.uplink} {self.samples}"


@dataclass(slots=True)
class Stored:
    """What a database holds, read without the program's help but for its codec."""

    units: dict[Unit, str] = field(default_factory=dict)  # digest of the content; "" where it is damaged
    losses: list[Loss] = field(default_factory=list)
    check: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """``said``: up to the cut. ``all_said``: by the whole recording; ``left``: stream -> what it left in its
    stores in the end. ``lies``: how many flushes before the cut had no effect."""

    said: Told
    all_said: Told
    left: Mapping[str, frozenset[Unit]]
    lies: int = 0
    wire: bool = False  # the promises are a park's, which has no nanoseconds


@dataclass(slots=True)
class Verdict:
    findings: list[Finding] = field(default_factory=list)
    lost: int = 0  # kept units that are not there, however well accounted for
    set_aside: int = 0
    reused: int = 0  # keys that now mean something else (only where the card lied)
    vanished: bool = False  # no trace of the run: the card had taken nothing of it

    def add(self, kind: str, text: str) -> None:
        self.findings.append(Finding(kind, text))


def lay_out(state: State, target: Path, random: Random) -> None:
    """The files of a state. The index of a log is mapped memory: after a cut it may hold anything."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, content in sorted(state.items()):
        path = target / name
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                if isinstance(content, int):
                    file.truncate(content)
                else:
                    file.write(random.randbytes(len(content)) if name.endswith("-shm") else content)


async def judge(directory: Path, case: Case, *, twice: bool) -> Verdict:
    """Starts the stores on ``directory``, reads everything, goes on for one flush, stops. ``twice``: and
    starts again."""
    verdict = Verdict()
    try:
        await Trial(directory, case, verdict).run(twice=twice)
    except Exception as error:  # noqa: BLE001 - whatever it raises: it did not start
        where = "".join(traceback.format_tb(error.__traceback__)[-2:])
        verdict.add("not_starting", f"{type(error).__name__}: {error}\n{where}")
    return verdict


class Trial:
    def __init__(self, directory: Path, case: Case, verdict: Verdict) -> None:
        self.directory = directory
        self.case = case
        self.said = case.said
        self.verdict = verdict
        self.clock = ManualClock(case.said.time_ns + DAY_NS, 5 * 10**11)
        self.clock.boot_id = "after the cut"
        self.digest_of = as_on_the_wire if case.wire else digest_of
        self.digest_of_event = event_as_on_the_wire if case.wire else digest_of_event
        self.buffers: dict[str, Buffer] = {}
        self.made_anew: set[str] = set()
        self.events: EventStore

    async def run(self, *, twice: bool) -> None:
        epoch = read_identity(self.directory)[1]
        self.notes_and_snapshots()
        if not self.said.wants:
            return
        made = {s: (self.directory / FILES[s]).with_suffix(".made").exists() for s in FILES}
        await self.start()
        # A lying card may have taken nothing at all of the last run, not even its number. What then stands
        # there is the honest state of an earlier moment, and nothing can tell.
        self.verdict.vanished = bool(self.case.lies) and epoch < self.said.epoch
        stored = {stream: self.read(stream) for stream in FILES}
        self.made_anew = {s for s in ("periods", "event") if not made[s]}
        taken = {stream: await self.taken(stream, store) for stream, store in self.stores()}
        for stream in FILES:
            self.counters(stream, taken[stream])
        self.window_states()
        await self.drain()
        for buffer in self.buffers.values():
            await buffer.flush()  # a file that turned out to be broken is exchanged here
        await self.events.retry()
        await self.drain()
        self.nothing_waits()
        await self.go_on()
        for stream, one in stored.items():
            one.losses = self.read(stream).losses  # with those that reading has brought about
            if self.case.lies and stream in self.made_anew:  # as at a first start: only the other file tells
                one.losses += [row for row in self.read("samples").losses if row.new]
            self.content(stream, one, taken[stream])
            self.missing(stream, one)
            self.positions(stream, one, taken[stream])
            self.promised_losses(stream, one)
        self.unclean(stored["samples"])
        await self.stop()
        if twice:
            await self.start()
            self.after_a_clean_stop()
            await self.stop()

    def lenient(self, stream: str) -> bool:
        """Damage is allowed here; it must be told."""
        return bool(self.case.lies) or stream in self.said.damaged

    async def start(self) -> None:
        selections = {name: Selection(tags=tuple(tags)) for name, tags in self.said.wants.items()}
        config = BufferConfig()
        buffer = await Buffer.open(self.directory, config, self.clock, selections)
        periods = await Buffer.open(
            self.directory, config, self.clock, selections,
            name="periods.db", stream=Stream.PERIODS, beside=buffer,
        )  # fmt: skip
        self.buffers = {"samples": buffer, "periods": periods}
        self.events = await EventStore.open(self.directory, self.clock, selections, buffer.epoch)
        for stream, store in self.stores():
            info = store.info()
            if info["state"] != "ok":
                self.verdict.add("not_starting", f"{stream}: {info['reason']}")
            self.verdict.set_aside += info["databases_set_aside"]
        agent = buffer.agent
        if not self.case.lies and self.said.agent and agent != self.said.agent:
            self.verdict.add("identity", f"the agent's id was {self.said.agent} and is {agent}")

    def stores(self) -> Iterator[tuple[str, Buffer | EventStore]]:
        yield from self.buffers.items()
        yield "event", self.events

    async def stop(self) -> None:
        await self.events.close()
        for buffer in reversed(self.buffers.values()):
            await buffer.close()

    # -- what the files hold

    def read(self, stream: str) -> Stored:
        stored = Stored()
        path = self.directory / FILES[stream]
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            try:
                stored.check = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
                rows = connection.execute(
                    "SELECT id, reason, epoch, uplink, from_seq, to_seq, n_samples, t0_ns, t1_ns >= ?"
                    " FROM loss",
                    (self.said.time_ns + DAY_NS,),
                )
                stored.losses = [Loss(*row) for row in rows]
                stored.units = dict(
                    self.events_in(connection) if stream == "event" else self.segments_in(connection)
                )
            except sqlite3.DatabaseError as error:
                stored.check = str(error)
        if stored.check != "ok" and not self.lenient(stream):
            self.verdict.add("corrupt", f"{path.name}: {stored.check}")
        return stored

    def segments_in(self, connection: sqlite3.Connection) -> Iterator[tuple[Unit, str]]:
        schemas = dict(connection.execute("SELECT digest, body FROM schema"))
        codec = Codec()
        for seq, epoch, schema, body in connection.execute("SELECT seq, epoch, schema, body FROM segment"):
            try:
                batches = codec.decode(Schema.from_dict(json.loads(schemas[schema])), body)
                yield (epoch, seq), self.digest_of(batches)
            except (SegmentCorrupt, KeyError, ValueError, TypeError):
                yield (epoch, seq), ""

    def events_in(self, connection: sqlite3.Connection) -> Iterator[tuple[Unit, str]]:
        rows = connection.execute("SELECT seq, epoch, kind, source, time_ns, body FROM event")
        for seq, epoch, kind, source, time_ns, body in rows:
            try:
                yield (epoch, seq), self.digest_of_event(Event(kind, source, time_ns, *json.loads(body)))
            except (ValueError, TypeError):
                yield (epoch, seq), ""

    def content(self, stream: str, stored: Stored, taken: Mapping[str, Mapping[Unit, str]]) -> None:
        known = self.case.all_said.kept.get(stream, {})
        for unit, digest in stored.units.items():
            if digest == "" and not self.lenient(stream):
                self.verdict.add("corrupt", f"{stream} {unit} does not decode")
            elif digest and unit in known and digest != known[unit].digest and not self.lenient(stream):
                self.verdict.add("corrupt", f"{stream} {unit} is not what was kept under this key")
        for name, units in taken.items():
            for unit, digest in units.items():
                if unit in known and known[unit].digest != digest:
                    self.verdict.add("corrupt", f"{stream} {unit} is handed to {name} with another content")

    def missing(self, stream: str, stored: Stored) -> None:
        """A kept unit that is not there: deleted as history, or every uplink that waits for it has a row."""
        for unit, kept in self.said.kept.get(stream, {}).items():
            if stored.units.get(unit):
                continue
            if unit in self.case.left.get(stream, ()):
                self.verdict.lost += 1
                if not self.lenient(stream):
                    self.verdict.add("lost", f"{stream} {unit}")
            if self.verdict.vanished:
                continue
            for name in self.waiting(stream, unit, kept.schema):
                rows = [row for row in stored.losses if row.covers(name, unit, kept.time_ns)]
                if not rows:
                    self.verdict.add("lost", f"{stream} {unit} for {name}, and no ledger row tells")

    def waiting(self, stream: str, unit: Unit, schema: str) -> list[str]:
        """The uplinks that have not settled it, as far as had been told."""
        settled, since = self.said.settled.get(stream, {}), self.said.since.get(stream, {})
        return [
            name
            for name, tags in self.said.wants.items()
            if unit not in settled.get(name, ())
            and name in since
            and unit[1] > since[name]
            and (not schema or not tags or schema in _chosen(tags))
        ]

    # -- what the program makes of it

    def positions(self, stream: str, stored: Stored, taken: Mapping[str, Mapping[Unit, str]]) -> None:
        """What an uplink is not given any more, it has settled, or the ledger tells."""
        kept = self.said.kept.get(stream, {})
        for name, units in taken.items():
            for unit in stored.units.keys() & kept.keys() - units.keys():
                if name in self.waiting(stream, unit, kept[unit].schema) and not self.verdict.vanished:
                    if not any(row.covers(name, unit, kept[unit].time_ns) for row in stored.losses):
                        self.verdict.add(
                            "ahead", f"{stream} {unit} is settled for {name}, which never had it"
                        )

    async def taken(self, stream: str, store: Buffer | EventStore) -> dict[str, dict[Unit, str]]:
        found: dict[str, dict[Unit, str]] = {}
        for name in self.said.wants:
            mine = found.setdefault(name, {})
            for lane in (Lane.BACKLOG, Lane.LIVE):
                items: Sequence[Envelope] = await store.take(name, lane, max_items=10**6, max_samples=10**9)
                for item in items:
                    unit = item.key.epoch, item.key.seq
                    mine[unit] = (
                        self.digest_of_event(item.event) if item.event else self.digest_of(item.batches)
                    )
        return found

    def counters(self, stream: str, taken: Mapping[str, Mapping[Unit, str]]) -> None:
        for name, row in dict(self.stores())[stream].info()["uplinks"].items():
            for unit in ("segments", "samples"):
                parts = [row[f"{kind}_{unit}"] for kind in ("acknowledged", "pending", "quarantined", "lost")]
                if row[f"committed_{unit}"] != sum(parts) or min(parts) < 0:
                    self.verdict.add("count", f"{stream}, {name}, {unit}: {row}")
            if row["pending_segments"] != len(taken[name]) and not self.lenient(stream):
                self.verdict.add(
                    "count",
                    f"{stream}: {row['pending_segments']} wait for {name}, {len(taken[name])} can be had",
                )

    def promised_losses(self, stream: str, stored: Stored) -> None:
        if self.lenient(stream):
            return
        rows = {row.number: row for row in stored.losses}
        promised = self.said.losses.get(stream, {})
        for number, text in promised.items():
            if str(rows.get(number)) != text:
                self.verdict.add("ledger", f"{stream}: row {number} was {text!r}, is {rows.get(number)}")
        for row in rows.values():
            if row.reason in FAULTS and row.number not in promised:
                self.verdict.add("corrupt", f"{stream}: {row}")

    def unclean(self, stored: Stored) -> None:
        """A cut while the agent runs is told; after a clean stop nothing is."""
        told = {row.epoch for row in stored.losses if row.samples is None}
        if (
            self.said.running
            and not self.said.stopping
            and not self.verdict.vanished
            and max(told, default=0) < self.said.epoch
        ):
            self.verdict.add("ledger", f"nothing tells of the cut in epoch {self.said.epoch}: {told}")
        if not self.said.running and self.said.epoch in told and not self.lenient("samples"):
            self.verdict.add("ledger", f"epoch {self.said.epoch} ended cleanly, and the ledger has it")

    def window_states(self) -> None:
        found = json.dumps(self.events.window_states(), sort_keys=True)
        if self.said.states and found not in self.said.states and not self.lenient("event"):
            self.verdict.add("states", f"{found} is none of {self.said.states}")

    def notes_and_snapshots(self) -> None:
        notes = Notes(self.directory / "uplinks")
        for name, texts in self.said.notes.items():
            uplink, _, short = name.partition(".")
            found = notes._recall(notes._path(uplink, short))
            if found not in texts and not self.case.lies:
                self.verdict.add("torn", f"note {name}: {found[:40]!r}")
        if self.said.saved:
            marker = last_good_marker(self.directory)
            version = marker.version if marker else ""
            if version not in self.said.saved and not self.case.lies:
                self.verdict.add("torn", f"last good configuration: {version!r} is none of {self.said.saved}")

    # -- going on

    async def drain(self) -> None:
        """Every uplink takes all there is: then nothing waits any more."""
        for _, store in self.stores():
            for name in self.said.wants:
                for lane in (Lane.BACKLOG, Lane.BACKLOG, Lane.LIVE):
                    items = await store.take(name, lane, max_items=10**6, max_samples=10**9)
                    store.acknowledge(name, [item.key for item in items])

    def nothing_waits(self) -> None:
        for stream, store in self.stores():
            for name, row in store.info()["uplinks"].items():
                if row["pending_segments"] or row["pending_samples"]:
                    self.verdict.add("count", f"{stream}: some still wait for {name}, which took all: {row}")

    async def go_on(self) -> None:
        """A flush must work, and its keys must be new."""
        for stream, buffer in self.buffers.items():
            buffer.append(batch_of(PRESS, 7, self.clock))
            await buffer.flush()
            name = next(iter(self.said.wants))
            live = await buffer.take(name, Lane.LIVE, max_items=9, max_samples=10**6)
            if len(live) != 1:
                self.verdict.add("not_starting", f"{stream}: a flush keeps {len(live)} segments")
            for item in live:
                self.fresh(stream, (item.key.epoch, item.key.seq))
        for key in await self.events.commit([event_of(7, self.clock)], {}):
            self.fresh("event", (key.epoch, key.seq))

    def fresh(self, stream: str, unit: Unit) -> None:
        if unit not in self.said.kept.get(stream, {}):
            return
        self.verdict.reused += 1
        if not self.case.lies:
            self.verdict.add("reused", f"{stream} {unit} was given out twice")

    def after_a_clean_stop(self) -> None:
        for stream, store in self.stores():
            info = store.info()
            if info["losses"]["unknown_extent"]:
                self.verdict.add("ledger", f"{stream} after a clean stop: {info['losses']}")


def _chosen(tags: Sequence[str]) -> frozenset[str]:
    from tests.unit.buffer.plant import OVEN

    selection = Selection(tags=tuple(tags))
    return frozenset(schema.digest for schema in (PRESS, OVEN) if selection.wants(schema))
