"""The wall clock jumps, is wrong at the start, crosses a leap day or a change of summer time: F45."""

from __future__ import annotations

import json
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.plc import number_of
from tests.faults.scene import Plan, Scene
from tests.faults.stage import Scenario, Stage, rhythm
from tests.faults.steered import steer
from tests.plant.processes import eventually

PERIOD_S = 0.5
TEN_YEARS_S = 3653 * 86_400
STEP_S = 37.123  # no multiple of the period: a park that keeps milliseconds had one time for two readings
ERROR_WITHIN_S = 1.0
NEAR_NS = 60_000_000  # to a step: which side of it a reading is on, nobody can tell
STEERED = ("tests.faults.steered",)
NEW_YORK = "America/New_York"
LEAP_DAY = datetime(2028, 2, 28, 23, 59, 57, tzinfo=UTC)
SUMMER_TIME = datetime(2026, 3, 8, 6, 59, 57, tzinfo=UTC)  # 02:00 there becomes 03:00


class _Wall:
    """``steps``: (monotonic ns, seconds) of what the running agent saw."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.steps: list[tuple[int, float]] = []
        self._offset_ns = 0
        self._stamped: list[tuple[int, int]] = []  # (monotonic ns, how far the stamps are ahead from then on)
        self.turn(0.0, seen=False)

    def turn(self, offset_s: float, *, seen: bool = True, synchronised: bool = True) -> None:
        new_ns = round(offset_s * 1e9)
        steer(self.place, new_ns, synchronised=synchronised)
        self._stamped.append((time.monotonic_ns(), new_ns))
        if seen:
            self.steps.append((time.monotonic_ns(), (new_ns - self._offset_ns) / 1e9))
        self._offset_ns = new_ns

    def walls(self, wall_ns: int, mono_ns: int) -> set[int]:
        """What the agent may have stamped a poll with: near a step, either side of it."""
        moments = [moment for moment, _ in self._stamped]
        around = (bisect_right(moments, mono_ns + edge_ns) - 1 for edge_ns in (-NEAR_NS, NEAR_NS))
        return {wall_ns + self._stamped[max(0, index)][1] for index in around}

    def set_to(self, moment: datetime) -> None:
        self.turn(moment.timestamp() - time.time())


def jumps(stage: Stage) -> None:
    """HJ 212 has one packet for a second that comes twice: what was sent for either visit counts for both."""
    hold_s = stage.either(4.0, 30.0)
    cases = "1970 at boot, +10 years, -2 h, a step of 37 s during an outage, a leap day, TZ and summer time"
    stage.did(f"{cases}; {hold_s:g} s each")
    wall = _Wall(stage.folder / "wall")
    runs: list[tuple[int, int]] = []
    plan = Plan(poll=f"{PERIOD_S * 1000:g}ms", module=STEERED)
    with Scene(stage.folder, plan) as scene:
        scene.walls = wall.walls
        wall.turn(-time.time() + 100.0, seen=False, synchronised=False)
        scene.start(FAULTS_WALL=str(wall.place))
        begin = _reading(scene)
        time.sleep(hold_s)
        wall.turn(0.0)
        time.sleep(hold_s)
        for offset_s in (TEN_YEARS_S, 0.0, -7200.0, 0.0):
            wall.turn(float(offset_s))
            time.sleep(hold_s)
        scene.each("down")
        time.sleep(1)
        wall.turn(STEP_S)
        time.sleep(hold_s)
        wall.turn(0.0)
        time.sleep(1)
        scene.each("ok")
        wall.set_to(LEAP_DAY)
        time.sleep(hold_s + 3)
        wall.turn(0.0)
        time.sleep(2)
        runs.append((begin, time.monotonic_ns()))
        _drain(scene)
        scene.stop()
        scene.start(FAULTS_WALL=str(wall.place), TZ=NEW_YORK)
        begin = _reading(scene)
        wall.set_to(SUMMER_TIME)
        time.sleep(hold_s + 3)
        wall.turn(0.0)
        time.sleep(2)
        runs.append((begin, time.monotonic_ns()))
        _drain(scene)
        scene.stop()
        found = [
            rhythm(times, PERIOD_S, *run) for times in scene.polls().values() for run in runs
        ]  # fmt: skip
        stage.is_("polls missed", sum(missed for missed, _ in found), 0)
        stage.is_("polls extra", sum(extra for _, extra in found), 0)
        accounts = stage.judge(scene)
        deleted = max(a.served - a.received - a.in_flight - a.failed for a in accounts)
        stage.is_("samples deleted by a jump", deleted, 0)
        told = _told(scene.site.state / "events.db")
        stage.is_("steps told", len(told), len(wall.steps))
        error_s = _worst_error(scene, wall.steps, told) if len(told) == len(wall.steps) else None
        stage.at_most("corrected stamps off s", error_s, ERROR_WITHIN_S)


def _reading(scene: Scene) -> int:
    before = {unit: len(times) for unit, times in scene.polls().items()}
    eventually("all are read", lambda: all(len(t) > before[u] + 2 for u, t in scene.polls().items()))
    return time.monotonic_ns()


def _drain(scene: Scene) -> None:
    eventually("delivered", lambda: scene.pending() <= 2 * len(scene.units) + 1, 60)


def _told(events: Path) -> list[float]:
    """Seconds of each step that the agent told of, in order."""
    with closing(sqlite3.connect(f"file:{events}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT body FROM event WHERE kind = 'clock_step' ORDER BY seq").fetchall()
    return [float(json.loads(body)[-1]["seconds"]) for (body,) in rows]


def _worst_error(scene: Scene, steps: Sequence[tuple[int, float]], told: Sequence[float]) -> float:
    """Who adds to each stamp the steps that were told after it, has the true time: the clock ends right."""
    moments = [mono for mono, _ in steps]
    polls = scene.polls()
    worst = 0.0
    exact = [park for park in scene.parks.values() if not park.per_second]
    for park in exact:
        for unit, served in polls.items():
            for time_us, value, good in park.readings(f"d{unit}", "t0"):
                if good and value is not None:
                    wall_ns, mono_ns = served[number_of(value) - 1]
                    if min((abs(mono_ns - moment) for moment in moments), default=10**9) < NEAR_NS:
                        continue  # read in the very moment of a step
                    later_s = sum(told[bisect_right(moments, mono_ns) :])
                    worst = max(worst, abs(time_us / 1e6 + later_s - wall_ns / 1e9))
    return worst


SCENARIOS = (Scenario("F45", "the wall clock jumps", jumps, limit_s=900, lasts_s=60),)
