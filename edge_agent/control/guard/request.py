"""What goes into the guard and what comes out of it. Plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable
from edge_agent.control.guard.refusal import Reason, Stage
from edge_agent.model import Event, Tag, Value, engineering
from edge_agent.settings import Text

OPERATOR = "operator"
TTL = "ttl"
ANNUNCIATION = "annunciation"
HEARTBEAT = "heartbeat"
OWN = frozenset({TTL, ANNUNCIATION, HEARTBEAT})
"""Sources within the agent: they need no token."""


class Reading(NamedTuple):
    """The newest statement about a tag: raw, as its batch carries it."""

    value: Value
    quality: int
    age_s: float


class Facts(Protocol):
    """What the guard asks of the running agent at the moment of a decision."""

    def reading(self, tag: TagRef) -> tuple[Value, int, float] | None:
        """(raw value, quality, age in seconds); None where nothing was ever read."""
        ...

    def device_up(self, device: str) -> bool: ...

    def critical_active(self, device: str) -> bool: ...

    def heartbeat_ok(self, device: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """``value``: in engineering units, of a BOOL tag True or False. ``who``: the source (``operator``,
    ``uplink:NAME``; ``annunciation``, ``heartbeat``, ``ttl``); ``user``: the person, as the socket's other
    end proved it. ``approval``: the id under which a second person approved it. ``token`` is never kept, nor
    shown in an event."""

    tag: TagRef
    value: Any
    who: str = OPERATOR
    user: str = ""
    token: str = field(default="", repr=False)
    comment: str = ""
    dry_run: bool = False
    approval: str = ""

    def without_token(self) -> WriteRequest:
        return replace(self, token="")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a decision must leave behind: events, and state rows that are committed in the same transaction
    (None: at rest again). False when it leaves nothing."""

    events: tuple[Event, ...] = ()
    states: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.events or self.states)

    def __add__(self, other: Audit) -> Audit:
        return Audit(self.events + other.events, {**self.states, **other.states})


@dataclass(frozen=True, slots=True)
class Permit:
    """A request that may be written. ``raw`` goes to the device, ``value`` is what that means in engineering
    units. ``read_before``: the tag is to be read and the answer given to ``Guard.before`` first.
    ``verify``: it is to be read back. ``stages``: (stage, UTC ns) passed so far. ``audit`` is committed
    durably before the next step. ``expected``: the raw value by which it was judged; ``found``: what was
    read before. ``armed_by``, ``approved_by``: persons, or empty."""

    id: str
    request: WriteRequest
    writable: Writable
    tag: Tag
    value: float | int | bool
    raw: Value
    dry_run: bool
    read_before: bool
    verify: bool
    stages: tuple[tuple[Stage, int], ...]
    begun_ns: int  # monotonic
    session: int = 0  # the arming under which it was given
    expected: Value = None
    found: Value = None
    armed_by: str = ""
    approved_by: str = ""
    audit: Audit = Audit()

    @property
    def ref(self) -> TagRef:
        return self.writable.tag

    @property
    def verify_within_s(self) -> float:
        return self.writable.verify_within_s


@dataclass(frozen=True, slots=True)
class Refusal:
    """``pending``: the id under which the request is kept for approval or as a recommendation, or empty."""

    reason: Reason
    text: Text
    request: WriteRequest
    pending: str = ""
    audit: Audit = Audit()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a permitted write ended. ``kind``: of the event (``write_done``, ``write_reverted``,
    ``write_dry_run``, ``write_failed``, ``write_mismatch``). ``locked``: the device is locked out now."""

    kind: str
    text: Text
    audit: Audit = Audit()
    locked: bool = False

    @property
    def ok(self) -> bool:
        return self.kind in ("write_done", "write_reverted", "write_dry_run")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the asker is told. ``kind``: as of the event; ``write_refused`` has a ``reason`` and perhaps a
    ``pending`` id. ``locked``: by this write the device was locked out, which ``text`` says as well. Values
    in engineering units."""

    kind: str
    text: Text
    tag: str
    reason: str = ""
    pending: str = ""
    before: Value = None
    value: Value = None
    raw: Value = None
    locked: bool = False

    @property
    def ok(self) -> bool:
        return self.kind in ("write_done", "write_reverted", "write_dry_run")

    @classmethod
    def refused(cls, refusal: Refusal) -> Outcome:
        return cls(
            "write_refused", refusal.text, str(refusal.request.tag), str(refusal.reason), refusal.pending,
            value=refusal.request.value,
        )  # fmt: skip

    @classmethod
    def of(cls, permit: Permit, verdict: Verdict) -> Outcome:
        before = engineering(permit.found, permit.tag.scaling)
        text = _locked_now(verdict.text, permit.ref.device) if verdict.locked else verdict.text
        return cls(
            verdict.kind, text, str(permit.ref), before=before, value=permit.value, raw=permit.raw,
            locked=verdict.locked,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "kind": self.kind,
            "ok": self.ok,
            "text": both(self.text),
            "locked": self.locked,
            "tag": self.tag,
            "reason": self.reason,
            "pending": self.pending,
            "before": plain(self.before),
            "value": plain(self.value),
            "raw": self.raw,
        }


def _locked_now(text: Text, device: str) -> Text:
    cure = f"edge-agent writes unlock {device} --comment"
    return Text(
        f"{text.en}. {device} is locked out for writing now; once the cause is found: '{cure} WHY'",
        f"{text.zh}。设备 {device} 的写入现已锁定；查明原因后用 '{cure} 原因' 解锁",
    )


def both(text: Text) -> dict[str, str]:
    """JSON-able."""
    return {"en": text.en, "zh": text.zh}


def plain(value: Any) -> bool | int | float | str | None:
    """Whatever was asked for, as JSON can say it: NaN and infinity as text, and nothing long."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return (value if isinstance(value, str) else repr(value))[:200]


@dataclass(frozen=True, slots=True)
class Armed:
    """``token`` is shown once and kept nowhere. ``until_ns``: wall time, for people."""

    token: str = field(repr=False)
    until_ns: int = 0
    audit: Audit = Audit()


@dataclass(frozen=True, slots=True)
class Approved:
    """``request``: to be carried out now, judged anew; None for a recommendation, which a person carries
    out."""

    request: WriteRequest | None
    audit: Audit = Audit()
