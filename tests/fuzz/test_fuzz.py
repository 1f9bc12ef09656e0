"""Every target over its seeds and some thousand seeded changes to them. Guided by coverage: ``make fuzz``."""

from __future__ import annotations

import os
import time
from contextlib import closing
from random import Random

import pytest

from tests.fuzz.corpus import seeds
from tests.fuzz.mutation import mutants
from tests.fuzz.targets import TARGETS, Target, joined, quiet

SEED = int(os.environ.get("SEED", "7"))
COUNT = 3000
LIMIT_S = 8.0


@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_of_ours(name: str) -> None:
    print(f"seed {SEED}")
    quiet()
    known = seeds(name)
    number = 0
    end = time.monotonic() + LIMIT_S
    with closing(TARGETS[name]()) as target:
        for number, data in enumerate([*known, *mutants(known, COUNT, Random(f"{SEED}/{name}"))], 1):
            _try(target, data)
            if number > len(known) and time.monotonic() > end:
                break
    assert number >= len(known) + 50


def _try(target: Target, data: bytes) -> None:
    try:
        target(data)
    except Exception as error:
        raise AssertionError(f"{target.name}: {data.hex()}: {error!r}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_get_through(name: str) -> None:
    """An honest conversation is read: else all that is fuzzed is the first door."""
    quiet()
    through = 0
    with closing(TARGETS[name]()) as target:
        for data in seeds(name):
            target(data)
            through += target.answered
    assert through >= 3, through


def test_pieces_of_any_size() -> None:
    from tests.fuzz.targets import _parts

    pieces = [b"a", b"b" * 254, b"c" * 255, b"d" * 600]
    assert _parts(joined(5, pieces)) == (5, pieces)
