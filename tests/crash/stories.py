"""The recorded programs: the stores, driven as the agent drives them, in several runs of which some end by
``kill -9``.

``python -m tests.crash.stories STORY STATE_DIR MARKS SEED``; every promise is a line in MARKS.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from edge_agent.buffer import Buffer, Codec, EventStore, Notes, Tuning
from edge_agent.buffer.epoch import Identity
from edge_agent.config import load, save_last_good
from edge_agent.config.model import BufferConfig, Selection
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Lane, Stream
from tests.crash.told import digest_of, digest_of_event
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, event_of, junk, scribble

OLD = Path(__file__).parents[1] / "unit" / "buffer" / "version-1.db.sql"
START_NS = 1_767_225_600_000_000_000
HOUR_NS = 3_600_000_000_000
TUNING = Tuning(checkpoint_pages=40)
Say = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the agent between two starts. ``steps`` of random doings; ``clean``: ends by ``close``.
    ``wants``: uplink -> patterns of tags. ``before``: done to the state directory before the start."""

    steps: int
    clean: bool = True
    wants: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"park": ()})
    quota_bytes: int = 4_000_000_000
    old: bool = False  # before the start there is a database of the first version
    junk: bool = False  # before the start buffer.db becomes something else
    forget: bool = False  # before the start both copies of the epoch are lost
    silent: frozenset[str] = frozenset()  # uplinks that take nothing
    changes: bool = False  # uplinks come and go
    full: bool = False  # the disk refuses for some time in the middle
    scribbles: bool = False  # the file is damaged in the middle


