"""What a station is asked to prove itself with, where no count is free."""

from __future__ import annotations

from random import Random

from drivers.modbus.link_trust import ECHO, ECHOES, Trust
from edge_agent.driver import Reserved


def test_a_station_that_ignores_function_8_is_not_asked_for_ever() -> None:
    trust, now_s = Trust(1, 0.0, Random(1)), 0.0
    for _ in range(ECHOES):
        probe = trust.probe(Reserved(), now_s)
        assert probe is not None
        assert probe.function == ECHO
        trust.asked(now_s, probe.identity, probe=True)
        now_s += 1.0
    assert trust.probe(Reserved(), now_s) is None
    assert trust.outwaited_s(now_s) > 0
    assert trust.outwaited_s(now_s + trust.horizon_s) == 0


def test_an_answered_one_is_asked_again() -> None:
    trust = Trust(1, 0.0, Random(1))
    for now_s in range(3 * ECHOES):
        probe = trust.probe(Reserved(), now_s)
        assert probe is not None
        trust.asked(now_s, probe.identity, probe=True)
        trust.answered(now_s + 0.1)
        trust.asked(now_s + 0.2, (3, 2))
        trust.answered(now_s + 0.3)
