"""The comparison of all quiet windows at once must promise nothing that a comparison one by one would not."""

from __future__ import annotations

import math
import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.control.lanes import Column, Lanes
from edge_agent.model import Value, ValueType

RANGES = {
    ValueType.INT8: (-(1 << 7), (1 << 7) - 1),
    ValueType.UINT8: (0, (1 << 8) - 1),
    ValueType.INT16: (-(1 << 15), (1 << 15) - 1),
    ValueType.UINT16: (0, (1 << 16) - 1),
    ValueType.INT32: (-(1 << 31), (1 << 31) - 1),
    ValueType.UINT32: (0, (1 << 32) - 1),
    ValueType.INT64: (-(1 << 63), (1 << 63) - 1),
    ValueType.UINT64: (0, (1 << 64) - 1),
}
FLOATS = [ValueType.FLOAT32, ValueType.FLOAT64]
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, math.inf, -math.inf, 2**53, 2**53 + 1, -(2**53) - 1]),
)


def within(value: float | int, low: float | int, high: float | int) -> bool:
    return low <= value <= high


@given(
    st.lists(st.tuples(st.sampled_from([*RANGES, *FLOATS]), NUMBERS, NUMBERS, NUMBERS), min_size=1),
    st.booleans(),
)
@example([(ValueType.FLOAT64, 2**53 + 1, 0, 2**53)], False)  # as a float it would be 2**53
@example([(ValueType.FLOAT64, -0.0, 0.0, 1.0), (ValueType.FLOAT64, -0.0, -1.0, -0.0)], False)
@example([(ValueType.FLOAT64, math.nan, -math.inf, math.inf)], False)
@example([(ValueType.UINT16, 70_000, 0, 1e300), (ValueType.UINT16, 5, 0, 9)], False)
def test_true_means_that_every_value_is_within(
    rows: list[tuple[ValueType, float, float, float]], shuffled: bool
) -> None:
    rows = [row for row in rows if row[0].is_float or all(map(math.isfinite, row[2:]))]
    rows = [row for row in rows if not any(map(math.isnan, row[2:]))]
    if not rows:
        return
    order = list(range(len(rows)))
    if shuffled:
        random.Random(len(rows)).shuffle(order)
    columns = [Column(i, rows[i][0], *rows[i][2:]) for i in order]
    if Lanes(columns, len(rows)).hold(tuple(value for _, value, _, _ in rows)):
        assert all(within(*row[1:]) for row in rows)


@st.composite
def sound_column(draw: st.DrawFn) -> tuple[ValueType, float, float, float]:
    """A value that its type can hold and bounds in the order of things; near each other now and then."""
    type_ = draw(st.sampled_from([*RANGES, *FLOATS]))
    if type_.is_float:
        numbers = st.one_of(st.floats(-100, 100), st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, 1e15]))
        low, high = sorted(draw(st.tuples(numbers, numbers)))
        value = draw(numbers | st.sampled_from([low, high, math.nextafter(high, 1e300)]))
        return type_, value, low, high
    smallest, largest = RANGES[type_]
    low, high = sorted(draw(st.tuples(*[st.integers(smallest - 9, largest + 9)] * 2)))
    near = [min(largest, max(smallest, edge + step)) for edge in (low, high) for step in (-1, 0, 1)]
    return type_, draw(st.integers(smallest, largest) | st.sampled_from(near)), low, high


@given(st.lists(sound_column(), min_size=1, max_size=30))
def test_sound_values_are_judged_exactly(rows: list[tuple[ValueType, float, float, float]]) -> None:
    """No false alarm: each would cost a walk through all windows."""
    columns = [Column(i, row[0], *row[2:]) for i, row in enumerate(rows)]
    held = Lanes(columns, len(rows)).hold(tuple(value for _, value, _, _ in rows))
    assert held == all(within(*row[1:]) for row in rows)


@pytest.mark.parametrize("type_", [*RANGES, *FLOATS])
@pytest.mark.parametrize("step", [-1, 1])
def test_one_stray_value_among_many_is_noticed_wherever_it_is(type_: ValueType, step: int) -> None:
    """The neighbours stand at the ends of the type's range, where a carry would show."""
    smallest, largest = RANGES.get(type_, (-1e9, 1e9))
    low, high = 30, 60
    for place in range(9):
        for others in (smallest, largest):
            columns = [
                Column(i, type_, *((low, high) if i == place else (smallest, largest))) for i in range(9)
            ]
            lanes = Lanes(columns, 9)
            values: list[Value] = [others] * 9
            for value, inside in ((low, True), (high, True), (low + step, step > 0), (high + step, step < 0)):
                values[place] = float(value) if type_.is_float else value
                assert lanes.hold(tuple(values)) is inside


@pytest.mark.parametrize("stray", [None, "text", math.nan, -math.nan, math.inf, 10**400, -(10**400), 2.5j])
@pytest.mark.parametrize("type_", [ValueType.FLOAT64, ValueType.UINT16, ValueType.INT64])
def test_what_is_no_number_of_the_type_is_left_to_the_exact_path(stray: Value, type_: ValueType) -> None:
    lanes = Lanes([Column(0, type_, -1e308, 1e308), Column(1, type_, 0, 9)], 2)
    assert lanes.hold((5, 5))
    assert not lanes.hold((stray, 5))
    assert not lanes.hold((5, stray))


def test_every_bit_pattern_of_a_float_has_its_place() -> None:
    """Negative ones run the other way round in memory."""
    values = sorted({struct.unpack("<e", struct.pack("<H", bits))[0] for bits in range(1 << 16)} - {math.nan})
    values = [value for value in values if value == value and abs(value) != math.inf]
    rng = random.Random(7)
    for _ in range(300):
        low, high = sorted(rng.sample(values, 2))
        lanes = Lanes([Column(0, ValueType.FLOAT32, low, high)], 1)
        for value in [*rng.sample(values, 50), low, high, 0.0, -0.0]:
            assert lanes.hold((value,)) == (low <= value <= high), (low, value, high)


def test_columns_may_be_few_repeated_and_in_any_order() -> None:
    kind = ValueType.UINT16
    lanes = Lanes([Column(3, kind, 0, 5), Column(1, kind, 0, 9), Column(1, kind, 7, 99)], 4)
    assert lanes.hold(("x", 8, None, 5))
    assert not lanes.hold(("x", 6, None, 5)) and not lanes.hold(("x", 8, None, 6))
    assert Lanes([Column(2, kind, 0, 5)], 4).hold(("x", None, 5, None))
    crossed = Lanes([Column(1, kind, 0, 5), Column(0, kind, 10, 19)], 2)
    assert crossed.hold((12, 3)) and not crossed.hold((3, 12))


@pytest.mark.parametrize("type_", RANGES)
def test_bounds_of_whole_numbers_may_lie_between_them(type_: ValueType) -> None:
    lanes = Lanes([Column(0, type_, 2.5, 4.5)], 1)
    assert [value for value in range(8) if lanes.hold((value,))] == [3, 4]
