"""What a platform may ask. Reading is allowed, and orders about the upload itself; everything else is refused
and put on record. Pure.

A platform that can write to the agent could stop a line or bend its record. So there is an allow-list of
commands and no list of forbidden ones: what is not known is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest

from edge_agent.model import Level
from edge_agent.uplinks.hj212 import fields
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.moment import read_stamp
from edge_agent.uplinks.hj212.segment import Segment

READY, REFUSED, WRONG_PW, WRONG_MN, WRONG_ST, WRONG_QN = 1, 2, 3, 4, 5, 7
DONE, FAILED, BAD_CONDITION, BUSY, NO_DATA = 1, 2, 3, 5, 100

HISTORY = {"2051": Level.MINUTE, "2061": Level.HOUR, "2031": Level.DAY, "2041": Level.DAY}
RTD_RANGE_S = (30, 3600)
LIMITS_RANGE = (1, 99)  # OverTime and ReCount
_SECRET = re.compile(r"((?:NewPW|NewSK)=)[^,;&]*", re.IGNORECASE)


class Ask(StrEnum):
    """What is to be done about a request."""

    LIMITS = "limits"
    TIME = "time"
    SET_TIME = "set_time"
    NEW_KEY = "new_key"
    INTERVAL = "interval"
    SET_INTERVAL = "set_interval"
    MIN_INTERVAL = "min_interval"
    START = "start"
    STOP = "stop"
    HISTORY = "history"
    SERIALS = "serials"
    INFO = "info"
    REFUSE = "refuse"


_ALLOWED = {
    "1000": Ask.LIMITS,
    "1011": Ask.TIME,
    "1012": Ask.SET_TIME,
    "1061": Ask.INTERVAL,
    "1062": Ask.SET_INTERVAL,
    "1063": Ask.MIN_INTERVAL,
    "1064": Ask.MIN_INTERVAL,
    "2011": Ask.START,
    "2012": Ask.STOP,
    **dict.fromkeys(HISTORY, Ask.HISTORY),
}
SENDING = frozenset({Ask.HISTORY, Ask.START, Ask.INFO})
"""Those that send data: one at a time."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What this agent is configured to answer beyond what every one does."""

    infos: bool = False
    serials: bool = False
    running_hours: bool = False
    key_exchange: bool = False
    min_interval: int = 1  # minutes that a minute value spans here


@dataclass(frozen=True, slots=True)
class Ruling:
    """``code``: the QnRtn. ``reason``: for the record, when it is refused."""

    ask: Ask
    code: int
    reason: str = ""


def judge(request: Segment, identity: Identity, offer: Offer) -> Ruling:
    """Who asks comes first: a stranger does not learn what is allowed."""
    if request.mn != identity.mn:
        return Ruling(Ask.REFUSE, WRONG_MN, "addressed to another device (MN)")
    if not compare_digest(request.pw.encode(), identity.pw.encode()):
        return Ruling(Ask.REFUSE, WRONG_PW, "wrong password (PW)")
    if not request.qn:
        return Ruling(Ask.REFUSE, WRONG_QN, "without QN")
    ask = _asked(request.cn, offer)
    if ask is None:
        return Ruling(Ask.REFUSE, REFUSED, f"CN={request.cn} is not taken from outside")
    if ask is Ask.NEW_KEY and not request.sealed:
        return Ruling(Ask.REFUSE, REFUSED, "a new key that was not encrypted with the present one")
    if request.st != identity.st:
        return Ruling(Ask.REFUSE, WRONG_ST, f"ST={request.st[:8]} is not this system")
    if request.cn == "1064" and _field(request, "MinInterval") != str(offer.min_interval):
        return Ruling(Ask.REFUSE, REFUSED, f"MinInterval here is {offer.min_interval} and is not changed")
    return Ruling(ask, READY)


def _asked(cn: str, offer: Offer) -> Ask | None:
    offered = {"3020": (offer.infos, Ask.INFO), "3019": (offer.serials, Ask.SERIALS)}
    offered["1014"] = offer.key_exchange, Ask.NEW_KEY
    if cn in offered:
        there, ask = offered[cn]
        return ask if there else None
    if cn == "2041" and not offer.running_hours:
        return None
    return _ALLOWED.get(cn)


def _field(request: Segment, name: str) -> str:
    try:
        return fields.values(request.data).get(name, "")
    except ValueError:
        return ""


def number(given: dict[str, str], name: str, least: int, most: int) -> int:
    """ValueError when the field is missing or outside of its range."""
    text = given.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= most):
        raise ValueError(f"{name} is no whole number from {least} to {most}")
    return int(text)


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
        "data": _SECRET.sub(r"\1***", request.data),
    }
