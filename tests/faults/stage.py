"""What a scenario is, where it is played, and what it says in the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from tests.faults import disks
from tests.faults.account import Account, table
from tests.faults.scene import Scene

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float | int | str | None
    bound: str
    good: bool


class Stage:
    """One scenario's place: a folder, chance, its length; it collects figures and accounts."""

    def __init__(self, folder: Path, seed: int, *, quick: bool, runs: int | None = None) -> None:
        self.folder = folder
        self.chance = Random(seed)
        self.quick = quick
        self.runs = runs
        self.done: list[str] = []
        self.figures: list[Figure] = []
        self.accounts: list[Account] = []
        self._disks: list[Path] = []

    def disk(self, size: str, *, inodes: int | None = None) -> Path:
        """A file system of its own, gone when the scenario ends. Needs the ``mount`` namespace."""
        place = disks.tmpfs(self.folder / f"disk-{len(self._disks)}", size, inodes=inodes)
        self._disks.append(place)
        return place

    def clear(self) -> None:
        for place in self._disks:
            disks.gone(place)
        self._disks.clear()

    def either(self, quick: T, full: T) -> T:
        return quick if self.quick else full

    def did(self, what: str) -> None:
        """For the table: what was done to it."""
        self.done.append(what)

    def at_most(self, name: str, value: float | None, bound: float) -> None:
        value = _rounded(value)
        self.figures.append(Figure(name, value, f"<= {bound:g}", value is not None and value <= bound))

    def at_least(self, name: str, value: float | None, bound: float) -> None:
        value = _rounded(value)
        self.figures.append(Figure(name, value, f">= {bound:g}", value is not None and value >= bound))

    def is_(self, name: str, value: Any, wanted: Any) -> None:
        self.figures.append(Figure(name, value, f"= {wanted}", value == wanted))

    def told(self, name: str, value: float | int | str | None) -> None:
        """A figure without a bound."""
        self.figures.append(Figure(name, _rounded(value) if isinstance(value, float) else value, "", True))

    def judge(self, scene: Scene, *, exact: bool = True) -> list[Account]:
        """The law for every uplink, after the agent has stopped. ``exact``: the ledger may not tell more than
        was lost either."""
        found = scene.accounts()
        self.accounts += found
        for name, wanted in (("unaccounted", 0), ("duplicates", 0), ("wrong_tag", 0), ("conflicts", 0),
                             ("unordered", 0), *([("overtold", 0)] if exact else [])):  # fmt: skip
            bad = {a.uplink: getattr(a, name) for a in found if getattr(a, name) != wanted}
            self.figures.append(Figure(name, sum(bad.values()), f"= {wanted}", not bad))
        served = min((a.served for a in found), default=0)
        self.at_least("samples served", served, 100)
        return found

    def result(self) -> dict[str, Any]:
        return {
            "done": "; ".join(self.done),
            "figures": [asdict(figure) for figure in self.figures],
            "accounts": [
                {**asdict(a), "unaccounted": a.unaccounted, "overtold": a.overtold} for a in self.accounts
            ],
            "table": table(self.accounts) if self.accounts else "",
        }


@dataclass(frozen=True, slots=True)
class Scenario:
    """``alone``: measures delays, so nothing runs beside it. ``spaces``: namespaces of its own (``mount``,
    ``net``), which need root. ``tools``: programs it uses. ``lasts_s``: about, in its short form: long ones
    begin first."""

    id: str
    title: str
    play: Callable[[Stage], None]
    alone: bool = False
    spaces: Sequence[str] = ()
    tools: Sequence[str] = ()
    limit_s: float = 300.0
    lasts_s: float = 30.0

    def missing(self) -> str:
        """Why it cannot be played here; empty if it can."""
        lacking = [tool for tool in self.tools if shutil.which(tool) is None]
        if lacking:
            return f"{', '.join(lacking)} not installed"
        if (self.spaces or "strace" in self.tools) and os.geteuid() != 0:
            return "needs root"
        return ""


def rhythm(
    polls: Sequence[tuple[int, int]], period_s: float, since_ns: int, until_ns: int
) -> tuple[int, int]:
    """Missed and extra polls of one unit between two moments of the monotonic clock: of each slot of the
    period there should be one. A poll may come three quarters of a period late and is still that slot's."""
    period_ns = round(period_s * 1e9)
    times = [mono for _, mono in polls if since_ns <= mono < until_ns]
    if not times:
        return max(0, (until_ns - since_ns) // period_ns - 1), 0
    rest = sorted(time % period_ns for time in times)
    phase_ns = rest[len(rest) // 2] - period_ns // 4
    slots = [(time - phase_ns) // period_ns for time in times]
    first, last = (since_ns - phase_ns) // period_ns + 1, (until_ns - phase_ns) // period_ns - 1
    inside = [slot for slot in slots if first <= slot <= last]
    return last - first + 1 - len(set(inside)), len(inside) - len(set(inside))


def _rounded(value: float | None) -> float | None:
    return round(value, 3) if isinstance(value, float) else value
