"""The planner: whatever the tags, both directions fit the PDU and every value is read whole."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.s7 import PLUGIN
from drivers.s7.address import locate
from drivers.s7.codec import Reply
from drivers.s7.consistent import sets_of
from drivers.s7.packing import Learned, lesson
from drivers.s7.plan import Body, Impossible, Limits
from drivers.s7.settings import S7Settings
from edge_agent.driver import Plan
from edge_agent.errors import Refused
from edge_agent.model import Quality, Tag, ValueType

from .plc import connected, settings_for
from .simulated import simulated

SETTINGS = S7Settings.model_validate({"link": "tcp://plc", "cpu_state": "0s"})
FORMS = {
    ValueType.BOOL: "X{}.5",
    ValueType.UINT8: "B{}",
    ValueType.INT16: "W{}",
    ValueType.FLOAT32: "D{}",
    ValueType.INT64: "L{}",
    ValueType.STRING: "B{}",
}
SPACES = ["DB1.DB", "DB2.DB", "DB3.DB", "M", "I", "Q"]


def byte_tag(prefix: str, start: int, kind: ValueType, length: int) -> Tag:
    form = FORMS[kind].format(start)
    return Tag("", prefix + form, kind, length=length if kind is ValueType.STRING else 1)


starts = st.one_of(st.integers(0, 300), st.integers(0, 65_000))
byte_tags = st.builds(
    byte_tag, st.sampled_from(SPACES), starts, st.sampled_from(list(FORMS)), st.integers(1, 220)
)
numbered_tags = st.builds(
    lambda timer, number: (
        Tag("", f"T{number}", ValueType.UINT32) if timer else Tag("", f"C{number}", ValueType.UINT16)
    ),
    st.booleans(),
    st.integers(0, 400),
)
tag_lists = st.lists(st.one_of(byte_tags, byte_tags, byte_tags, numbered_tags), max_size=120).map(
    lambda found: [replace(tag, name=f"t{n}") for n, tag in enumerate(found)]
)
pdus = st.sampled_from([240, 480, 960])


def make(tags: Sequence[Tag], pdu: int = 240, learned: Learned | None = None, **keys: object) -> Plan:
    settings = S7Settings.model_validate({"link": "tcp://plc", "cpu_state": "0s", **keys})
    return PLUGIN.plan(settings, tags, Limits(pdu), learned)


AREAS = {0x84: "DB", 0x83: "M", 0x81: "I", 0x82: "Q", 0x1C: "C", 0x1D: "T"}


def ranges(body: Body) -> list[tuple[str, int, int, int]]:
    """(area, db, start, length) as they stand in the request's bytes; timers and counters as two bytes."""
    found = []
    for number in range(body.pdu[11]):
        spec = body.pdu[12 + 12 * number :][:12]
        assert spec[:3] == b"\x12\x0a\x10"
        kind, count, db, where = struct.unpack(">BHHI", spec[3:])
        area = where >> 24
        if area in (0x1C, 0x1D):
            assert (kind, db) == (area, 0)
            found.append((AREAS[area], 0, 2 * (where & 0xFFFFFF), 2 * count))
        else:
            assert (kind, where & 7) == (2, 0), "not whole bytes"
            found.append((AREAS[area], db, (where & 0xFFFFFF) >> 3, count))
    return found


def reply_bytes(lengths: Sequence[int]) -> int:
    """Header 12, function and count 2, then per item 4 and the data, padded to even except the last."""
    total = 14
    for number, length in enumerate(lengths):
        total += 4 + length
        if length % 2 and number + 1 < len(lengths):
            total += 1
    return total


@given(tags=tag_lists, pdu=pdus, most=st.integers(1, 20))
def test_request_and_reply_fit_and_every_value_is_in_one_item(tags: list[Tag], pdu: int, most: int) -> None:
    plan = make(tags, pdu, max_items=most)
    served: list[int] = []
    for request in plan.requests:
        asked = ranges(request.body)
        assert 1 <= len(asked) <= most
        assert len(request.body.pdu) <= pdu
        assert request.body.pdu[6:10] == struct.pack(">HH", len(request.body.pdu) - 10, 0)
        reply = reply_bytes([length for *_, length in asked])
        assert reply <= pdu
        assert request.size_bytes == len(request.body.pdu) + reply + 14
        assert request.body.items and len(request.body.items) == len(asked)
        for tag in request.tags:
            place = locate(tags[tag])
            whole = [
                1
                for area, db, start, length in asked
                if (area, db) == (place.area, place.db)
                and start <= place.start
                and place.end <= start + length
            ]
            assert whole, f"{tags[tag].address} is in no item of its request"
        served.extend(tag for item in request.body.items for tag in item.tags)
    assert sorted(served) == list(range(len(tags))), "a tag is in no item, or in two"


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
            replies.append(Reply(tuple(memory(*asked) for asked in ranges(request.body))))
    columns = plan.decode(replies)
    for position, tag in enumerate(tags):
        if position in failed:
            assert (columns.values[position], columns.quality[position]) == (None, Quality.BAD_COMM)
        else:
            value = held(tag)
            assert columns.values[position] == value, tag.address
            assert columns.quality[position] == (Quality.BAD_DECODE if value is None else Quality.GOOD)


def memory(area: str, db: int, start: int, length: int) -> bytes:
    """No byte is 0x7F or 0xFF, so that no float is a NaN."""
    salt = db * 71 + ord(area[0])
    return bytes((salt + at * 37 + (at >> 8) * 11) % 125 for at in range(start, start + length))


