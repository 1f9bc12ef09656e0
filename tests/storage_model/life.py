"""A sample buffer and an event store with their models: what the rules of the machine do to them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.buffer import Buffer, EventStore, Tuning
from edge_agent.config.model import BufferConfig, Selection
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Key, Lane
from tests.crash.disk import SECTOR
from tests.crash.told import digest_of, digest_of_event
from tests.storage_model.model import Model, Number, Unit, View
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, event_of, no_file_beyond, schema_of

Store = Buffer | EventStore
TUNING = Tuning(checkpoint_pages=60)
FILES = {"samples": "buffer.db", "event": "events.db"}
NOISE = schema_of("noise-1", (ValueType.FLOAT64,) * 100)  # no codec makes it small
SCHEMAS = (PRESS, OVEN, NOISE)
SELECTIONS: Sequence[tuple[str, ...]] = ((), ("press-1.*",), ("oven-1.t0",))


class Life:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "0"
        self.clock = ManualClock()
        self.copies = 0
        self.number = 0
        self.quota = 4_000_000_000
        self.wants: dict[str, tuple[str, ...]] = {"park": ()}
        self.models = {stream: Model() for stream in FILES}
        self.agent = ""
        self.stores: dict[str, Store] = {}
        self.commits: dict[str, int] = {}  # as of the last look

    @property
    def buffer(self) -> Buffer:
        store = self.stores["samples"]
        assert isinstance(store, Buffer)
        return store

    @property
    def events(self) -> EventStore:
        store = self.stores["event"]
        assert isinstance(store, EventStore)
        return store

    @property
    def selections(self) -> dict[str, Selection]:
        return {name: Selection(tags=tags) for name, tags in self.wants.items()}

    def pass_time(self, seconds: float) -> None:
        """Nobody sleeps on this clock."""
        self.clock._move_to(self.clock.mono_ns() + round(seconds * 1e9))

    # -- starting and stopping

    async def start(self) -> None:
        config = BufferConfig(quota_bytes=self.quota, memory_bytes=60_000, free_bytes=0)
        buffer = await Buffer.open(self.directory, config, self.clock, self.selections, tuning=TUNING)
        events = await EventStore.open(
            self.directory, self.clock, self.wants, buffer.epoch, quota_rows=40, tuning=TUNING
        )
        self.stores = {"samples": buffer, "event": events}
        self.commits = {stream: self.made(stream) for stream in self.stores}
        self.agent = self.agent or buffer.agent
        assert buffer.agent == self.agent
        self.models["samples"].opened(buffer.epoch)
        for stream, store in self.stores.items():
            info = store.info()
            assert info["state"] == "ok", info["reason"]
            if info["databases_set_aside"]:
                assert self.models[stream].damaged, f"{stream} was set aside for nothing"
            self.register(stream, info["head"])

    def register(self, stream: str, head: int) -> None:
        """Views for exactly the uplinks there are; a new one gets what comes after ``head``."""
        model = self.models[stream]
        for name in [name for name in model.views if name not in self.wants]:
            del model.views[name]
        for name, tags in self.wants.items():
            view = model.views.setdefault(name, View(head))
            view.unwanted = unwanted(tags) if stream == "samples" else frozenset()

    async def stop(self) -> None:
        await self.events.close()
        await self.buffer.close()

    async def reopen(self) -> None:
        await self.flush()
        waited = {stream: store.in_memory_samples for stream, store in self.stores.items()}
        await self.stop()
        for model in self.models.values():
            model.saved()
        await self.start()
        # A file set aside in mid-run raises the epoch: to the other one it looks as if a run were missing.
        damaged = self.models["samples"].damaged
        for stream, store in self.stores.items():
            unknown = store.info()["losses"]["unknown_extent"]
            assert damaged or not unknown, f"{stream}: {unknown} after a clean stop"
        await self.believe(crashed=False, unseen=waited)

    # -- what the agent does

    def append(self, count: int, schemas: Sequence[int]) -> None:
        for index in range(count):
            self.pass_time(0.5)
            schema = SCHEMAS[schemas[index % len(schemas)]]
            self.buffer.append(batch_of(schema, self.number, self.clock))
            self.number += 1

    async def flush(self) -> None:
        await self.buffer.flush()
        await self.events.retry()
        for stream in self.stores:
            await self.learn(stream)

    def made(self, stream: str) -> int:
        """Commits so far in this run."""
        return int(self.stores[stream].info()["flushes" if stream == "samples" else "commits"])

    async def commit(self, count: int) -> None:
        events = [event_of(self.number + i, self.clock) for i in range(count)]
        self.number += count
        await self.events.commit(events, {"window": {"n": self.number}})
        await self.learn("event")

    async def learn(self, stream: str) -> None:
        """The newest commit, as the live lane of an uplink that selects everything shows it."""
        model, info = self.models[stream], self.stores[stream].info()
        commits = self.made(stream)
        if commits == self.commits.get(stream):
            return
        self.commits[stream] = commits
        if info["state"] == "ok":
            model.saved()
        taken = await self.stores[stream].take("park", Lane.LIVE, max_items=10**6, max_samples=10**9)
        model.kept(unit for unit in map(unit_of, taken) if unit.number not in model.units)

    async def take(self, stream: str, name: str, lane: Lane, most: int, samples: int) -> list[Envelope]:
        items = await self.stores[stream].take(name, lane, max_items=most, max_samples=samples)
        assert len(items) <= most
        for item in items:
            self.models[stream].given(unit_of(item))
        return list(items)

    def acknowledge(self, stream: str, name: str, items: Iterable[Envelope]) -> None:
        view, keys = self.models[stream].views[name], [item.key for item in items]
        self.stores[stream].acknowledge(name, [*keys, *keys, Key(stream, 1, 999_999), Key("minute", 1, 1)])
        view.settled |= {(key.epoch, key.seq) for key in keys}
        view.fresh |= {(key.epoch, key.seq) for key in keys}

    def quarantine(self, stream: str, name: str, item: Envelope) -> None:
        number = item.key.epoch, item.key.seq
        view = self.models[stream].views[name]
        self.stores[stream].quarantine(name, item.key, "poison")
        view.aside.add(number)
        view.fresh.add(number)

    async def settle_aside(self, stream: str, name: str, *, again: bool) -> None:
        """Everything set aside for this uplink goes again, or is given up."""
        aside, view = self.stores[stream].aside, self.models[stream].views[name]
        await self.flush()
        units = await (aside.retry(name) if again else aside.drop(name))
        numbers = {(unit.key.epoch, unit.key.seq) for unit in units}
        assert numbers <= view.aside or self.models[stream].damaged, (numbers, view.aside)
        await self.flush()
        gone, losses = view.aside - numbers, self.losses(stream)
        assert all(covered(losses, name, number) for number in gone), f"{gone} is not set aside any more"
        view.settled |= gone if again else view.aside
        view.written_off += len(gone if again else view.aside)
        view.aside.clear()

    async def change(self, name: str, tags: tuple[str, ...] | None) -> None:
        """``tags`` None: the uplink goes."""
        if tags is None:
            self.wants.pop(name, None)
        else:
            self.wants[name] = tags
        await self.flush()
        model = self.models["samples"]
        before = model.waiting(name) if name in model.views else []
        heads = {stream: store.info()["head"] for stream, store in self.stores.items()}
        await self.buffer.register(self.selections)
        await self.events.register(self.wants)
        for stream in self.stores:
            await self.learn(stream)
            self.models[stream].saved()
            self.register(stream, heads[stream])
        if name in self.wants:
            await self.reselected(name, before)
        await self.believe(crashed=False)

    async def reselected(self, name: str, before: Sequence[Unit]) -> None:
        """What it no longer selects is written off, as far as it waited (or was lost while it did). What it
        selects again it gets, unless that was passed over meanwhile, or deleted just now."""
        model = self.models["samples"]
        view, found = model.views[name], await self.everything("samples", name)
        view.written_off += sum(unit.schema in view.unwanted for unit in before)
        known = found.keys() | {unit.number for unit in before}
        over = {unit.number for unit in model.waiting(name) if unit.number not in known}
        view.settled |= over
        row = self.buffer.info()["uplinks"][name]
        gone = sum(unit.number not in found for unit in model.waiting(name))
        gone += len(view.aside) - row["quarantined_segments"]
        deleted = row["lost_segments"] - view.written_off - gone
        assert 0 <= deleted <= len(over) or model.damaged, f"{name}: {deleted} of {over}"
        view.written_off += deleted

    async def full(self, room: int, flushes: int) -> None:
        """The kernel refuses every write beyond the largest file there is, and a little."""
        largest = max(path.stat().st_size for path in self.directory.glob("*.db*"))
        with no_file_beyond(largest + room):
            for _ in range(flushes):
                self.append(4, (0, 1))
                await self.flush()
                await self.commit(1)
        self.pass_time(1)
        await self.flush()
        for store in self.stores.values():
            assert store.info()["state"] == "ok", store.info()["reason"]

    # -- what happens to it

    async def crash(self, random: Random, *, flushing: bool) -> None:
        """The process dies; ``flushing``: while it writes, so that of that commit there is what there is."""
        before = contents(self.directory)
        state = before
        if flushing:
            heads = {stream: store.info()["head"] for stream, store in self.stores.items()}
            await self.buffer.flush()
            await self.events.retry()
            state = in_between(before, contents(self.directory), random)
            for stream, store in self.stores.items():
                items = await store.take("park", Lane.LIVE, max_items=10**6, max_samples=10**9)
                units = [unit_of(item) for item in items if item.key.seq > heads[stream]]
                self.models[stream].possible = {
                    u.number: u for u in units if u.number not in self.models[stream].units
                }
        await self.go_on_from(state)
        for stream, store in self.stores.items():
            unknown = store.info()["losses"]["unknown_extent"]
            assert unknown, f"{stream}: nothing tells of the crash"
        await self.believe(crashed=True)

    async def corrupt(self, random: Random, *, running: bool) -> None:
        """One bit of the samples' file flips while the agent is off."""
        waited = {stream: store.in_memory_samples for stream, store in self.stores.items()}
        if not running:
            await self.flush()
            await self.stop()
        state = contents(self.directory)
        names = [name for name in ("buffer.db", "buffer.db-wal") if state.get(name)]
        name = random.choice(names)
        body = bytearray(state[name])
        place = random.randrange(len(body))
        body[place] ^= 1 << random.randrange(8)
        self.models["samples"].damaged = True
        await self.go_on_from(state | {name: bytes(body)})
        await self.believe(crashed=True, unseen=waited)

    async def go_on_from(self, state: Mapping[str, bytes]) -> None:
        """On a copy; what is done with the old files does not count any more."""
        self.copies += 1
        await self.stop()
        shutil.rmtree(self.directory)
        self.directory = self.root / str(self.copies)
        self.directory.mkdir()
        for name, body in state.items():
            (self.directory / name).write_bytes(body)
        self.pass_time(30)
        await self.start()

    async def believe(self, *, crashed: bool, unseen: Mapping[str, int] = {}) -> None:
        """What is there after a start: only verdicts that were not durable may be forgotten, only units of a
        commit that was cut off may be new, and those of the last commit at a stop, of so many samples."""
        for stream, model in self.models.items():
            found = await self.everything(stream, "park")
            for number, unit in found.items():
                if number not in model.units and number in model.possible:
                    assert model.possible[number].digest == unit.digest
                    model.units[number] = unit
                    model.given(unit)
            new = [unit for number, unit in found.items() if number not in model.units]
            assert sum(unit.samples for unit in new) <= unseen.get(stream, 0) or model.damaged, (stream, new)
            model.kept(sorted(new, key=lambda unit: unit.number[1]))
            model.possible.clear()
            for name, view in model.views.items():
                found = await self.everything(stream, name)
                back = found.keys() & (view.settled | view.aside)
                assert not back or crashed or model.damaged, f"{back} came back without a crash"
                assert back <= view.fresh or model.damaged, f"{stream}, {name}: {back - view.fresh} came back"
                view.settled -= back
                view.aside -= back
                view.fresh.clear()

    # -- looking

    async def everything(self, stream: str, name: str) -> dict[Number, Unit]:
        found: dict[Number, Unit] = {}
        for lane in (Lane.BACKLOG, Lane.LIVE):
            for item in await self.take(stream, name, lane, 10**6, 10**9):
                found[item.key.epoch, item.key.seq] = unit_of(item)
        return found

    async def audit(self) -> None:
        """What can be taken is what waits, or the ledger tells."""
        await self.flush()
        for stream, model in self.models.items():
            store = self.stores[stream]
            if store.info()["state"] != "ok":
                continue
            for name, view in model.views.items():
                found = await self.everything(stream, name)
                await self.flush()
                row, losses = store.info()["uplinks"][name], self.losses(stream)
                if not model.damaged:
                    assert len(found) == row["pending_segments"], f"{stream}, {name}: {len(found)} of {row}"
                waiting = model.waiting(name)
                strange = found.keys() - {unit.number for unit in waiting}
                assert not strange or model.damaged, f"{stream}: {name} is given {strange}"
                gone = [unit for unit in waiting if unit.number not in found]
                for unit in gone:
                    assert covered(losses, name, unit.number), (
                        f"{stream} {unit.number} is not there for {name}"
                    )
                if not model.damaged:
                    lost = row["lost_segments"] - view.written_off
                    deleted = len(view.aside) - row["quarantined_segments"]  # set aside, and then too old
                    assert lost == len(gone) + deleted, (
                        f"{stream}, {name}: {len(gone)} + {deleted}, not {lost}"
                    )

    def losses(self, stream: str) -> list[tuple[str, str | None, int | None, int | None, int | None]]:
        path = self.directory / FILES[stream]
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(
                "SELECT reason, uplink, from_seq, to_seq, n_samples FROM loss"
            ).fetchall()

    def laws(self) -> None:
        """After every step."""
        buffer = self.buffer
        parts = buffer.committed_samples, buffer.in_memory_samples, buffer.lost_samples
        assert buffer.appended_samples == sum(parts), (buffer.appended_samples, parts)
        for stream, store in self.stores.items():
            info = store.info()
            assert set(info["uplinks"]) == set(self.wants)
            for name, row in info["uplinks"].items():
                law(f"{stream}, {name}", row)
                view, model = self.models[stream].views[name], self.models[stream]
                if not model.damaged:
                    assert row["quarantined_segments"] <= len(view.aside), (stream, name, row)


