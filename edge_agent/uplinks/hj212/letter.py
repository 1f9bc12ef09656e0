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
HEARTBEAT, CALIBRATE_ME = "9015", "1013"


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
    """``packets`` have no QN yet: each gets one when it is first sent, and keeps it. ``open``: how many still
    wait for their acknowledgement."""

    packets: list[Segment]
    lane: Lane = Lane.LIVE
    keys: tuple[Key, ...] = ()
    open: int = 0

    def __post_init__(self) -> None:
        self.open = len(self.packets)


def data_letter(
    identity: Identity, cn: str, when: str, texts: list[str], *, lane: Lane, keys: tuple[Key, ...] = ()
) -> Letter:
    """One record, split where it is too long. ValueError when that cannot be done."""
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


def system_time(identity: Identity, qn: str, when: str, pol_id: str = "") -> Segment:
    """The data of a 1011 reply: the request's QN, as the standard's flow for reading parameters has it."""
    about = f"PolId={pol_id};" if pol_id else ""
    return identity.segment("1011", qn, f"{about}SystemTime={when}")
