"""Damage to the files of the store: F8, F9. What the disk itself does is in `disk`."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.faults.parks import HttpPark
from tests.faults.plc import number_of
from tests.faults.scene import Plan, Scene
from tests.faults.stage import Scenario, Stage
from tests.plant.processes import eventually

START_WITHIN_S = 5.0
KEPT = 2


def flip(stage: Stage) -> None:
    """First in the bodies of segments, each of which then fails its checksum; then anywhere in the file."""
    bodies, rounds = stage.either((6, 2), (40, 25))
    stage.did(f"one bit in each of {bodies} stored segments, then {rounds} times 3 bits anywhere in the file")
    with Scene(stage.folder, Plan(flush="500ms", units=3)) as scene:
        path = scene.site.state / "buffer.db"
        _backlog(scene, 2 * bodies // 3 + 4)
        damaged = _flip_bodies(stage, path, bodies)
        sound = _sound(path, damaged)
        scene.each("ok")
        scene.start()
        scene.settle()
        park = scene.parks["park"]
        assert isinstance(park, HttpPark)
        arrived = sound & park.sequence_numbers()
        stage.at_least("undamaged delivered %", 100 * len(arrived) / max(1, len(sound)), 100)
        corrupt = 0
        starts = 0
        for _ in range(rounds):
            _backlog(scene, 8)
            corrupt += _flip_anywhere(stage, path, 3)
            starts += _starts(scene)
            scene.each("ok")
            scene.settle()
        stage.is_("starts", starts, rounds)
        stage.told("bits flipped", len(damaged) + corrupt)
        stage.at_most("files set aside kept", len(_aside(scene)), KEPT)
        stage.judge(scene, exact=False)


def _backlog(scene: Scene, segments: int) -> None:
    """So many segments that no park has, and the agent stopped cleanly."""
    scene.each("down")
    scene.start()
    waiting = scene.pending()
    eventually("a backlog", lambda: scene.pending() >= waiting + segments, 40)
    scene.stop()


def _flip_bodies(stage: Stage, path: Path, count: int) -> set[int]:
    """Numbers of the segments that were damaged."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = connection.execute("SELECT seq, body FROM segment ORDER BY seq").fetchall()
    data = bytearray(path.read_bytes())
    damaged = set()
    for seq, body in stage.chance.sample(rows, min(count, len(rows))):
        place = data.find(body[: len(body) // 2])
        if place >= 0:
            data[place + stage.chance.randrange(len(body) // 2)] ^= 1 << stage.chance.randrange(8)
            damaged.add(seq)
    path.write_bytes(data)
    return damaged


def _flip_anywhere(stage: Stage, path: Path, count: int) -> int:
    data = bytearray(path.read_bytes())
    for _ in range(count):
        data[stage.chance.randrange(len(data))] ^= 1 << stage.chance.randrange(8)
    path.write_bytes(data)
    return count


def _sound(path: Path, damaged: set[int]) -> set[int]:
    with closing(sqlite3.connect(path)) as connection:
        return {seq for (seq,) in connection.execute("SELECT seq FROM segment")} - damaged


def _starts(scene: Scene) -> bool:
    """Whether it runs and reads, soon; the faults of the parks are left as they are."""
    begin = time.monotonic()
    polls = sum(len(times) for times in scene.polls().values())
    scene.start(wait=False)
    eventually("it reads", lambda: sum(len(t) for t in scene.polls().values()) > polls, 40)
    scene.start_s.append(time.monotonic() - begin)
    eventually("its store takes data", lambda: scene.buffer()["state"] == "ok", 40)
    return True


def _aside(scene: Scene) -> list[str]:
    return sorted(p.name for p in scene.site.state.glob("buffer.db.broken-*") if p.name[-1].isdigit())


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _zero_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


def _zero_all(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _foreign(path: Path) -> None:
    path.write_text("this is a letter, not a database\n" * 500, encoding="ascii")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


def _gone(path: Path) -> None:
    path.unlink()


RUINS: Sequence[tuple[str, Callable[[Path], None]]] = (
    ("truncated", _truncate), ("first page zeroed", _zero_head), ("zeroed", _zero_all), ("empty", _empty),
    ("no database", _foreign), ("newer schema", _newer), ("gone", _gone),
)  # fmt: skip


def ruin(stage: Stage) -> None:
    """The backlog is of two runs: what the ledger says must cover both."""
    chosen = stage.either(stage.chance.sample(RUINS, 4), list(RUINS))
    stage.did("buffer.db " + ", ".join(name for name, _ in chosen))
    starts = saved = waited = 0
    with Scene(stage.folder, Plan(flush="500ms")) as scene:
        path = scene.site.state / "buffer.db"
        for _, spoil in chosen:
            before = {unit: len(polls) for unit, polls in scene.polls().items()}
            _backlog(scene, 6)
            _backlog(scene, 2)
            after = {unit: len(polls) for unit, polls in scene.polls().items()}
            spoil(path)
            starts += _starts(scene)
            scene.each("ok")
            scene.settle()
            park = scene.parks["park"]
            for unit in scene.units:
                had = {
                    number_of(v) for _, v, good in park.readings(f"d{unit}", "t0") if good and v is not None
                }
                saved += sum(before[unit] < n <= after[unit] for n in had)
                waited += after[unit] - before[unit]
        stage.is_("starts", starts, len(chosen))
        stage.told("salvaged %", 100 * saved / max(1, waited))
        stage.at_most("files set aside kept", len(_aside(scene)), KEPT)
        stage.told("start s", max(scene.start_s))
        stage.judge(scene, exact=False)


SCENARIOS = (
    Scenario("F8", "bits flip in the buffer file", flip, limit_s=1800),
    Scenario("F9", "the buffer file is ruined", ruin, limit_s=600),
)
