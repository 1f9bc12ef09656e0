"""What must hold for every plan, whatever the tags; and what a technician reads of it."""

from __future__ import annotations

import math
import random
import struct
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import PLUGIN
from drivers.modbus.address import parse
from drivers.modbus.cost import ETHERNET_BYTE_S, ETHERNET_RESPONSE_S
from drivers.modbus.endpoint import Limits
from drivers.modbus.kinds import KINDS, kind_name, registers_of
from drivers.modbus.plan import Learned, Read
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Plan
from edge_agent.model import Quality, Tag, ValueType

WORTH = round(ETHERNET_RESPONSE_S / ETHERNET_BYTE_S)  # bytes that cost as much as a request
TABLE_OF = {1: "co", 2: "di", 3: "hr", 4: "ir"}


def made(**keys: object) -> ModbusSettings:
    return ModbusSettings.model_validate({"link": "tcp://127.0.0.1", **keys})


def planned(tags: list[Tag], learned: Learned | None = None, **keys: object) -> Plan:
    return PLUGIN.plan(made(**keys), tags, None, learned)


def words(*addresses: str, kind: ValueType = ValueType.UINT16) -> list[Tag]:
    return [Tag(f"t{i}", address, kind) for i, address in enumerate(addresses)]


def texts(plan: Plan) -> list[str]:
    return [request.text for request in plan.requests]


def extent(tag: Tag) -> tuple[str, int, int]:
    """Table, first place, place after the last, worked out from the address."""
    address = parse(tag.address)
    size = 1 if address.table.is_bits else registers_of(kind_name(tag), tag.length)
    return address.table.prefix, address.offset, address.offset + size


@st.composite
def any_tag(draw: st.DrawFn, number: int, reach: int) -> Tag:
    table = draw(st.sampled_from(["hr", "ir", "co", "di"]))
    offset = draw(st.integers(0, reach))
    if table in ("co", "di"):
        return Tag(f"t{number}", f"{table}:{offset}", ValueType.BOOL)
    kind = draw(st.sampled_from(sorted(KINDS)))
    part = ""
    if kind == "bool":
        part = f".{draw(st.integers(0, 15))}"
    elif kind in ("int8", "uint8"):
        part = draw(st.sampled_from([".h", ".l"]))
    length = draw(st.integers(1, 8)) if kind == "string" else 1
    order = draw(st.sampled_from(["", "ABCD", "BADC", "CDAB", "DCBA"]))
    return Tag(
        f"t{number}", f"{table}:{offset}{part}", KINDS[kind].value, byte_order=order, wire=kind, length=length
    )


@st.composite
def many_tags(draw: st.DrawFn) -> list[Tag]:
    reach = draw(st.sampled_from([20, 300, 65532]))
    return [draw(any_tag(number, reach)) for number in range(draw(st.integers(1, 60)))]


@given(
    many_tags(),
    st.integers(4, 125),
    st.integers(1, 2000),
    st.none() | st.integers(0, 300),
    st.sets(st.tuples(st.integers(1, 4), st.integers(0, 300), st.integers(1, 40)), max_size=6),
)
@settings(database=None, print_blob=True, max_examples=150, deadline=None)
def test_every_plan(
    tags: list[Tag], registers: int, bits: int, max_gap: int | None, holes: set[tuple[int, int, int]]
) -> None:
    learned = Learned()
    for function, start, width in holes:
        learned |= Learned(frozenset({(function, start, start + width)}))
    plan = planned(tags, learned, max_registers=registers, max_bits=bits, max_gap=max_gap)
    served: list[int] = []
    for request in plan.requests:
        read: Read = request.body
        assert read.count <= (bits if read.function <= 2 else registers), f"over the limit: {request.text}"
        assert 0 <= read.offset and read.offset + read.count <= 0x10000
        for position in request.tags:
            table, start, end = extent(tags[position])
            assert table == TABLE_OF[read.function]
            assert read.offset <= start and end <= read.offset + read.count, f"split: {tags[position]}"
        served += request.tags
        assert list(request.tags) == sorted(request.tags)
    assert sorted(served) == list(range(len(tags))), "every tag in exactly one request"
    assert (
        plan.requests
        == planned(tags, learned, max_registers=registers, max_bits=bits, max_gap=max_gap).requests
    )
    _assert_gaps(plan, tags, max_gap)


