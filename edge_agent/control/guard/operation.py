"""What people do to the guard: arm, disarm, kill, unlock, approve, look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable, WriteLevel, Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.arming import Arming
from edge_agent.control.guard.books import Books
from edge_agent.control.guard.journal import Journal, of_request
from edge_agent.control.guard.pending import Pending
from edge_agent.control.guard.refusal import lock_text
from edge_agent.control.guard.request import Approved, Armed, Audit, Facts, Refusal, both
from edge_agent.errors import LinesideError
from edge_agent.settings import Text


class GuardRefused(LinesideError):
    """A command that cannot be carried out; ``text`` says why in both languages."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An output that does not hold what it should. ``since_ns``: UTC, of the first of ``times``. ``reason``:
    ``read_back`` (written, and not there), ``dropped`` (there, and gone again), ``budget_tag`` (not written
    any more today)."""

    wrote: object
    read_back: object
    since_ns: int
    times: int
    reason: str = "read_back"


class Operation:
    """Base of ``Guard``; ``user`` is the person as the console proved it."""

    writing: Writing
    books: Books
    arming: Arming
    pending: Pending
    journal: Journal
    _list: Mapping[TagRef, Writable]
    _mismatches: dict[TagRef, Mismatch]

    def arm(self, user: str, seconds: float, at: Moment) -> Armed:
        """A new arming; a former one ends, and its token. Raises GuardRefused."""
        if self.writing.level < WriteLevel.SETPOINT or not self._list:
            level = self.writing.level.name.lower()
            raise GuardRefused(
                Text(
                    f"there is nothing to arm: the writing level is {level}, setpoint or request is needed",
                    f"没有可授权的写入：当前级别为 {level}，需要 setpoint 或 request",
                )
            )
        if self.books.killed_by:
            raise GuardRefused(Text("the kill switch is on; take it off first", "总停开关已按下，请先解除"))
        longest = self.writing.arm_s
        if not 0 < seconds <= longest:
            raise GuardRefused(
                Text(
                    f"writing may be armed for {longest:g} s at most (writing.arm)",
                    f"授权时间最长 {longest:g} 秒（writing.arm）",
                )
            )
        token = self.arming.arm(user, seconds, at)
        audit = self.journal.whole(
            "write_armed", at, user=user, seconds=seconds, until_ns=self.arming.until_ns
        )
        return Armed(token, self.arming.until_ns, audit)

    def disarm(self, user: str, at: Moment) -> Audit:
        """Leaves nothing behind when it was not armed."""
        if not self.arming.disarm():
            return Audit()
        return self.journal.whole("write_disarmed", at, reason="by command", user=user)

    def kill(self, user: str, on: bool, at: Moment, comment: str = "") -> Audit:
        """The kill switch. On: nothing is written any more, not even reverts and heartbeats, until it is
        taken off, also across restarts; the arming ends. Off: writing must be armed anew."""
        if on is bool(self.books.killed_by):
            return Audit()
        self.books.kill((user or "-") if on else "")
        self.arming.disarm()
        audit = self.journal.whole("write_killed", at, on=on, user=user, comment=comment)
        return audit + Audit(states=self.books.changed(at))

    def unlock(self, device: str, user: str, comment: str, at: Moment) -> Audit:
        """Raises GuardRefused without a comment, or when the device is not locked out."""
        lock = self.books.lock_of(device)
        if lock is None:
            raise GuardRefused(Text(f"{device} is not locked out", f"{device} 未被锁定"))
        if not comment.strip():
            raise GuardRefused(
                Text("say why it may be written again (--comment)", "请说明解锁理由（--comment）")
            )
        why = lock.locked
        ledger = self.books.device(device)
        ledger.locked, ledger.failures, ledger.since_ns = "", 0, 0
        audit = self.journal.whole("write_unlocked", at, device, user=user, comment=comment, reason=why)
        return audit + Audit(states=self.books.changed(at))

    def approve(self, key: str, user: str, at: Moment) -> Approved:
        """A second person agrees. Raises GuardRefused when nothing of that id waits, or for the person who
        asked. A recommendation is closed by it: the agent writes nothing."""
        kept = self.pending.get(key, at)
        if kept is None:
            raise GuardRefused(
                Text(f"nothing waits under {key}; it may have expired", f"没有待批准的 {key}，可能已过期")
            )
        if not kept.recommendation and (not user or user == kept.request.user):
            raise GuardRefused(
                Text(
                    f"{key} was asked for by {kept.request.user or '-'}: another person must approve it",
                    f"{key} 由 {kept.request.user or '-'} 提出，须由另一人批准",
                )
            )
        detail = of_request(kept.request)
        audit = self.journal.whole(
            "write_approved", at, str(kept.request.tag), **detail, pending=key, approved_by=user,
            recommendation=kept.recommendation,
        )  # fmt: skip
        if kept.recommendation:
            self.pending.drop(key)
            return Approved(None, audit)
        kept.approved_by = user
        return Approved(replace(kept.request, approval=key), audit)

    # --- looking -------------------------------------------------------------------------------------------

    def wanting(self, writable: Writable, facts: Facts, at: Moment) -> Refusal | None:
        """Why it could not be written now, whatever the value and whether or not somebody has armed; None
        when it could. Leaves nothing behind."""
        raise NotImplementedError

    def status(self, at: Moment, facts: Facts | None = None) -> dict[str, Any]:
        """JSON-able; for people and programs. No token. With ``facts`` each row tells whether it could be
        written now (``ready``, ``why``)."""
        return {
            "level": self.writing.level.name.lower(),
            "dry_run": self.writing.dry_run,
            "armed": self._armed(at),
            "killed_by": self.books.killed_by,
            "today": self.books.whole.count(at.time_ns),
            "per_day": self.writing.per_day,
            "outcomes": dict(self.journal.outcomes),
            "refused": dict(self.journal.reasons),
            "writables": [self._row(writable, at, facts) for writable in self._list.values()],
            "locked": [
                {
                    "device": name,
                    "reason": ledger.locked,
                    "text": both(lock_text(ledger.locked)),
                    "since_ns": ledger.since_ns,
                }
                for name, ledger in self.books.devices.items()
                if ledger.locked
            ],
            "pending": [
                of_request(kept.request)
                | {
                    "id": kept.id,
                    "recommendation": kept.recommendation,
                    "asked_ns": kept.asked_ns,
                    "left_s": (kept.until_mono_ns - at.mono_ns) / 1e9,
                }
                for kept in self.pending.all(at)
            ],
        }

    def _armed(self, at: Moment) -> dict[str, Any] | None:
        if not self.arming.is_armed(at):
            return None
        left_s = self.arming.left_s(at)
        return {"user": self.arming.user, "until_ns": self.arming.until_ns, "left_s": left_s}

    def _row(self, writable: Writable, at: Moment, facts: Facts | None) -> dict[str, Any]:
        ledger = self.books.tags.get(writable.tag)
        revert = ledger.revert if ledger else None
        mismatch = self._mismatches.get(writable.tag)
        back_s = max(0.0, (revert.due_mono_ns - at.mono_ns) / 1e9) if revert else None
        return {
            "tag": str(writable.tag),
            "level": writable.level.name.lower(),
            "low": writable.low,
            "high": writable.high,
            "who": list(writable.who),
            "today": ledger.days.count(at.time_ns) if ledger else 0,
            "per_day": writable.per_day,
            "written_s": ledger.since_s(at.mono_ns) if ledger else None,
            "revert": None if revert is None else {"value": revert.value, "in_s": back_s},
            "mismatch": asdict(mismatch) if mismatch else None,
            **({} if facts is None else self._readiness(writable, facts, at)),
        }

    def _readiness(self, writable: Writable, facts: Facts, at: Moment) -> dict[str, Any]:
        refusal = self.wanting(writable, facts, at)
        why = None if refusal is None else {"reason": str(refusal.reason), "text": both(refusal.text)}
        return {"ready": why is None, "why": why}

    def locked(self) -> frozenset[str]:
        """The devices that are locked out, of those that have something to be written."""
        listed = {ref.device for ref in self._list}
        return frozenset(name for name in listed if self.books.lock_of(name) is not None)

    def snapshot(self, at: Moment) -> dict[str, Any]:
        """Every state row; JSON-able. Never the token: a restart is not armed."""
        return self.books.snapshot(at)

    def restore(self, states: Mapping[str, Any], at: Moment) -> None:
        """Takes the rows that are the guard's; on a new guard only."""
        self.books.restore(states, at)
