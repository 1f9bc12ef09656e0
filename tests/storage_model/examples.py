"""How many lives, and how they are told: ``STORAGE_EXAMPLES=5000`` for a long look, ``STORAGE_QUICK=1``
without looking for the shortest one that fails."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("STORAGE_EXAMPLES", "150"))
TIMEOUT_S = 120 + EXAMPLES
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    phases=(Phase.generate,) if os.environ.get("STORAGE_QUICK") else tuple(Phase),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
