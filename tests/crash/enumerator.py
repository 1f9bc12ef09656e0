"""Which states are tried, and by how many processes."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.crash.disk import Disk, Said
from tests.crash.judge import Case, Finding, Verdict, judge, lay_out
from tests.crash.record import Recording
from tests.crash.told import Told

FAST = Path("/dev/shm")
LIES = (1, 2, 3, 5, 10)
_PART = 60  # states per piece of work
_TWICE = 8  # every so many states the stores are started a second time


@dataclass(frozen=True, slots=True)
class Cut:
    """The power goes before operation number ``at``; ``draw`` tells one state of it from the next."""

    story: str
    at: int
    draw: int
    lies: int = 0

    def __str__(self) -> str:
        return f"{self.story}:{self.at}:{self.draw}:{self.lies}"

    @classmethod
    def parse(cls, text: str) -> Cut:
        story, at, draw, lies = text.split(":")
        return cls(story, int(at), int(draw), int(lies))


@dataclass(slots=True)
class Tally:
    """Of one story, or of one number of lies."""

    states: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    with_loss: int = 0
    most_lost: int = 0
    set_aside: int = 0
    reused: int = 0
    vanished: int = 0
    first: list[tuple[Cut, Finding]] = field(default_factory=list)

    def add(self, cut: Cut, verdict: Verdict) -> None:
        self.states += 1
        self.findings.update({finding.kind for finding in verdict.findings})
        self.first += [(cut, finding) for finding in verdict.findings][: max(0, 200 - len(self.first))]
        self.with_loss += bool(verdict.lost)
        self.most_lost = max(self.most_lost, verdict.lost)
        self.set_aside += bool(verdict.set_aside)
        self.reused += bool(verdict.reused)
        self.vanished += verdict.vanished


def moments(recording: Recording) -> list[int]:
    """Where a cut makes a difference: before every operation on the disk, and at the end."""
    found = [i for i, o in enumerate(recording.operations) if not isinstance(o, Said)]
    return [*found, len(recording.operations)]


def spread(recordings: Sequence[Recording], states: int, lies: int, seed: str) -> list[Cut]:
    """Every moment equally often, as far as ``states`` goes; the rest, or all if they are too few, drawn."""
    places = [(recording.story, at) for recording in recordings for at in moments(recording)]
    rounds, rest = divmod(states, len(places))
    random = Random(f"{seed}/spread/{lies}")
    cuts = [Cut(story, at, draw, lies) for draw in range(rounds) for story, at in places]
    return cuts + [Cut(story, at, rounds, lies) for story, at in random.sample(places, rest)]


def enumerate_states(
    recordings: Mapping[str, Recording], cuts: Sequence[Cut], seed: str, processes: int
) -> Iterator[tuple[Cut, Verdict]]:
    """In no particular order."""
    parts = list(_parts(cuts))
    if processes == 1:
        _begin(recordings)
        for part in parts:
            yield from _try(part, seed)
        return
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (recordings,)) as pool:
        for done in as_completed([pool.submit(_try, part, seed) for part in parts]):
            yield from done.result()


def _parts(cuts: Sequence[Cut]) -> Iterator[list[Cut]]:
    """Pieces of one story and one number of lies, in order of time: each is one walk through the record."""
    ordered = sorted(cuts, key=lambda cut: (cut.story, cut.lies, cut.at, cut.draw))
    part: list[Cut] = []
    for cut in ordered:
        if part and (len(part) == _PART or (cut.story, cut.lies) != (part[0].story, part[0].lies)):
            yield part
            part = []
        part.append(cut)
    if part:
        yield part


_recordings: dict[str, Recording] = {}  # per process, set once by ``_begin``


def _begin(recordings: Mapping[str, Recording]) -> None:
    _recordings.clear()
    _recordings.update(recordings)


def _try(part: Sequence[Cut], seed: str) -> list[tuple[Cut, Verdict]]:
    with TemporaryDirectory(prefix="lineside-crash-", dir=FAST if FAST.is_dir() else None) as name:
        return asyncio.run(walk(_recordings[part[0].story], part, seed, Path(name) / "state"))


async def walk(
    recording: Recording, part: Sequence[Cut], seed: str, folder: Path
) -> list[tuple[Cut, Verdict]]:
    """Through the record once. ``part``: in order of time, all of this story and of one number of lies. A
    single one leaves its files in ``folder`` and, as they were before the start, in ``folder-before``."""
    disk, said, place = Disk(recording.root, part[0].lies), Told(), 0
    all_said, out = _all_said(recording), []
    for number, cut in enumerate(part):
        for operation in recording.operations[place : cut.at]:
            disk.apply(operation)
            if isinstance(operation, Said):
                said.hear(operation.text)
        place = cut.at
        random = Random(f"{seed}/{cut}")
        lay_out(disk.draw(random), folder, random)
        if len(part) == 1:
            shutil.copytree(folder, folder.with_name(f"{folder.name}-before"))
        case = Case(copy.deepcopy(said), all_said, recording.left, cut.lies, cut.story == "agent")
        out.append((cut, await judge(folder, case, twice=number % _TWICE == 0)))
    return out


def _all_said(recording: Recording) -> Told:
    told = Told()
    for operation in recording.operations:
        if isinstance(operation, Said):
            told.hear(operation.text)
    return told
