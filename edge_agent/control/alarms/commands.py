"""What people may do to alarms, and the sentence they get when it changes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.config.model import Alarming
from edge_agent.errors import LinesideError
from edge_agent.settings import Text


class Verb(StrEnum):
    """Named as on the command line. SUPPRESS and UNSUPPRESS are a person's: out of service and back."""

    ACK = "ack"
    RESET = "reset"
    SILENCE = "silence"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"


@dataclass(frozen=True, slots=True)
class AlarmCommand:
    """``name``: of one alarm, or a pattern of names with ``*`` and ``?`` (SILENCE: ignored). A pattern acts
    on those alarms on which it changes something. ``user`` is who; ``comment`` says why (SHELVE and SUPPRESS
    need one); ``duration_s`` is for SHELVE."""

    verb: Verb | str
    name: str = "*"
    user: str = ""
    comment: str = ""
    duration_s: float | None = None


class CommandRefused(LinesideError):
    """The command changed nothing. ``text`` says why, in both languages."""


def refused(en: str, zh: str) -> CommandRefused:
    return CommandRefused(Text(en, zh))


def check(command: AlarmCommand) -> Verb:
    """Raises ``CommandRefused`` for what no alarm could be done with."""
    try:
        verb = Verb(command.verb)
    except ValueError:
        verbs = ", ".join(Verb)
        raise refused(
            f"there is no command {command.verb!r}; there are: {verbs}",
            f"没有命令 {command.verb!r}，可用：{verbs}",
        ) from None
    if not command.user.strip():
        raise refused("who gives the command is not known", "不知道是谁下达的命令")
    if verb in (Verb.SHELVE, Verb.SUPPRESS) and not command.comment.strip():
        raise refused("a reason must be given (--reason)", "必须说明原因(--reason)")
    if verb is Verb.SHELVE and not _positive(command.duration_s):
        raise refused("for how long must be given (--for 30min)", "必须说明时长(--for 30min)")
    return verb


def _positive(duration_s: float | None) -> bool:
    return duration_s is not None and math.isfinite(duration_s) and duration_s > 0


def check_duration(name: str, duration_s: float | None, rule: Alarming) -> None:
    if duration_s is not None and duration_s > rule.max_shelve_s:
        minutes = rule.max_shelve_s / 60
        hours = minutes >= 60 and minutes % 60 == 0
        en, zh = (
            (f"{minutes / 60:g} h", f"{minutes / 60:g} 小时")
            if hours
            else (f"{minutes:g} min", f"{minutes:g} 分钟")
        )
        raise refused(f"{name} may be shelved for {en} at most", f"{name} 最多可搁置 {zh}")


CONCERNED = {
    Verb.ACK: "BDE",
    Verb.RESET: "F",
    Verb.SHELVE: "ABCDEF",
    Verb.UNSHELVE: "G",
    Verb.SUPPRESS: "ABCDEF",
    Verb.UNSUPPRESS: "I",
}
"""In which letters a command changes something."""

_STANDING = {
    "A": ("normal", "正常"),
    "B": ("active and not acknowledged", "报警中，未确认"),
    "C": ("active and acknowledged already", "报警中，已确认"),
    "D": ("gone and not acknowledged", "已恢复，未确认"),
    "E": ("latched and not acknowledged", "已锁存，未确认"),
    "F": ("latched and acknowledged already", "已锁存，已确认"),
    "G": ("shelved", "已搁置"),
    "H": ("suppressed, its window does not apply now", "已被设计抑制，其窗口目前不适用"),
    "I": ("out of service", "已停用"),
}
_CURES = {
    (Verb.RESET, "B"): ("acknowledge it; it can be reset once it has gone", "请先确认，恢复后方可复位"),
    (Verb.RESET, "C"): ("it can be reset once it has gone", "恢复后方可复位"),
    (Verb.RESET, "E"): ("acknowledge first", "请先确认"),
    (Verb.SHELVE, "G"): ("unshelve it first to shelve it anew", "请先取消搁置再重新搁置"),
    (Verb.SUPPRESS, "G"): ("unshelve it first", "请先取消搁置"),
}


def why_not(verb: Verb, name: str, letter: str) -> CommandRefused:
    """The sentence for a place of the transition table that says "-" (or "refused")."""
    en, zh = _STANDING[letter]
    cure = _CURES.get((verb, letter))
    return refused(
        f"{name} is {en}: {cure[0] if cure else f'nothing to {_doing(verb)}'}",
        f"{name} {zh}：{cure[1] if cure else '无需此操作'}",
    )


def _doing(verb: Verb) -> str:
    words = {
        Verb.ACK: "acknowledge",
        Verb.SUPPRESS: "take out of service",
        Verb.UNSUPPRESS: "return to service",
    }
    return words.get(verb, str(verb))


def unknown(name: str) -> CommandRefused:
    return refused(
        f"there is no alarm {name!r}; `edge-agent alarms list --all` names them",
        f"没有报警 {name!r}；可用 `edge-agent alarms list --all` 查看",
    )


def none_concerned(verb: Verb, pattern: str) -> CommandRefused:
    return refused(
        f"no alarm that fits {pattern!r} has anything to {_doing(verb)}",
        f"没有符合 {pattern!r} 的报警需要此操作",
    )
