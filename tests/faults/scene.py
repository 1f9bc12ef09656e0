"""One plant of the fault suite: a controller that counts, receivers, an agent between them, and the account.

A scenario does its harm while the scene runs, and then lets it ``settle``: the faults are over, the rest is
delivered, the agent stops. ``accounts`` then holds the law for each uplink against what the controller knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_agent.keys import parse_duration
from tests.faults.account import Account, Lives, Walls, account, failures, unsteered
from tests.faults.parks import KINDS, Receiver, available
from tests.plant.processes import Child, eventually, get, post
from tests.plant.site import START_WITHIN_S, Site

TAGS = 4
PATIENCE = "2s"  # no poll fails because the machine is busy: what is missing then has another cause
SETTLE_WITHIN_S = 90.0
ALIVE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``uplinks``: name and kind of each; empty: two of http and one of every other kind there is.
    ``module``: what is run with ``--config`` in place of ``edge_agent run``."""

    flush: str = "1s"
    poll: str = "100ms"
    units: int = 2
    uplinks: Sequence[tuple[str, str]] = ()
    buffer: Mapping[str, Any] | None = None
    uplink_keys: Mapping[str, Any] | None = None
    state: Path | None = None
    module: Sequence[str] = ("edge_agent", "run")

    def destinations(self) -> list[tuple[str, str]]:
        if self.uplinks:
            return list(self.uplinks)
        others = [(kind, kind) for kind in available() if kind != "http"]
        return [("park", "http"), *others, ("city", "http")]


class FaultSite(Site):
    """A site whose agent may be another program with the same options."""

    module: Sequence[str] = ("edge_agent", "run")

    def start(self, *, wait: bool = True, piped: bool = False, **environment: str) -> Child:
        words = [*self.module, "--config", str(self.config), "--log-format", "json"]
        self.agent = Child(words, self.log, ready=False, piped=piped, **environment)
        if wait:
            eventually("the agent is ready", self._ready, START_WITHIN_S)
        return self.agent


