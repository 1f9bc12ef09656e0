"""There are faults to prove these tests with; ``python -m tests.storage_model --bugs`` seeds them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.storage_model import seeded


def test_most_faults_still_fit_the_program(tmp_path: Path) -> None:
    """The program may move on, but not so far."""
    shutil.copytree(seeded.ROOT / "edge_agent", tmp_path / "edge_agent")
    fitting = [name for name in seeded.names() if seeded.apply(name, tmp_path, "--check")]
    print("do not fit any more:", sorted(set(seeded.names()) - set(fitting)))
    assert len(fitting) >= 15


def test_every_fault_names_the_suite_to_be_tried_first() -> None:
    assert {seeded.first_tried(name) for name in seeded.names()} <= seeded.suites(0).keys()
