"""All alarms of one configuration: what windows, people and time do to them, as events and state rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from edge_agent.config.model import Limit, LimitKind, Output, Priority, TagRef, Window
from edge_agent.control.alarms import life
from edge_agent.control.alarms.alarm import STATES, Alarm, Cover, restored, wall_ns
from edge_agent.control.alarms.commands import (
    CONCERNED,
    AlarmCommand,
    Verb,
    check,
    check_duration,
    none_concerned,
    unknown,
    why_not,
)
from edge_agent.control.alarms.figures import STALE_NS, Figures
from edge_agent.control.alarms.first_out import FirstOut, stands
from edge_agent.control.alarms.horns import Horns
from edge_agent.control.alarms.life import AT_REST, Bits, Overlay
from edge_agent.control.alarms.roster import Roster, name_of, split
from edge_agent.control.excursion import Moment
from edge_agent.control.rows import Rows
from edge_agent.control.transition import Change, Transition
from edge_agent.model import Event

ROW = "alarm:"
"""What stands before an alarm's name in the key of its state row."""

_NEVER_NS = 1 << 63
_URGENCY = {letter: place for place, letter in enumerate("BEDCFGIH")}


class Note(NamedTuple):
    """What an event tells beside the alarm itself."""

    reason: str = ""
    user: str = ""
    comment: str = ""
    until_ns: int | None = None  # of a shelf, wall time


_PLAIN = Note()


