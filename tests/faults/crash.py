"""F1, F2, F3, F7, F44: what the crash enumerator of ``tests.crash`` finds, in one run for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.faults.stage import Stage
from tests.plant.processes import ROOT

LIMIT_S = 1800
LEAST_STATES = 5000
LEAST_STATES_QUICK = 1000

TITLES: Mapping[str, str] = {
    "F1": "power cut at any system call",
    "F2": "power cut during the first start",
    "F3": "power cut while the configuration is saved",
    "F7": "the card lies about its flushes",
    "F44": "power cut after sending, before the confirmation",
}

ZERO: Mapping[str, tuple[str, ...]] = {
    "F1": ("lost", "corrupt"),
    "F2": ("not_starting",),
    "F3": ("torn_configs",),
    "F7": ("lied_not_starting",),
    "F44": ("collisions",),
}
"""Keys of the enumerator's last line that must be there and be 0."""


def there() -> bool:
    return (ROOT / "tests" / "crash" / "__main__.py").exists()


def enumerate_states(seed: int, *, quick: bool) -> dict[str, Any]:
    """Its last line of output, which is one JSON object; {} if there is none."""
    words = [sys.executable, "-m", "tests.crash", "--seed", str(seed), *(["--quick"] if quick else [])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def results(stage: Stage, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One result per scenario, in the shape in which `alone` gives them."""
    out = []
    for name, title in TITLES.items():
        part = Stage(stage.folder, 0, quick=stage.quick)
        part.did("disk states after every recorded call, some sectors not yet written")
        part.at_least("states", found.get("states"), LEAST_STATES_QUICK if stage.quick else LEAST_STATES)
        for key in ZERO[name]:
            part.is_(key, found.get(key), 0)
        error = "" if found else "tests.crash gave no figures"
        out.append({"id": name, "title": title, "error": error, **part.result()})
    return out
