"""Every minute, hour and day of a day arrives exactly once, whatever the platform does to the line."""

from __future__ import annotations

from pathlib import Path
from random import SystemRandom

import pytest

from tests.day.hj212 import run_day


@pytest.mark.timeout(240)  # about ten seconds of work, on a machine with others
async def test_the_day_is_whole(tmp_path: Path) -> None:
    seed = SystemRandom().randrange(1 << 31)
    print(f"seed {seed}")
    result = await run_day(tmp_path, seed)
    assert (result.minutes, result.hours, result.days) == (1440, 24, 1)
    assert (result.missing, result.unexpected, result.duplicates_after_dedup) == (0, 0, 0)
    assert result.wrong == []
    assert result.violations == []
    assert result.left == {"pending": 0, "quarantined": 0}
    assert (result.report["reused_qns"], result.report["falling_qns"]) == (0, 0)
    assert result.report["conflicts"] == 0
    # the faults took place
    assert result.connections >= 4
    assert result.restarts == 1
    assert result.acknowledgements_lost > 100
    assert result.duplicates_on_the_wire > 100
