"""Tags -> the fewest Read Var requests. Pure: the same tags, limits and lessons give the same plan.

``packing`` decides what is read together. A value, or a set that must be consistent, which no request of this
connection can carry gets a request that the link refuses with the reason; it is never read in pieces, because
the pieces would be of different moments.

The last request of a plan asks for the CPU's state (``cpu_state``). It serves no tag; its reply, and what the
link remembers of it in the replies of the reads, tells ``decode`` whether the controller is in STOP. Every
plan has it because a plan does not know the other groups; the link asks the controller only when the
answer is older than the setting ``cpu_state``, whichever group comes first. So it costs the link one small
round trip per that time, whatever the number of groups and their periods, and none of it is put down to one.

Lessons (``learned``): when a controller refuses a merged range, ``lesson`` cuts it in up to eight pieces;
pieces refused again are cut again, so a bad address ends up alone after few rounds, and its neighbours stay
merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.s7 import cpu_state
from drivers.s7.address import Place, locate
from drivers.s7.codec import Decoder, Span
from drivers.s7.consistent import sets_of
from drivers.s7.frames import FRAMING
from drivers.s7.packing import Frame, Item, Learned, Packed, pack
from drivers.s7.pdu import REPLY_HEAD, REPLY_ITEM, SMALLEST, read_request, reply_length
from edge_agent.driver import Plan, Request
from edge_agent.model import Tag

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

_ROUND_TRIP_S = 0.010
_BYTE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """What Setup Communication granted: PDU length in bytes, parallel jobs (we use one)."""

    pdu: int = SMALLEST
    max_amq: int = 1


@dataclass(frozen=True, slots=True)
class Body:
    """What ``S7Link.exchange`` needs: the request PDU with reference 0, and what the reply must look like.
    ``pdu_needed``: bytes of the longer of both. ``learned``: what this plan already knew."""

    pdu: bytes
    items: tuple[Item, ...]
    lengths: tuple[int, ...]
    pdu_needed: int
    learned: Learned


@dataclass(frozen=True, slots=True)
class Impossible:
    """Cannot be asked on this connection; ``why`` is for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class StateQuestion:
    """Is the CPU in RUN?"""


def plan(settings: S7Settings, tags: Sequence[Tag], limits: Limits | None, learned: Learned | None) -> Plan:
    """The plan for one poll group. Before a connection (``limits`` None) the shortest PDU, 240, is assumed,
    or where that cannot carry everything, the one that will be asked for. Raises AddressMistake for a tag
    that ``check`` would have refused."""
    lessons = learned or frozenset()
    places = [locate(tag, settings.encoding) for tag in tags]
    sets = sets_of(settings.consistent, tags)
    frame = Frame((limits or Limits()).pdu, settings.max_items)
    packed = pack(places, sets, frame, lessons)
    if limits is None and packed.impossible:
        frame = Frame(settings.pdu, settings.max_items)
        packed = pack(places, sets, frame, lessons)
    requests = [_read(load.items, lessons) for load in packed.loads]
    requests += [_refused(bundle, frame, tags) for bundle in packed.impossible]
    spans = _spans(packed, places)
    if settings.cpu_state > 0 and requests:
        requests.append(_state_question(settings.cpu_state))
        spans.append([])
    return Plan(tuple(requests), Decoder(places, spans))


def _spans(packed: Packed, places: Sequence[Place]) -> list[list[Span]]:
    read = [[Span(item.start, item.length, item.tags) for item in load.items] for load in packed.loads]
    refused = [
        [Span(places[tag].start, places[tag].length, (tag,)) for item in bundle for tag in item.tags]
        for bundle in packed.impossible
    ]
    return read + refused


def _read(items: Sequence[Item], learned: Learned) -> Request:
    lengths = tuple(item.length for item in items)
    pdu = read_request([item.range for item in items])
    reply = reply_length(lengths)
    wire = len(pdu) + reply + 2 * FRAMING
    return Request(
        tags=tuple(sorted(tag for item in items for tag in item.tags)),
        body=Body(pdu, tuple(items), lengths, max(len(pdu), reply), learned),
        cost_s=_ROUND_TRIP_S + wire * _BYTE_S,
        text=f"Read Var, {len(items)} items, {reply} bytes: {', '.join(map(str, items))}",
        size_bytes=wire,
    )


def _refused(bundle: Sequence[Item], frame: Frame, tags: Sequence[Tag]) -> Request:
    positions = sorted(tag for item in bundle for tag in item.tags)
    names = ", ".join(tags[tag].name for tag in positions)
    needed = REPLY_HEAD + sum(REPLY_ITEM + item.length for item in bundle)
    if len(bundle) == 1:
        why = f"{names}: needs a PDU of {needed} bytes"
    else:
        why = f"{names}: read together need {len(bundle)} items and a PDU of {needed} bytes"
    text = f"{why}; one request of this controller takes {frame.most} items and {frame.pdu} bytes"
    return Request(tuple(positions), Impossible(text), cost_s=1.0, text=f"not read: {text}")


def _state_question(every_s: float) -> Request:
    wire = cpu_state.REQUEST_BYTES + cpu_state.REPLY_BYTES + 2 * FRAMING
    text = f"CPU state (SZL 0424), {wire} bytes once in {every_s:g} s for all groups of the link"
    return Request((), StateQuestion(), text=text)