def _assert_gaps(plan: Plan, tags: list[Tag], max_gap: int | None) -> None:
    for request in plan.requests:
        used = sorted({place for position in request.tags for place in range(*extent(tags[position])[1:])})
        assert used[0] == request.body.offset and used[-1] == request.body.offset + request.body.count - 1
        widest = max((after - before - 1 for before, after in pairwise(used)), default=0)
        dearest = 8 * WORTH + 14 if request.body.function <= 2 else WORTH // 2
        assert widest <= (dearest if max_gap is None else max_gap), request.text


@given(many_tags(), st.integers(0, 1 << 32))
@settings(database=None, print_blob=True, max_examples=200, deadline=None)
def test_replies_reach_their_tags(tags: list[Tag], seed: int) -> None:
    """Every register holds a number of its own, so a value from a neighbour is seen."""
    plan = planned(tags)
    image = list(array("H", random.Random(seed).randbytes(0x20000)))
    columns = plan.decode([_answer(request.body, image) for request in plan.requests])
    assert len(columns.values) == len(columns.quality) == len(tags)
    for tag, value, quality in zip(tags, columns.values, columns.quality, strict=True):
        expected = _held(tag, image)
        if expected is None or (isinstance(expected, float) and not math.isfinite(expected)):
            assert (value, quality) == (None, Quality.BAD_DECODE)
        else:
            assert (value, quality) == (expected, Quality.GOOD), tag
            assert type(value) is type(expected)


