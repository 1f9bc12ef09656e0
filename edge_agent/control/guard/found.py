"""What is judged once more, or for the first time, when it is known what the controller holds."""

from __future__ import annotations

from edge_agent.config.writing import Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import reverts
from edge_agent.control.guard.arming import Arming
from edge_agent.control.guard.books import Books
from edge_agent.control.guard.checks import Wrong, locked_text, shown
from edge_agent.control.guard.raw import farther, same, steps, within
from edge_agent.control.guard.refusal import Reason
from edge_agent.control.guard.request import ANNUNCIATION, OWN, Permit
from edge_agent.model import Quality, Value, engineering


def withdrawn(permit: Permit, books: Books, arming: Arming, at: Moment) -> Wrong | None:
    """What a person, or a failure, did since the request was judged."""
    if books.killed_by:
        return Reason.KILL_SWITCH, {"user": books.killed_by}
    if permit.request.who not in OWN and (not arming.is_armed(at) or arming.session != permit.session):
        return Reason.TOKEN_EXPIRED if arming.expired else Reason.NOT_ARMED, {}
    lock = books.lock_of(permit.ref.device)
    if lock is None or permit.request.who == ANNUNCIATION:
        return None
    return Reason.LOCKED_OUT, locked_text(permit.ref.device, lock)


def wrong(
    permit: Permit, raw: Value, quality: int, books: Books, writing: Writing, at: Moment
) -> Wrong | None:
    """``raw``, ``quality``: of the read before the write."""
    tag, writable = permit.tag, permit.writable
    if raw is None or not Quality(quality).is_good:
        return Reason.UNREADABLE, {"tag": permit.ref, "state": Quality(quality).name.lower()}
    before = shown(engineering(raw, tag.scaling))
    if permit.expected is not None and not same(raw, permit.expected, tag):
        judged = shown(engineering(permit.expected, tag.scaling))
        return Reason.CHANGED_MEANWHILE, {"tag": permit.ref, "found": before, "judged": judged}
    told = {"before": before, "value": shown(permit.value)}
    if writable.max_step is not None and farther(permit.raw, raw, tag, writable.max_step):
        return Reason.STEP, {**told, "limit": shown(writable.max_step)}
    ledger = books.tags.get(permit.ref)
    since_s = ledger.since_s(at.mono_ns) if ledger else None
    if writable.max_rate is not None and since_s is not None:
        if farther(permit.raw, raw, tag, writable.max_rate * since_s):
            return Reason.RATE, {**told, "since": f"{since_s:.1f}", "limit": shown(writable.max_rate)}
    return _no_way_back(permit, raw, books, writing, at) if reverts.expires(permit) else None


def _no_way_back(permit: Permit, raw: Value, books: Books, writing: Writing, at: Moment) -> Wrong | None:
    """Whether the value could be taken back when its time is over: to one inside the envelope, and with as
    many writes as the budgets have left."""
    writable, tag = permit.writable, permit.tag
    end = reverts.target(permit, raw, books)
    if not within(end, tag, writable.low, writable.high):
        found = shown(engineering(end, tag.scaling))
        values = {"found": found, "low": shown(writable.low), "high": shown(writable.high)}
        return Reason.NO_WAY_BACK, {"tag": permit.ref, **values}
    need = steps(permit.raw, end, tag, writable.max_step) + (1 if permit.dry_run else 0)
    full = books.full(writable, writing, permit.request.who, at.time_ns, need)
    return None if full is None else (full[0], {"tag": permit.ref, "limit": full[1]})
