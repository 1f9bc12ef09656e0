"""What is put into the post: packets that belong together, and the stored units they settle."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.uplink import Key, Lane
from edge_agent.uplinks.hj212.fields import join
from edge_agent.uplinks.hj212.parts import cut, room
from edge_agent.uplinks.hj212.profile import Version
from edge_agent.uplinks.hj212.segment import Part, Segment

INTERACTION = "91"

DATA_ACK, NOTIFY_ACK, REQUEST_REPLY, EXECUTED = "9014", "9013", "9011", "9012"
HEARTBEAT, CALIBRATE_ME, KEY = "9015", "1013", "1014"


@dataclass(frozen=True, slots=True)
class Identity:
    """How this agent signs. ``pw`` is a secret."""

    mn: str
    pw: str
    st: str
    version: Version

    def __repr__(self) -> str:
        return f"Identity({self.mn}, ST={self.st}, {self.version.name})"

    def segment(self, cn: str, qn: str = "", data: str = "", *, st: str = "", ack: bool = False) -> Segment:
        return Segment(qn, st or self.st, cn, self.pw, self.mn, self.version, ack, data=data)

    @property
    def room(self) -> int:
        return room(self.version, self.st, self.pw, self.mn)


@dataclass(eq=False, slots=True)
class Letter:
    """``packets`` have no QN yet: each gets one when it is first sent, and keeps it. ``must``: the connection
    is given up when it is never acknowledged. ``open``: how many still wait for their
    acknowledgement. ``spoilt``: one of them was refused. ``second``: since 1970, of real-time data."""

    packets: list[Segment]
    lane: Lane = Lane.LIVE
    keys: tuple[Key, ...] = ()
    must: bool = True
    open: int = 0
    spoilt: bool = False
    second: int = 0

    def __post_init__(self) -> None:
        self.open = len(self.packets)


def plain_letter(identity: Identity, cn: str, data: str, *, must: bool = True) -> Letter:
    """One packet that stands for no stored unit and wants an acknowledgement. ValueError when it is too
    long."""
    if len(data.encode()) > identity.room:
        raise ValueError(f"{len(data.encode())} bytes of data, there is room for {identity.room}")
    return Letter([identity.segment(cn, data=data, ack=True)], must=must)


def data_letter(
    identity: Identity, cn: str, when: str, texts: list[str], *, lane: Lane, keys: tuple[Key, ...] = ()
) -> Letter:
    """One record, split where it is too long; from the backlog, 2025 marks it. ValueError when it cannot be
    split."""
    first = join(((("DataTime", when),),))
    cuts = cut(first, texts, identity.room, identity.version)
    blank = replace(identity.segment(cn, ack=True), backfill=lane is Lane.BACKLOG)
    if len(cuts) == 1:
        return Letter([replace(blank, data=cuts[0])], lane, keys)
    packets = [replace(blank, data=data, part=Part(number, len(cuts))) for number, data in enumerate(cuts, 1)]
    return Letter(packets, lane, keys)


def accepted(identity: Identity, qn: str, code: int) -> Segment:
    """9011: whether a request will be carried out; 1 is yes."""
    return identity.segment(REQUEST_REPLY, qn, f"QnRtn={code}", st=INTERACTION)


def executed(identity: Identity, qn: str, code: int) -> Segment:
    """9012: what became of it; 1 is done, 100 is no data."""
    return identity.segment(EXECUTED, qn, f"ExeRtn={code}", st=INTERACTION)


def notified(identity: Identity, qn: str) -> Segment:
    return identity.segment(NOTIFY_ACK, qn, st=INTERACTION)


def received(identity: Identity, qn: str) -> Segment:
    return identity.segment(DATA_ACK, qn, st=INTERACTION)


def heartbeat(identity: Identity) -> Segment:
    return identity.segment(HEARTBEAT, st=INTERACTION, ack=True)


def calibration_wanted(identity: Identity, pol_id: str = "") -> Segment:
    data = f"PolId={pol_id}" if pol_id else ""
    return identity.segment(CALIBRATE_ME, data=data, ack=True)


def key_wanted(identity: Identity, created: str) -> Segment:
    """``created``: the SKCreateTime of the key in use."""
    return identity.segment(KEY, data=f"SKCreateTime={created}", ack=True)


def started(identity: Identity, when: str, restarted: str) -> Letter:
    """2081: since when this agent runs. Not every platform answers it."""
    return plain_letter(identity, "2081", f"DataTime={when};RestartTime={restarted}", must=False)


def parameter(identity: Identity, request: Segment, data: str) -> Segment:
    """What was asked for by 1011, 1061, 1063, 3019: under the request's command and QN, as the standard's
    flow for reading parameters has it."""
    return identity.segment(request.cn, request.qn, data)
