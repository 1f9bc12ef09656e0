"""What a platform may ask. Reading is allowed; everything else is refused and put on record. Pure.

A platform that can write to the agent could stop a line or bend its record. So there is an allow-list of
commands and no list of forbidden ones: what is not known is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest

from edge_agent.uplink import Stream
from edge_agent.uplinks.hj212 import fields
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.moment import read_stamp
from edge_agent.uplinks.hj212.segment import Segment

READY, REFUSED, WRONG_PW, WRONG_MN, WRONG_ST, WRONG_QN = 1, 2, 3, 4, 5, 7
DONE, FAILED, BAD_CONDITION, BUSY, NO_DATA = 1, 2, 3, 5, 100

HISTORY = {"2051": Stream.MINUTE, "2061": Stream.HOUR, "2031": Stream.DAY}
_PASSWORD = re.compile(r"((?:NewPW|NewSK)=)[^,;&]*", re.IGNORECASE)


class Ask(StrEnum):
    """What is to be done about a request."""

    TIME = "time"
    SET_TIME = "set_time"
    INTERVAL = "interval"
    CURRENT = "current"
    HISTORY = "history"
    REFUSE = "refuse"


_ALLOWED = {
    "1011": Ask.TIME,
    "1012": Ask.SET_TIME,
    "1061": Ask.INTERVAL,
    "2011": Ask.CURRENT,
    **dict.fromkeys(HISTORY, Ask.HISTORY),
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """``code``: the QnRtn. ``reason``: for the record, when it is refused."""

    ask: Ask
    code: int
    reason: str = ""


def judge(request: Segment, identity: Identity) -> Ruling:
    """Who asks comes first: a stranger does not learn what is allowed."""
    if request.mn != identity.mn:
        return Ruling(Ask.REFUSE, WRONG_MN, "addressed to another device (MN)")
    if not compare_digest(request.pw.encode(), identity.pw.encode()):
        return Ruling(Ask.REFUSE, WRONG_PW, "wrong password (PW)")
    if not request.qn:
        return Ruling(Ask.REFUSE, WRONG_QN, "without QN")
    ask = _ALLOWED.get(request.cn)
    if ask is None:
        return Ruling(Ask.REFUSE, REFUSED, f"CN={request.cn} is not taken from outside")
    if request.st != identity.st:
        return Ruling(Ask.REFUSE, WRONG_ST, f"ST={request.st[:8]} is not this system")
    return Ruling(ask, READY)


def period_asked(request: Segment) -> tuple[int, int]:
    """BeginTime and EndTime, both included, in ns. ValueError when they are missing or in the wrong order."""
    given = fields.values(request.data)
    try:
        begin, end = read_stamp(given["BeginTime"]), read_stamp(given["EndTime"])
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    if end < begin:
        raise ValueError("EndTime is before BeginTime")
    return begin, end


def for_the_record(request: Segment) -> dict[str, str]:
    """What was asked, without passwords and keys."""
    return {
        "cn": request.cn,
        "qn": request.qn[:20],
        "st": request.st[:8],
        "mn": request.mn[:32],
        "data": _PASSWORD.sub(r"\1***", request.data),
    }
