"""The compiled check and the exact path must agree on every raw value, above all near the limits."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge_agent.control.limits import edges, raw_bounds
from edge_agent.model import Scaling, Schema, Tag, ValueType, engineering
from tests.unit.control.line import Line, window

LIMITS = st.decimals(-2000, 2000, places=2).map(float)
SCALES = st.sampled_from([0.1, 0.01, 0.001, 1.0, 2.0, -0.1, 0.30517578125, 1 / 3, 1e-6, -7.3, 1e9])
OFFSETS = st.sampled_from([0.0, -273.15, 100.0, 0.1, -0.7, 1e6])


@given(low=LIMITS, high=LIMITS, scale=SCALES, offset=OFFSETS, steps=st.integers(-6, 6), at_high=st.booleans())
@example(low=-1.0, high=0.3, scale=0.1, offset=0.0, steps=0, at_high=True)
def test_raw_bounds_promise_only_what_is_inside(
    low: float, high: float, scale: float, offset: float, steps: int, at_high: bool
) -> None:
    assume(low < high)
    scaling = Scaling(scale, offset)
    inside = edges(low, high, 0.0, ValueType.FLOAT64, scaling)
    bounds = raw_bounds(inside, ValueType.FLOAT64, scaling)
    assert bounds is not None
    raw = bounds[1] if at_high else bounds[0]
    for _ in range(abs(steps)):
        raw = math.nextafter(raw, math.inf if steps > 0 else -math.inf)
    value = engineering(raw, scaling)
    assert isinstance(value, float)
    if bounds[0] <= raw <= bounds[1]:
        assert inside.low <= value <= inside.high


@given(
    low=LIMITS,
    high=LIMITS,
    scaling=st.one_of(st.none(), st.builds(Scaling, SCALES, OFFSETS)),
    steps=st.integers(-3, 3),
    at_high=st.booleans(),
    kind=st.sampled_from([ValueType.INT64, ValueType.FLOAT64]),
)
def test_fast_and_exact_path_agree_at_the_limits(
    low: float, high: float, scaling: Scaling | None, steps: int, at_high: bool, kind: ValueType
) -> None:
    """The same value to two lines: one has just been quiet, the other looks at everything."""
    assume(low < high)
    s = scaling or Scaling()
    limit = high if at_high else low
    raw: float | int = (limit - s.offset) / s.scale
    if kind is ValueType.INT64:
        raw = round(raw) + steps
    else:
        for _ in range(abs(steps)):
            raw = math.nextafter(raw, math.inf if steps > 0 else -math.inf)
    middle = ((low + high) / 2 - s.offset) / s.scale
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", kind, scaling=scaling)])
    states = []
    for warmed_up in (True, False):
        line = Line(window(low=low, high=high, max_age_s=100), fast=schema)
        if warmed_up:
            line.values["fast"] = [round(middle) if kind is ValueType.INT64 else middle]
            line.batch(0)
            line.batch(1)
        line.values["fast"] = [raw]
        line.batch(2)
        states.append(line.state(2))
    assert states[0] == states[1]


@given(
    raw=st.integers(-32768, 32767), places=st.integers(0, 3), offset=st.decimals(-300, 300, places=2),
    above=st.integers(-2, 2),
)  # fmt: skip
def test_limits_mean_what_is_written(raw: int, places: int, offset: Decimal, above: int) -> None:
    """A limit ``above`` raw steps over the value: outside exactly when the decimal numbers say so."""
    scale = Decimal(1).scaleb(-places)
    limit = (raw + above) * scale + offset
    scaling = Scaling(float(scale), float(offset))
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", ValueType.INT16, scaling=scaling)])
    line = Line(window(high=float(limit)), fast=schema)
    line.values["fast"] = [raw]
    line.batch(0)
    assert line.state(0)[1] == (above < 0)


def test_no_promise_where_none_can_be_made() -> None:
    inside = edges(0.0, 1.0, 0.0, ValueType.INT16, None)
    assert raw_bounds(inside, ValueType.BOOL, None) is None
    assert raw_bounds(inside, ValueType.STRING, None) is None
    for scaling in (Scaling(0.0, 0.5), Scaling(math.nan, 0.0), Scaling(1.0, math.inf)):
        assert raw_bounds(inside, ValueType.INT16, scaling) is None


def test_infinity_is_beyond_an_open_side() -> None:
    inside = edges(0.0, None, 0.0, ValueType.FLOAT64, None)
    bounds = raw_bounds(inside, ValueType.FLOAT64, None)
    assert bounds is not None
    assert not bounds[0] <= math.inf <= bounds[1]