class Agent:
    def __init__(self, directory: Path, say: Say, random: Random, run: Run, number: int) -> None:
        self.directory = directory
        self.say = say
        self.random = random
        self.run = run
        self.clock = ManualClock(START_NS + number * HOUR_NS, 10**12)
        self.clock.boot_id = f"boot-{number // 2}"
        self.number = number * 10_000
        self.wants = {name: tuple(tags) for name, tags in run.wants.items()}
        self.stores: dict[str, Buffer] = {}
        self.heads: dict[str, int] = {}
        self.states: dict[str, object] = {}
        self.notes = Notes(directory / "uplinks")
        self.events: EventStore

    @property
    def selections(self) -> dict[str, Selection]:
        return {name: Selection(tags=tags) for name, tags in self.wants.items()}

    async def live(self) -> None:
        await self.open()
        for step in range(self.run.steps):
            await self.clock.advance(self.random.choice((1, 1, 5)))
            self.say(time=self.clock.time_ns())
            await self.step()
            if self.run.full and step == self.run.steps // 2:
                await self.full()
            if self.run.scribbles and step == self.run.steps // 2:
                self.say(damages="samples")
                scribble(self.directory / "buffer.db")
                await self.take()
        if not self.run.clean:
            os._exit(0)
        self.say(closing=self.number)
        await self.events.close()
        for store in reversed(self.stores.values()):
            await store.close()
        self.say(closed=self.number)

    async def open(self) -> None:
        self.say(time=self.clock.time_ns(), wants={n: list(t) for n, t in self.wants.items()})
        config = BufferConfig(quota_bytes=self.run.quota_bytes)
        buffer = await Buffer.open(self.directory, config, self.clock, self.selections, tuning=TUNING)
        periods = await Buffer.open(
            self.directory, config, self.clock, self.selections,
            tuning=TUNING, name="periods.db", stream=Stream.PERIODS, beside=buffer,
        )  # fmt: skip
        self.stores = {Stream.SAMPLES: buffer, Stream.PERIODS: periods}
        self.events = await EventStore.open(
            self.directory, self.clock, self.wants, buffer.epoch, quota_rows=60, tuning=TUNING
        )
        self.states = dict(self.events.window_states())
        self.say(opened={"agent": buffer.agent, "epoch": buffer.epoch})
        self.registered()
        for store in self.stores.values():
            await self.kept(store)

    @property
    def all_stores(self) -> tuple[Buffer | EventStore, ...]:
        return (*self.stores.values(), self.events)

    def registered(self) -> None:
        for store in self.all_stores:
            head, stream = store.info()["head"], store.stream
            self.heads.setdefault(stream, head)
            self.say(registered={"stream": stream, "uplinks": list(self.wants), "head": head})

    async def step(self) -> None:
        doings = {self.append: 8, self.flush: 8, self.take: 6, self.commit: 4, self.report: 2, self.keep: 1}
        if self.run.changes:
            doings[self.change] = 1
        await self.random.choices(list(doings), list(doings.values()))[0]()

    async def append(self) -> None:
        store = self.random.choices(list(self.stores.values()), (4, 1))[0]
        for _ in range(self.random.randint(1, 6)):
            await self.clock.advance(0.5)
            store.append(batch_of(self.random.choice((PRESS, OVEN)), self.number, self.clock))
            self.number += 1

    async def flush(self) -> None:
        await self.append()
        for store in self.stores.values():
            await store.flush()
            await self.kept(store)

    async def kept(self, store: Buffer) -> None:
        """What the last commit added is promised now."""
        found: dict[tuple[int, int], Envelope] = {}
        for name in self.wants:
            taken = await store.take(name, Lane.LIVE, max_items=10**6, max_samples=10**9)
            found |= {(e.key.epoch, e.key.seq): e for e in taken if e.key.seq > self.heads[store.stream]}
        self.heads[store.stream] = store.info()["head"]
        if found:
            units = [
                (*key, digest_of(e.batches), e.batches[0].schema.digest, max(b.time_ns for b in e.batches))
                for key, e in found.items()
            ]
            self.say(kept={"stream": store.stream, "units": units})

    async def take(self) -> None:
        store = self.random.choice(self.all_stores)
        for name in [name for name in self.wants if name not in self.run.silent]:
            lane = self.random.choice((Lane.LIVE, Lane.BACKLOG))
            items = await store.take(name, lane, max_items=self.random.choice((3, 50)), max_samples=100_000)
            given = [e.key for e in items if self.random.random() < 0.9]
            if given:
                keys = [(key.epoch, key.seq) for key in given]
                self.say(settles={"stream": store.stream, "uplink": name, "keys": keys})
                poison = self.random.random() < 0.1
                if poison:
                    store.quarantine(name, given[0], "poison")
                store.acknowledge(name, given[poison:])

    async def commit(self) -> None:
        events = [event_of(self.number + i, self.clock) for i in range(self.random.randint(0, 3))]
        self.number += len(events)
        name = self.random.choice(("a", "b", "c"))
        state = self.random.choice(({"state": self.number, "note": "x" * self.random.randint(0, 900)}, None))
        self.states[name] = state
        states = json.dumps({n: s for n, s in self.states.items() if s is not None}, sort_keys=True)
        self.say(asks_states=states)
        keys = await self.events.commit(events, {name: state})
        if len(keys) == len(events) and self.events.info()["state"] == "ok":
            units = [
                (k.epoch, k.seq, digest_of_event(e), "", e.time_ns) for k, e in zip(keys, events, strict=True)
            ]
            self.say(kept={"stream": "event", "units": units, "states": states})

    async def report(self) -> None:
        for store in self.all_stores:
            rows = store.unreported_losses()
            if rows:
                told = [(x.id, f"{x.reason} {x.epoch} {x.uplink} {x.n_samples}") for x in rows]
                self.say(lost={"stream": store.stream, "rows": told})
                store.mark_reported(rows[:1])

    async def keep(self) -> None:
        text = f"{self.number} " + "y" * self.random.randint(0, 3000)
        self.say(keeps=("park.session", text))
        await self.notes.keep("park", "session", text)
        self.say(has_kept=("park.session", text))

    async def change(self) -> None:
        if "mirror" in self.wants:
            del self.wants["mirror"]
        else:
            self.wants["mirror"] = self.random.choice(((), ("press-1.*",), ("oven-1.t0",)))
        self.say(wants={n: list(t) for n, t in self.wants.items()})
        for store in self.stores.values():
            await store.register(self.selections)
        await self.events.register(self.wants)
        self.registered()
        for store in self.stores.values():
            await self.kept(store)

    async def full(self) -> None:
        """The kernel refuses every write beyond what the files have now, for a while."""
        sizes = [(self.directory / name).stat().st_size for name in ("buffer.db-wal", "periods.db-wal")]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + 2000, hard))
        for _ in range(6):
            await self.step()
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await self.flush()


