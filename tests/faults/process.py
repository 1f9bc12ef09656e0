"""The process dies, is ended, or is stopped for a while: F4, F5, F6."""

from __future__ import annotations

import signal
import time
from functools import partial

from tests.faults.plc import number_of
from tests.faults.scene import Plan, Scene
from tests.faults.stage import Scenario, Stage, rhythm
from tests.plant.processes import eventually

FLUSH_S, POLL_S = 1.0, 0.1
LIFE_S = (0.2, 2.0)
STOP_WITHIN_S = 10.0
START_WITHIN_S = 5.0
EXPOSED_POLLS = round(FLUSH_S / POLL_S) + 2  # one flush interval, the poll in flight, the one being committed


def kill_at_random(stage: Stage) -> None:
    """Every park is away meanwhile, so that all that was read must come out of the store afterwards."""
    kills = stage.runs or stage.either(8, 500)
    stage.did(f"kill -9 at random moments, {kills} times, parks away")
    with Scene(stage.folder, Plan(flush=f"{FLUSH_S:g}s", poll=f"{POLL_S * 1000:g}ms")) as scene:
        scene.each("down")
        for _ in range(kills):
            scene.start(wait=stage.chance.random() < 0.8)  # one in five may die while it is still starting
            time.sleep(stage.chance.uniform(*LIFE_S))
            scene.kill()
        scene.each("ok")
        scene.start()
        stage.told("drained_s", scene.settle(120 + kills))
        starts = sorted(scene.start_s)
        stage.at_most("start p99 s", starts[-1 - len(starts) // 100], START_WITHIN_S)
        stage.at_most("polls lost by one kill", _worst(scene), EXPOSED_POLLS)
        stage.is_("polls lost without a kill", _elsewhere(scene), 0)
        stage.judge(scene)


def _runs(scene: Scene) -> list[tuple[int, int, int]]:
    """(unit, first, last) of every run of polls that arrived nowhere at one of the parks."""
    found: list[tuple[int, int, int]] = []
    polls = scene.polls()
    for park in (p for p in scene.parks.values() if not p.per_second):
        for unit, served in polls.items():
            had = {number_of(v) for _, v, good in park.readings(f"d{unit}", "t0") if good and v is not None}
            missing = [n for n in range(1, len(served) + 1) if n not in had]
            for n in missing:
                if found and found[-1][0] == unit and found[-1][2] == n - 1:
                    found[-1] = (unit, found[-1][1], n)
                else:
                    found.append((unit, n, n))
    return found


def _worst(scene: Scene) -> int:
    """Polls missing per end of a run of the agent."""
    ends = {unit: scene.lives.last_of(unit) for unit in scene.units}
    return max(
        (-(-(last - first + 1) // max(1, sum(first <= end <= last for end in ends[unit])))
         for unit, first, last in _runs(scene)), default=0,
    )  # fmt: skip


def _elsewhere(scene: Scene) -> int:
    ends = {unit: scene.lives.last_of(unit) for unit in scene.units}
    return sum(
        last - first + 1
        for unit, first, last in _runs(scene)
        if not any(first <= end <= last for end in ends[unit])
    )


def end_under_load(stage: Stage) -> None:
    stage.did("SIGTERM under load, once with the parks away and once with parks that never answer")
    longest = 0.0
    with Scene(stage.folder, Plan(units=6, poll="50ms")) as scene:
        for fault in ("down", "hang"):
            scene.each(fault)
            scene.start()
            waiting = scene.pending()
            eventually("a backlog has grown", partial(_grown, scene, waiting + 24), 40)
            longest = max(longest, scene.stop(STOP_WITHIN_S + 5))
        scene.each("ok")
        scene.start()
        scene.settle()
        found = stage.judge(scene)
        stage.at_most("stop s", longest, STOP_WITHIN_S)
        lost = max(a.served - a.received - a.in_flight - a.failed for a in found)
        stage.is_("samples lost", lost, 0)


def _grown(scene: Scene, segments: int) -> bool:
    return scene.pending() >= segments


PERIOD_S = 0.5


def suspend(stage: Stage) -> None:
    pause_s = stage.either(12.0, 60.0)
    stage.did(f"SIGSTOP for {pause_s:g} s, then SIGCONT")
    with Scene(stage.folder, Plan(poll=f"{PERIOD_S * 1000:g}ms")) as scene:
        scene.start()
        scene.flows()
        agent = scene.site.agent
        assert agent is not None
        agent.signal(signal.SIGSTOP)
        stopped_ns = time.monotonic_ns()
        time.sleep(pause_s)
        resumed_ns = time.monotonic_ns()
        agent.signal(signal.SIGCONT)
        time.sleep(4)
        told = [e for e in scene.site.events("paused") if _near(e["detail"].get("seconds"), pause_s)]
        scene.settle()
        polls = scene.polls()
        burst = 0
        for times in polls.values():
            soon = [mono for _, mono in times if resumed_ns <= mono < resumed_ns + PERIOD_S * 1e9]
            burst = max(burst, len(soon) - 1)  # one of them is the slot's own
        paused = sum(stopped_ns + 1e8 < mono < resumed_ns for times in polls.values() for _, mono in times)
        later_ns = resumed_ns + round(2 * PERIOD_S * 1e9)
        missed = sum(
            rhythm(times, PERIOD_S, later_ns, later_ns + 2_000_000_000)[0] for times in polls.values()
        )
        stage.is_("polls while stopped", paused, 0)
        stage.at_most("polls to catch up per device", burst, 1)
        stage.is_("polls missed after", missed, 0)
        stage.is_("gap marked (events)", len(told), 1)
        stage.judge(scene)


def _near(seconds: object, wanted_s: float) -> bool:
    return isinstance(seconds, (int, float)) and abs(seconds - wanted_s) < 2.0


SCENARIOS = (
    Scenario("F4", "kill -9 at random", kill_at_random, alone=True, limit_s=7200, lasts_s=45),
    Scenario("F5", "SIGTERM under load", end_under_load),
    Scenario("F6", "suspended process", suspend, alone=True),
)
