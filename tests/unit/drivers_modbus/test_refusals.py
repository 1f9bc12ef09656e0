"""What a refusal teaches: exception 2 is halved until the hole is found, and only the hole stays apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import PLUGIN
from drivers.modbus.blocks import MANY
from drivers.modbus.plan import Learned, Read
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Plan
from edge_agent.model import Tag, ValueType

SETTINGS = ModbusSettings(link="tcp://127.0.0.1")


def words(*offsets: int, table: str = "hr") -> list[Tag]:
    return [Tag(f"t{n}", f"{table}:{n}", ValueType.UINT16) for n in offsets]


def planned(tags: list[Tag], learned: Learned | None = None) -> Plan:
    return PLUGIN.plan(SETTINGS, tags, None, learned)


def texts(plan: Plan) -> list[str]:
    return [request.text for request in plan.requests]


def explored(tags: list[Tag], missing: set[int], first: Learned | None = None) -> tuple[Plan, set[int], int]:
    """Polls a device without the missing places until nothing more is learned, as link and supervisor do:
    after a lesson the plan is made anew and the read starts over. Plan, refused tags, refusals."""
    learned, refusals = first or Learned(), 0
    while True:
        plan, refused = planned(tags, learned), set()
        for request in plan.requests:
            read: Read = request.body
            if missing.isdisjoint(range(read.offset, read.offset + read.count)):
                continue
            if read.if_hole is not None:
                refusals += 1
                lesson = read.if_hole | learned
                assert lesson != learned, f"nothing learned from {request.text}"
                learned = lesson
                break
            refused |= set(request.tags)
        else:
            return plan, refused, refusals
        assert refusals < 3000


def test_a_hole_in_a_gap_splits_there_and_nowhere_else() -> None:
    plan, refused, refusals = explored(words(0, 10, 20, 30, 40, 50, 60), {25})
    assert refused == set() and refusals <= 4
    assert [text.partition(";")[0] for text in texts(plan)] == [
        "FC03 hr:0..20 = 400001..400021 (21 registers)",
        "FC03 hr:30..60 = 400031..400061 (31 registers)",
    ]


def test_the_text_of_a_request_says_what_was_learned() -> None:
    plan, _, _ = explored(words(0, 30), {7})
    assert texts(plan) == [
        "FC03 hr:0 = 400001 (1 register)",
        (
            "FC03 hr:30 = 400031 (1 register); split off: hr:0..30 = 400001..400031 was refused as a whole "
            "(exception 2)"
        ),
    ]
    plan, refused, _ = explored(words(0, 1, 2), {1})
    assert refused == {1}
    assert texts(plan)[1] == "FC03 hr:1 = 400002 (1 register); refused by itself before (exception 2)"
    limited = planned(words(*range(8)), Learned(max_count=frozenset({(3, 4)})))
    assert texts(limited)[0] == "FC03 hr:0..3 = 400001..400004 (4 registers); at most 4 at once (exception 3)"


@pytest.mark.parametrize("missing", [{4}, {0}, {19}, {3, 4, 5}, {9, 10}, {1, 7, 13}, {0, 19}])
def test_refusals_end_at_the_missing_registers_alone(missing: set[int]) -> None:
    plan, refused, refusals = explored(words(*range(20)), missing)
    assert refused == missing
    neighbours = sum(1 for n in range(20) if n not in missing and (n == 0 or n - 1 in missing))
    assert len(plan.requests) == len(missing) + neighbours, texts(plan)
    assert refusals <= 8 * len(missing)


@given(
    st.sets(st.integers(0, 60), min_size=1, max_size=25),
    st.sets(st.integers(0, 60), max_size=4),
    st.sampled_from(["hr", "co"]),
)
@settings(database=None, print_blob=True, max_examples=150, deadline=None)
def test_whatever_is_missing_the_rest_is_read(offsets: set[int], missing: set[int], table: str) -> None:
    kind = ValueType.BOOL if table == "co" else ValueType.UINT16
    tags = [Tag(f"t{n}", f"{table}:{n}", kind) for n in sorted(offsets)]
    plan, refused, _ = explored(tags, missing)
    assert {sorted(offsets)[position] for position in refused} == offsets & missing
    gaps = sum(
        1
        for before, after in zip(sorted(offsets), sorted(offsets)[1:], strict=False)
        if not missing.isdisjoint(range(before, after + 1))
    )
    assert len(plan.requests) <= 1 + gaps, "a cut that no missing place asks for"


@given(st.data())
@settings(database=None, print_blob=True, max_examples=100, deadline=None)
def test_values_that_overlap(data: st.DataObject) -> None:
    """A wide value that is refused keeps no narrower one inside it from being read."""
    kinds = {ValueType.UINT16: 1, ValueType.UINT32: 2, ValueType.UINT64: 4}
    tags = []
    for number in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(sorted(kinds)))
        tags.append(Tag(f"t{number}", f"hr:{data.draw(st.integers(0, 12))}", kind))
    missing = data.draw(st.sets(st.integers(0, 15), max_size=3))
    _, refused, _ = explored(tags, missing)
    for position, tag in enumerate(tags):
        start = int(tag.address[3:])
        lost = not missing.isdisjoint(range(start, start + kinds[tag.type]))
        assert (position in refused) is lost, tag


def test_a_single_value_that_is_refused_is_refused_at_once() -> None:
    (request,) = planned(words(5)).requests
    assert request.body.if_hole is None and request.body.if_too_many is None


def test_lessons_of_another_poll_group_count_here_too() -> None:
    """Group one found the hole; group two, with other tags, must not step into it again."""
    _, _, _ = explored(words(0, 30), {7})
    learned = planned(words(0, 30)).requests[0].body.if_hole
    plan, refused, refusals = explored(words(0, 8, 30), {7}, learned)
    assert refused == set() and refusals <= 1
    assert [request.body.offset for request in plan.requests] == [0, 8]


def test_a_device_that_refuses_everything_is_asked_for_much_at_once_when_it_is_well_again() -> None:
    tags = words(*range(MANY + 20))
    plan, refused, _ = explored(tags, set(range(100)))
    assert len(refused) == len(tags)
    assert len(plan.requests) <= 2, texts(plan)
    few, refused, _ = explored(words(*range(MANY)), set(range(100)))
    assert len(few.requests) == MANY, "each of a few is given its own chance"


def test_only_the_smallest_refusals_are_kept() -> None:
    large, small = Learned(frozenset({(3, 0, 10)})), Learned(frozenset({(3, 4, 5)}))
    other_table = Learned(frozenset({(4, 0, 10)}))
    assert large | small == small | large == small
    assert (large | other_table).refused == {(3, 0, 10), (4, 0, 10)}
    assert Learned(max_count=frozenset({(3, 10)})) | Learned(max_count=frozenset({(3, 5)})) != Learned()
    both = Learned(max_count=frozenset({(3, 10)})) | Learned(max_count=frozenset({(3, 5)}))
    assert both.limit(3) == 5 and both.limit(4) == 0xFFFF


def test_a_device_that_says_exception_3_of_a_missing_address() -> None:
    """Halving the count would end with every register asked for by itself, for ever."""
    tags, missing, learned, refusals = words(*range(60)), {33}, Learned(), 0
    while True:
        plan = planned(tags, learned)
        bad = [
            r
            for r in plan.requests
            if not missing.isdisjoint(range(r.body.offset, r.body.offset + r.body.count))
        ]
        assert len(bad) == 1
        if bad[0].body.if_too_many is None:
            break
        lesson = bad[0].body.if_too_many | learned
        assert lesson != learned and refusals < 20
        learned, refusals = lesson, refusals + 1
    assert texts(plan) == [
        "FC03 hr:0..32 = 400001..400033 (33 registers)",
        "FC03 hr:33 = 400034 (1 register); refused by itself before (exception 3)",
        "FC03 hr:34..59 = 400035..400060 (26 registers)",
    ]


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_a_device_that_takes_very_few(limit: int) -> None:
    tags, learned, refusals = words(*range(30)), Learned(), 0
    while bad := [r.body for r in planned(tags, learned).requests if r.body.count > limit]:
        assert bad[0].if_too_many is not None
        lesson = bad[0].if_too_many | learned
        assert lesson != learned and refusals < 6
        learned, refusals = lesson, refusals + 1
    assert sorted(p for r in planned(tags, learned).requests for p in r.tags) == list(range(30))
