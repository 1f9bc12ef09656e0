"""The cheapest requests, proved against every way there is of sharing them out; and what costs what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.blocks import Span, Terms, blocks_of, outer_spans
from drivers.modbus.cost import Cost

COSTS = {
    "ethernet": Cost(4_000_000, 20_000, 21),
    "9600 baud": Cost(31_000_000, 1_145_833, 13),
    "fast bus, slow device": Cost(250_000_000, 95_000, 13),
    "a request costs next to nothing": Cost(3, 2, 13),
}


def price(groups: list[list[Span]], cost: Cost, per_byte: bool) -> int:
    """Worked out here: the reply of bits has eight to a byte, of registers two bytes each."""
    total = 0
    for group in groups:
        count = max(end for _, end in group) - min(start for start, _ in group)
        size = -(-count // 8) if per_byte else 2 * count
        total += cost.request_ns + cost.byte_ns * size
    return total


def partitions(items: list[Span]) -> Iterator[list[list[Span]]]:
    """Every way of sharing them out into requests, neighbours or not."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for shared in partitions(rest):
        yield [[first], *shared]
        for index in range(len(shared)):
            yield [*shared[:index], [first, *shared[index]], *shared[index + 1 :]]


def allowed_group(group: list[Span], terms: Terms) -> bool:
    start, end = min(s for s, _ in group), max(e for _, e in group)
    crossed = any(start < last and first < end for first, last in terms.forbidden)
    covered = {place for s, e in group for place in range(s, e)}
    gap = longest = 0
    for place in range(start, end):
        gap = 0 if place in covered else gap + 1
        longest = max(longest, gap)
    too_long = len(group) > 1 and end - start > terms.allowed
    return not crossed and not too_long and (terms.max_gap is None or longest <= terms.max_gap)


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[Span], Terms]:
    per_byte = draw(st.booleans())
    reach = draw(st.sampled_from([12, 60, 400]))
    widths = st.just(1) if per_byte else st.sampled_from([1, 1, 2, 4])
    spans = draw(
        st.lists(st.tuples(st.integers(0, reach), widths), min_size=1, max_size=7, unique=True).map(
            lambda pairs: [(start, start + width) for start, width in pairs]
        )
    )
    used = {place for start, end in spans for place in range(start, end)}
    free = [place for place in range(reach) if place not in used]
    forbidden = draw(st.lists(st.sampled_from(free), max_size=2)) if free else []
    terms = Terms(
        COSTS[draw(st.sampled_from(sorted(COSTS)))],
        per_byte,
        draw(st.sampled_from([4, 9, 16, 50, 125])),
        None,
        [(place, place + 1) for place in forbidden],
    )
    return spans, terms


@given(instances())
@settings(database=None, print_blob=True, max_examples=200, deadline=None)
def test_no_cheaper_plan_exists(instance: tuple[list[Span], Terms]) -> None:
    spans, terms = instance
    refused, groups = blocks_of(spans, terms)
    assert refused == []
    possible = (
        price(shared, terms.cost, terms.per_byte)
        for shared in partitions(sorted(set(spans)))
        if all(allowed_group(group, terms) for group in shared)
    )
    assert price(groups, terms.cost, terms.per_byte) == min(possible)
    assert all(allowed_group(group, terms) for group in groups)


@given(instances(), st.integers(0, 30))
@settings(database=None, print_blob=True, max_examples=100, deadline=None)
def test_with_max_gap_no_plan_has_fewer_requests(instance: tuple[list[Span], Terms], gap: int) -> None:
    spans, ours = instance
    terms = Terms(ours.cost, ours.per_byte, ours.allowed, gap, ours.forbidden)
    _, groups = blocks_of(spans, terms)
    fewest = min(
        len(shared)
        for shared in partitions(outer_spans(spans))
        if all(allowed_group(group, terms) for group in shared)
    )
    assert len(groups) == fewest
    assert all(allowed_group(group, terms) for group in groups)


@pytest.mark.parametrize(("name", "bytes_"), [("ethernet", 200), ("9600 baud", 27)])
def test_a_gap_is_read_over_while_its_bytes_cost_less_than_a_request(name: str, bytes_: int) -> None:
    def groups(gap: int, per_byte: bool) -> int:
        return len(blocks_of([(0, 8), (8 + gap, 16 + gap)], Terms(COSTS[name], per_byte, 2000))[1])

    assert groups(bytes_ // 2, per_byte=False) == 1
    assert groups(bytes_ // 2 + 1, per_byte=False) == 2
    assert groups(8 * bytes_, per_byte=True) == 1
    assert groups(8 * bytes_ + 8, per_byte=True) == 2


def test_bits_are_paid_by_the_byte() -> None:
    """Three coils in two bytes cost no more than apart; over four bytes they do."""
    cost = Cost(request_ns=10, byte_ns=10, frame_bytes=0)
    _, groups = blocks_of([(0, 1), (4, 5), (15, 16)], Terms(cost, per_byte=True, allowed=2000))
    assert len(groups) == 1
    _, groups = blocks_of([(0, 1), (4, 5), (24, 25)], Terms(cost, per_byte=True, allowed=2000))
    assert len(groups) == 2


def test_a_refusal_that_something_else_splits_already_needs_no_cut() -> None:
    terms = Terms(COSTS["ethernet"], per_byte=False, allowed=125, forbidden=[(1, 2)])
    _, groups = blocks_of([(0, 1), (2, 3), (4, 5), (6, 7)], terms, refused=[(0, 7)])
    assert groups == [[(0, 1)], [(2, 3), (4, 5), (6, 7)]]


def test_what_two_refusals_share_is_looked_at_next() -> None:
    terms = Terms(COSTS["ethernet"], per_byte=False, allowed=125)
    spans = [(n, n + 1) for n in range(20)]
    _, groups = blocks_of(spans, terms, refused=[(0, 10), (7, 17)])
    assert [(group[0][0], group[-1][1]) for group in groups] == [(0, 7), (7, 10), (10, 20)]
