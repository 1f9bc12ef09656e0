"""Figures of readings around an alarm, against values worked out by hand; series and what they leave out."""

from __future__ import annotations

import json
import random

import pytest

from edge_agent.config.model import Limit, LimitKind, TagRef, Window
from edge_agent.control.evidence import Account, Band, Excerpt, Statement, band_of
from edge_agent.model import Quality, Value
from tests.plant.seeds import fresh_seed

S = 1_000_000_000
T0 = 1_767_225_600 * S
MONO = 77 * S


def said(
    at_s: float, value: Value, quality: Quality = Quality.GOOD, *, mono_s: float | None = None
) -> Statement:
    usable = value if quality < 0x80 else None
    mono_ns = MONO + round((at_s if mono_s is None else mono_s) * S)
    return Statement(T0 + round(at_s * S), mono_ns, usable, usable, quality)


def account(statements: list[Statement], seconds: float, band: Band, hold_s: float | None = 3.0) -> Account:
    found = Account(T0, T0 + round(seconds * S), band, None if hold_s is None else round(hold_s * S))
    for one in statements:
        found.put(one)
    found.close()
    return found


def test_figures_of_a_short_excursion_worked_out_by_hand() -> None:
    """10 s at 1 Hz against 0.3..0.5: three seconds at 0.6, one at 0.2."""
    values = [0.4, 0.4, 0.6, 0.6, 0.6, 0.4, 0.2, 0.4, 0.4, 0.4]
    figures = account([said(i, v) for i, v in enumerate(values)], 10, Band(0.3, 0.5)).figures()
    assert figures["n"] == 10
    assert (figures["min"], figures["max"], figures["first"], figures["last"]) == (0.2, 0.6, 0.4, 0.4)
    assert figures["mean"] == pytest.approx(0.44)
    assert figures["outside_s"] == 4.0
    assert figures["area"] == pytest.approx(3 * 0.1 + 0.1)
    assert figures["share"] == {"good": 1.0, "uncertain": 0.0, "bad": 0.0, "absent": 0.0}
    assert (figures["span_s"], figures["low"], figures["high"]) == (10.0, 0.3, 0.5)


def test_a_mean_is_weighted_by_time() -> None:
    figures = account([said(0, 10.0), said(9, 20.0)], 10, Band(), 60).figures()
    assert figures["mean"] == pytest.approx(11.0)
    assert figures["outside_s"] is None and figures["area"] is None, "nothing to compare with"


def test_what_is_not_known_is_not_good_and_counts_nowhere_else() -> None:
    statements = [
        said(0, 1.0),
        said(2, None, Quality.BAD_COMM),
        said(4, 5.0, Quality.UNCERTAIN),
        said(6, 3.0),  # holds for 3 s, then nothing is known until 14 s
        said(14, 1.0),
    ]
    found = account(statements, 16, Band(high=2.0))
    figures = found.figures()
    assert figures["share"] == pytest.approx(
        {"good": 7 / 16, "uncertain": 2 / 16, "bad": 2 / 16, "absent": 5 / 16}
    )
    assert (figures["min"], figures["max"]) == (1.0, 3.0), "an uncertain value is no extreme"
    assert figures["mean"] == pytest.approx((2 * 1 + 3 * 3 + 2 * 1) / 7)
    assert figures["outside_s"] == 3.0 and figures["area"] == pytest.approx(3.0)
    assert dict(found.counts) == {"good": 3, "bad_comm": 1, "uncertain": 1}
    assert found.gaps == [(T0 + 9 * S, T0 + 14 * S)]


def test_a_reading_before_the_span_holds_at_its_begin() -> None:
    found = account([said(-2, 9.0), said(4, 1.0)], 5, Band(high=5.0))
    figures = found.figures()
    assert figures["outside_s"] == 1.0, "from 0 to 1: then it was three seconds old"
    assert figures["n"] == 1 and figures["first"] == 1.0
    assert found.gaps == [(T0 + 1 * S, T0 + 4 * S)]


def test_a_source_that_reports_changes_holds_until_it_speaks() -> None:
    figures = account([said(0, 9.0), said(8, 1.0)], 10, Band(high=5.0), hold_s=None).figures()
    assert figures["outside_s"] == 8.0 and figures["share"]["absent"] == 0.0
    found = Account(T0, T0 + 10 * S, Band(high=5.0), 3 * S)
    found.put(said(0, 9.0))
    found.still(T0 + 2 * S, MONO + 2 * S)
    found.still(T0 + 4 * S, MONO + 4 * S)
    found.close()
    assert found.figures()["outside_s"] == 7.0


def test_nothing_was_read() -> None:
    found = account([], 60, Band(0.0, 1.0))
    figures = found.figures()
    assert figures["n"] == 0 and figures["mean"] is None and figures["outside_s"] is None
    assert figures["share"]["absent"] == 1.0 and found.gaps == [(T0, T0 + 60 * S)]


def test_a_step_of_the_wall_clock_makes_no_time() -> None:
    statements = [said(0, 9.0), said(1, 9.0), said(5, 9.0, mono_s=2), said(6, 9.0, mono_s=3)]
    figures = account(statements, 7, Band(high=5.0), hold_s=None).figures()
    assert figures["outside_s"] == 4.0 and figures["span_s"] == 4.0


