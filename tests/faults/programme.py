"""All scenarios, by their numbers."""

from __future__ import annotations

from tests.faults import disk, process, storage, uplinks, wall
from tests.faults.stage import Scenario

ALL: tuple[Scenario, ...] = (
    *process.SCENARIOS,
    *storage.SCENARIOS,
    *disk.SCENARIOS,
    *uplinks.SCENARIOS,
    *wall.SCENARIOS,
)


def scenario(name: str) -> Scenario:
    return next(s for s in ALL if s.id == name)
