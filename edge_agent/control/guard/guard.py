"""The one gate through which every write passes. Pure: it decides and remembers, others read and write.

The executor's part, for one request at a time and device:

    decision = guard.judge(request, facts, at)          Permit or Refusal
    commit decision.audit durably; a Refusal ends here
    read the tag, if permit.read_before
    decision = guard.before(permit, raw, at)            again Permit or Refusal; commit its audit
    write permit.raw, unless permit.dry_run
    read back until guard.matches(permit, raw) or permit.verify_within_s are over, if permit.verify
    verdict = guard.verified(permit, raw, at)           commit its audit

Whatever goes wrong on the way is told with ``guard.failed``, or with ``guard.withdrawn`` where nothing was
sent and the device has no part in it. A permit that comes to no end is closed after a minute. Each Permit
replaces the one it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable, WriteLevel, Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import checks, found, reverts
from edge_agent.control.guard.arming import Arming, Random
from edge_agent.control.guard.books import Books
from edge_agent.control.guard.journal import Journal, stages_before
from edge_agent.control.guard.ledger import Revert
from edge_agent.control.guard.operation import Mismatch, Operation
from edge_agent.control.guard.pending import Pending
from edge_agent.control.guard.raw import same
from edge_agent.control.guard.refusal import Reason, Stage, sentence
from edge_agent.control.guard.request import (
    ANNUNCIATION,
    HEARTBEAT,
    OWN,
    TTL,
    Audit,
    Facts,
    Permit,
    Refusal,
    Verdict,
    WriteRequest,
)
from edge_agent.model import Quality, Tag, Value, engineering
from edge_agent.settings import Text

_ABANDONED_S = 60.0
_FIGHT_S = 120.0
_ZH = {True: "接通", False: "断开"}
_OWN_PLACE = (HEARTBEAT, ANNUNCIATION)  # what becomes of these says nothing about set-points, and the reverse
_DONE = Text("written and confirmed", "已写入并确认")
_UNCONFIRMED = Text("written", "已写入")
_DRY = Text("dry run: everything but the write", "试运行：除写入外全部执行")


@dataclass(slots=True)
class _Open:
    """A permit under way, and the books before it: what is put back when surely nothing was written."""

    permit: Permit
    raw: Value = None
    sure: bool = True
    sent_mono_ns: int | None = None
    revert: Revert | None = None
    sent: bool = False


class Guard(Operation):
    """``tags``: type and scaling of every tag in ``writing``. ``random``: source of tokens."""

    def __init__(self, writing: Writing, tags: Mapping[TagRef, Tag], version: str, *, random: Random) -> None:
        self.writing = writing
        self.books = Books()
        self.arming = Arming(random)
        self.pending = Pending()
        self.journal = Journal(version)
        self._tags = dict(tags)
        self._list = {writable.tag: writable for writable in writing.writables}
        self._mismatches = {}
        self._drops: dict[TagRef, int] = {}  # when an output was last found changed, monotonic
        self._fights: set[TagRef] = set()  # of those the ones that are changed again and again
        self._open: dict[tuple[str, ...], _Open] = {}
        self._number = 0

    def tag_of(self, ref: TagRef) -> Tag | None:
        """The definition of a tag that may be written."""
        return self._tags.get(ref) if ref in self._list else None

    # --- the way of a request ------------------------------------------------------------------------------

    def judge(
        self, request: WriteRequest, facts: Facts, at: Moment, *, waiting: bool = False
    ) -> Permit | Refusal:
        """The first condition that does not hold is the reason; see ``Reason`` for their order. ``waiting``:
        the asker waits its turn when another write is under way, so BUSY leaves no record."""
        writable, tag = self._list.get(request.tag), self._tags.get(request.tag)
        if not self._list or self.writing.level is WriteLevel.OBSERVE:
            return self._refuse(request, (Reason.WRITES_OFF, {}), at)
        if writable is None or tag is None:
            return self._refuse(request, (Reason.NOT_LISTED, {"tag": request.tag}), at)
        case = self._case(request, writable, tag, facts, at)
        for judged in (checks.AUTHORISATION, checks.MAPPING, checks.VERIFICATION, checks.ACCEPTANCE):
            for check in judged:
                wrong = check(case)
                if wrong is not None and waiting and wrong[0] is Reason.BUSY:
                    return Refusal(Reason.BUSY, sentence(*wrong), request.without_token())
                if wrong is not None:
                    return self._starved(case, wrong, self._refuse(request, wrong, at))
        kept = self._keep(case)
        return self._permit(case) if kept is None else self._refuse(request, kept, at)

    def before(self, permit: Permit, raw: Value, at: Moment, quality: int = Quality.GOOD) -> Permit | Refusal:
        """``raw``: what the tag holds, just read; ignored where ``permit.read_before`` is False. The permit
        that comes back may be written now, not later."""
        now = replace(permit, found=raw if permit.read_before else None)
        wrong = self._withdrawn(permit, at)
        if wrong is None and permit.read_before:
            wrong = found.wrong(now, raw, quality, self.books, self.writing, at)
        if wrong is not None:
            if self._close(permit) is not None:
                self._refund(permit)
            return self._refuse(permit.request, wrong, at, now)
        stages = (*permit.stages, (Stage.READ, at.time_ns)) if permit.read_before else permit.stages
        now = replace(now, stages=stages, audit=Audit())
        if permit.dry_run:
            return now
        self._send(now, at)
        return replace(now, audit=Audit(states=self.books.changed(at)))

    def wanting(self, writable: Writable, facts: Facts, at: Moment) -> Refusal | None:
        request = WriteRequest(writable.tag, None, writable.who[0])
        tag = self._tags.get(writable.tag)
        if self.writing.level is WriteLevel.OBSERVE or tag is None:
            return Refusal(Reason.WRITES_OFF, sentence(Reason.WRITES_OFF, {}), request)
        case = checks.Case(request, writable, tag, self.writing, facts, self.books, self.arming, at)
        for check in checks.READINESS:
            if (wrong := check(case)) is not None:
                return Refusal(wrong[0], sentence(*wrong), request)
        return None

    def dropped(self, ref: TagRef, value: bool, at: Moment) -> Audit:
        """An output that was written, and confirmed, holds something else by now; it is going to be written
        again. Of an output that is changed again and again only the first time is told."""
        former = self._drops.get(ref)
        self._drops[ref] = at.mono_ns
        text = Text(
            f"{ref} was written {_flag(value)}, but holds {_flag(not value)} now: the controller or another "
            "master changed it; it is written again",
            f"{ref} 已写入 {_ZH[value]}，现在却为 {_ZH[not value]}：被控制器或其他主站更改；将再次写入",
        )
        audit = Audit()
        if former is not None and at.mono_ns - former <= _FIGHT_S * 1e9:
            self._fights.add(ref)
        else:
            audit = self._off(ref, value, not value, text, "dropped", at)
        self._note(ref, value, not value, "dropped", at)
        return audit

    def matches(self, permit: Permit, raw: Value) -> bool:
        """Whether a read-back shows what was written."""
        return same(raw, permit.raw, permit.tag, permit.writable.verify_tolerance)

    def verified(self, permit: Permit, raw: Value, at: Moment) -> Verdict:
        """``raw``: the last read-back; None where none was good. Ignored without ``permit.verify``. A
        mismatch locks the device out at once; that of an output locks nothing, it is to be written again."""
        now = replace(permit, stages=(*permit.stages, (Stage.WRITE, at.time_ns)), audit=Audit())
        if permit.dry_run:
            return self.skipped(permit, at)
        if permit.verify and not self.matches(permit, raw):
            return self._mismatch(now, raw, at)
        self._close(permit)
        if permit.verify:
            now = replace(now, stages=(*now.stages, (Stage.CONFIRM, at.time_ns)))
        off = self._mismatches.get(permit.ref)
        if off is not None and (off.reason != "dropped" or permit.ref not in self._fights):
            del self._mismatches[permit.ref]
        if permit.request.who == ANNUNCIATION and permit.read_before and self._held(permit):
            self._refund(permit)  # said again, to be sure; it held that already
        if permit.ref.device in self.books.devices and permit.request.who not in _OWN_PLACE:
            self.books.device(permit.ref.device).failures = 0
        ledger = self.books.tags.get(permit.ref)
        if ledger is not None and permit.request.who != HEARTBEAT:
            ledger = self.books.tag(permit.ref)
            ledger.sure = True
            if permit.request.who == TTL:
                reverts.stepped(permit, self.books, at)
        kind = "write_reverted" if permit.request.who == TTL else "write_done"
        text = _DONE if permit.verify else _UNCONFIRMED
        audit = self.journal.ended(kind, now, text, at, **({"confirmed": raw} if permit.verify else {}))
        return Verdict(kind, text, audit + self._states(at))

    def skipped(self, permit: Permit, at: Moment) -> Verdict:
        """The end of a dry run."""
        self._close(permit)
        audit = self.journal.ended("write_dry_run", replace(permit, audit=Audit()), _DRY, at)
        return Verdict("write_dry_run", _DRY, audit + self._states(at))

    def failed(self, permit: Permit, reason: str, at: Moment, *, written: bool | None = None) -> Verdict:
        """``reason``: a sentence. ``written``: False when the device surely holds what it held before (it
        refused, or nothing was sent); None when nobody knows. Several failures of a device in a row lock it
        out, where something was sent to it; failed heartbeats are for ``Beats`` to count, and outputs lock
        nothing."""
        open_ = self._close(permit)
        surely_not = written is False or open_ is None or not open_.sent
        if open_ is not None and open_.sent:
            if surely_not:
                self._put_back(open_)
            else:
                self.books.tag(permit.ref).sure = False
        if open_ is not None and (not open_.sent or permit.request.who == ANNUNCIATION):
            self._refund(permit)
        text = Text(f"failed: {reason}", f"失败：{reason}")
        now = replace(permit, audit=Audit())
        more = {"reason": reason, "certain": surely_not}
        audit = self.journal.ended("write_failed", now, text, at, **more)
        counts = permit.request.who not in _OWN_PLACE and open_ is not None and open_.sent
        locked = self._count_failure(permit, reason, at) if counts else Audit()
        return Verdict("write_failed", text, audit + locked + self._states(at), bool(locked))

    def withdrawn(self, permit: Permit, reason: Reason, at: Moment, **values: object) -> Refusal:
        """Ends a permit of which nothing was sent, for a reason that is no failure of the device: it counts
        neither towards the lock-out nor in the budgets. ``values``: what the reason's sentence names beside
        the tag."""
        open_ = self._close(permit)
        if open_ is not None:
            if open_.sent:
                self._put_back(open_)
            self._refund(permit)
        return self._refuse(permit.request, (reason, {"tag": permit.ref, **values}), at, permit)

    # --- reverts and housekeeping --------------------------------------------------------------------------

    def due(self, at: Moment) -> list[WriteRequest]:
        """Values whose time is over, each as a request of source ``ttl``, to be judged like any other. One
        that was refused or failed comes again, after 5 s at first, later every 5 min."""
        return reverts.due(self.books, self._list, self._tags, at)

    def tick(self, at: Moment) -> Audit:
        """Once a second or so: ends armings and approvals whose time is over, and permits that were never
        closed; tells how many refusals were not told one by one."""
        audit = Audit()
        if self.arming.expire(at):
            audit += self.journal.whole("write_disarmed", at, reason="expired", user="")
        audit += self.journal.due(at)
        self.pending.expire(at)
        self._end_fights(at)
        for open_ in list(self._open.values()):
            limit_s = _ABANDONED_S + open_.permit.verify_within_s
            if at.mono_ns - open_.permit.begun_ns > limit_s * 1e9:
                audit += self.failed(open_.permit, "never finished", at).audit
        return audit + self._states(at)

    def reconfigure(self, writing: Writing, tags: Mapping[TagRef, Tag], version: str, at: Moment) -> Audit:
        """After a reload. Any change in what may be written disarms and forgets what waits for approval;
        counts, lock-outs, the kill switch and reverts stay."""
        self.journal.version = version
        new = dict(tags)
        if writing == self.writing and new == self._tags:
            self.writing = writing
            return Audit()
        self.writing, self._tags = writing, new
        self._list = {writable.tag: writable for writable in writing.writables}
        self._mismatches = {ref: found for ref, found in self._mismatches.items() if ref in self._list}
        self._drops = {ref: mono_ns for ref, mono_ns in self._drops.items() if ref in self._list}
        self._fights &= set(self._drops)
        self.pending = Pending()
        if not self.arming.disarm():
            return Audit()
        return self.journal.whole("write_disarmed", at, reason="configuration", user="")

    # --- inner ---------------------------------------------------------------------------------------------

    def _case(
        self, request: WriteRequest, writable: Writable, tag: Tag, facts: Facts, at: Moment
    ) -> checks.Case:
        kept = self.pending.get(request.approval, at) if request.approval else None
        if kept is not None and (not kept.approved_by or kept.request.tag != request.tag
                                 or kept.request.value != request.value):  # fmt: skip
            kept = None
        case = checks.Case(
            request, writable, tag, self.writing, facts, self.books, self.arming, at,
            self._in_the_way(request), kept,
        )  # fmt: skip
        case.expected = checks.expected(case)
        return case

    def _in_the_way(self, request: WriteRequest) -> Permit | None:
        """Another write to the same device. Outputs wait for nothing and hold up nothing but writes to their
        own tag: a read-back takes seconds, and a horn has to sound meanwhile."""
        for open_ in self._open.values():
            other = open_.permit
            if other.request.who == HEARTBEAT or other.ref.device != request.tag.device:
                continue
            if ANNUNCIATION not in (other.request.who, request.who) or other.ref == request.tag:
                return other
        return None

    def _keep(self, case: checks.Case) -> checks.Wrong | None:
        """Keeps what a person has to decide about; None where the way is free."""
        if case.recommending:
            kept = self.pending.keep(
                case.request, recommendation=True, session=self.arming.session, at=case.at
            )
            return Reason.RECOMMENDED, {"pending": kept.id}
        if not case.writable.approve or case.own or case.kept is not None:
            return None
        kept = self.pending.keep(case.request, recommendation=False, session=self.arming.session, at=case.at)
        limit = f"{(kept.until_mono_ns - case.at.mono_ns) / 1e9:.0f}"
        return Reason.APPROVAL_MISSING, {"pending": kept.id, "limit": limit}

    def _permit(self, case: checks.Case) -> Permit:
        request, at = case.request, case.at
        beat = request.who == HEARTBEAT
        dry = self.writing.dry_run or request.dry_run
        self._number += 1
        written = engineering(case.raw, case.tag.scaling)
        assert isinstance(written, (bool, int, float))
        permit = Permit(
            id=f"{at.time_ns // 1_000_000}-{self._number}",
            request=request.without_token(),
            writable=case.writable,
            tag=case.tag,
            value=written,
            raw=case.raw,
            dry_run=dry,
            read_before=not beat,
            verify=not beat and case.writable.verify_within_s > 0,
            stages=(*stages_before(Stage.ACCEPT, at), (Stage.ACCEPT, at.time_ns)),
            begun_ns=at.mono_ns,
            expected=case.expected,
            session=self.arming.session,
            armed_by="" if request.who in OWN else self.arming.user,
            approved_by=case.kept.approved_by if case.kept else "",
        )
        if case.kept is not None:
            self.pending.drop(case.kept.id)
        if not dry:
            self.books.charge(case.ref, request.who, at.time_ns)
        self._open[_key(permit)] = _Open(permit)
        return replace(permit, audit=self.journal.intent(permit, at) + self._states(at))

    def _refuse(
        self, request: WriteRequest, wrong: checks.Wrong, at: Moment, permit: Permit | None = None
    ) -> Refusal:
        reason, values = wrong
        pending = str(values.get("pending", ""))
        refusal = Refusal(reason, sentence(reason, values), request.without_token(), pending)
        if request.who == TTL:
            gone = reason in (Reason.CHANGED_MEANWHILE, Reason.NOT_LISTED)
            if gone and request.tag in self.books.tags:
                self.books.tag(request.tag).revert = None
        return replace(refusal, audit=self.journal.refused(refusal, at, permit) + self._states(at))

    def _withdrawn(self, permit: Permit, at: Moment) -> checks.Wrong | None:
        open_ = self._open.get(_key(permit))
        if open_ is None or open_.permit.id != permit.id:
            return Reason.BUSY, {"device": permit.ref.device}
        return found.withdrawn(permit, self.books, self.arming, at)

    def _send(self, permit: Permit, at: Moment) -> None:
        """From here on the value may be on the wire."""
        open_ = self._open[_key(permit)]
        if permit.request.who == HEARTBEAT:
            return
        ledger = self.books.tag(permit.ref)
        open_.raw, open_.sure = ledger.raw, ledger.sure
        open_.sent_mono_ns, open_.revert, open_.sent = ledger.sent_mono_ns, ledger.revert, True
        if reverts.expires(permit):
            reverts.begin(permit, self.books, at)
        ledger.raw, ledger.sure, ledger.sent_mono_ns = permit.raw, False, at.mono_ns

    def _mismatch(self, permit: Permit, raw: Value, at: Moment) -> Verdict:
        self._close(permit)
        read = checks.shown(engineering(raw, permit.tag.scaling))
        wrote = checks.shown(permit.value)
        text = Text(f"wrote {wrote}, read back {read}", f"写入 {wrote}，读回 {read}")
        audit = self.journal.ended("write_mismatch", permit, text, at, read_back=raw)
        if permit.request.who == ANNUNCIATION:
            self._refund(permit)  # tried again and again, it must not be out of budget once it is mended
            self._note(permit.ref, wrote, read, "read_back", at)
            return Verdict("write_mismatch", text, audit + self._states(at))
        return Verdict(
            "write_mismatch", text, audit + self._lock(permit, text.en, at) + self._states(at), True
        )

    def _starved(self, case: checks.Case, wrong: checks.Wrong, refusal: Refusal) -> Refusal:
        """An output whose budget is used up stays as it is until midnight: nobody must learn that from a horn
        that does not sound."""
        if wrong[0] is not Reason.BUDGET_TAG or case.request.who != ANNUNCIATION:
            return refusal
        ref, value, limit = case.ref, case.request.value, wrong[1]["limit"]
        text = Text(
            f"{ref} should be {_flag(value)}, but its {limit} writes of this day are used up: it is not "
            "written before midnight (Beijing time), or with a greater per_day",
            f"{ref} 应为 {_ZH[bool(value)]}，但今日 {limit} 次写入额度已用完：北京时间零点之前不再写入，"
            "或请增大 per_day",
        )
        held = engineering(case.expected, case.tag.scaling)
        former, audit = self._mismatches.get(ref), Audit()
        if former is None or former.reason != str(Reason.BUDGET_TAG):
            audit = self._off(ref, value, held, text, str(Reason.BUDGET_TAG), case.at)
        self._note(ref, value, held, str(Reason.BUDGET_TAG), case.at)
        return replace(refusal, audit=refusal.audit + audit)

    def _off(self, ref: TagRef, value: Any, held: Any, text: Text, reason: str, at: Moment) -> Audit:
        """The event of an output that does not hold what it should."""
        detail = {"tag": str(ref), "value": value, "who": ANNUNCIATION, "user": "", "read_back": held}
        self.journal.keep(text)
        return self.journal.whole("write_mismatch", at, str(ref), **detail, cause=reason, text=text.en)

    def _note(self, ref: TagRef, wrote: object, held: object, reason: str, at: Moment) -> None:
        """For status and metric, until it was written and confirmed."""
        former = self._mismatches.get(ref)
        since_ns, times = (former.since_ns, former.times) if former else (at.time_ns, 0)
        self._mismatches[ref] = Mismatch(wrote, held, since_ns, times + 1, reason)

    def _end_fights(self, at: Moment) -> None:
        """An output that is dropped again and again is shown as such until it has been left alone."""
        for ref in [ref for ref in self._fights if at.mono_ns - self._drops[ref] > _FIGHT_S * 1e9]:
            self._fights.discard(ref)
            off = self._mismatches.get(ref)
            if off is not None and off.reason == "dropped":
                del self._mismatches[ref]

    def _held(self, permit: Permit) -> bool:
        return permit.found is not None and same(permit.found, permit.raw, permit.tag)

    def _count_failure(self, permit: Permit, reason: str, at: Moment) -> Audit:
        ledger = self.books.device(permit.ref.device)
        ledger.failures += 1
        if ledger.failures < self.writing.lockout_failures or ledger.locked:
            return Audit()
        return self._lock(permit, f"{ledger.failures} failures in a row, the last: {reason}", at)

    def _lock(self, permit: Permit, why: str, at: Moment) -> Audit:
        device = permit.ref.device
        why = f"{permit.ref}: {why}"
        self.books.device(device).lock(why, at.time_ns)
        return self.journal.whole("write_locked", at, device, reason=why, id=permit.id)

    def _put_back(self, open_: _Open) -> None:
        """The books as they were before the permit: nothing was written."""
        ledger = self.books.tag(open_.permit.ref)
        ledger.raw, ledger.sure = open_.raw, open_.sure
        ledger.sent_mono_ns, ledger.revert = open_.sent_mono_ns, open_.revert

    def _refund(self, permit: Permit) -> None:
        """The write does not count."""
        if not permit.dry_run:
            self.books.charge(permit.ref, permit.request.who, permit.stages[0][1], -1)

    def _close(self, permit: Permit) -> _Open | None:
        open_ = self._open.get(_key(permit))
        if open_ is None or open_.permit.id != permit.id:
            return None
        return self._open.pop(_key(permit))

    def _states(self, at: Moment) -> Audit:
        return Audit(states=self.books.changed(at))


def _flag(value: object) -> str:
    return "on" if value else "off"


def _key(permit: Permit) -> tuple[str, ...]:
    """Beats and outputs have places of their own: they do not wait for the read-back of another write."""
    device, who = permit.ref.device, permit.request.who
    return (device, who, permit.ref.tag) if who in _OWN_PLACE else (device,)