def test_limits_that_follow_a_target() -> None:
    band = Band(below=5.0, above=5.0)
    found = Account(T0, T0 + 10 * S, band, 60 * S)
    found.put(said(0, 210.0))
    found.follow(said(0, 200.0))  # 195..205
    found.follow(said(4, 208.0))  # 203..213
    found.follow(said(8, None, Quality.BAD_COMM))
    found.close()
    figures = found.figures()
    assert figures["outside_s"] == 4.0 and figures["area"] == pytest.approx(20.0)
    assert (figures["low"], figures["high"]) == (None, None), "the target is not known any more"


def test_a_value_on_the_limit_is_inside_however_it_was_rounded() -> None:
    for value in (0.3, 3 * 0.1, 0.30000001192092896):
        assert Band(high=0.3).excess(value, value, None) == 0.0
    assert Band(high=0.3).excess(0.3001, 0.3001, None) == pytest.approx(1e-4)
    assert Band(low=-0.3).excess(-0.30000000000000004, None, None) == 0.0


def test_discrete_values() -> None:
    band = Band(allowed=(1, 2))
    figures = account([said(0, 1), said(1, 3), said(3, 2)], 4, band).figures()
    assert figures["outside_s"] == 2.0 and figures["area"] is None
    assert Band(allowed=(True,)).excess(True, 1, None) == 1.0, "1 is not true"
    text = account([said(0, "run"), said(2, "stop")], 4, Band(allowed=("run",))).figures()
    assert (text["first"], text["last"], text["outside_s"], text["mean"]) == ("run", "stop", 2.0, None)


def test_the_band_of_an_alarm() -> None:
    window = Window(
        "w", TagRef("d", "t"), low=1.0, high=9.0,
        further=(Limit(LimitKind.HIHI, 12.0), Limit(LimitKind.RISE, 1.0)),
    )  # fmt: skip
    assert band_of(window, "hihi") == Band(high=12.0)
    assert band_of(window, "high") == Band(high=9.0)
    assert band_of(window, "low") == Band(low=1.0)
    assert band_of(window, "rise") == band_of(window, "bad_input") == Band(1.0, 9.0)
    following = Window("w", TagRef("d", "t"), target=TagRef("d", "sp"), tolerance=5.0)
    assert band_of(following, "high") == Band(above=5.0)
    assert band_of(Window("w", TagRef("d", "t"), target=200.0, tolerance=5.0), "low") == Band(low=195.0)
    assert band_of(Window("w", TagRef("d", "t"), allowed=(1, 2)), "state") == Band(allowed=(1, 2))


@pytest.mark.parametrize("seed", [1, 2, 3, fresh_seed() % 10**9])
def test_shares_are_the_whole_and_figures_agree_with_a_slow_sum(seed: int) -> None:
    """Every millisecond looked at by itself."""
    chance = random.Random(seed)
    at, statements = -500, []
    while at < 9000:
        quality = chance.choice([Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN, Quality.BAD])
        statements.append(said(at / 1000, chance.uniform(0, 10), quality))
        at += chance.choice([1, 7, 100, 900, 2500])
    figures = account(statements, 9, Band(3.0, 7.0), hold_s=1.5).figures()
    spent = dict.fromkeys(("good", "uncertain", "bad", "absent"), 0)
    outside = area = weighted = 0.0
    for ms in range(9000):
        now_ns = T0 + ms * 1_000_000
        held = next((s for s in reversed(statements) if s.time_ns <= now_ns), None)
        if held is None or now_ns - held.time_ns >= 1_500_000_000:
            spent["absent"] += 1
            continue
        kind = "good" if held.quality < 0x40 else "uncertain" if held.quality < 0x80 else "bad"
        spent[kind] += 1
        if kind == "good" and isinstance(held.value, float):
            beyond = max(held.value - 7.0, 3.0 - held.value, 0.0)
            outside, area, weighted = outside + (beyond > 0), area + beyond, weighted + held.value
    assert figures["share"] == pytest.approx({k: v / 9000 for k, v in spent.items()}), f"seed {seed}"
    assert figures["outside_s"] == pytest.approx(outside / 1000), f"seed {seed}"
    assert figures["area"] == pytest.approx(area / 1000), f"seed {seed}"
    assert figures["mean"] == pytest.approx(weighted / max(spent["good"], 1)), f"seed {seed}"


def test_a_series_is_whole_up_to_its_limit_and_says_what_it_leaves_out() -> None:
    excerpt = Excerpt(10)
    for number in range(10):
        excerpt.put(said(number, number))
    whole = excerpt.as_dict("bar", scaled=False)
    assert whole["v"] == list(range(10)) and "left_out" not in whole and "raw" not in whole
    assert whole["t_ns"] == T0 and whole["dt_ms"] == [1000 * n for n in range(10)] and whole["q"] == ""
    for number in range(10, 100):
        excerpt.put(said(number, None, Quality.BAD_COMM) if number == 99 else said(number, number))
    cut = excerpt.as_dict("bar", scaled=True)
    assert cut["v"] == [*range(5), *range(95, 99), None]
    assert cut["q"] == "00" * 9 + "81"
    assert cut["left_out"] == {"from_ns": T0 + 5 * S, "to_ns": T0 + 94 * S, "readings": 90}
    assert len(cut["raw"]) == 10


def test_the_largest_record_fits_a_message() -> None:
    chance = random.Random(1)
    excerpts = [Excerpt() for _ in range(2)]
    for excerpt in excerpts:
        for number in range(3000):
            excerpt.put(said(number * 0.3, chance.uniform(-1e3, 1e3), Quality.UNCERTAIN))
    series = {str(n): e.as_dict("bar", scaled=True) for n, e in enumerate(excerpts)}
    assert len(json.dumps(series, separators=(",", ":"))) < 256_000
