"""The alarms a second time: the transition table of ISA-18.2 as a table, and what is added to it.
Shares no code with ``edge_agent.control``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.config.model import Alarming, Limit, LimitKind, Output, Priority, TagRef, Window

Told = tuple[str, str, str, str, str, tuple[str, ...]]  # kind, window, old, new, reason, active limits
Rung = tuple[str, str, str, str, bool]  # kind, alarm, before, after, annunciated

SECOND_NS = 1_000_000_000
OVERLAYS = "GHI"
UNACKNOWLEDGED = "BDE"

# The letters stand for: 1 "B, or C if no acknowledgement is required"; 2 "D, or E if latching"; 3 "A, or F if
# latching"; 4 "B if active, else E if latched, else A" (C and F if no acknowledgement is required).
TABLE = {
    #     ALM RTN ACK RESET SHELVE UNSHELVE SUPPR UNSUPPR OOS RTS
    "A": "1   -   -   -     G      -        H     -       I   -",
    "B": "-   2   C   -     G      -        H     -       I   -",
    "C": "-   3   -   -     G      -        H     -       I   -",
    "D": "1   -   A   -     G      -        H     -       I   -",
    "E": "1   -   F   -     G      -        H     -       I   -",
    "F": "1   -   -   A     G      -        H     -       I   -",
    "G": "-   -   -   -     -      4        -     -       -   -",
    "H": "-   -   -   -     -      -        -     4       -   -",
    "I": "-   -   -   -     -      -        -     -       -   4",
}
EVENTS = ["ALM", "RTN", "ACK", "RESET", "SHELVE", "UNSHELVE", "SUPPR", "UNSUPPR", "OOS", "RTS"]


@dataclass(frozen=True, slots=True)
class Journal:
    """What one call told: of windows, and of alarms."""

    windows: list[Told]
    alarms: list[Rung]


@dataclass(frozen=True, slots=True)
class Stored:
    """Times as the last state row of an alarm has them."""

    left_ns: int | None  # of the shelf
    until_wall_ns: int | None
    acknowledged_wall_ns: int | None


@dataclass
class Alarm:
    """``active`` and ``latched`` are kept up in G, H and I."""

    name: str
    window: str
    kind: LimitKind
    alarming: Alarming
    letter: str = "A"
    active: bool = False
    latched: bool = False
    until_ns: int | None = None  # of a shelf, monotonic
    acknowledged_ns: int | None = None
    place: int = 0  # order in which alarms left A; 0: in A, or in H and nothing was told of it
    stored: Stored | None = None

    @property
    def standing(self) -> bool:
        """Counts for first-out: neither normal nor covered."""
        return self.letter not in ("A", *OVERLAYS)

    def after(self, event: str) -> str:
        """The letter after an event of the table; "-": none."""
        cell = TABLE[self.letter].split()[EVENTS.index(event)]
        ack = self.alarming.ack
        raised = "B" if ack else "C"
        if cell == "1":
            return raised
        if cell == "2":
            return "E" if self.latched else "D"
        if cell == "3":
            return "F" if self.latched else "A"
        if cell == "4":
            return raised if self.active else ("E" if ack else "F") if self.latched else "A"
        return cell


@dataclass
class Alarms:
    """``suppressing``: windows whose suppression stands."""

    all: dict[str, Alarm] = field(default_factory=dict)
    suppressing: set[str] = field(default_factory=set)
    first: dict[str, str] = field(default_factory=dict)  # first-out group -> alarm with the mark
    silenced: bool = False
    now_ns: int = 0
    ahead_ns: int = 0  # wall time minus monotonic time
    places: int = 0
    out: list[Rung] = field(default_factory=list)

    def at(self, now_ns: int, ahead_ns: int) -> None:
        self.now_ns, self.ahead_ns = now_ns, ahead_ns

    def told(self) -> list[Rung]:
        out, self.out = self.out, []
        return out

    def configure(self, windows: Sequence[Window]) -> None:
        """Alarms whose limit is gone are removed; of the others everything stays."""
        wanted = {f"{w.name}.{limit.kind}": (w.name, limit) for w in windows for limit in w.limits}
        for alarm in [a for a in self.held() if a.name not in wanted]:
            del self.all[alarm.name]
            if self.is_first(alarm):
                del self.first[alarm.alarming.first_out]
            self.out.append(("alarm_removed", alarm.name, alarm.letter, "A", False))
            self.lift_first_out()
        before, self.all = self.all, {}
        for name, (window, limit) in wanted.items():
            self.all[name] = before.get(name) or self.fresh(name, window, limit)
            self.all[name].alarming = limit.alarming
        for alarm in self.held():
            self.store(alarm)
        names = {window.name for window in windows}
        self.suppressing = {name for name in self.suppressing if name in names}
        self.lift_first_out()

    def fresh(self, name: str, window: str, limit: Limit) -> Alarm:
        alarm = Alarm(name, window, limit.kind, limit.alarming)
        if window in self.suppressing:
            alarm.letter = "H"
        return alarm

    # ---- what the windows say -----------------------------------------------------------------------------

    def hear(self, change: str, window: str, kind: LimitKind | None) -> None:
        if change == "suppress":
            self.suppress(window)
        elif change == "unsuppress":
            self.unsuppress(window)
        elif kind is not None and change == "comes":
            self.comes(window, kind)
        elif kind is not None:
            self.goes(window, kind)

    def comes(self, window: str, kind: LimitKind) -> None:
        alarm = self.all[f"{window}.{kind}"]
        alarm.active = True
        alarm.latched = alarm.latched or alarm.alarming.latch
        self.step(alarm, "ALM", "alarm_raised")

    def goes(self, window: str, kind: LimitKind) -> None:
        alarm = self.all[f"{window}.{kind}"]
        alarm.active = False
        self.step(alarm, "RTN", "alarm_returned")

    def suppress(self, window: str) -> None:
        self.suppressing.add(window)
        for alarm in self.of(window):
            if alarm.letter not in OVERLAYS:
                self.step(alarm, "SUPPR", "alarm_suppressed")

    def unsuppress(self, window: str) -> None:
        self.suppressing.discard(window)
        for alarm in self.of(window):
            if alarm.letter == "H":
                self.step(alarm, "UNSUPPR", "alarm_unsuppressed")

    def of(self, window: str) -> list[Alarm]:
        return [a for a in self.all.values() if a.window == window]

    def held(self) -> list[Alarm]:
        return sorted([a for a in self.all.values() if a.place], key=lambda a: a.place)

    # ---- what time and people do --------------------------------------------------------------------------

    def tick(self) -> None:
        for alarm in self.held():
            if alarm.letter == "G" and alarm.until_ns is not None and self.now_ns >= alarm.until_ns:
                self.leave(alarm, "UNSHELVE", "alarm_unshelved")
            realarm_s, since_ns = alarm.alarming.realarm_s, alarm.acknowledged_ns
            if alarm.letter == "C" and alarm.alarming.ack and realarm_s and since_ns is not None:
                if self.now_ns - since_ns >= round(realarm_s * SECOND_NS):
                    before, alarm.letter = alarm.letter, "B"
                    self.tell(alarm, "alarm_realarmed", before)

    def command(self, verb: str, name: str, user: str, comment: str, duration_s: float | None) -> bool:
        """Whether it was accepted."""
        if not user:
            return False
        if verb == "silence":
            self.silenced = True
            return True
        alarm = self.all.get(name)
        event, kind = VERBS[verb]
        if alarm is None or alarm.after(event) == "-" or (event == "RESET" and alarm.letter != "F"):
            return False
        if verb in ("shelve", "suppress") and not comment:
            return False
        if verb == "shelve":
            if duration_s is None or not 0 < duration_s <= alarm.alarming.max_shelve_s:
                return False
            alarm.until_ns = self.now_ns + round(duration_s * SECOND_NS)
        if event == "ACK":
            alarm.acknowledged_ns = self.now_ns
        if verb in ("unshelve", "unsuppress"):
            self.leave(alarm, event, kind)
        else:
            self.step(alarm, event, kind)
        return True

    def store(self, alarm: Alarm) -> None:
        """Its state row is written."""
        until_ns, acknowledged_ns, ahead_ns = alarm.until_ns, alarm.acknowledged_ns, self.ahead_ns
        alarm.stored = Stored(
            None if until_ns is None else max(0, until_ns - self.now_ns),
            None if until_ns is None else until_ns + ahead_ns,
            None if acknowledged_ns is None else acknowledged_ns + ahead_ns,
        )

    def restart(self, mono_ns: int, time_ns: int, *, crash: bool) -> None:
        """A shelf ends by the wall clock, but never later than by what was left when it was stored."""
        for alarm in self.all.values():
            if not crash:
                self.store(alarm)
            stored = alarm.stored
            if alarm.letter == "G":
                assert stored is not None and stored.left_ns is not None and stored.until_wall_ns is not None
                alarm.until_ns = mono_ns + max(0, min(stored.left_ns, stored.until_wall_ns - time_ns))
            if alarm.acknowledged_ns is not None:
                assert stored is not None and stored.acknowledged_wall_ns is not None
                alarm.acknowledged_ns = mono_ns - max(0, time_ns - stored.acknowledged_wall_ns)
        for place, alarm in enumerate(sorted(self.held(), key=lambda a: a.name), start=1):
            alarm.place = self.places = place
        self.silenced = False
        self.at(mono_ns, time_ns - mono_ns)

    # ---- the table ----------------------------------------------------------------------------------------

    def leave(self, alarm: Alarm, event: str, kind: str) -> None:
        """Out of G or I; where the window's suppression stands, on to H at once."""
        suppressed = alarm.window in self.suppressing
        self.step(alarm, event, kind, annunciate=not suppressed)
        if suppressed:
            self.step(alarm, "SUPPR", "alarm_suppressed")

    def step(self, alarm: Alarm, event: str, kind: str, *, annunciate: bool = True) -> None:
        before, after = alarm.letter, alarm.after(event)
        quiet = (event == "SUPPR" and not alarm.place) or (event == "UNSUPPR" and after == "A")
        if after != "-":
            alarm.letter = after
        if alarm.letter == "A":
            alarm.latched, alarm.place = False, 0
        elif not alarm.place and not quiet:
            self.places += 1
            alarm.place = self.places
        if alarm.letter == "A":
            alarm.acknowledged_ns = None
        if quiet:  # of an alarm that was or becomes normal the event of its window tells
            self.lift_first_out()
        else:
            self.tell(alarm, kind, before, annunciate)

    def tell(self, alarm: Alarm, kind: str, before: str, annunciate: bool = True) -> None:
        if alarm.letter != "G":
            alarm.until_ns = None
        if alarm.letter in "AB":
            alarm.acknowledged_ns = None
        rule = alarm.alarming
        raised = alarm.letter == ("B" if rule.ack else "C") and before != alarm.letter
        if kind == "alarm_acknowledged" or rule.priority is Priority.DIAGNOSTIC:
            raised = False
        if raised and annunciate:
            self.annunciate(alarm)
        self.lift_first_out()
        self.store(alarm)
        self.out.append((kind, alarm.name, before, alarm.letter, raised and annunciate))

    def annunciate(self, alarm: Alarm) -> None:
        self.silenced = False
        group = alarm.alarming.first_out
        others = [a for a in self.all.values() if a.alarming.first_out == group and a is not alarm]
        if group and group not in self.first and not any(a.standing for a in others):
            self.first[group] = alarm.name

    def is_first(self, alarm: Alarm) -> bool:
        return self.first.get(alarm.alarming.first_out) == alarm.name

    def lift_first_out(self) -> None:
        standing = {a.alarming.first_out for a in self.all.values() if a.standing}
        self.first = {group: name for group, name in self.first.items() if group in standing}

    def demand(self, outputs: Iterable[Output]) -> dict[TagRef, bool]:
        wanted = {}
        for output in outputs:
            letters = "BC" if output.active else UNACKNOWLEDGED
            on = any(
                a.letter in letters and a.alarming.priority >= output.priority for a in self.all.values()
            )
            wanted[output.tag] = on and not (output.silence and self.silenced)
        return wanted


VERBS = {
    "ack": ("ACK", "alarm_acknowledged"),
    "reset": ("RESET", "alarm_reset"),
    "shelve": ("SHELVE", "alarm_shelved"),
    "unshelve": ("UNSHELVE", "alarm_unshelved"),
    "suppress": ("OOS", "alarm_out_of_service"),
    "unsuppress": ("RTS", "alarm_in_service"),
}
