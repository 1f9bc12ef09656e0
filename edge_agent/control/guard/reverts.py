"""Taking back what was written for a limited time."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.books import Books
from edge_agent.control.guard.ledger import Revert, TagLedger
from edge_agent.control.guard.raw import farther, same, steps, to_raw, towards
from edge_agent.control.guard.request import OWN, TTL, Permit, WriteRequest
from edge_agent.model import Tag, Value, engineering


def expires(permit: Permit) -> bool:
    """Whether what it writes is to be taken back one day."""
    return permit.writable.ttl_s is not None and permit.request.who not in OWN


def target(permit: Permit, found: Value, books: Books) -> Value:
    """The raw value it will be taken back to. One set on top of another still to be reverted goes back
    to where that one would have gone."""
    ledger = books.tags.get(permit.ref)
    if ledger is not None and ledger.revert is not None:
        return to_raw(ledger.revert.value, permit.tag)
    wanted = permit.writable.revert
    if wanted is None:
        return found
    return to_raw(bool(wanted) if isinstance(permit.raw, bool) else wanted, permit.tag)


def begin(permit: Permit, books: Books, at: Moment) -> None:
    """The value is being sent: from now on its time runs."""
    back_raw = target(permit, permit.found, books)
    back = engineering(back_raw, permit.tag.scaling)
    assert permit.writable.ttl_s is not None and isinstance(back, (bool, int, float))
    due = at.mono_ns + int(permit.writable.ttl_s * 1e9)
    writes = steps(permit.raw, back_raw, permit.tag, permit.writable.max_step)
    books.tag(permit.ref).revert = Revert(back, due, writes)


def stepped(permit: Permit, books: Books, at: Moment) -> None:
    """One write of a revert is done, perhaps not the last."""
    ledger = books.tag(permit.ref)
    if ledger.revert is None:
        return
    end = to_raw(ledger.revert.value, permit.tag)
    if same(permit.raw, end, permit.tag):
        ledger.revert = None
        return
    left = steps(permit.raw, end, permit.tag, permit.writable.max_step)
    ledger.revert = Revert(ledger.revert.value, at.mono_ns, left)


def due(
    books: Books, writables: Mapping[TagRef, Writable], tags: Mapping[TagRef, Tag], at: Moment
) -> list[WriteRequest]:
    """What is to be taken back now. A way longer than the permitted step is gone in several writes. Each is
    handed out once, and again later when it was refused or failed."""
    found = []
    for ref, ledger in books.tags.items():
        revert = ledger.revert
        if revert is None or at.mono_ns < revert.due_mono_ns:
            continue
        writable, tag = writables.get(ref), tags.get(ref)
        value: float | bool | None = revert.value
        if writable is not None and tag is not None:  # else the guard refuses it as not listed
            value = _next(ledger, revert, writable, tag, at)
        if value is not None:
            revert.postpone(at.mono_ns)
            found.append(WriteRequest(ref, value, TTL))
    return found


def _next(ledger: TagLedger, revert: Revert, writable: Writable, tag: Tag, at: Moment) -> float | bool | None:
    """None where the interval or the rate do not let it go yet."""
    since_s = ledger.since_s(at.mono_ns)
    end = to_raw(revert.value, tag)
    raw = end if ledger.raw is None else towards(ledger.raw, end, tag, writable.max_step)
    if since_s is not None:
        if since_s < writable.min_interval_s:
            return None
        if writable.max_rate is not None and farther(raw, ledger.raw, tag, writable.max_rate * since_s):
            return None
    value = engineering(raw, tag.scaling)
    assert isinstance(value, (bool, int, float))
    return value
