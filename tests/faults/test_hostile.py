"""Hostile devices of every transport, some seconds each. At length: ``make test-faults``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.hostile import campaign
from tests.faults.hostile.behaviours import APPLICABLE, FAULTS, Behaviour, Deck
from tests.faults.hostile.figures import problems
from tests.faults.hostile.stamps import fault_of, place, word

pytestmark = pytest.mark.timeout(120)

SEED = os.environ.get("SEED", "7")
READS = 250


@pytest.mark.parametrize("transport", APPLICABLE)
async def test_no_wrong_value_and_no_hang(transport: str, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    order = campaign.Order(
        SEED, [transport], share=0.3, reads=READS, least=3, limit_s=40.0, warm_s=1.0, links=3
    )
    found = await campaign.run(order, tmp_path)
    assert problems(found, reads=READS, least=3) == [], found.table()


def test_values_tell_where_they_stood_and_when() -> None:
    here, elsewhere = place(1, 2, 300), place(1, 2, 301)
    assert fault_of(word(here, 5000), here, 5000) is None
    assert fault_of(word(here, 5003), here, 5000) is None
    assert "shifted" in str(fault_of(word(elsewhere, 5000), here, 5000))
    assert "stale" in str(fault_of(word(here, 4900), here, 5000))
    torn = word(here, 5000) >> 32 << 32 | word(elsewhere, 4000) & 0xFFFF_FFFF
    assert "torn" in str(fault_of(torn, here, 5000))
    assert "no such value" in str(fault_of("text", here, 5000))


def test_every_behaviour_comes_equally_often() -> None:
    deck = Deck("tcp", 0.25, "seed")
    drawn = [deck.draw() for _ in range(4000)]
    assert drawn == _again()
    counts = [drawn.count(behaviour) for behaviour in FAULTS]
    assert max(counts) - min(counts) <= 1
    assert 0.2 < 1 - drawn.count(Behaviour.OK) / len(drawn) < 0.3


def _again() -> list[Behaviour]:
    deck = Deck("tcp", 0.25, "seed")
    return [deck.draw() for _ in range(4000)]
