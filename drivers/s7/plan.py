"""Tags -> the fewest Read Var requests. Pure: the same tags, limits and lessons give the same plan.

Two steps. *Merging*: tags of one data block that lie near each other become one item, a range of bytes
read in one piece. *Packing*: items fill requests, first fit in order of address, so that request **and**
reply fit the PDU and no request has more than 20 items. A value is never split over two items.

Cost model: first the number of requests (one costs the controller a communication slot, several ms), then
bytes on the wire in both directions. An item of its own costs 12 bytes in the request, 4 in the reply and
one of 20 places; reading over a gap costs the gap. Which gap is worth it depends on what is scarce, so
the plan is made for several allowances and the cheapest is kept.

Lessons (``learned``): places (data block, first byte, length) that must begin an item of their own. When a
controller refuses a merged range, ``lesson`` cuts it in up to eight pieces; pieces refused again are cut
again, so a bad address ends up alone after few rounds, and its neighbours stay merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.s7.address import Place, locate
from drivers.s7.codec import Decoder
from drivers.s7.pdu import (
    ITEMS_MAX,
    REPLY_HEAD,
    REPLY_ITEM,
    REQUEST_HEAD,
    REQUEST_ITEM,
    SMALLEST,
    read_request,
    reply_length,
)
from edge_agent.driver import Plan, Request
from edge_agent.model import Tag

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

Learned = frozenset[tuple[int, int, int]]

_GAPS = (0, 4, 8, 16, 32, 64)
_PIECES = 8
_ROUND_TRIP_S = 0.010
_BYTE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """What Setup Communication granted: PDU length in bytes, parallel jobs (we use one)."""

    pdu: int = SMALLEST
    max_amq: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One variable of a request: bytes ``start`` to ``end`` of ``db``. ``tags``: positions of the tags in it.
    ``begins``: the distinct (first byte, length) of their values, ascending."""

    db: int
    start: int
    end: int
    tags: tuple[int, ...]
    begins: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"DB{self.db}.DBB{self.start}..{self.end - 1}"


@dataclass(frozen=True, slots=True)
class Body:
    """What ``S7Link.exchange`` needs: the request PDU with reference 0, and what the reply must look like.
    ``pdu_needed``: bytes of the longer of both. ``learned``: what this plan already knew."""

    pdu: bytes
    items: tuple[Item, ...]
    lengths: tuple[int, ...]
    pdu_needed: int
    learned: Learned


@dataclass(slots=True)
class _Load:
    """A request being filled. ``used``: reply bytes of its items, each padded to even."""

    items: list[Item] = field(default_factory=list)
    used: int = 0

    def takes(self, item: Item, pdu: int) -> bool:
        most = min(ITEMS_MAX, (pdu - REQUEST_HEAD) // REQUEST_ITEM)
        return len(self.items) < most and self.used + REPLY_ITEM + item.length <= pdu - REPLY_HEAD

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.used += REPLY_ITEM + item.length + item.length % 2


def plan(settings: S7Settings, tags: Sequence[Tag], limits: Limits | None, learned: Learned | None) -> Plan:
    """The plan for one poll group. Before a connection (``limits`` None) the shortest PDU, 240, is assumed.
    Raises AddressMistake for a tag that ``check`` would have refused."""
    pdu = (limits or Limits()).pdu
    lessons = learned or frozenset()
    places = [locate(tag) for tag in tags]
    loads = min((_pack(_merge(places, gap, pdu, lessons), pdu) for gap in _GAPS), key=_cost)
    requests = tuple(_request(load.items, lessons) for load in loads)
    spans = [[(item.start, item.length, item.tags) for item in load.items] for load in loads]
    return Plan(requests, Decoder(places, spans))


def lesson(refused: Iterable[Item]) -> Learned:
    """Where to cut items that the controller refused as a whole. Items of one value teach nothing."""
    cuts = set()
    for item in refused:
        pieces = min(_PIECES, len(item.begins))
        for piece in range(1, pieces):
            cuts.add((item.db, *item.begins[piece * len(item.begins) // pieces]))
    return frozenset(cuts)


def _merge(places: Sequence[Place], gap: int, pdu: int, lessons: Learned) -> list[Item]:
    """Items in order of address. None is longer than what a reply can carry alone."""
    longest = pdu - REPLY_HEAD - REPLY_ITEM
    order = sorted(
        range(len(places)), key=lambda tag: (places[tag].db, places[tag].start, places[tag].length)
    )
    runs: list[list[int]] = []
    end = 0
    for tag in order:
        place = places[tag]
        if runs and _joins(places[runs[-1][0]], places[runs[-1][-1]], place, end + gap, longest, lessons):
            runs[-1].append(tag)
            end = max(end, place.end)
        else:
            runs.append([tag])
            end = place.end
    return [_item(places, run) for run in runs]


def _joins(first: Place, previous: Place, place: Place, reach: int, longest: int, lessons: Learned) -> bool:
    if place.db != first.db or place.start > reach or place.end - first.start > longest:
        return False
    same = (place.start, place.length) == (previous.start, previous.length)
    return same or (place.db, place.start, place.length) not in lessons


def _item(places: Sequence[Place], run: Sequence[int]) -> Item:
    begins = sorted({(places[tag].start, places[tag].length) for tag in run})
    first = places[run[0]]
    return Item(first.db, first.start, max(places[tag].end for tag in run), tuple(run), tuple(begins))


def _pack(items: Iterable[Item], pdu: int) -> list[_Load]:
    loads: list[_Load] = []
    for item in items:
        load = next((load for load in loads if load.takes(item, pdu)), None)
        if load is None:
            load = _Load()
            loads.append(load)
        load.add(item)
    return loads


def _cost(loads: Sequence[_Load]) -> tuple[int, int]:
    return len(loads), sum(load.used + REQUEST_ITEM * len(load.items) for load in loads)


def _request(items: Sequence[Item], learned: Learned) -> Request:
    lengths = tuple(item.length for item in items)
    pdu = read_request([(item.db, item.start, item.length) for item in items])
    reply = reply_length(lengths)
    return Request(
        tags=tuple(sorted(tag for item in items for tag in item.tags)),
        body=Body(pdu, tuple(items), lengths, max(len(pdu), reply), learned),
        cost_s=_ROUND_TRIP_S + (len(pdu) + reply) * _BYTE_S,
        text=f"Read Var, {len(items)} items, {reply} bytes: {', '.join(map(str, items))}",
    )
