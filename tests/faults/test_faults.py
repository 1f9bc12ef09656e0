"""The fault suite, short and seeded, for every run of the tests. At length: ``make test-faults``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults import blackhole, bus, late
from tests.faults.devices import check_hole

pytestmark = pytest.mark.timeout(180)

SEED = int(os.environ.get("SEED", "7"))
HOLE_S = 8.0


@pytest.mark.parametrize("shared", [True, False], ids=["shared connection", "own connections"])
def test_a_black_hole_costs_its_neighbours_nothing(shared: bool, tmp_path: Path) -> None:
    outcome = blackhole.run(tmp_path, shared=shared, seconds=HOLE_S)
    assert check_hole(outcome) == [], outcome
    assert 1 <= outcome.dead_requests <= HOLE_S * 2, outcome


def test_a_silent_station_costs_its_bus_little(tmp_path: Path) -> None:
    outcome = bus.run(tmp_path, seconds=8.0)
    assert bus.check(outcome) == [], outcome


def test_one_late_answer_shifts_nothing() -> None:
    for outcome in late.run_all(late.LATE_S[:1], late.VARIANTS[:2]):
        assert late.check(outcome) == [], outcome
