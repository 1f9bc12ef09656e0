"""Numbers, times and QNs."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import StorageError
from edge_agent.testing.destination import RecordingHost
from edge_agent.uplinks.hj212.mark import AHEAD_MS, Mark
from edge_agent.uplinks.hj212.moment import QuestionNumbers, qn_text, read_qn, read_stamp, stamp
from edge_agent.uplinks.hj212.number import DoesNotFit, Format


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("N5.2", 18.5, "18.50"),
        ("N5.2", 0.125, "0.12"),
        ("N5.2", 0.135, "0.14"),
        ("N5.2", 2.675, "2.68"),  # half even of the decimal a person reads, not of its binary neighbour
        ("N5.1", 0.25, "0.2"),
        ("N5.1", 0.35, "0.4"),
        ("N4", 2.5, "2"),
        ("N4", 3.5, "4"),
        ("N4", 9999.4, "9999"),
        ("N5.2", 99999.99, "99999.99"),
        ("N5.2", 1e-7, "0.00"),
        ("N5.2", -0.001, "0.00"),
        ("N5.2", -3.456, "-3.46"),
        ("N5.2", 0, "0.00"),
        ("N5.2", 1e3, "1000.00"),
        ("N13", 2**40, "1099511627776"),
        ("N4", True, "1"),
        ("N4", False, "0"),
        ("N5.2", 0.4099999964237213, "0.41"),
    ],
)
def test_written(form: str, value: float, text: str) -> None:
    assert Format.parse(form).write(value) == text


@pytest.mark.parametrize(
    ("form", "value"),
    [("N5.2", 100000), ("N5.2", 99999.995), ("N5.2", -100000), ("N4", 9999.5), ("N4", 1e308), ("N13", 2**64)],
)
def test_what_does_not_fit_is_never_cut(form: str, value: float) -> None:
    with pytest.raises(DoesNotFit):
        Format.parse(form).write(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        Format.parse("N5.2").write(value)


@pytest.mark.parametrize("text", ["", "5.2", "N", "N0", "N5.", "N5.22", "n5.2", "N5,2", "N123", "N５", "C4"])
def test_no_format(text: str) -> None:
    with pytest.raises(ValueError, match="format"):
        Format.parse(text)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 13), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_one_rounding_no_exponent(value: float, digits: int, decimals: int) -> None:
    form = Format(digits, decimals)
    try:
        text = form.write(value)
    except DoesNotFit:
        assert abs(Decimal(repr(value))) >= Decimal(10) ** digits - Decimal("0.5").scaleb(-decimals)
        return
    assert set(text) <= set("0123456789.-")
    whole, _, behind = text.lstrip("-").partition(".")
    assert len(whole) <= digits
    assert len(behind) == decimals
    assert Decimal(text) == Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def test_beijing_is_a_fixed_offset_also_in_its_summers_of_dst() -> None:
    assert stamp(0) == "19700101080000"
    assert stamp(583_200_000 * 10**9) == "19880625080000"  # with the DST of 1988 it would be nine
    assert read_stamp("20260101080000") == 1_767_225_600 * 10**9
    assert stamp(1_767_225_600_999_999_999) == "20260101080000"
    assert qn_text(1_767_225_600_123) == "20260101080000123"


@given(st.integers(0, 253_402_271_999_999))
@settings(max_examples=100, deadline=None)
def test_qn_round_trip(ms: int) -> None:
    assert read_qn(qn_text(ms)) == ms


@pytest.mark.parametrize(
    "text", ["", "2026", "20260230000000", "2026010108000x", "２０２６０１０１０８００００", "00000000000000"]
)
def test_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        read_stamp(text)


def test_years_that_cannot_be_written() -> None:
    for ms in (-1, 253_402_272_000_000, 10**18):
        with pytest.raises(ValueError, match="years"):
            qn_text(ms)


def test_qns_rise_whatever_the_clock_does() -> None:
    times = iter([1_000, 1_000, 5_000, 2_000, 5_001, 5_010])
    numbers = QuestionNumbers(lambda: next(times) * 1_000_000)
    seen = [read_qn(numbers.next()) for _ in range(6)]
    assert seen == [1_000, 1_001, 5_000, 5_001, 5_002, 5_010]


async def test_qns_rise_over_a_crash() -> None:
    """Nothing was settled, and the clock was set back meanwhile."""
    agent = RecordingHost()
    first = QuestionNumbers(lambda: 9_000 * 10**6, await Mark(agent).load())
    mark = Mark(agent)
    for _ in range(5):
        used = read_qn(first.next())
        await mark.cover(first.last_ms)
    second = QuestionNumbers(lambda: 8_000 * 10**6, await Mark(agent).load())
    assert read_qn(second.next()) > used


async def test_the_mark_is_written_once_in_a_while_and_exact_at_the_end() -> None:
    agent = RecordingHost()
    written: list[str] = []

    async def keep(name: str, text: str) -> None:
        written.append(text)
        agent.kept[name] = text

    agent.keep = keep  # type: ignore[method-assign]
    mark = Mark(agent)
    await mark.load()
    for ms in range(1_000, 1_000 + AHEAD_MS, 100):
        await mark.cover(ms)
    assert written == [str(1_000 + AHEAD_MS)]
    await mark.settle(ms)
    assert agent.kept["qn"] == str(ms), "the next connection does not run ahead of the clock"
    await mark.settle(ms)
    assert len(written) == 2


async def test_a_disk_that_takes_nothing_stops_no_delivery() -> None:
    agent = RecordingHost()
    tries: list[str] = []

    async def keep(name: str, text: str) -> None:
        tries.append(text)
        raise StorageError("full")

    agent.keep = keep  # type: ignore[method-assign]
    mark = Mark(agent)
    for ms in range(1_000, 1_000 + AHEAD_MS, 100):
        await mark.cover(ms)
    await mark.settle(2_000)
    assert 2 <= len(tries) <= 8, "tried again, but not for every packet"


@pytest.mark.parametrize("damage", ["", "abc", "-5", "١٢٣", "9" * 40, "1.5"])
async def test_a_damaged_mark_counts_as_none(damage: str) -> None:
    agent = RecordingHost()
    agent.kept["qn"] = damage
    assert await Mark(agent).load() == 0
