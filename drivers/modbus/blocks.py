"""Places that must be read -> the cheapest requests that read them. Pure arithmetic on intervals.

A *span* is the places of one value, (start, end), end not included. Spans that lie inside another come with
it, so only the outer ones matter; sorted, their starts and ends both ascend, and the cheapest way to read
them takes neighbours together: where two requests cross, each could give its part to the other for nothing.

Where requests must not reach
    Across a forbidden range, across more than ``max_gap`` unused places where that is set, and over places
    that the device has refused together. Each of these becomes a *cut* between two neighbouring spans. A
    refusal (exception 2) says only that something in it is missing, so its cut halves the suspect: where it
    overlaps another refusal the missing place most likely lies in what they share, else the cut goes to the
    middle gap, and where there is none to the middle. A later, smaller refusal explains the larger one, whose
    cut is then gone: what was cut only to find the hole is read together again. A value that is refused alone
    is the mistake itself, and is asked for alone from then on. A device that refuses more than ``MANY``
    values is taken to be unwell rather than its tag table wrong; those are asked for together, so that it
    does not stay slow when it is well again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.modbus.cost import Cost

Span = tuple[int, int]

MANY = 16

_FEWEST = Cost(request_ns=1 << 50, byte_ns=1, frame_bytes=0)  # requests first, then bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """On which spans are put together. ``per_byte``: eight places to a byte of reply (coils, inputs) instead
    of two bytes to a place. ``allowed``: places in one request; a single span may have more. With ``max_gap``
    no wider gap is read over, and the fewest requests count, not the cost."""

    cost: Cost
    per_byte: bool
    allowed: int
    max_gap: int | None = None
    forbidden: Sequence[Span] = ()


def blocks_of(
    spans: Iterable[Span], terms: Terms, refused: Sequence[Span] = ()
) -> tuple[list[list[Span]], list[list[Span]]]:
    """Groups of spans, one per request: first those of values refused by themselves, then all others."""
    every = set(spans)
    alone = {span for span in every if any(span[0] <= start and end <= span[1] for start, end in refused)}
    if len(alone) > MANY:
        return _groups(alone, terms, ()), _groups(every - alone, terms, refused)
    return [[span] for span in sorted(alone)], _groups(every - alone, terms, refused)


def _groups(spans: Iterable[Span], terms: Terms, refused: Sequence[Span]) -> list[list[Span]]:
    outer = outer_spans(spans)
    cuts = _refusal_cuts(outer, refused, _gap_cuts(outer, terms))
    groups: list[list[Span]] = []
    for first, last in zip([0, *cuts], [*cuts, len(outer)], strict=True):
        groups += _cheapest(outer[first:last], terms)
    return groups


def outer_spans(spans: Iterable[Span]) -> list[Span]:
    """Without spans that lie inside another: starts and ends both strictly ascending."""
    outer: list[Span] = []
    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not outer or end > outer[-1][1]:
            outer.append((start, end))
    return outer


def _gap_cuts(spans: Sequence[Span], terms: Terms) -> list[int]:
    """Indices of the spans before which a request must end."""
    cuts = []
    for index in range(1, len(spans)):
        before, after = spans[index - 1][1], spans[index][0]
        too_wide = terms.max_gap is not None and after - before > terms.max_gap
        if too_wide or any(start < after and before < end for start, end in terms.forbidden):
            cuts.append(index)
    return cuts


def _refusal_cuts(spans: Sequence[Span], refused: Sequence[Span], cuts: Sequence[int]) -> list[int]:
    """With cuts enough that no request holds all of any refusal."""
    found = set(cuts)
    starts = [start for start, _ in spans]
    ends = [end for _, end in spans]
    for start, end in sorted(refused, key=lambda hole: (hole[1] - hole[0], hole)):
        first = bisect_left(starts, start + 1)  # cut before a span that begins behind the refusal's start ..
        last = bisect_left(ends, end)  # .. and after one that ends before the refusal's end
        possible = range(max(first, 1), min(last, len(spans) - 1) + 1)
        if possible and found.isdisjoint(possible):
            found.add(_best_cut(spans, possible, (start, end), refused))
    return sorted(found)


def _best_cut(spans: Sequence[Span], possible: range, hole: Span, refused: Sequence[Span]) -> int:
    for other in refused:  # one that shares some places with this one: cut off what they do not share
        for index in possible:
            begins = hole[0] < other[0] < hole[1] and spans[index][0] == other[0]
            ends = hole[0] < other[1] < hole[1] and spans[index - 1][1] == other[1]
            if begins or ends:
                return index
    gaps = [index for index in possible if spans[index][0] > spans[index - 1][1]]
    return (gaps or possible)[len(gaps or possible) // 2]


def _cheapest(spans: Sequence[Span], terms: Terms) -> list[list[Span]]:
    """Cuts neighbours into requests for the least total cost.

    Reading spans j..i as one request costs ``request + unit * ceil((end[i] - start[j]) / pack)``. With
    start[j] = pack * q + r that is ``request - unit * q + unit * ceil((end[i] - r) / pack)``: among all j of
    one residue r the best for any i is the one with the least ``total before j - unit * q`` within reach, a
    sliding minimum per residue (one for registers, eight for bits). Exact, and linear in the spans.
    """
    cost, allowed = _FEWEST if terms.max_gap is not None else terms.cost, terms.allowed
    pack, unit = (8, cost.byte_ns) if terms.per_byte else (1, 2 * cost.byte_ns)
    total, first = [0], []  # total[i]: least cost of the first i spans; first[i]: where i's request begins
    waiting: list[deque[tuple[int, int]]] = [deque() for _ in range(pack)]
    for i, (start, end) in enumerate(spans):
        quotient, residue = divmod(start, pack)
        offer, queue = total[i] - unit * quotient, waiting[residue]
        while queue and queue[-1][0] > offer:
            queue.pop()
        queue.append((offer, i))
        options = []
        for residue, queue in enumerate(waiting):
            while queue and queue[0][1] != i and end - spans[queue[0][1]][0] > allowed:
                queue.popleft()  # out of reach; a single span stays, however wide it is
            if queue:
                options.append((queue[0][0] - unit * ((residue - end) // pack), queue[0][1]))
        best, begin = min(options)
        total.append(best + cost.request_ns)
        first.append(begin)
    parts: list[list[Span]] = []
    stop = len(spans)
    while stop:
        parts.append(list(spans[first[stop - 1] : stop]))
        stop = first[stop - 1]
    return parts[::-1]