def law(what: str, row: Mapping[str, Any]) -> None:
    for unit in ("segments", "samples"):
        parts = [row[f"{kind}_{unit}"] for kind in ("acknowledged", "pending", "quarantined", "lost")]
        assert row[f"committed_{unit}"] == sum(parts), f"{what}: {row}"
        assert min(parts) >= 0, f"{what}: {row}"


def covered(losses: Iterable[tuple[Any, ...]], name: str, number: Number) -> bool:
    return any(
        samples is None or (uplink in (None, name) and last is not None and (first or 0) <= number[1] <= last)
        for _, uplink, first, last, samples in losses
    )


def unit_of(item: Envelope) -> Unit:
    number = item.key.epoch, item.key.seq
    if item.event is not None:
        return Unit(number, digest_of_event(item.event), 1, "")
    assert item.schema is not None and item.samples == sum(batch.samples for batch in item.batches)
    return Unit(number, digest_of(item.batches), item.samples, item.schema.digest)


def unwanted(tags: tuple[str, ...]) -> frozenset[str]:
    selection = Selection(tags=tags)
    return frozenset(schema.digest for schema in SCHEMAS if tags and not selection.wants(schema))


def contents(directory: Path) -> dict[str, bytes]:
    """The log's index is made anew; the ballast holds nothing."""
    return {
        path.name: path.read_bytes()
        for path in directory.iterdir()
        if path.is_file() and not path.name.endswith("-shm") and path.name != "ballast"
    }


def in_between(before: Mapping[str, bytes], after: Mapping[str, bytes], random: Random) -> dict[str, bytes]:
    """Files in the middle of a commit: of its log any sectors; of a checkpoint after it any pages, but then
    the whole log."""
    out = dict(before)
    for name in (n for n in after if n.endswith(".db")):
        whole = random.random() < 0.3
        wal = f"{name}-wal"
        if wal in after:
            out[wal] = after[wal] if whole else mixed(before.get(wal, b""), after[wal], random)
        if whole and name in before:
            out[name] = mixed(before[name], after[name], random)
    return out


def mixed(before: bytes, after: bytes, random: Random) -> bytes:
    kept, out = random.choice((0.0, 0.5, 0.9)), bytearray(before.ljust(len(after), b"\0"))
    for start in range(0, len(after), SECTOR):
        if random.random() < kept:
            out[start : start + SECTOR] = after[start : start + SECTOR]
    return bytes(out[: random.choice((len(before), len(after), len(out)))])