class Scene:
    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self.plan = plan = plan or Plan()
        self.folder = folder
        self.lives = Lives()
        self.start_s: list[float] = []
        self._stack = ExitStack()
        try:
            self._build(folder, plan)
        except BaseException:
            self._stack.close()
            raise

    def _build(self, folder: Path, plan: Plan) -> None:
        self._plc = Child(["tests.faults.plc", "--units", str(plan.units), "--tags", str(TAGS)],
                          folder / "plc.log")  # fmt: skip
        self._stack.callback(self._plc.stop)
        self.parks: dict[str, Receiver] = {}
        self.walls: Walls = unsteered
        for name, kind in plan.destinations():
            self.parks[name] = self._stack.enter_context(closing(KINDS[kind](folder, name)))
        self.site = FaultSite(folder / "site", None, flush=plan.flush)
        self._stack.callback(self.site.close)
        self.site.module = plan.module
        if plan.state is not None:
            self.site.state = plan.state
        uplinks = [{**park.uplink(plan.units), **(plan.uplink_keys or {})} for park in self.parks.values()]
        buffer = {"flush": plan.flush, **(plan.buffer or {})}
        self.site.write_main(uplinks=uplinks, buffer=buffer, state_dir=str(self.site.state))
        tags = [(f"t{i}", f"hr:{2 * i}", "uint32") for i in range(TAGS)]
        for unit in self.units:
            self.site.device(
                f"d{unit}", tags, driver="modbus", link=f"tcp://127.0.0.1:{self._plc.ports['modbus']}",
                station=unit, poll=plan.poll, timeout=PATIENCE,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def units(self) -> range:
        return range(1, self.plan.units + 1)

    # -- the agent

    def start(self, *, wait: bool = True, **environment: str) -> None:
        begin = time.monotonic()
        self.site.start(wait=wait, piped=False, **environment)
        if wait:
            self.start_s.append(time.monotonic() - begin)

    def stop(self, deadline_s: float = 15.0) -> float:
        """SIGTERM; how long it took."""
        begin = time.monotonic()
        self.site.stop(deadline_s)
        self._lived()
        return time.monotonic() - begin

    def kill(self) -> None:
        self.site.kill()
        self._lived()

    def _lived(self) -> None:
        self.lives.ended({unit: len(polls) for unit, polls in self.polls().items()})

    @property
    def pid(self) -> int:
        assert self.site.agent is not None
        return self.site.agent.pid

    # -- the controller

    def polls(self) -> dict[int, list[tuple[int, int]]]:
        """Per unit the (wall time, monotonic time) in ns of each poll."""
        found = get(f"http://127.0.0.1:{self._plc.ports['control']}/state", 10)["servers"]["modbus"]["polls"]
        return {int(unit): [(wall, mono) for wall, mono in polls] for unit, polls in found.items()}

    def plc(self, fault: str, **more: Any) -> None:
        control = f"http://127.0.0.1:{self._plc.ports['control']}/control"
        post(control, {"server": "modbus", "fault": fault, **more})

    # -- the receivers

    def each(self, fault: str, names: Collection[str] = (), **more: Any) -> None:
        """At every receiver that can do this (or of ``names``)."""
        for name, park in self.parks.items():
            if (not names or name in names) and (fault == "ok" or fault in park.faults):
                park.do(fault, **more)

    def buffer(self) -> dict[str, Any]:
        found: dict[str, Any] = self.site.status()["buffer"]
        return found

    def pending(self, name: str = "") -> int:
        """Segments that wait, of one uplink or of the one with the most; without those that wait in any case
        until they count as delivered."""
        uplinks = self.buffer()["uplinks"]
        return max(self.waiting(key, row) for key, row in uplinks.items() if name in ("", key))

    def waiting(self, name: str, row: Mapping[str, Any]) -> int:
        per_s = len(self.units) / parse_duration(self.plan.flush)
        return max(0, int(row["pending_segments"]) - round(self.parks[name].lag_s * per_s))

    def flows(self, within_s: float = 30.0, *names: str) -> None:
        """Waits until what is read now has arrived everywhere (or at ``names``)."""
        for name, park in self.parks.items():
            if not names or name in names:
                begin_us = time.time_ns() // 1000
                eventually(f"data flows to {name}", _later(park, begin_us), within_s)

    def settle(self, within_s: float = SETTLE_WITHIN_S) -> float:
        """The faults are over: everything is delivered and the agent stopped. Returns how long the parks
        waited for the rest."""
        begin = time.monotonic()
        try:
            eventually("everything waiting is delivered", self._delivered, within_s)
        except AssertionError as error:
            status = self.site.status()
            rows = {row["name"]: row["reason"] for row in status["uplinks"] if not row["up"]}
            left = {name: row["pending_segments"] for name, row in status["buffer"]["uplinks"].items()}
            raise AssertionError(f"{error}; waiting: {left}, down: {rows}") from error
        drained_s = time.monotonic() - begin
        self.flows(ALIVE_WITHIN_S)
        self.stop()
        return drained_s

    def _delivered(self) -> bool:
        status = self.site.status()
        few = 2 * len(self.units) + 1
        waiting = [self.waiting(name, row) for name, row in status["buffer"]["uplinks"].items()]
        return status["buffer"]["state"] == "ok" and max(waiting) <= few and all(
            row["up"] for row in status["uplinks"]
        )  # fmt: skip

    def accounts(self) -> list[Account]:
        """After the agent has stopped."""
        polls = self.polls()
        failed = failures(self.parks.values(), self.units)
        return [
            account(park, polls, self.lives, self.site.state, TAGS, failed, self.walls)
            for park in self.parks.values()
        ]


def _later(park: Receiver, begin_us: int) -> Callable[[], bool]:
    return lambda: park.newest_us() > begin_us