def _answer(read: Read, image: list[int]) -> bytes:
    values = image[read.offset : read.offset + read.count]
    if read.function > 2:
        return b"".join(value.to_bytes(2, "big") for value in values)
    packed = sum((value & 1) << index for index, value in enumerate(values))
    return packed.to_bytes((read.count + 7) // 8, "little")


def _held(tag: Tag, image: list[int]) -> object:
    table, start, end = extent(tag)
    if table in ("co", "di"):
        return bool(image[start] & 1)
    kind, order, part = kind_name(tag), tag.byte_order or "ABCD", tag.address.partition(".")[2]
    words = [value.to_bytes(2, "big") for value in image[start:end]]
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    if kind == "string":
        return _text(b"".join(words)[: tag.length])
    data = b"".join(words if order in ("ABCD", "BADC") else reversed(words))
    if kind == "bool":
        return bool(int.from_bytes(data, "big") >> int(part) & 1)
    if part:
        data = data[:1] if part == "h" else data[1:]
    if kind.startswith("float"):
        return struct.unpack({"float16": ">e", "float32": ">f", "float64": ">d"}[kind], data)[0]
    if kind.startswith("bcd"):
        return int(data.hex()) if data.hex().isdigit() else None
    return int.from_bytes(data, "big", signed=kind.startswith("int"))


def _text(data: bytes) -> str | None:
    try:
        return data.split(b"\0")[0].decode().rstrip(" ")
    except UnicodeDecodeError:
        return None


def test_text_and_cost() -> None:
    plan = planned([*words(*[f"hr:{n}" for n in range(125)]), Tag("c", "co:3", ValueType.BOOL)])
    assert texts(plan) == [
        "FC01 co:3 = 000004 (1 bit)",
        "FC03 hr:0..124 = 400001..400125 (125 registers)",
    ]
    assert plan.requests[1].cost_s == pytest.approx(0.004 + 125 * 0.00004)
    assert plan.requests[0].size_bytes == 12 + 10
    assert plan.requests[1].size_bytes == 12 + 9 + 250


def test_bytes_on_the_wire() -> None:
    (request,) = planned(words("hr:107", "hr:109"), station=17).requests
    assert request.body.tail.hex(" ") == "00 00 00 06 11 03 00 6b 00 03"
    assert request.body.head.hex(" ") == "00 00 00 09 11 03 06"
    assert request.body.pdu.hex(" ") == "03 00 6b 00 03"
    assert request.body.size == 6


def test_500_registers_are_four_requests() -> None:
    assert texts(planned(words(*[f"hr:{n}" for n in range(500)]))) == [
        "FC03 hr:0..124 = 400001..400125 (125 registers)",
        "FC03 hr:125..249 = 400126..400250 (125 registers)",
        "FC03 hr:250..374 = 400251..400375 (125 registers)",
        "FC03 hr:375..499 = 400376..400500 (125 registers)",
    ]


def test_a_gap_is_read_over_only_while_that_is_cheaper() -> None:
    near, far = WORTH // 2, WORTH // 2 + 1
    assert len(planned(words("hr:0", f"hr:{near + 1}")).requests) == 1
    assert len(planned(words("hr:0", f"hr:{far + 1}")).requests) == 2
    assert len(planned(words("hr:0", "hr:2"), max_gap=0).requests) == 2
    assert len(planned(words("hr:0", "hr:2"), max_gap=1).requests) == 1


def test_the_split_of_a_full_block_falls_into_a_gap() -> None:
    tags = words(*[f"hr:{n}" for n in range(60)], *[f"hr:{n}" for n in range(100, 160)])
    assert texts(planned(tags)) == [
        "FC03 hr:0..59 = 400001..400060 (60 registers)",
        "FC03 hr:100..159 = 400101..400160 (60 registers)",
    ]


def test_negotiated_limits_go_before_the_configured_ones() -> None:
    plan = PLUGIN.plan(made(), words(*[f"hr:{n}" for n in range(20)]), Limits(max_registers=10), None)
    assert [request.body.count for request in plan.requests] == [10, 10]


def test_too_many_at_once_halves_until_it_fits() -> None:
    tags = words(*[f"hr:{n}" for n in range(125)])
    learned = None
    for _ in range(10):
        plan = planned(tags, learned)
        too_many = [r.body for r in plan.requests if r.body.count > 20]
        if not too_many:
            break
        learned = too_many[0].if_too_many
    assert max(request.body.count for request in plan.requests) == 15
    single = planned(words("hr:0", kind=ValueType.FLOAT64)).requests[0].body
    assert single.if_too_many is None and single.if_hole is None


def test_one_failed_request_spoils_its_own_tags_only() -> None:
    plan = planned(words("hr:0", "hr:1000", "hr:1"))
    assert [request.tags for request in plan.requests] == [(0, 2), (1,)]
    columns = plan.decode([Quality.BAD_ADDRESS, b"\x00\x07"])
    assert columns.values == (None, 7, None)
    assert columns.quality == bytes([Quality.BAD_ADDRESS, Quality.GOOD, Quality.BAD_ADDRESS])


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_value_and_its_neighbours_are_untouched(broken: float) -> None:
    tags = [
        Tag("a", "hr:0", ValueType.FLOAT32),
        Tag("b", "hr:2", ValueType.FLOAT32),
        Tag("c", "hr:4", ValueType.UINT64),
        Tag("d", "hr:4.15", ValueType.BOOL),
    ]
    plan = planned(tags)
    columns = plan.decode([struct.pack(">ffQ", 1.5, broken, 2**64 - 1)])
    assert columns.values == (1.5, None, 2**64 - 1, True)
    assert columns.quality == bytes([0, Quality.BAD_DECODE, 0, 0])


def test_two_infinities_that_cancel_and_sums_that_overflow() -> None:
    tags = words("hr:0", "hr:4", kind=ValueType.FLOAT64)
    plan = planned(tags)
    assert plan.decode([struct.pack(">dd", math.inf, -math.inf)]).values == (None, None)
    huge = plan.decode([struct.pack(">dd", 1.7e308, 1.7e308)])
    assert huge.values == (1.7e308, 1.7e308)
    assert huge.quality == bytes(2)


def test_good_columns_share_one_quality_object() -> None:
    plan = planned(words("hr:0", "hr:1"))
    first, second = plan.decode([b"\0\1\0\2"]), plan.decode([b"\0\3\0\4"])
    assert first.quality is second.quality
