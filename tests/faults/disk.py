"""The disk under the store refuses, is slow, is full, is read-only: F10, F27 to F32."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults import disks
from tests.faults.scene import Plan, Scene
from tests.faults.stage import Scenario, Stage, rhythm
from tests.faults.tracing import SYNCS, WRITES, injected, meddled, synced_again_after_error
from tests.plant.processes import eventually

PERIOD_S = 0.5
PLAN = Plan(poll=f"{PERIOD_S * 1000:g}ms")
RETURN_WITHIN_S = 30.0
LAG_WITHIN_S = 0.05
WAL_LIMIT = 32 * 2**20


@contextmanager
def polled(stage: Stage, scene: Scene, what: str = "polls missed") -> Iterator[None]:
    """While it lasts no poll may be missed, counted at the controller."""
    since_ns = time.monotonic_ns()
    yield
    until_ns = time.monotonic_ns()
    found = [rhythm(times, PERIOD_S, since_ns, until_ns)[0] for times in scene.polls().values()]
    stage.is_(what, sum(found), 0)


def _degraded(scene: Scene) -> bool:
    return bool(scene.buffer()["state"] == "degraded")


def _healed(scene: Scene) -> bool:
    return bool(scene.buffer()["state"] == "ok")


def errors(stage: Stage) -> None:
    hold_s = stage.either(5.0, 20.0)
    rules = (
        ("EIO on sync", f"{SYNCS}:error=EIO"),
        ("EIO on write", f"{WRITES}:error=EIO"),
        ("ENOSPC on write", f"{WRITES}:error=ENOSPC"),
    )
    stage.did(f"{', '.join(name for name, _ in rules)}, {hold_s:g} s each, under the running agent (strace)")
    hits = again = 0
    longest_s = 0.0
    with Scene(stage.folder, PLAN) as scene:
        scene.start()
        scene.flows()
        for index, (_, rule) in enumerate(rules):
            log = stage.folder / f"strace-{index}.log"
            with polled(stage, scene, f"polls missed ({_})"):
                trace = f"{SYNCS},{WRITES},close"
                with meddled(scene.pid, rule, log=log, trace=trace, within=scene.site.state):
                    eventually("it says so", lambda: _degraded(scene))
                    time.sleep(hold_s)
            begin = time.monotonic()
            eventually("it heals", lambda: _healed(scene), RETURN_WITHIN_S + 10)
            longest_s = max(longest_s, time.monotonic() - begin)
            hits += injected(log)
            again += synced_again_after_error(log)
        scene.flows()
        scene.settle()
        stage.at_least("calls that failed", hits, 3)
        stage.is_("failed syncs tried again on the same handle", again, 0)
        stage.at_most("return s", longest_s, RETURN_WITHIN_S)
        stage.judge(scene)


def full(stage: Stage) -> None:
    """A second tenant fills the file system to the last byte."""
    hold_s = stage.either(8.0, 60.0)
    stage.did(f"tmpfs of 64 MB filled to the last byte by others for {hold_s:g} s")
    state = stage.disk("64m")
    with Scene(stage.folder, Plan(poll=PLAN.poll, state=state)) as scene:
        scene.start()
        scene.flows()
        time.sleep(3)  # some history, which may go when there is no room
        with polled(stage, scene):
            disks.fill(state)
            begin = time.monotonic()
            own_s = _until(lambda: _degraded(scene), 5)
            if own_s is not None:
                own_s = _until(lambda: _healed(scene), hold_s)
            else:
                own_s = 0.0
            time.sleep(max(0.0, hold_s - (time.monotonic() - begin)))
            stage.told("takes data again by itself after s", own_s)
        (state / "others").unlink()
        begin = time.monotonic()
        eventually("it heals", lambda: _healed(scene), RETURN_WITHIN_S + 10)
        stage.at_most("return after space s", time.monotonic() - begin, RETURN_WITHIN_S)
        scene.settle()
        stage.judge(scene)


def _until(condition: object, within_s: float) -> float | None:
    begin = time.monotonic()
    while time.monotonic() < begin + within_s:
        if condition():  # type: ignore[operator]
            return time.monotonic() - begin
        time.sleep(0.05)
    return None


def quota(stage: Stage) -> None:
    lost = stage.either(3_000, 100_000)
    stage.did(f"parks away until the quota of 300 kB has cost {lost} samples")
    plan = Plan(flush="200ms", poll="50ms", units=8, buffer={"quota": "300kB"})
    with Scene(stage.folder, plan) as scene:
        scene.start()
        scene.flows()
        scene.each("down")
        eventually("the quota takes its share", lambda: _lost(scene) >= lost, 60 + lost / 200)
        scene.each("ok")
        scene.settle()
        found = stage.judge(scene)
        stage.told("dropped", max(a.not_received - a.quarantined for a in found))
        stage.is_("dropped - ledger", max(a.unaccounted + a.overtold for a in found), 0)
        with closing(sqlite3.connect(scene.site.state / "events.db")) as connection:
            (rows,) = connection.execute("SELECT count(*) FROM loss").fetchone()
        stage.is_("events lost", rows, 0)


def _lost(scene: Scene) -> int:
    buffer = scene.buffer()
    rows = [row["lost_samples"] for row in buffer["uplinks"].values()]
    return int(min(rows)) + int(buffer.get("lost_samples", 0))


def read_only(stage: Stage) -> None:
    """A file that is open for writing keeps a file system writable. So the store is first made to let go, by
    a write error, and then the file system is really made read-only. Sparkplug, of which something always
    waits and is read again, gets its turn only after that: the store's reader would keep the log open."""
    hold_s = stage.either(6.0, 60.0)
    stage.did(f"state directory remounted read-only for {hold_s:g} s")
    state = stage.disk("64m")
    with Scene(stage.folder, Plan(poll=PLAN.poll, state=state)) as scene:
        late = [name for name, park in scene.parks.items() if park.kind == "sparkplug"]
        scene.each("down", late)
        scene.start()
        scene.flows(30, *(scene.parks.keys() - late))
        log = stage.folder / "strace.log"
        with polled(stage, scene):
            rules = (f"{SYNCS},{WRITES}:error=EROFS",)
            with meddled(scene.pid, *rules, log=log, trace=f"{SYNCS},{WRITES}", within=state):
                scene.site.write_main(web={"port": scene.site.web_port, "tags": "off"})
                scene.site.reload()  # an event, so that its store lets go as well
                eventually("it says so", lambda: _degraded(scene))
                eventually("remounted", lambda: disks.remount(state, "ro"), 30)
            scene.each("ok", late)
            time.sleep(hold_s)
            stage.is_("says that it does not store", _degraded(scene), True)
        eventually("remounted", lambda: disks.remount(state, "rw"))
        begin = time.monotonic()
        eventually("it heals", lambda: _healed(scene), RETURN_WITHIN_S + 10)
        stage.at_most("return s", time.monotonic() - begin, RETURN_WITHIN_S)
        scene.settle()
        stage.judge(scene)


