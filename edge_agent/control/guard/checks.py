"""The conditions of a write, in the order in which they are judged. Each tells what is wrong, or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable, WriteLevel, Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.arming import Arming
from edge_agent.control.guard.books import Books
from edge_agent.control.guard.ledger import BEIJING_S, DeviceLedger
from edge_agent.control.guard.pending import Kept
from edge_agent.control.guard.raw import Unmappable, farther, to_raw, within
from edge_agent.control.guard.refusal import Reason, lock_text
from edge_agent.control.guard.request import ANNUNCIATION, HEARTBEAT, OWN, TTL, Facts, Permit, WriteRequest
from edge_agent.model import Quality, Tag, Value, engineering

Wrong = tuple[Reason, Mapping[str, object]]
"""A reason, and what its sentence names."""


@dataclass(slots=True)
class Case:
    """One request and all that it is judged by. ``raw`` is set once the value is known to fit its type;
    ``expected``: the raw value the controller is taken to hold, None where that is not known. ``open``: the
    permit under way on the same device. ``kept``: the approval that the request refers to."""

    request: WriteRequest
    writable: Writable
    tag: Tag
    writing: Writing
    facts: Facts
    books: Books
    arming: Arming
    at: Moment
    open: Permit | None = None
    kept: Kept | None = None
    raw: Value = None
    expected: Value = None

    @property
    def ref(self) -> TagRef:
        return self.writable.tag

    @property
    def own(self) -> bool:
        """Asked for by the agent itself."""
        return self.request.who in OWN

    @property
    def recommending(self) -> bool:
        """Nothing will be written: the request ends as a recommendation."""
        levels = (self.writing.level, self.writable.level)
        return not self.own and WriteLevel.RECOMMEND in levels


def who(case: Case) -> Wrong | None:
    """A revert follows from a write that was permitted."""
    if case.request.who == TTL or case.request.who in case.writable.who:
        return None
    permitted = ", ".join(case.writable.who) or "-"
    return Reason.WHO, {"tag": case.ref, "who": case.request.who, "permitted": permitted}


def level(case: Case) -> Wrong | None:
    needed = case.writable.level
    if not case.own and case.writing.level is WriteLevel.RECOMMEND:
        needed = min(needed, WriteLevel.RECOMMEND)
    if case.writing.level >= needed:
        return None
    names = {"needed": needed.name.lower(), "level": case.writing.level.name.lower()}
    return Reason.LEVEL, {"tag": case.ref, **names}


def incomplete(case: Case) -> Wrong | None:
    missing = missing_parts(case.writable, case.writing)
    if missing and case.request.who not in (ANNUNCIATION, HEARTBEAT) and not case.recommending:
        return Reason.INCOMPLETE, {"tag": case.ref, "missing": ", ".join(missing)}
    return None


def missing_parts(writable: Writable, writing: Writing) -> list[str]:
    """What a writable lacks for being written by people or uplinks at levels setpoint and request."""
    if writable.level < WriteLevel.SETPOINT:
        return []
    parts = {
        "heartbeat": any(beat.tag.device == writable.tag.device for beat in writing.heartbeats),
        "when": bool(writable.when),
        "inputs": bool(writable.inputs),
        "verify": writable.verify_within_s > 0,
    }
    return [part for part, there in parts.items() if not there]


def kill_switch(case: Case) -> Wrong | None:
    return (Reason.KILL_SWITCH, {"user": case.books.killed_by}) if case.books.killed_by else None


def armed(case: Case) -> Wrong | None:
    """What a second person approved needs the arming under which it was asked for, not its token again."""
    if case.own or case.recommending:
        return None
    if case.kept is not None and case.kept.session == case.arming.session:
        reason = None if case.arming.is_armed(case.at) else Reason.TOKEN_EXPIRED
    else:
        reason = case.arming.refuses(case.request.token, case.at)
    return None if reason is None else (reason, {})


def locked_out(case: Case) -> Wrong | None:
    """Never an output: the horn that tells people of the lock-out may be on the very same device."""
    lock = case.books.lock_of(case.ref.device)
    if lock is None or case.request.who == ANNUNCIATION:
        return None
    return Reason.LOCKED_OUT, locked_text(case.ref.device, lock)


def mapped(case: Case) -> Wrong | None:
    """Sets ``case.raw``."""
    value = case.request.value
    try:
        case.raw = to_raw(value, case.tag)
    except Unmappable as error:
        return error.reason, {"value": value, "type": case.tag.type, "tag": case.ref, "raw": error.raw}
    return None


def in_range(case: Case) -> Wrong | None:
    """The value asked for, and what would be written for it."""
    low, high = case.writable.low, case.writable.high
    asked = case.request.value
    if low <= asked <= high and within(case.raw, case.tag, low, high):
        return None
    written = engineering(case.raw, case.tag.scaling)
    value = asked if not low <= asked <= high else written
    return Reason.OUT_OF_RANGE, {
        "tag": case.ref,
        "value": shown(value),
        "low": shown(low),
        "high": shown(high),
    }


def device_up(case: Case) -> Wrong | None:
    device = case.ref.device
    return None if case.facts.device_up(device) else (Reason.DEVICE_DOWN, {"device": device})


def heartbeat(case: Case) -> Wrong | None:
    """Not asked where nothing depends on it: the heartbeat itself, annunciation, recommendations."""
    if case.request.who in (HEARTBEAT, ANNUNCIATION) or case.recommending:
        return None
    device = case.ref.device
    return None if case.facts.heartbeat_ok(device) else (Reason.HEARTBEAT_LOST, {"device": device})


def critical_alarm(case: Case) -> Wrong | None:
    """A horn must sound then more than ever, and the heartbeat says only that the agent lives."""
    if case.request.who in (HEARTBEAT, ANNUNCIATION):
        return None
    device = case.ref.device
    return (Reason.CRITICAL_ALARM, {"device": device}) if case.facts.critical_active(device) else None


def preconditions(case: Case) -> Wrong | None:
    """All that are unknown before the first that is false."""
    states = [(ref, *_state(case, ref)) for ref in case.writable.when]
    for ref, value, state in states:
        if state or not isinstance(value, bool):
            return Reason.PRECONDITION_UNKNOWN, {"input": ref, "state": state or f"{value!r} is no bool"}
    for ref, value, _ in states:
        if value is not True:
            return Reason.PRECONDITION_FALSE, {"input": ref}
    return None


def inputs(case: Case) -> Wrong | None:
    for ref in case.writable.inputs:
        found = case.facts.reading(ref)
        if found is None or not Quality(found[1]).is_good or found[0] is None:
            return Reason.INPUT_BAD, {"input": ref, "state": _quality(found)}
    for ref in case.writable.inputs:
        found = case.facts.reading(ref)
        if found is not None and found[2] > case.writable.max_age_s:
            values = {"age": f"{found[2]:.1f}", "limit": f"{case.writable.max_age_s:g}"}
            return Reason.INPUT_STALE, {"input": ref, **values}
    return None


def busy(case: Case) -> Wrong | None:
    """Heartbeats do not wait for the read-back of another write; the link orders them."""
    if case.open is None or case.request.who == HEARTBEAT:
        return None
    return Reason.BUSY, {"device": case.ref.device}


def interval(case: Case) -> Wrong | None:
    since_s = since(case)
    if since_s is None or since_s >= case.writable.min_interval_s or case.request.who == HEARTBEAT:
        return None
    limit = f"{case.writable.min_interval_s:g}"
    return Reason.INTERVAL, {"tag": case.ref, "since": f"{since_s:.2f}", "limit": limit}


def step(case: Case) -> Wrong | None:
    limit = case.writable.max_step
    if (
        limit is None
        or case.request.who == HEARTBEAT
        or not farther(case.raw, case.expected, case.tag, limit)
    ):
        return None
    return Reason.STEP, {**_from_to(case), "limit": shown(limit)}


def rate(case: Case) -> Wrong | None:
    limit, since_s = case.writable.max_rate, since(case)
    if limit is None or since_s is None or case.request.who == HEARTBEAT:
        return None
    if not farther(case.raw, case.expected, case.tag, limit * since_s):
        return None
    return Reason.RATE, {**_from_to(case), "since": f"{since_s:.1f}", "limit": shown(limit)}


def budget(case: Case) -> Wrong | None:
    """With a TTL there must be room for taking it back as well."""
    need = 2 if case.writable.ttl_s is not None and not case.own else 1
    full = case.books.full(case.writable, case.writing, case.request.who, case.at.time_ns, need)
    return None if full is None else (full[0], {"tag": case.ref, "limit": full[1]})


AUTHORISATION: tuple[Callable[[Case], Wrong | None], ...] = (
    who, level, incomplete, kill_switch, armed, locked_out,
)  # fmt: skip
MAPPING: tuple[Callable[[Case], Wrong | None], ...] = (mapped,)
VERIFICATION: tuple[Callable[[Case], Wrong | None], ...] = (
    in_range, device_up, heartbeat, critical_alarm, preconditions, inputs,
)  # fmt: skip
ACCEPTANCE: tuple[Callable[[Case], Wrong | None], ...] = (busy, interval, step, rate, budget)
READINESS: tuple[Callable[[Case], Wrong | None], ...] = (
    level, incomplete, kill_switch, locked_out, device_up, heartbeat, critical_alarm, preconditions, inputs,
    interval, budget,
)  # fmt: skip
"""What can be told of a tag before anybody asks for a value, and whoever does. They change nothing."""


def since(case: Case) -> float | None:
    ledger = case.books.tags.get(case.ref)
    return ledger.since_s(case.at.mono_ns) if ledger else None


def expected(case: Case) -> Value:
    """What the controller is taken to hold: the newest of what was read and what was written, where either is
    young enough. Of a revert, what was written: anything else means that somebody took over."""
    ledger = case.books.tags.get(case.ref)
    own = ledger.raw if ledger else None
    if case.request.who == TTL:
        return own
    own_age_s = ledger.since_s(case.at.mono_ns) if ledger and ledger.sure and own is not None else None
    found = case.facts.reading(case.ref)
    usable = found is not None and Quality(found[1]).is_good and found[2] <= case.writable.max_age_s
    if found is not None and usable and (own_age_s is None or found[2] < own_age_s):
        return found[0]
    recent = own_age_s is not None and (usable or own_age_s <= case.writable.max_age_s)
    return own if recent else None


def _state(case: Case, ref: TagRef) -> tuple[Value, str]:
    """Value, and why it cannot be relied on, or empty."""
    found = case.facts.reading(ref)
    if found is None or not Quality(found[1]).is_good:
        return None, _quality(found)
    if found[2] > case.writable.max_age_s:
        return None, f"{found[2]:.1f} s"
    return found[0], ""


def _quality(found: tuple[Value, int, float] | None) -> str:
    return "waiting" if found is None else Quality(found[1]).name.lower()


def _from_to(case: Case) -> dict[str, object]:
    before = engineering(case.expected, case.tag.scaling)
    return {"before": shown(before), "value": shown(engineering(case.raw, case.tag.scaling))}


def shown(value: object) -> object:
    return f"{value:.10g}" if isinstance(value, float) else value


def locked_text(device: str, lock: DeviceLedger) -> dict[str, object]:
    """Values of the sentence for LOCKED_OUT; Beijing time."""
    since = datetime.fromtimestamp(lock.since_ns // 10**9, UTC) + timedelta(seconds=BEIJING_S)
    return {"device": device, "why": lock_text(lock.locked), "since": f"{since:%Y-%m-%d %H:%M:%S}"}
