"""The transition table, whole: every state, every event, every rule, against the table as the standard prints
it (copied here, so that it can be compared by eye), and through the book against its traces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from edge_agent.config.model import Alarming
from edge_agent.control.alarms import CommandRefused, life
from edge_agent.control.alarms.life import AT_REST, Bits, NotAcknowledged, Overlay
from tests.unit.control_alarms.desk import HIGH, Desk, window

EVENTS = ("ALM", "RTN", "ACK", "RESET", "SHELVE", "UNSHELVE", "SUPPR", "UNSUPPR", "OOS", "RTS")
TABLE = """
A B/C -   - -       G - H - I -
B -   D/E C -       G - H - I -
C -   A/F - -       G - H - I -
D B/C -   A -       G - H - I -
E B/C -   F refused G - H - I -
F B/C -   - A       G - H - I -
G -   -   - -       - * - - - -
H -   -   - -       - - - * - -
I -   -   - -       - - - - - *
"""
RULES = [Alarming(latch=latch, ack=ack) for latch, ack in product((False, True), repeat=2)]
FUNCTIONS: dict[str, Callable[[Bits, Alarming], Bits]] = {
    "ALM": life.comes,
    "RTN": lambda bits, rule: life.goes(bits),
    "ACK": lambda bits, rule: life.acknowledge(bits),
    "RESET": lambda bits, rule: life.reset(bits),
    "SHELVE": lambda bits, rule: life.shelve(bits),
    "UNSHELVE": life.unshelve,
    "SUPPR": lambda bits, rule: life.suppress(bits),
    "UNSUPPR": life.unsuppress,
    "OOS": lambda bits, rule: life.out_of_service(bits),
    "RTS": life.in_service,
}


def reachable(rule: Alarming) -> dict[Bits, str]:
    """Every combination of bits that events can lead to, with its letter."""
    found = {AT_REST: "A"}
    waiting = [AT_REST]
    while waiting:
        bits = waiting.pop()
        for function in FUNCTIONS.values():
            try:
                after = function(bits, rule)
            except NotAcknowledged:
                continue
            if after not in found:
                found[after] = after.letter
                waiting.append(after)
    return found


def expected(cell: str, bits: Bits, rule: Alarming) -> str:
    raised = "B" if rule.ack else "C"
    if cell == "-":
        return bits.letter
    if cell == "B/C":
        return raised
    if cell in ("D/E", "A/F"):
        return cell[2] if bits.latched else cell[0]
    if cell == "*":
        return raised if bits.active else ("E" if rule.ack else "F") if bits.latched else "A"
    return cell


ROWS = {line[0]: line.split()[1:] for line in TABLE.strip().splitlines()}


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"latch={r.latch} ack={r.ack}")
@pytest.mark.parametrize("event", EVENTS)
def test_every_cell_of_the_table(event: str, rule: Alarming) -> None:
    for bits, letter in reachable(rule).items():
        cell = ROWS[letter][EVENTS.index(event)]
        if cell == "refused":
            with pytest.raises(NotAcknowledged):
                FUNCTIONS[event](bits, rule)
            continue
        after = FUNCTIONS[event](bits, rule)
        assert after.letter == expected(cell, bits, rule), (letter, event, bits)
        if cell == "-" and event not in ("ALM", "RTN"):
            assert after == bits, "a dash changes nothing at all"
        if letter in "GHI" and event == "ALM":
            assert after.active and after.latched == (bits.latched or rule.latch)
        if letter in "GHI" and event == "RTN":
            assert not after.active and after.latched == bits.latched


def test_all_states_are_reached() -> None:
    assert set().union(*(set(reachable(rule).values()) for rule in RULES)) == set("ABCDEFGHI")
    by_ack = {letter for rule in RULES if not rule.ack for letter in reachable(rule).values()}
    assert not by_ack & set("BDE"), "what needs no acknowledgement never waits for one"


def test_letters_are_the_bits() -> None:
    assert [Bits(*b).letter for b in product((True, False), (True, False), (False,))] == ["C", "B", "A", "D"]
    assert [Bits(*b).letter for b in product((True, False), (True, False), (True,))] == ["C", "B", "F", "E"]
    for overlay in (Overlay.SHELVED, Overlay.SUPPRESSED, Overlay.OUT_OF_SERVICE):
        assert {Bits(*b, overlay).letter for b in product((True, False), repeat=3)} == {overlay.value}


def test_only_an_acknowledged_alarm_is_annunciated_again() -> None:
    for rule in RULES:
        for bits in reachable(rule):
            after = life.realarm(bits)
            assert after == (bits._replace(acked=False) if bits.letter == "C" else bits)


TRACES = [
    ("ALM ACK RTN", "A B C A", {}),
    ("ALM RTN ACK", "A B D A", {}),
    ("ALM RTN ALM ACK RTN", "A B D B C A", {}),
    ("ALM ACK RTN RESET", "A B C F A", {"latch": True}),
    ("ALM RTN ACK RESET", "A B E F A", {"latch": True}),
    ("ALM SHELVE UNSHELVE", "A B G B", {}),
    ("ALM SHELVE RTN UNSHELVE", "A B G G A", {}),
    ("ALM RTN", "A C A", {"ack": False}),
    ("ALM ACK SHELVE UNSHELVE", "A B C G B", {}),
    ("ALM ACK SUPPR UNSUPPR", "A B C H B", {}),
    ("SHELVE ALM RTN UNSHELVE ACK RESET", "A G G G E F A", {"latch": True}),
    ("SUPPR ALM UNSUPPR ACK RTN", "A H H B C A", {}),
    ("OOS ALM RTS", "A I I C", {"ack": False}),
    ("OOS ALM RTN RTS", "A I I I F", {"ack": False, "latch": True}),
    ("ALM RTN ACK ALM", "A B E F B", {"latch": True}),
]
WORDS = {"ACK": "ack", "RESET": "reset", "SHELVE": "shelve", "UNSHELVE": "unshelve", "OOS": "suppress"}


@pytest.mark.parametrize(("events", "letters", "rule"), TRACES, ids=[trace[0] for trace in TRACES])
def test_traces_of_the_standard(events: str, letters: str, rule: dict[str, bool]) -> None:
    """Through the book: what it says, and the letters its events carry."""
    desk = Desk(window(**rule))
    seen = [desk.book.letter(HIGH)]
    for event in events.split():
        happened = {"ALM": desk.comes, "RTN": desk.goes, "SUPPR": desk.suppress, "UNSUPPR": desk.unsuppress}
        told = happened[event]() if event in happened else desk.does(WORDS.get(event, "unsuppress"))
        after = desk.book.letter(HIGH)
        for record in told:
            assert (record.detail["before"], record.detail["after"]) == (seen[-1], after)
        assert told or (seen[-1], event) == ("A", "SUPPR"), event
        seen.append(after)
    assert seen == letters.split()


@pytest.mark.parametrize("verb", ["ack", "reset", "unshelve", "unsuppress"])
def test_a_dash_is_answered_with_a_sentence(verb: str) -> None:
    desk = Desk()
    with pytest.raises(CommandRefused) as error:
        desk.does(verb)
    assert HIGH in error.value.text.en and HIGH in error.value.text.zh
    assert desk.book.letter(HIGH) == "A" and not desk.rows


def test_a_latched_alarm_is_acknowledged_before_it_is_reset() -> None:
    desk = Desk(window(latch=True))
    desk.comes()
    desk.goes()
    with pytest.raises(CommandRefused, match="acknowledge first"):
        desk.does("reset")
    assert desk.book.letter(HIGH) == "E"