class AlarmBook:
    """One alarm per limit of a window, named ``WINDOW.KIND``. Pure: no clock, no task, no log.

    ``Control`` calls ``configure`` at the start and at every reload (after it has let the book ``hear`` what
    the reload did to limits), ``restore`` once before the first transition, ``hear`` with the transitions of
    every batch and tick, ``tick`` about four times a second. Each returns its events in order; ``changed``
    then gives the state rows to be committed with them.

    Only alarms that are not at rest are held. An alarm at rest is in A, or in H while its window does not
    apply.
    """

    def __init__(self, config_version: str) -> None:
        self._version = config_version
        self._roster = Roster()
        self._alarms: dict[str, Alarm] = {}
        self._suppressed: set[str] = set()  # windows that do not apply
        self._touched: set[str] = set()  # whose rows have changed
        self._waiting: list[Event] = []  # for the next tick
        self._due_ns = _NEVER_NS  # before that, time alone changes nothing
        self._first_out = FirstOut()
        self._horns = Horns()
        self._figures = Figures()
        self._at = Moment(0, 0, 0)

    # What reloads, windows and time do

    def configure(self, windows: Sequence[Window], version: str, at: Moment) -> list[Event]:
        """The windows there are from now on. An alarm whose limit exists before and after keeps its state;
        one whose limit is gone ends with ``alarm_removed``."""
        self._at, self._version, self._roster = at, version, Roster(windows)
        self._suppressed = {name for name in self._suppressed if self._roster.window(name) is not None}
        events = []
        for name, alarm in list(self._alarms.items()):
            found = self._roster.find(name)
            if found is None:
                events.append(self._remove(alarm, at))
            else:
                alarm.follow(*found)
        self._reckon_anew(self._first_out.marks.items())
        self._touched.update(self._alarms)  # the mark of its group stands in every row
        return events

    def hear(self, transitions: Iterable[Transition]) -> list[Event]:
        """What the windows say. Repetitions, and what concerns no configured limit, make no events."""
        events: list[Event] = []
        for said in transitions:
            self._at = said.at
            if said.change is Change.ALARM:
                events += self._comes(said)
            elif said.change is Change.RETURN:
                events += self._goes(said)
            elif said.change is Change.SUPPRESS:
                events += self._suppress(said)
            else:
                events += self._unsuppress(said)
        return events

    def tick(self, at: Moment) -> list[Event]:
        """What time alone does: shelves end, alarms are annunciated again."""
        self._at = at
        self._figures.pass_to(at.now_ns)
        events, self._waiting = self._waiting, []
        if at.now_ns < self._due_ns:
            return events
        for alarm in list(self._alarms.values()):
            due_ns = alarm.due_mono_ns
            if due_ns is None or due_ns > at.now_ns:
                continue
            if alarm.bits.overlay is Overlay.SHELVED:
                events += self._uncover(alarm, life.unshelve, "alarm_unshelved", at, Note("expired"))
            else:
                events.append(self._become(alarm, life.realarm(alarm.bits), "alarm_realarmed", at))
        self._reckon_due()
        return events

    def _comes(self, said: Transition) -> list[Event]:
        assert said.kind is not None
        name = name_of(said.window, said.kind)
        alarm = self._alarm(name, said.at)
        if alarm is None or alarm.bits.active:
            return []
        alarm.take(said)
        alarm.active_mono_ns, alarm.active_ns = said.at.mono_ns, said.at.time_ns
        self._figures.note_alarm(name, said.at.now_ns)
        bits = life.comes(alarm.bits, alarm.rule)
        return [self._become(alarm, bits, "alarm_raised", said.at, Note(said.reason))]

    def _goes(self, said: Transition) -> list[Event]:
        assert said.kind is not None
        name = name_of(said.window, said.kind)
        alarm = self._alarms.get(name)
        if alarm is None or not alarm.bits.active:
            return []
        alarm.take(said)
        self._figures.note_return(name, said.at.mono_ns - alarm.active_mono_ns, said.at.now_ns)
        return [self._become(alarm, life.goes(alarm.bits), "alarm_returned", said.at, Note(said.reason))]

    def _suppress(self, said: Transition) -> list[Event]:
        if said.window in self._suppressed or self._roster.window(said.window) is None:
            return []
        self._suppressed.add(said.window)
        return [
            self._become(alarm, life.suppress(alarm.bits), "alarm_suppressed", said.at, Note(said.reason))
            for alarm in self._held_of(said.window)
            if not alarm.bits.overlay
        ]

    def _unsuppress(self, said: Transition) -> list[Event]:
        self._suppressed.discard(said.window)
        events = []
        for alarm in self._held_of(said.window):
            if alarm.bits.overlay is Overlay.SUPPRESSED:
                bits = life.unsuppress(alarm.bits, alarm.rule)
                event = self._become(alarm, bits, "alarm_unsuppressed", said.at, Note(said.reason))
                events += [event] if bits != AT_REST else []  # of others the window's own event tells
        return events

    # What people do

    def command(self, command: AlarmCommand, at: Moment) -> list[Event]:
        """The events of what was done. Raises ``CommandRefused`` where it would change nothing; then nothing
        has changed."""
        self._at = at
        verb = check(command)
        if verb is Verb.SILENCE:
            self._horns.silent = True
            return []
        events: list[Event] = []
        for alarm in self._chosen(verb, command, at):
            events += self._do(verb, alarm, command, at)
        self._reckon_due()
        return events

    def _chosen(self, verb: Verb, command: AlarmCommand, at: Moment) -> list[Alarm]:
        """The alarms concerned, those at rest made for the occasion. Nothing is changed before all of it is
        known to be possible."""
        if any(sign in command.name for sign in "*?"):
            chosen = self._fitting(verb, command.name, at)
        else:
            alarm = self._alarm(command.name, at)
            if alarm is None:
                raise unknown(command.name)
            if alarm.letter not in CONCERNED[verb]:
                raise why_not(verb, command.name, alarm.letter)
            chosen = [alarm]
        if verb is Verb.SHELVE:
            for alarm in chosen:
                check_duration(alarm.name, command.duration_s, alarm.rule)
        return chosen

    def _fitting(self, verb: Verb, pattern: str, at: Moment) -> list[Alarm]:
        names = self._roster.names() if "A" in CONCERNED[verb] else self._alarms
        made = [self._alarm(name, at) for name in names if fnmatchcase(name, pattern)]
        chosen = [alarm for alarm in made if alarm is not None and alarm.letter in CONCERNED[verb]]
        if not chosen:
            raise none_concerned(verb, pattern)
        return chosen

    def _do(self, verb: Verb, alarm: Alarm, command: AlarmCommand, at: Moment) -> list[Event]:
        user, comment = command.user, command.comment
        note = Note("", user, comment)
        if verb is Verb.ACK:
            alarm.acked_by, alarm.acked_mono_ns = user, at.now_ns
            return [self._become(alarm, life.acknowledge(alarm.bits), "alarm_acknowledged", at, note)]
        if verb is Verb.RESET:
            return [self._become(alarm, life.reset(alarm.bits), "alarm_reset", at, note)]
        if verb is Verb.UNSHELVE:
            note = note._replace(reason="by command")
            return self._uncover(alarm, life.unshelve, "alarm_unshelved", at, note)
        if verb is Verb.UNSUPPRESS:
            return self._uncover(alarm, life.in_service, "alarm_in_service", at, note)
        if verb is Verb.SUPPRESS:
            alarm.cover = Cover(user, comment, at.time_ns)
            return [self._become(alarm, life.out_of_service(alarm.bits), "alarm_out_of_service", at, note)]
        until_ns = at.now_ns + round((command.duration_s or 0.0) * 1e9)
        alarm.cover = Cover(user, comment, at.time_ns, until_ns)
        note = note._replace(until_ns=wall_ns(at, until_ns))
        return [self._become(alarm, life.shelve(alarm.bits), "alarm_shelved", at, note)]

    # Changing

    def _uncover(
        self, alarm: Alarm, step: Callable[..., Bits], kind: str, at: Moment, note: Note
    ) -> list[Event]:
        """Leaves G or I; where the window does not apply, for H at once, and then nobody is annunciated."""
        suppressed = alarm.window.name in self._suppressed
        alarm.cover = None
        events = [self._become(alarm, step(alarm.bits, alarm.rule), kind, at, note, quiet=suppressed)]
        if suppressed and alarm.bits != AT_REST:
            note = Note("the window does not apply")
            events.append(self._become(alarm, life.suppress(alarm.bits), "alarm_suppressed", at, note))
        return events

    def _remove(self, alarm: Alarm, at: Moment) -> Event:
        alarm.cover = None
        self._first_out.forget(alarm)
        return self._become(alarm, AT_REST, "alarm_removed", at, Note("removed"))

    def _become(
        self,
        alarm: Alarm,
        bits: Bits,
        kind: str,
        at: Moment,
        note: Note = _PLAIN,
        *,
        quiet: bool = False,
    ) -> Event:
        """The one place where an alarm changes: letter, annunciation, first-out, row, event."""
        before = alarm.letter
        alarm.bits = bits
        after = alarm.letter
        if after != before:
            alarm.since_ns = at.time_ns
        if after == "B":
            alarm.acked_by, alarm.acked_mono_ns = "", None
        annunciated = after != before and not quiet and _annunciates(alarm, before, after)
        if annunciated:
            self._annunciate(alarm, at)
        first_out = self._first_out.is_first(alarm)
        self._keep(alarm)
        detail = {
            "before": before,
            "after": after,
            **alarm.detail(),
            "annunciated": annunciated,
            "first_out": first_out,
            "received_ns": wall_ns(at, at.now_ns),
            **note._asdict(),
        }
        return Event(kind, alarm.name, at.time_ns, at.mono_ns, self._version, detail)

    def _annunciate(self, alarm: Alarm, at: Moment) -> None:
        alarm.annunciated_ns = at.time_ns
        self._figures.note_annunciation(alarm.name, alarm.rule.priority, at.now_ns)
        self._horns.silent = False
        self._first_out.annunciated(alarm)

    def _keep(self, alarm: Alarm) -> None:
        """Holds the alarm while it is not at rest, and notes what has changed with it."""
        name = alarm.name
        if alarm.bits == AT_REST:
            self._alarms.pop(name, None)
        else:
            self._alarms[name] = alarm
        self._touched.add(name)
        self._horns.changed()
        self._first_out.changed(alarm)

    def _reckon_due(self) -> None:
        dues = (alarm.due_mono_ns for alarm in self._alarms.values())
        self._due_ns = min((due for due in dues if due is not None), default=_NEVER_NS)

    def _reckon_anew(self, marks: Iterable[tuple[str, str]]) -> None:
        """After definitions or alarms were replaced."""
        self._first_out.begin_anew(self._alarms.values(), dict(marks))
        self._horns.changed()
        self._reckon_due()

    # Looking up

    def _alarm(self, name: str, at: Moment) -> Alarm | None:
        """The alarm of that name; one at rest is made anew and not held. None if there is none."""
        held = self._alarms.get(name)
        if held is not None:
            return held
        found = self._roster.find(name)
        if found is None:
            return None
        alarm = Alarm(*found, at.time_ns)
        if alarm.window.name in self._suppressed:
            alarm.bits = life.suppress(alarm.bits)
        return alarm

    def _held_of(self, window: str) -> list[Alarm]:
        defined = self._roster.window(window) if self._alarms else None
        if defined is None:
            return []
        found = (self._alarms.get(name_of(window, limit.kind)) for limit in defined.limits)
        return [alarm for alarm in found if alarm is not None]

    def _row(self, alarm: Alarm, at: Moment) -> dict[str, Any]:
        return alarm.row(at) | {"first_out": self._first_out.is_first(alarm)}

    # For people and outputs

    def letter(self, name: str) -> str:
        """A to I. Raises KeyError for an alarm that is not configured."""
        alarm = self._alarm(name, self._at)
        if alarm is None:
            raise KeyError(name)
        return alarm.letter

    def names(self) -> Iterator[str]:
        """Of all alarms there are, at rest or not."""
        return self._roster.names()

    def get(self, name: str, at: Moment | None = None) -> dict[str, Any] | None:
        """One row, also of an alarm at rest; None if there is none of that name."""
        alarm = self._alarm(name, at or self._at)
        return None if alarm is None else self._row(alarm, at or self._at)

    def rows(self, at: Moment | None = None) -> Rows[Alarm]:
        """Of the alarms that are not at rest, the most urgent first. Changes no state."""
        held = self._alarms.values()
        urgent = sorted(held, key=lambda a: (_URGENCY[a.letter], -a.rule.priority, -a.since_ns))
        moment = at or self._at
        return Rows(urgent, lambda alarm: self._row(alarm, moment))

    def demand(self, outputs: Iterable[Output]) -> dict[TagRef, bool]:
        """What each horn and lamp should be now."""
        return self._horns.demand(outputs, self._alarms.values())

    @property
    def silent(self) -> bool:
        """Whether people have silenced the outputs; it ends with the next annunciation."""
        return self._horns.silent

    def end_silence(self) -> None:
        """Something is annunciated that is no alarm of a window."""
        self._horns.silent = False

    def kpi(self, at: Moment | None = None) -> dict[str, Any]:
        """Figures of alarm management as plain data: how many alarms are in which state (by name of state and
        of priority; those at rest are left out), and rates since the start of the agent."""
        now_ns = (at or self._at).now_ns
        states: dict[str, dict[str, int]] = {}
        stale = 0
        for alarm in self._alarms.values():
            counts = states.setdefault(STATES[alarm.letter], {})
            priority = alarm.rule.priority.name.lower()
            counts[priority] = counts.get(priority, 0) + 1
            stale += alarm.bits.active and now_ns - alarm.active_mono_ns > STALE_NS
        return {
            "states": states,
            "stale": stale,
            "suppressed_windows": len(self._suppressed),
            "silenced": self._horns.silent,
            **self._figures.as_dict(now_ns),
        }

    # For the disk

    def changed(self) -> dict[str, Any]:
        """The rows of alarms that changed since the last call, by ``alarm:NAME``; None: at rest again."""
        touched, self._touched = self._touched, set()
        return {ROW + name: self._stored(name) for name in sorted(touched)}

    def snapshot(self) -> dict[str, Any]:
        """The rows of all alarms that are not at rest, with what is left of their shelves now."""
        return {ROW + name: self._stored(name) for name in self._alarms}

    def _stored(self, name: str) -> dict[str, Any] | None:
        alarm = self._alarms.get(name)
        if alarm is None:
            return None
        return alarm.as_dict(self._at) | {"first": self._first_out.mark_of(alarm)}

    def restore(self, states: Mapping[str, Any], at: Moment, suppressed: Iterable[str] = ()) -> None:
        """Takes up what ``snapshot`` or ``changed`` gave; other keys and malformed rows are passed over. To
        be called once, after ``configure`` and before the first transition. ``suppressed``: the windows whose
        suppression stands. Nobody is annunciated again. An alarm that is not configured any more ends with
        the next tick, and so does a shelf whose time has passed."""
        self._at = at
        self._suppressed.update(name for name in suppressed if self._roster.window(name) is not None)
        marks = []
        for key, saved in states.items():
            if not key.startswith(ROW) or saved is None:
                continue
            try:
                alarm = self._take_up(key.removeprefix(ROW), saved, at)
                if alarm is not None and stands(alarm) and saved["first"]:  # rows of others may be older
                    marks.append((alarm.rule.first_out, str(saved["first"])))
            except (KeyError, TypeError, ValueError, OverflowError):
                continue  # a row of another version must not keep the agent from starting
        self._reckon_anew(marks)

    def _take_up(self, name: str, saved: Mapping[str, Any], at: Moment) -> Alarm | None:
        found = self._roster.find(name)
        if found is None:
            window, kind = split(name)
            gone = restored(saved, Window(window, TagRef("", "")), Limit(LimitKind(kind)), at)
            self._waiting.append(self._remove(gone, at))
            return None
        alarm = restored(saved, *found, at)
        if alarm.bits.overlay is Overlay.SUPPRESSED:
            self._suppressed.add(alarm.window.name)
        if alarm.bits != AT_REST:
            self._alarms[name] = alarm
        return alarm


def _annunciates(alarm: Alarm, before: str, after: str) -> bool:
    if alarm.rule.priority is Priority.DIAGNOSTIC:
        return False
    return after == "B" or (after == "C" and not alarm.rule.ack and before != "B")
