"""Engineering -> raw is the exact inverse of raw -> engineering, or a refusal."""

from __future__ import annotations

import math
import random
import struct

import pytest

from edge_agent.control.guard import Reason, Unmappable, to_raw
from edge_agent.control.guard.raw import half_step, meaning, same, steps, towards, within
from edge_agent.model import Scaling, Tag, ValueType, engineering

INTEGERS = [kind for kind in ValueType if kind.is_numeric and not kind.is_float]
SCALINGS = [None, Scaling(0.1), Scaling(0.1, -40.0), Scaling(-0.5, 3.3), Scaling(1e-6), Scaling(1 / 3, 7.0)]


def tag_of(kind: ValueType, scaling: Scaling | None = None, **more: object) -> Tag:
    return Tag("t", "a", kind, scaling=scaling, **more)  # type: ignore[arg-type]


def range_of(kind: ValueType) -> tuple[int, int]:
    bits = int(kind.value.lstrip("uint"))
    return (0, 2**bits - 1) if kind.value.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", INTEGERS)
def test_every_raw_integer_comes_back(kind: ValueType, scaling: Scaling | None) -> None:
    seed = 41
    print(f"seed {seed}")
    draw = random.Random(seed)
    low, high = range_of(kind)
    tag = tag_of(kind, scaling)
    near = [low, low + 1, -1, 0, 1, high - 1, high, *(draw.randint(low, high) for _ in range(300))]
    for raw in (value for value in near if low <= value <= high):
        value = engineering(raw, scaling)
        assert isinstance(value, (int, float))
        if scaling is not None and abs(raw) > 2**51:  # a float stands for many counts there
            found = None
            try:
                found = to_raw(value, tag)
            except Unmappable as error:
                assert error.reason is Reason.TYPE_RANGE
            assert found is None or abs(engineering(found, scaling) - value) <= half_step(found, tag)  # type: ignore[operator]
        else:
            assert to_raw(value, tag) == raw


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", [ValueType.FLOAT32, ValueType.FLOAT64])
def test_every_raw_float_comes_back_to_its_last_digit(kind: ValueType, scaling: Scaling | None) -> None:
    seed = 42
    print(f"seed {seed}")
    draw = random.Random(seed)
    tag = tag_of(kind, scaling)
    for _ in range(500):
        raw = draw.uniform(-1, 1) * 10.0 ** draw.randint(-6, 9)
        if kind is ValueType.FLOAT32:
            raw = struct.unpack(">f", struct.pack(">f", raw))[0]
        value = engineering(raw, scaling)
        found = to_raw(value, tag)
        assert isinstance(found, float) and isinstance(value, float)
        back = engineering(found, scaling)
        assert isinstance(back, float)
        assert math.isclose(back, value, rel_tol=1e-6 if kind is ValueType.FLOAT32 else 1e-14, abs_tol=1e-9)
        if scaling is None:
            assert found == raw


def test_rounding_goes_to_the_nearest_count() -> None:
    tag = tag_of(ValueType.INT16, Scaling(0.1))
    assert [to_raw(value, tag) for value in (45.0, 45.04, 45.06, -0.04)] == [450, 450, 451, 0]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (ValueType.BOOL, 1, Reason.TYPE),
        (ValueType.BOOL, "true", Reason.TYPE),
        (ValueType.INT16, True, Reason.TYPE),
        (ValueType.STRING, "x", Reason.TYPE),
        (ValueType.FLOAT32, None, Reason.TYPE),
        (ValueType.FLOAT64, math.nan, Reason.NOT_A_NUMBER),
        (ValueType.INT32, math.inf, Reason.NOT_A_NUMBER),
        (ValueType.UINT8, -1, Reason.TYPE_RANGE),
        (ValueType.UINT8, 256, Reason.TYPE_RANGE),
        (ValueType.UINT8, 255.6, Reason.TYPE_RANGE),
        (ValueType.INT64, 2**63, Reason.TYPE_RANGE),
        (ValueType.FLOAT32, 3.5e38, Reason.TYPE_RANGE),
        (ValueType.FLOAT64, 10**400, Reason.TYPE_RANGE),
    ],
)
def test_what_does_not_fit_is_refused(kind: ValueType, value: object, reason: Reason) -> None:
    with pytest.raises(Unmappable) as caught:
        to_raw(value, tag_of(kind))
    assert caught.value.reason is reason


def test_a_number_that_means_no_value_is_not_written() -> None:
    with pytest.raises(Unmappable):
        to_raw(-3276.8, tag_of(ValueType.INT16, Scaling(0.1), no_value=(-32768,)))


def test_the_envelope_is_judged_in_decimals() -> None:
    tag = tag_of(ValueType.INT16, Scaling(0.1))
    assert 3 * 0.1 > 0.3 and within(3, tag, 0.0, 0.3), "0.3 is inside an envelope up to 0.3"
    assert not within(4, tag, 0.0, 0.35)
    single = tag_of(ValueType.FLOAT32)
    assert within(to_raw(0.1, single), single, 0.0, 0.1)
    assert not within(0.1000001, single, 0.0, 0.1)
    assert meaning(True, tag) is None


def test_steps_lead_to_the_target() -> None:
    seed = 43
    print(f"seed {seed}")
    draw = random.Random(seed)
    for kind in (ValueType.INT16, ValueType.FLOAT32, ValueType.FLOAT64):
        for scaling in (None, Scaling(0.1), Scaling(-0.5, 3.0)):
            tag = tag_of(kind, scaling)
            for _ in range(40):
                step = draw.choice([0.5, 1.0, 2.5, 7.0])
                step = max(step, 1.0) if scaling is None else step
                raw, target = (to_raw(float(draw.randint(-200, 200)), tag) for _ in range(2))
                left = steps(raw, target, tag, step)
                for _ in range(left):
                    following = to_raw(engineering(towards(raw, target, tag, step), scaling), tag)
                    one, two = meaning(raw, tag), meaning(following, tag)
                    assert one is not None and two is not None
                    assert abs(one - two) <= step + 1e-4
                    raw = following
                assert same(raw, target, tag)
