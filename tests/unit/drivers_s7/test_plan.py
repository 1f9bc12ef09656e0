"""The planner: whatever the tags, both directions fit the PDU and every value is read whole."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from drivers.s7 import PLUGIN
from drivers.s7.address import locate
from drivers.s7.plan import Body, Learned, Limits, lesson
from drivers.s7.settings import S7Settings
from edge_agent.driver import Plan
from edge_agent.model import Quality, Tag, ValueType

SETTINGS = S7Settings(link="tcp://plc")
FORMS = {
    ValueType.BOOL: "DBX{}.5",
    ValueType.UINT8: "DBB{}",
    ValueType.INT16: "DBW{}",
    ValueType.FLOAT32: "DBD{}",
    ValueType.INT64: "DBL{}",
}

places = st.tuples(
    st.integers(1, 3), st.one_of(st.integers(0, 300), st.integers(0, 65_528)), st.sampled_from(list(FORMS))
)
tag_lists = st.lists(places, max_size=120).map(
    lambda found: [
        Tag(f"t{n}", f"DB{db}.{FORMS[kind].format(start)}", kind) for n, (db, start, kind) in enumerate(found)
    ]
)
pdus = st.sampled_from([240, 480, 960])


def make(tags: Sequence[Tag], pdu: int = 240, learned: Learned | None = None) -> Plan:
    return PLUGIN.plan(SETTINGS, tags, Limits(pdu), learned)


def ranges(body: Body) -> list[tuple[int, int, int]]:
    """(db, start, length) as they stand in the request's bytes."""
    found = []
    for number in range(body.pdu[11]):
        spec = body.pdu[12 + 12 * number :][:12]
        length, db, where = struct.unpack(">HHI", spec[4:])
        assert (where >> 24, where & 7) == (0x84, 0), "not a byte of a data block"
        found.append((db, (where & 0xFFFFFF) >> 3, length))
    return found


def reply_bytes(lengths: Sequence[int]) -> int:
    """Header 12, function and count 2, then per item 4 and the data, padded to even except the last."""
    total = 14
    for number, length in enumerate(lengths):
        total += 4 + length
        if length % 2 and number + 1 < len(lengths):
            total += 1
    return total


@given(tags=tag_lists, pdu=pdus)
def test_request_and_reply_fit_and_every_value_is_in_one_item(tags: list[Tag], pdu: int) -> None:
    plan = make(tags, pdu)
    served: list[int] = []
    for request in plan.requests:
        asked = ranges(request.body)
        assert 1 <= len(asked) <= 20
        assert len(request.body.pdu) <= pdu
        assert request.body.pdu[6:10] == struct.pack(">HH", len(request.body.pdu) - 10, 0)
        assert reply_bytes([length for _, _, length in asked]) <= pdu
        for tag in request.tags:
            place = locate(tags[tag])
            whole = [
                1
                for db, start, length in asked
                if db == place.db and start <= place.start and place.end <= start + length
            ]
            assert whole, f"{tags[tag].address} is in no item of its request"
        served.extend(request.tags)
    assert sorted(served) == list(range(len(tags)))


@given(tags=tag_lists, pdu=pdus, data=st.data())
def test_decoding_is_by_address(tags: list[Tag], pdu: int, data: st.DataObject) -> None:
    """Every byte of the controller holds a hash of its address: no value can come from another place."""
    plan = make(tags, pdu)
    replies: list[object] = []
    failed: set[int] = set()
    for request in plan.requests:
        if data.draw(st.integers(0, 4)) == 0:
            replies.append(Quality.BAD_COMM)
            failed.update(request.tags)
        else:
            replies.append(tuple(memory(db, start, length) for db, start, length in ranges(request.body)))
    columns = plan.decode(replies)
    for position, tag in enumerate(tags):
        if position in failed:
            assert (columns.values[position], columns.quality[position]) == (None, Quality.BAD_COMM)
        else:
            assert columns.values[position] == held(tag), tag.address
            assert columns.quality[position] == Quality.GOOD


