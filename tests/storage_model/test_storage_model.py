"""Random lives of the stores. ``STORAGE_EXAMPLES=5000`` for a long look."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.storage_model.machine import StorageMachine

EXAMPLES = int(os.environ.get("STORAGE_EXAMPLES", "300"))
_PHASES = (Phase.generate,) if os.environ.get("STORAGE_QUICK") else tuple(Phase)

StorageMachine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=50, deadline=None, phases=_PHASES,
    suppress_health_check=list(HealthCheck), print_blob=True,
)  # fmt: skip


@pytest.mark.timeout(60 + EXAMPLES)
class TestStorage(StorageMachine.TestCase):  # type: ignore[misc,name-defined]
    """Hypothesis prints the shortest life that fails."""