def prepare(directory: Path, run: Run, say: Say) -> None:
    if run.old:
        install_old(directory, say)
    if run.junk:
        say(damages="samples")
        beside = directory / "restored"
        junk(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(directory / "buffer.db")
    if run.forget:
        say(damages="epoch")
        for name in ("epoch", "epoch.2"):
            (directory / name).unlink()


def install_old(directory: Path, say: Say) -> None:
    """What an agent of the first version left: three segments, of which the park has the first."""
    identity = Identity(directory)
    identity.raise_epoch(0, 0)
    with closing(sqlite3.connect(directory / "buffer.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        script = OLD.read_text(encoding="utf-8").replace("COMMIT;", "PRAGMA user_version = 1; COMMIT;")
        connection.executescript(script)
        found = connection.execute("SELECT epoch, seq, schema, body, t1_ns FROM segment").fetchall()
    codec = Codec()
    units = [
        (epoch, seq, digest_of(codec.decode(PRESS, body)), schema, t1_ns)
        for epoch, seq, schema, body, t1_ns in found
    ]
    say(time=START_NS, wants={"park": []}, opened={"agent": identity.agent, "epoch": 1}, closed=0)
    say(registered={"stream": "samples", "uplinks": ["park"], "head": 0})
    say(kept={"stream": "samples", "units": units})
    say(settles={"stream": "samples", "uplink": "park", "keys": [(1, 1)]})


BOTH: Mapping[str, Sequence[str]] = {"park": (), "energy": ("press-1.*",)}
STORIES: dict[str, Sequence[Run]] = {
    "first": (Run(4), Run(3, clean=False), Run(2)),
    "long": (
        Run(90, clean=False, wants=BOTH),
        Run(60, wants=BOTH, changes=True),
        Run(70, clean=False, changes=True),
        Run(30),
    ),
    "outage": (
        Run(90, wants=BOTH, quota_bytes=150_000, silent=frozenset(("park",))),
        Run(60, clean=False, wants=BOTH, quota_bytes=150_000, silent=frozenset(("energy",))),
        Run(50, wants=BOTH, quota_bytes=130_000),
    ),
    "upgrade": (Run(4, old=True, wants=BOTH), Run(4, clean=False)),
    "broken": (
        Run(20, wants=BOTH),
        Run(15, clean=False, wants=BOTH, junk=True),
        Run(20, wants=BOTH, scribbles=True),
        Run(10, junk=True),
        Run(5, forget=True),
    ),
    "full": (Run(40, clean=False, wants=BOTH, full=True), Run(10, wants=BOTH)),
    "config": (),
}
"""One more, ``agent``, is the agent itself: see ``site.py``."""


def save_configurations(state: Path, say: Say) -> None:
    """As the agent does at every start and reload, with another configuration each time."""
    with TemporaryDirectory(prefix="lineside-crash-") as name:
        folder = Path(name)
        for number in range(6):
            text = f"line: line-{number}\nstate_dir: {state}\n# {'x' * 700 * number}\n"
            (folder / "edge-agent.yaml").write_text(text, encoding="utf-8")
            configuration = load(folder)
            say(saves=configuration.version)
            save_last_good(configuration, state)
            say(has_saved=configuration.version)


def tell(story: str, directory: Path, say: Say, seed: str) -> None:
    """Every run is a process of its own, forked here, so that it can end like one that is killed."""
    if story == "config":
        save_configurations(directory, say)
    for number, run in enumerate(STORIES[story]):
        prepare(directory, run, say)
        pid = os.fork()
        if pid == 0:
            agent = Agent(directory, say, Random(f"{seed}/{story}/{number}"), run, number)
            try:
                asyncio.run(agent.live())
            except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            sys.exit(1)


def main() -> None:
    story, directory, marks, seed = sys.argv[1:]
    handle = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(**promise: object) -> None:
        os.write(handle, json.dumps(promise).encode() + b"\n")

    tell(story, Path(directory), say, seed)


if __name__ == "__main__":
    main()
