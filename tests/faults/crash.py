"""F1, F2, F3, F7, F44: what the crash enumerator of ``tests.crash`` finds, in one run for all of them.

Its last line is one JSON object; the table above it has a row per recorded story, with states and findings.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.stage import Stage
from tests.plant.processes import ROOT

LIMIT_S = 3600
STATES, STATES_QUICK = 6000, 400
LEAST, LEAST_QUICK = 5000, 400  # of F1, over all stories

TITLES: Mapping[str, str] = {
    "F1": "power cut at any system call",
    "F2": "power cut during the first start",
    "F3": "power cut while the configuration is saved",
    "F7": "the card lies about its flushes",
    "F44": "power cut after sending, before the confirmation",
}
_ROW = re.compile(r"^([a-z]+) +(\d+) +(\d+)(?: |$)")


@dataclass(frozen=True, slots=True)
class Found:
    """``stories``: states and findings of each; ``error``: why there are no figures."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    stories: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    error: str = ""


def enumerate_states(seed: int, *, quick: bool) -> Found:
    states = STATES_QUICK if quick else STATES
    words = [sys.executable, "-m", "tests.crash", "--states", str(states), "--seed", str(seed)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    found = parse(done.stdout.splitlines())
    return Found(error=f"tests.crash gave no figures: {done.stderr[-400:]}") if found is None else found


def parse(lines: Sequence[str]) -> Found | None:
    """None where the last line is no JSON object."""
    try:
        figures = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    if not isinstance(figures, dict):
        return None
    rows = (_ROW.match(line) for line in lines[:-1])
    return Found(figures, {row[1]: (int(row[2]), int(row[3])) for row in rows if row})


def results(found: Found, *, quick: bool) -> list[dict[str, Any]]:
    """One result per scenario, in the shape in which `alone` gives them."""
    figures, lied = found.figures, list(found.figures.get("lied", {}).values())
    parts = {name: Stage(Path(), 0, quick=quick) for name in TITLES}
    for part in parts.values():
        part.did("disk states after the recorded calls, with some of the unsynced sectors")
    parts["F1"].at_least("states", figures.get("states"), LEAST_QUICK if quick else LEAST)
    for key in ("lost", "corrupt"):
        parts["F1"].is_(key, figures.get(key), 0)
    parts["F2"].is_("not starting", figures.get("not_starting"), 0)
    for name, story in (("F2", "first"), ("F3", "config")):
        states, findings = found.stories.get(story, (0, None))
        parts[name].at_least("states", states, 1)
        parts[name].is_("findings", findings, 0)
    parts["F7"].at_least("states", sum(row["states"] for row in lied), 1)
    for key, said in (("not_starting", "not starting"), ("silent", "lost without a ledger row")):
        parts["F7"].is_(said, sum(row[key] for row in lied) if lied else None, 0)
    parts["F7"].told("most lost by one lie", max((row["most_lost"] for row in lied), default=None))
    parts["F44"].is_("keys with two bodies, and the like", figures.get("others"), 0)
    return [
        {"id": name, "title": TITLES[name], "error": found.error, **part.result()}
        for name, part in parts.items()
    ]