def slow(stage: Stage) -> None:
    """The calm minute before it is traced as well, so that only the delay is new."""
    delays_s = stage.either((4.0,), (2.0, 5.0, 10.0))
    hold_s = stage.either(12.0, 40.0)
    stage.did(f"every sync takes {', '.join(f'{d:g}' for d in delays_s)} s, for {hold_s:g} s each (strace)")
    with Scene(stage.folder, PLAN) as scene:
        scene.start()
        scene.flows()
        log = stage.folder / "strace.log"
        with meddled(scene.pid, log=log, trace=SYNCS):
            calm_s = _lag(stage, scene, hold_s)
        worst_s = 0.0
        delayed = 0
        for index, delay_s in enumerate(delays_s):
            log = stage.folder / f"strace-{index}.log"
            rule = f"{SYNCS}:delay_enter={round(delay_s * 1e6)}"
            with (
                polled(stage, scene, f"polls missed ({delay_s:g} s)"),
                meddled(scene.pid, rule, log=log, trace=SYNCS),
            ):
                worst_s = max(worst_s, _lag(stage, scene, hold_s))
            delayed += injected(log)
            stage.at_least(f"a commit took s ({delay_s:g} s)", _longest_commit_s(scene), delay_s / 2)
        scene.settle()
        stage.at_least("syncs delayed", delayed, 2 * len(delays_s))
        stage.told("lag calm s", calm_s)
        stage.told("lag slow s", worst_s)
        stage.at_most("lag above calm s", max(0.0, worst_s - calm_s), LAG_WITHIN_S)
        stage.judge(scene)


def _longest_commit_s(scene: Scene) -> float:
    """As the agent measured it, by the buckets of its histogram: at least so long."""
    commits = scene.buffer()["commit_seconds"]
    reached = [0.0, *commits["bounds"]]
    return max(float(bound) for bound, count in zip(reached, commits["counts"], strict=True) if count)


