"""What a store must hold, as plain as it can be said: a list of units, and per uplink what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Number = tuple[int, int]
"""Epoch and sequence number of one unit."""


@dataclass(frozen=True, slots=True)
class Unit:
    number: Number
    digest: str
    samples: int
    schema: str


@dataclass(slots=True)
class View:
    """One uplink's. ``since``: it was registered when this was the newest number. ``unwanted``: digests of
    schemas it does not select. ``fresh``: verdicts that no commit has made durable yet."""

    since: int
    unwanted: frozenset[str] = frozenset()
    settled: set[Number] = field(default_factory=set)
    aside: set[Number] = field(default_factory=set)
    fresh: set[Number] = field(default_factory=set)
    written_off: int = 0  # by a person's word: set aside and dropped, not selected any more


@dataclass(slots=True)
class Model:
    """``units``: committed, in order. ``bodies``: of every key ever given out, through all crashes.
    ``possible``: of a commit that was cut off: they may be there. ``damaged``: the file was; from then on
    what is missing must stand in the ledger, and that is all that can be said of it."""

    units: dict[Number, Unit] = field(default_factory=dict)
    bodies: dict[Number, str] = field(default_factory=dict)
    possible: dict[Number, Unit] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)
    damaged: bool = False

    def opened(self, epoch: int) -> None:
        assert all(epoch > before for before in self.epochs), f"epoch {epoch} after {self.epochs}"
        self.epochs.append(epoch)

    def given(self, unit: Unit) -> None:
        """A key was handed out with this body."""
        known = self.bodies.setdefault(unit.number, unit.digest)
        assert known == unit.digest, f"two bodies for {unit.number}"

    def kept(self, units: Iterable[Unit]) -> None:
        for unit in units:
            assert unit.number not in self.units, f"{unit.number} was kept twice"
            assert unit.number[1] > max((seq for _, seq in self.units), default=0) or self.damaged
            self.given(unit)
            self.units[unit.number] = unit

    def waiting(self, name: str) -> list[Unit]:
        """What an uplink has not settled, oldest first."""
        view = self.views[name]
        return [
            unit
            for unit in sorted(self.units.values(), key=lambda unit: unit.number[1])
            if unit.number not in view.settled
            and unit.number not in view.aside
            and unit.number[1] > view.since
            and unit.schema not in view.unwanted
        ]

    def saved(self) -> None:
        """A commit has made all verdicts durable."""
        for view in self.views.values():
            view.fresh.clear()
