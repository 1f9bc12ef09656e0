"""The traces and the whole transition table of ISA-18.2, cell by cell, by the engine's public interface."""

from __future__ import annotations

import pytest

from edge_agent.config.model import Alarming, LimitKind, TagRef, Window
from edge_agent.control import Control
from edge_agent.control.alarms import AlarmBook, AlarmCommand, CommandRefused
from edge_agent.control.excursion import Moment
from edge_agent.control.transition import Change, Transition
from edge_agent.model import Batch, Event, Schema, Tag, ValueType

S = 1_000_000_000
WALL_NS = 1_767_225_600 * S
TABLE = """
  | ALM RTN ACK RESET SHELVE UNSHELVE SUPPR UNSUPPR OOS RTS
A | B   -   -   -     G      -        H     -       I   -
B | -   D   C   -     G      -        H     -       I   -
C | -   A   -   -     G      -        H     -       I   -
D | B   -   A   -     G      -        H     -       I   -
E | B   -   F   -     G      -        H     -       I   -
F | B   -   -   A     G      -        H     -       I   -
G | -   -   -   -     -      ?        -     -       -   -
H | -   -   -   -     -      -        -     ?       -   -
I | -   -   -   -     -      -        -     -       -   ?
"""
HEAD, *ROWS = [line.replace("|", " ").split() for line in TABLE.strip().splitlines()]
CELLS = [
    (row[0], event, row[1 + column].replace("-", row[0]))
    for row in ROWS
    for column, event in enumerate(HEAD)
    if row[1 + column] != "?"
]
LATCHING = Alarming(latch=True)
NO_ACK = Alarming(ack=False)
BOTH = Alarming(latch=True, ack=False)
WAYS = {"A": "", "B": "ALM", "C": "ALM ACK", "D": "ALM RTN", "E": "ALM RTN", "F": "ALM ACK RTN"}
OVERLAYS = {"G": ("SHELVE", "UNSHELVE"), "H": ("SUPPR", "UNSUPPR"), "I": ("OOS", "RTS")}
VERBS = {
    "ACK": "ack",
    "RESET": "reset",
    "SHELVE": "shelve",
    "UNSHELVE": "unshelve",
    "OOS": "suppress",
    "RTS": "unsuppress",
}
CHANGES = {
    "ALM": Change.ALARM, "RTN": Change.RETURN, "SUPPR": Change.SUPPRESS, "UNSUPPR": Change.UNSUPPRESS,
}  # fmt: skip


class Desk:
    """One alarm, ``w.high``, and what is done to it, a second apart."""

    def __init__(self, alarming: Alarming) -> None:
        self.at = Moment(0, WALL_NS, 0)
        self.book = AlarmBook("v1")
        window = Window("w", TagRef("press-1", "pressure"), high=205.0, alarming=alarming)
        assert self.book.configure([window], "v1", self.at) == []
        self.letters = "A"
        self.refusal = ""
        self.events: list[Event] = []

    def do(self, *events: str) -> Desk:
        for event in events:
            second = self.at.mono_ns + S
            self.at = Moment(second, WALL_NS + second, second)
            self.refusal = ""
            before = self.letters[-1]
            told = self.happen(event)
            self.letters += self.book.letter("w.high")
            assert {e.source for e in told} <= {"w.high"}
            assert [e.detail["before"] for e in told][:1] in ([], [before])
            self.events += told
        return self

    def happen(self, event: str) -> list[Event]:
        if event in CHANGES:
            kind = LimitKind.HIGH if event in ("ALM", "RTN") else None
            return self.book.hear([Transition(CHANGES[event], "w", kind, self.at, 206.0, 205.0)])
        command = AlarmCommand(VERBS[event], "w.high", "li", "repair", 60.0 if event == "SHELVE" else None)
        try:
            return self.book.command(command, self.at)
        except CommandRefused as refusal:
            self.refusal = str(refusal)
            return []


@pytest.mark.parametrize(
    ("events", "alarming", "letters"),
    [
        ("ALM ACK RTN", Alarming(), "ABCA"),
        ("ALM RTN ACK", Alarming(), "ABDA"),
        ("ALM RTN ALM ACK RTN", Alarming(), "ABDBCA"),
        ("ALM ACK RTN RESET", LATCHING, "ABCFA"),
        ("ALM RTN ACK RESET", LATCHING, "ABEFA"),
        ("ALM SHELVE UNSHELVE", Alarming(), "ABGB"),
        ("ALM SHELVE RTN UNSHELVE", Alarming(), "ABGGA"),
        ("ALM RTN", NO_ACK, "ACA"),
        ("ALM RTN RESET", BOTH, "ACFA"),
        ("ALM SHELVE RTN UNSHELVE ACK RESET", LATCHING, "ABGGEFA"),
        ("SHELVE ALM RTN UNSHELVE", LATCHING, "AGGGE"),
        ("SHELVE ALM UNSHELVE", NO_ACK, "AGGC"),
        ("ALM ACK SUPPR UNSUPPR", Alarming(), "ABCHB"),
        ("ALM ACK OOS RTN RTS", BOTH, "ACCIIF"),
        ("SHELVE SUPPR UNSHELVE UNSUPPR", Alarming(), "AGGHA"),
        ("OOS SUPPR RTS UNSUPPR", Alarming(), "AIIHA"),
    ],
)
def test_traces(events: str, alarming: Alarming, letters: str) -> None:
    assert Desk(alarming).do(*events.split()).letters == letters