def _lag(stage: Stage, scene: Scene, seconds: float) -> float:
    """The longest delay of a poll behind its slot, at the controller, over so many seconds."""
    since_ns = time.monotonic_ns()
    time.sleep(seconds)
    until_ns = time.monotonic_ns()
    period_ns = round(PERIOD_S * 1e9)
    worst = 0
    for times in scene.polls().values():
        late = sorted(mono % period_ns for _, mono in times if since_ns <= mono < until_ns)
        worst = max(worst, late[-1] - late[len(late) // 2])
    return worst / 1e9


def pinned(stage: Stage) -> None:
    """Somebody else holds a read transaction on the store: nothing of the log can be given back meanwhile.
    The short form is played at a 32nd of the scale: limit and log."""
    hold_s = stage.either(20.0, 600.0)
    limit = stage.either(WAL_LIMIT // 32, WAL_LIMIT)
    stage.did(f"another process holds a read transaction on buffer.db for {hold_s:g} s, limit {limit} bytes")
    plan = Plan(flush="100ms", poll="50ms", units=15, module=("tests.faults.steered",))
    largest = 0
    with Scene(stage.folder, plan) as scene:
        scene.start(FAULTS_LOG_LIMIT=str(limit))
        scene.flows()
        path = scene.site.state / "buffer.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM segment").fetchone()
            end = time.monotonic() + hold_s
            while time.monotonic() < end:
                wal = path.with_name("buffer.db-wal")
                largest = max(largest, wal.stat().st_size if wal.exists() else 0)
                time.sleep(0.1)
        stage.told("state meanwhile", str(scene.buffer()["state"]))
        scene.settle()
        stage.at_most("largest log / limit", largest / limit, 1.0)
        stage.judge(scene)


def exhausted(stage: Stage) -> None:
    hold_s = stage.either(5.0, 30.0)
    stage.did(f"no file descriptor left for {hold_s:g} s, all connections cut; then no inode left at a start")
    state = stage.disk("64m", inodes=60)
    with Scene(stage.folder, Plan(poll=PLAN.poll, state=state)) as scene:
        scene.start()
        scene.flows()
        pid = scene.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))  # those that are open stay
        for park in scene.parks.values():
            park.proxy.cut()
        with polled(stage, scene):
            time.sleep(1)  # its own page can take nobody now: the parks tell that nothing arrives
            before_us = {name: park.newest_us() for name, park in scene.parks.items()}
            time.sleep(hold_s)
            moved = [name for name, park in scene.parks.items() if park.newest_us() > before_us[name]]
        stage.is_("uplinks that got through without a descriptor", len(moved), 0)
        crashes = int(scene.site.agent is None or not scene.site.agent.running)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        scene.flows(60)
        scene.stop()
        taken = _take_inodes(state)
        scene.start()
        before = sum(len(times) for times in scene.polls().values())
        time.sleep(hold_s)
        crashes += int(scene.site.agent is None or not scene.site.agent.running)
        stage.is_("says that it does not store", _degraded(scene), True)
        stage.at_least("polls without an inode", sum(len(t) for t in scene.polls().values()) - before, 10)
        for path in taken:
            path.unlink()
        begin = time.monotonic()
        eventually("it heals", lambda: _healed(scene), RETURN_WITHIN_S + 10)
        stage.at_most("return s", time.monotonic() - begin, RETURN_WITHIN_S)
        scene.settle()
        stage.is_("crashes", crashes, 0)
        stage.judge(scene)


def _take_inodes(place: Path) -> list[Path]:
    """Empty files until there can be no more."""
    taken: list[Path] = []
    try:
        while True:
            path = place / f"taken-{len(taken)}"
            path.touch()
            taken.append(path)
    except OSError:
        return taken


SCENARIOS = (
    Scenario("F10", "errors on write and sync", errors, tools=("strace",)),
    Scenario("F27", "disk full by others", full, spaces=("mount",)),
    Scenario("F28", "quota reached by a long outage", quota, limit_s=1800),
    Scenario("F29", "read-only remount", read_only, spaces=("mount",), tools=("strace",)),
    Scenario("F30", "slow storage", slow, alone=True, tools=("strace",)),
    Scenario("F31", "a long reader", pinned, limit_s=900),
    Scenario("F32", "no descriptors, no inodes", exhausted, spaces=("mount",)),
)