def held(tag: Tag) -> object:
    """What the tag's bytes in ``memory`` mean; None: nothing."""
    place = locate(tag)
    data = memory(place.area, place.db, place.start, place.length)
    if place.area in ("T", "C"):
        word = data.hex()
        if not word[1:].isdecimal():
            return None
        return (
            int(word[1:]) * (10, 100, 1000, 10_000)[data[0] >> 4 & 3] if place.area == "T" else int(word[1:])
        )
    if tag.type is ValueType.STRING:
        whole = data[1] <= data[0] and data[1] <= tag.length
        return data[2 : 2 + data[1]].decode("gbk") if whole else None
    (value,) = struct.unpack(">" + place.code, data)
    return value if place.bit is None else bool(value >> place.bit & 1)


@given(tags=tag_lists, pdu=pdus, most=st.integers(1, 20), data=st.data())
def test_a_consistent_set_is_in_one_request_or_refused(
    tags: list[Tag], pdu: int, most: int, data: st.DataObject
) -> None:
    names = [tag.name for tag in tags]
    sets = data.draw(
        st.lists(st.lists(st.sampled_from(names), max_size=8), max_size=4) if names else st.just([])
    )
    plan = make(tags, pdu, max_items=most, consistent=sets)
    where: dict[str, int] = {}
    for number, request in enumerate(plan.requests):
        for tag in request.tags:
            assert where.setdefault(tags[tag].name, number) == number
        if isinstance(request.body, Body):
            assert len(request.body.pdu) <= pdu
            assert request.body.pdu[11] <= most
            assert reply_bytes([length for *_, length in ranges(request.body)]) <= pdu
    assert set(where) == set(names)
    for together in sets:
        assert len({where[name] for name in together}) <= 1


def test_sets_that_share_a_tag_are_one_and_an_array_is_named_as_a_whole() -> None:
    tags = [Tag(name, f"DB{n + 1}.DBW0", ValueType.INT16) for n, name in enumerate("abcde")]
    tags += [Tag(f"z[{n}]", f"DB{n + 6}.DBW0", ValueType.INT16) for n in range(3)]
    assert sets_of([["a", "b"], ["c", "d"], ["b", "c"], ["e", "z"]], tags) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert sets_of([["a"], ["nobody"], []], tags) == []


async def test_what_no_request_can_carry_is_refused_with_the_reason() -> None:
    """A STRING[254] needs 274 bytes of PDU. Its neighbours are read; nobody reads it in pieces."""
    tags = [
        Tag("long_text", "DB3.DBB0", ValueType.STRING, length=110),
        Tag("whole_text", "DB3.DBB0", ValueType.STRING, length=254),
        Tag("far", "DB2.DBB8", ValueType.UINT8),
    ]
    async with simulated(pdu=240) as server:
        server.areas.blocks[3] = bytearray(b"\xfe\x02ok" + bytes(252))
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, tags, limits, None)
            (impossible,) = [request for request in plan.requests if isinstance(request.body, Impossible)]
            with pytest.raises(Refused, match=r"whole_text: needs a PDU of 274 bytes.*240 bytes") as caught:
                await link.exchange(impossible)
            replies = [
                Quality.BAD_CONFIG if request is impossible else await link.exchange(request)
                for request in plan.requests
            ]
    assert caught.value.reason == "permission"
    columns = plan.decode(replies)
    assert columns.values == ("ok", None, 8)
    assert columns.quality == bytes((Quality.GOOD, Quality.BAD_CONFIG, Quality.GOOD))
    assert len(make(tags, 480).requests) == 1


def test_a_text_declared_too_long_does_not_take_the_values_it_overlaps_with_it() -> None:
    """A table that says string where the block says STRING[20]: what lies behind is read all the same."""
    tags = [Tag("a", "DB3.DBW2", ValueType.INT16), Tag("long", "DB3.DBB4", ValueType.STRING, length=254)]
    tags += [Tag(f"t{n}", f"DB3.DBW{26 + 2 * n}", ValueType.INT16) for n in range(100)]
    bodies = {request.body.__class__: request.tags for request in make(tags).requests}
    assert bodies[Impossible] == (1,)
    read_tags = [tag for r in make(tags).requests if isinstance(r.body, Body) for tag in r.tags]
    assert sorted(read_tags) == [0, *range(2, 102)]


def test_a_plan_follows_the_limits_of_each_connection() -> None:
    tags = [Tag(f"t{n}", f"DB{n % 30 + 1}.DBD{1000 * n}", ValueType.FLOAT32) for n in range(60)]
    sizes = [[len(ranges(r.body)) for r in make(tags, pdu).requests] for pdu in (240, 480, 960)]
    assert sizes == [[19, 19, 19, 3], [20, 20, 20], [20, 20, 20]]
    assert [len(ranges(r.body)) for r in make(tags, 960, max_items=7).requests] == [7] * 8 + [4]


def test_timers_are_read_by_number_in_one_item() -> None:
    tags = [Tag(f"t{n}", f"T{n}", ValueType.UINT32) for n in (5, 6, 7, 40)]
    (request,) = make(tags).requests
    assert ranges(request.body) == [("T", 0, 10, 6), ("T", 0, 80, 2)]
    assert "T5..7" in request.text


def test_neighbours_become_one_item_and_distant_tags_do_not() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBW{2 * n}", ValueType.INT16) for n in range(100)]
    assert [ranges(request.body) for request in make(tags).requests] == [[("DB", 1, 0, 200)]]
    far = [Tag("a", "DB1.DBW0", ValueType.INT16), Tag("b", "DB1.DBW1000", ValueType.INT16)]
    assert [ranges(request.body) for request in make(far).requests] == [[("DB", 1, 0, 2), ("DB", 1, 1000, 2)]]


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
    assert [ranges(request.body) for request in make(alone).requests] == [[("DB", 1, 0, 222)]]


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