def memory(db: int, start: int, length: int) -> bytes:
    """No byte is 0x7F or 0xFF, so that no float is a NaN."""
    return bytes((db * 71 + at * 37 + (at >> 8) * 11) % 125 for at in range(start, start + length))


def held(tag: Tag) -> object:
    place = locate(tag)
    (value,) = struct.unpack(">" + place.code, memory(place.db, place.start, place.length))
    return value if place.bit is None else bool(value >> place.bit & 1)


def test_neighbours_become_one_item_and_distant_tags_do_not() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBW{2 * n}", ValueType.INT16) for n in range(100)]
    assert [ranges(request.body) for request in make(tags).requests] == [[(1, 0, 200)]]
    far = [Tag("a", "DB1.DBW0", ValueType.INT16), Tag("b", "DB1.DBW1000", ValueType.INT16)]
    assert [ranges(request.body) for request in make(far).requests] == [[(1, 0, 2), (1, 1000, 2)]]


def test_a_gap_is_read_over_when_that_saves_a_request() -> None:
    """22 words, 10 bytes apart: as items of their own they need two requests, merged they need one."""
    tags = [Tag(f"t{n}", f"DB1.DBW{10 * n}", ValueType.INT16) for n in range(22)]
    assert len(make(tags, 240).requests) == 1


def test_twenty_items_are_the_most_even_in_a_long_pdu() -> None:
    tags = [Tag(f"t{n}", f"DB{n + 1}.DBB0", ValueType.UINT8) for n in range(41)]
    assert [len(ranges(request.body)) for request in make(tags, 960).requests] == [20, 20, 1]
    assert [len(ranges(request.body)) for request in make(tags, 240).requests] == [19, 19, 3]


def test_a_reply_may_be_exactly_as_long_as_the_pdu() -> None:
    """14 + (4 + 100) + (4 + 118) = 240, and one byte more is too much."""
    first = [Tag(f"a{n}", f"DB1.DBW{2 * n}", ValueType.INT16) for n in range(50)]
    second = [Tag(f"b{n}", f"DB2.DBW{2 * n}", ValueType.INT16) for n in range(59)]
    assert len(make([*first, *second]).requests) == 1
    assert len(make([*first, *second, Tag("more", "DB2.DBB118", ValueType.UINT8)]).requests) == 2
    alone = [Tag(f"c{n}", f"DB1.DBW{2 * n}", ValueType.INT16) for n in range(111)]
    assert [ranges(request.body) for request in make(alone).requests] == [[(1, 0, 222)]]


def test_before_a_connection_the_shortest_pdu_is_assumed() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBD{4 * n}", ValueType.FLOAT32) for n in range(200)]
    assert PLUGIN.plan(SETTINGS, tags, None, None).requests == make(tags, 240).requests
    assert len(make(tags, 960).requests) < len(make(tags, 240).requests)


@given(tags=tag_lists.filter(bool), limit=st.integers(0, 400))
def test_lessons_isolate_what_the_controller_does_not_have(tags: list[Tag], limit: int) -> None:
    """Data blocks of ``limit`` bytes: refused items are cut until only single bad values are refused."""
    learned: Learned = frozenset()
    for _ in range(12):
        items = [item for request in make(tags, 480, learned).requests for item in request.body.items]
        refused = [item for item in items if item.end > limit]
        cuts = lesson(refused)
        if not cuts:
            break
        assert not cuts <= learned, "a lesson that teaches nothing new would be repeated for ever"
        learned |= cuts
    else:
        raise AssertionError("not isolated after 12 rounds")
    blamed = {tag for item in refused for tag in item.tags}
    assert blamed == {n for n, tag in enumerate(tags) if locate(tag).end > limit}


def test_a_lesson_costs_the_neighbours_few_requests() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBW{2 * n}", ValueType.INT16) for n in range(100)]
    (item,) = make(tags).requests[0].body.items
    assert len(lesson([item])) == 7
    assert len(make(tags, 240, lesson([item])).requests) == 2