def reached(letter: str, alarming: Alarming) -> Desk:
    """A desk whose alarm shows the letter."""
    if letter in OVERLAYS:
        return Desk(alarming).do(OVERLAYS[letter][0])
    return Desk(LATCHING if letter in "EF" else alarming).do(*WAYS[letter].split())


@pytest.mark.parametrize(("letter", "event", "after"), CELLS, ids=[f"{c[0]}-{c[1]}" for c in CELLS])
def test_every_cell_of_the_table(letter: str, event: str, after: str) -> None:
    desk = reached(letter, Alarming())
    assert desk.letters[-1] == letter
    told = len(desk.events)
    desk.do(event)
    assert desk.letters[-1] == after
    if after == letter and event not in ("ALM", "RTN"):
        assert len(desk.events) == told, "what changes nothing makes no event"
        assert bool(desk.refusal) == (event in VERBS), "a command that changes nothing says why"


@pytest.mark.parametrize("event", HEAD)
def test_latching_and_without_acknowledgement(event: str) -> None:
    """The cells with a condition: ALM gives C, RTN gives E and F."""
    if event == "ALM":
        assert [reached(x, NO_ACK).do("ALM").letters[-1] for x in "A"] == ["C"]
        assert Desk(BOTH).do("ALM", "RTN", "ALM").letters == "ACFC"
    elif event == "RTN":
        assert Desk(LATCHING).do("ALM", "RTN").letters == "ABE"
        assert Desk(LATCHING).do("ALM", "ACK", "RTN").letters == "ABCF"


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("alarming", "before", "after"),
    [
        (Alarming(), "ALM", "B"), (Alarming(), "ALM RTN", "A"), (Alarming(), "", "A"), (NO_ACK, "ALM", "C"),
        (LATCHING, "ALM", "B"), (LATCHING, "ALM RTN", "E"), (BOTH, "ALM", "C"), (BOTH, "ALM RTN", "F"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("when", ["before", "within"])
def test_leaving_an_overlay(overlay: str, alarming: Alarming, before: str, after: str, when: str) -> None:
    """B if active, else E if latched, else A; it is the same whether things happened before it or within."""
    enter, leave = OVERLAYS[overlay]
    steps = [*before.split(), enter] if when == "before" else [enter, *before.split()]
    assert Desk(alarming).do(*steps, leave).letters[-1] == after


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_within_an_overlay_all_is_journalled_and_nothing_annunciated(overlay: str) -> None:
    desk = Desk(Alarming()).do(OVERLAYS[overlay][0], "ALM", "RTN")
    told = [e for e in desk.events if e.kind in ("alarm_raised", "alarm_returned")]
    assert [(e.detail["before"], e.detail["after"]) for e in told] == [(overlay, overlay)] * 2
    assert not any(e.detail["annunciated"] for e in desk.events)


def test_reset_before_acknowledgement_is_refused_and_says_so() -> None:
    desk = Desk(LATCHING).do("ALM", "RTN", "RESET")
    assert (desk.letters, "acknowledge first" in desk.refusal) == ("ABEE", True)


def test_hi_205() -> None:
    """HI 205, deadband 1, on-delay 3 s, off-delay 2 s, a sample a second: ALM at 9 s, RTN at 13 s."""
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", ValueType.FLOAT64)])
    window = Window(
        "w", TagRef("press-1", "pressure"), high=205.0, deadband=1.0, on_delay_s=3.0, off_delay_s=2.0
    )
    control = Control([window], "v1", mono_ns=0, time_ns=WALL_NS)
    values = [200, 205, 205.1, 206, 206, 204.6, 206, 206, 206, 206, 204.5, *[203.9] * 4]
    told = []
    for second, value in enumerate(values):
        at = second * S
        batch = Batch(schema, WALL_NS + at, at, (float(value),), bytes(1))
        told += [(second, e.kind) for e in control.on_batch(batch) if e.kind.startswith("alarm_")]
        told += [(second, e.kind) for e in control.tick(at, WALL_NS + at) if e.kind.startswith("alarm_")]
    assert told == [(9, "alarm_raised"), (13, "alarm_returned")]
    assert control.alarms.letter("w.high") == "D"
