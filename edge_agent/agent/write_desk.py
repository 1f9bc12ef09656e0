"""What people may do to guarded writes over the console: look, arm, kill, unlock, approve, write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.config.process import TagRef
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Audit, Facts, Guard, GuardRefused, Outcome, WriteRequest, both, lock_text
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.console import Handler
    from edge_agent.model import Event

MAX_COMMENT = 500
_FLAGS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}

Execute = Callable[[WriteRequest], Awaitable[Outcome]]
"""The whole way of one request: ``agent.writes.Writes.execute``."""
Announce = Callable[["Sequence[Event]", Mapping[str, Any]], None]
"""Says events now, and queues them with state rows for one transaction of the journal."""


def write_handlers(
    guard: Guard, execute: Execute, clock: Clock, announce: Announce, facts: Facts | None = None
) -> dict[str, Handler]:
    """The console's verbs ``writes.*``. The user is the one whom the socket proved; every verb that changes
    anything leaves an event. With ``facts`` the status tells what could be written now."""
    desk = _Desk(guard, execute, clock, announce, facts)
    return {
        "writes.status": desk.status,
        "writes.arm": desk.arm,
        "writes.disarm": desk.disarm,
        "writes.kill": desk.kill,
        "writes.unlock": desk.unlock,
        "writes.approve": desk.approve,
        "writes.log": desk.log,
        "writes.write": desk.write,
    }


class _Desk:
    def __init__(
        self, guard: Guard, execute: Execute, clock: Clock, announce: Announce, facts: Facts | None
    ) -> None:
        self._guard = guard
        self._facts = facts
        self._execute = execute
        self._clock = clock
        self._announce = announce

    async def status(self, _user: str, _args: Mapping[str, Any]) -> Any:
        return self._guard.status(self._now(), self._facts)

    async def arm(self, user: str, args: Mapping[str, Any]) -> Any:
        """``seconds``; default: as long as the configuration permits. The token is told here and nowhere
        else."""
        seconds = args.get("seconds")
        if seconds is None:
            seconds = self._guard.writing.arm_s
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise _refused("seconds must be a number", "seconds 必须是数字")
        armed = self._guard.arm(user, float(seconds), self._now())
        self._say(armed.audit)
        return {"token": armed.token, "until_ns": armed.until_ns}

    async def disarm(self, user: str, _args: Mapping[str, Any]) -> Any:
        audit = self._guard.disarm(user, self._now())
        self._say(audit)
        return {"changed": bool(audit)}

    async def kill(self, user: str, args: Mapping[str, Any]) -> Any:
        on = args.get("on")
        if not isinstance(on, bool):
            raise _refused("on must be true or false", "on 必须是 true 或 false")
        comment = _text(args, "comment")
        if not on and not comment:
            raise _refused("say why it may be taken off (--comment)", "请说明解除理由（--comment）")
        audit = self._guard.kill(user, on, self._now(), comment)
        self._say(audit)
        return {"changed": bool(audit)}

    async def unlock(self, user: str, args: Mapping[str, Any]) -> Any:
        audit = self._guard.unlock(_text(args, "device"), user, _text(args, "comment"), self._now())
        self._say(audit)
        return {"changed": True}

    async def approve(self, user: str, args: Mapping[str, Any]) -> Any:
        """The outcome of the write that was approved; of a recommendation None: a person carries it out."""
        approved = self._guard.approve(_text(args, "id"), user, self._now())
        self._say(approved.audit)
        if approved.request is None:
            return {"outcome": None}
        return {"outcome": (await self._execute(approved.request)).as_dict()}

    async def log(self, _user: str, args: Mapping[str, Any]) -> Any:
        """The last decisions since the agent started, oldest first; the journal has them all."""
        last = args.get("last", 20)
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:
            raise _refused("last must be a whole number from 1", "last 必须是正整数")
        events = list(self._guard.journal.recent)[-last:]
        rows = [
            {
                "time_ns": event.time_ns,
                "kind": event.kind,
                "source": event.source,
                "detail": dict(event.detail),
                "text": self._text(event),
            }
            for event in events
        ]
        return {"events": rows}

    def _text(self, event: Event) -> dict[str, str]:
        """What happened, or why, as a sentence."""
        detail = event.detail
        if event.kind in ("write_locked", "write_unlocked"):
            return both(lock_text(str(detail.get("reason", ""))))
        en = str(detail.get("text") or detail.get("reason") or "")
        return {"en": en, "zh": self._guard.journal.chinese(en)}

    async def write(self, user: str, args: Mapping[str, Any]) -> Any:
        """``tag`` is DEVICE.TAG, ``value`` text as a person types it. A refusal is an outcome, no error."""
        ref = _tag(_text(args, "tag"))
        written = _text(args, "value")
        token = args.get("token", "")
        if not isinstance(token, str) or len(token) > 200:
            raise _refused("token must be text", "token 必须是文字")
        request = WriteRequest(
            ref, value_of(written, self._guard.tag_of(ref)), user=user, token=token,
            comment=_text(args, "comment"), dry_run=args.get("dry_run") is True,
        )  # fmt: skip
        return {"outcome": (await self._execute(request)).as_dict()}

    def _say(self, audit: Audit) -> None:
        if audit:
            self._announce(audit.events, audit.states)

    def _now(self) -> Moment:
        mono_ns = self._clock.mono_ns()
        return Moment(mono_ns, self._clock.time_ns(), mono_ns)


def value_of(text: str, tag: Tag | None) -> bool | int | float | str:
    """What a person typed, as the tag's type has it; text that is no such value stays text, which the guard
    refuses. Whole numbers stay exact."""
    if tag is not None and tag.type is ValueType.BOOL:
        return _FLAGS.get(text.lower(), text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _tag(text: str) -> TagRef:
    device, dot, name = text.partition(".")
    if not dot or not device or not name:
        raise _refused(f"{text!r} is no tag: write DEVICE.TAG", f"{text!r} 不是点名：请写“设备.点”")
    return TagRef(device, name)


def _text(args: Mapping[str, Any], key: str) -> str:
    value = args.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_COMMENT:
        raise _refused(
            f"{key} must be text of at most {MAX_COMMENT} characters",
            f"{key} 必须是不超过 {MAX_COMMENT} 个字符的文字",
        )
    return value.strip()


def _refused(en: str, zh: str) -> GuardRefused:
    return GuardRefused(Text(en, zh))
