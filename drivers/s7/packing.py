"""Places -> items -> loads of one request each. Pure.

*Merging*: places of one area that lie near each other become one item, a range of bytes read in one piece.
*Bundling*: the items of a set of tags that must be consistent stay together; every other item is a bundle
of its own. *Packing*: bundles fill loads, first fit, so that request **and** reply fit the PDU and no request
has more items than the controller takes. A value is never split over two items, a bundle never over two
requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from drivers.s7.address import Place
from drivers.s7.pdu import REPLY_HEAD, REPLY_ITEM, REQUEST_HEAD, REQUEST_ITEM, Range

Learned = frozenset[tuple[str, int, int, int]]
"""Places (area, data block, first byte, length) that must begin an item of their own."""

GAPS = (0, 4, 8, 16, 32, 64)
_PIECES = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """What one request may hold: bytes of PDU in either direction, and items."""

    pdu: int
    items: int

    @property
    def longest(self) -> int:
        """Bytes of the longest value that a reply can carry."""
        return self.pdu - REPLY_HEAD - REPLY_ITEM

    @property
    def most(self) -> int:
        return min(self.items, (self.pdu - REQUEST_HEAD) // REQUEST_ITEM)


@dataclass(frozen=True, slots=True)
class Item:
    """One variable of a request. ``tags``: positions of the tags in it. ``begins``: the distinct
    (first byte, length) of their values, ascending."""

    area: str
    db: int
    start: int
    end: int
    tags: tuple[int, ...]
    begins: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def range(self) -> Range:
        return Range(self.area, self.db, self.start, self.length)

    def __str__(self) -> str:
        if self.area in ("T", "C"):
            return f"{self.area}{self.start // 2}..{self.end // 2 - 1}"
        return f"{f'DB{self.db}.DBB' if self.area == 'DB' else f'{self.area}B'}{self.start}..{self.end - 1}"


@dataclass(slots=True)
class Load:
    """A request being filled. ``used``: reply bytes of its items, each padded to even."""

    items: list[Item] = field(default_factory=list)
    used: int = 0

    def takes(self, bundle: Sequence[Item], frame: Frame) -> bool:
        """The very last item of a reply is not padded."""
        used = self.used + sum(_padded(item) for item in bundle) - bundle[-1].length % 2
        return len(self.items) + len(bundle) <= frame.most and used <= frame.pdu - REPLY_HEAD

    def add(self, bundle: Sequence[Item]) -> None:
        self.items.extend(bundle)
        self.used += sum(_padded(item) for item in bundle)


@dataclass(frozen=True, slots=True)
class Packed:
    """``impossible``: bundles that no request of that frame can carry."""

    loads: tuple[Load, ...]
    impossible: tuple[tuple[Item, ...], ...]

    @property
    def cost(self) -> tuple[int, int, int]:
        used = sum(load.used + REQUEST_ITEM * len(load.items) for load in self.loads)
        return len(self.impossible), len(self.loads), used


def pack(
    places: Sequence[Place], sets: Sequence[Sequence[int]], frame: Frame, lessons: Learned = frozenset()
) -> Packed:
    """The cheapest packing. ``sets``: disjoint positions of places that must come in one request.

    First the number of requests (one costs the controller a communication slot, several ms), then bytes on
    the wire in both directions. An item of its own costs 12 bytes in the request, 4 in the reply and a place
    among the items; reading over a gap costs the gap. Which gap is worth it depends on what is scarce, so
    several allowances are tried.
    """
    return min((_packed(places, sets, gap, frame, lessons) for gap in GAPS), key=lambda packed: packed.cost)


def lesson(refused: Iterable[Item]) -> Learned:
    """Where to cut items that the controller refused as a whole. Items of one value teach nothing."""
    cuts = set()
    for item in refused:
        pieces = min(_PIECES, len(item.begins))
        for piece in range(1, pieces):
            cuts.add((item.area, item.db, *item.begins[piece * len(item.begins) // pieces]))
    return frozenset(cuts)


def _packed(
    places: Sequence[Place], sets: Sequence[Sequence[int]], gap: int, frame: Frame, lessons: Learned
) -> Packed:
    bound = {position for members in sets for position in members}
    free = [position for position in range(len(places)) if position not in bound]
    bundles = [_merge(places, members, gap, frame, lessons) for members in sets if members]
    bundles += [[item] for item in _merge(places, free, gap, frame, lessons)]
    loads: list[Load] = []
    impossible: list[tuple[Item, ...]] = []
    for bundle in bundles:
        if not Load().takes(bundle, frame):
            impossible.append(tuple(bundle))
            continue
        load = next((load for load in loads if load.takes(bundle, frame)), None)
        if load is None:
            load = Load()
            loads.append(load)
        load.add(bundle)
    return Packed(tuple(loads), tuple(impossible))


def _merge(
    places: Sequence[Place], positions: Iterable[int], gap: int, frame: Frame, lessons: Learned
) -> list[Item]:
    """Items in order of address. None is longer than what a reply can carry, unless a single value is."""
    runs: list[list[int]] = []
    end = 0
    for position in sorted(positions, key=lambda position: _key(places[position])):
        place = places[position]
        run = runs[-1] if runs else []
        # Only a single value can make a run too long; its neighbours must not be refused with it.
        growing = bool(run) and end - places[run[0]].start <= frame.longest
        if growing and _joins(places[run[0]], places[run[-1]], place, end + gap, frame, lessons):
            run.append(position)
            end = max(end, place.end)
        else:
            runs.append([position])
            end = place.end
    return [_item(places, run) for run in runs]


def _joins(first: Place, previous: Place, place: Place, reach: int, frame: Frame, lessons: Learned) -> bool:
    if (place.area, place.db) != (first.area, first.db) or place.start > reach:
        return False
    if place.end - first.start > frame.longest:
        return False
    return _key(place) == _key(previous) or _key(place) not in lessons


def _item(places: Sequence[Place], run: Sequence[int]) -> Item:
    begins = sorted({(places[tag].start, places[tag].length) for tag in run})
    first = places[run[0]]
    return Item(
        first.area, first.db, first.start, max(places[tag].end for tag in run), tuple(run), tuple(begins)
    )


def _key(place: Place) -> tuple[str, int, int, int]:
    return place.area, place.db, place.start, place.length


def _padded(item: Item) -> int:
    return REPLY_ITEM + item.length + item.length % 2
