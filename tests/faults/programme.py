"""All scenarios, by their numbers."""

from __future__ import annotations

from tests.faults import disk, process, storage
from tests.faults.stage import Scenario

ALL: tuple[Scenario, ...] = (*process.SCENARIOS, *storage.SCENARIOS, *disk.SCENARIOS)


def scenario(name: str) -> Scenario:
    return next(s for s in ALL if s.id == name)
