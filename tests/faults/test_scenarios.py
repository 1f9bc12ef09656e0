"""A few of the numbered scenarios, briefly, over every kind of uplink there is. All: ``make test-faults``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults import process, uplinks
from tests.faults.programme import ALL
from tests.faults.stage import Stage
from tests.faults.verdicts import problems

pytestmark = pytest.mark.timeout(180)

SEED = int(os.environ.get("SEED", "7"))
MEASURED = {"start p99 s"}  # a figure of the machine; judged where nothing runs beside it


def test_kill_minus_nine_at_random(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SEED, quick=True, runs=2)
    process.kill_at_random(stage)
    assert _worse(stage) == []
    assert all(account.unknown or account.in_flight for account in stage.accounts), "no kill did any harm"


def test_poison_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SEED, quick=True)
    uplinks.poison(stage)
    assert _worse(stage) == []


def test_every_scenario_has_a_number_of_its_own() -> None:
    names = [scenario.id for scenario in ALL]
    assert len(set(names)) == len(names)
    wanted = {4, 5, 6, 8, 9, 10, *range(27, 33), *range(38, 44), 45}
    assert wanted <= {int(name[1:]) for name in names}


def _worse(stage: Stage) -> list[str]:
    result = {"id": "F0", "title": "here", "error": "", **stage.result()}
    result["figures"] = [figure for figure in result["figures"] if figure["name"] not in MEASURED]
    return problems(result)
