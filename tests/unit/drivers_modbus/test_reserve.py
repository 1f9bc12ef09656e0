"""Counts for probes: a reply to one of them can belong to no poll."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import PLUGIN
from drivers.modbus.request import Read, resized
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Plan, Reserved
from edge_agent.model import Tag, ValueType

SETTINGS = ModbusSettings(link="tcp://127.0.0.1", station=9, max_gap=0)


def planned(*offsets: int, table: str = "hr", kind: ValueType = ValueType.UINT16) -> Plan:
    tags = [Tag(f"t{n}", f"{table}:{n}", kind) for n in offsets]
    return PLUGIN.plan(SETTINGS, tags, None, None)


def reserved(*plans: Plan) -> Reserved:
    assert PLUGIN.reserve is not None
    return PLUGIN.reserve(SETTINGS, plans)


def test_all_counts_that_no_poll_uses() -> None:
    fast, slow = planned(*range(10)), planned(20, 21, 22)
    found = reserved(fast, slow)
    assert found.request == fast.requests[0].body
    assert sorted(found.counts) == [1, 2, 4, 5, 6, 7, 8, 9]
    assert found.counts[-2:] == (1, 2), "a read by hand asks for one or two"


def test_a_count_that_splits_no_value_comes_first() -> None:
    plan = PLUGIN.plan(
        SETTINGS, [Tag("a", "hr:0", ValueType.INT64), Tag("b", "hr:4", ValueType.INT32)], None, None
    )
    assert reserved(plan).counts == (4, 3, 5, 1, 2)


def test_registers_before_bits_and_the_function_counts() -> None:
    coils, inputs = planned(*range(100), table="co", kind=ValueType.BOOL), planned(0, 1, 2, table="ir")
    found = reserved(coils, planned(7, 8), inputs)
    assert found.request.function == 4 and set(found.counts) == {1, 2}


def test_bits_are_told_apart_by_bytes() -> None:
    """A reply to 9 coils and one to 16 look alike."""
    found = reserved(planned(*range(20), table="co", kind=ValueType.BOOL))
    assert found.counts == (8, 16), "20 coils take 3 bytes; 17 to 20 would look the same"


def test_nothing_free() -> None:
    assert reserved(planned(0)) == Reserved((), planned(0).requests[0].body)
    assert reserved() == Reserved()


@given(st.lists(st.sets(st.integers(0, 40), min_size=1), min_size=1, max_size=3), st.booleans())
@settings(database=None, print_blob=True, max_examples=100, deadline=None)
def test_a_probe_looks_like_no_poll(groups: list[set[int]], bits: bool) -> None:
    table, kind = ("co", ValueType.BOOL) if bits else ("hr", ValueType.UINT16)
    plans = [planned(*sorted(group), table=table, kind=kind) for group in groups]
    polls = {(r.body.function, r.body.size) for plan in plans for r in plan.requests}
    found = reserved(*plans)
    probes = [resized(found.request, count) for count in found.counts]
    assert all((probe.function, probe.size) not in polls for probe in probes)
    assert len({probe.size for probe in probes}) == len(probes)
    for probe in probes:
        assert 1 <= probe.count <= found.request.count and probe.offset == found.request.offset


def test_a_resized_read_is_that_of_a_plan() -> None:
    long: Read = planned(*range(30)).requests[0].body
    short: Read = planned(*range(5)).requests[0].body
    made = resized(long, 5)
    assert made == Read(
        **{
            name: getattr(short, name)
            for name in ("station", "function", "offset", "count", "tail", "head", "pdu", "size", "whole")
        }
    )
    assert made.if_hole is None and made.if_too_many is None
