"""Rollover, reset and replacement are three different recorded events; nothing implausible is counted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from edge_agent.accounting import CounterSpec, Multiplier, Replacement
from edge_agent.accounting.counter import Counter, Heard
from tests.unit.accounting.meter import SECOND, Meter, NaiveCounter, Read

START = 1_767_225_600 * SECOND
D = Decimal


def spec(**changes: Any) -> CounterSpec:
    given: dict[str, Any] = {"name": "d.energy", "unit": "kWh", "max_rate": D(1), "lag_s": D(0)} | changes
    return CounterSpec(**given)


class Line:
    """Reads a counter once a second, restarting it whenever asked."""

    def __init__(self, of: CounterSpec, restart_always: bool = False) -> None:
        self.counter = Counter(of)
        self.now_s = 0
        self.heard: list[Heard] = []
        self.restart_always = restart_always

    def read(self, *raws: float, after_s: int = 1) -> Line:
        for raw in raws:
            self.now_s += after_s
            if self.restart_always:
                self.restart()
            self.heard.append(self.counter.read(START + self.now_s * SECOND, self.now_s * SECOND, raw))
        return self

    def declare(self, at_s: int, old_final: str, new_start: str) -> Heard:
        replacement = Replacement(START + at_s * SECOND, D(old_final), D(new_start))
        self.heard.append(self.counter.declare(replacement, START + self.now_s * SECOND, self.now_s * SECOND))
        return self.heard[-1]

    def restart(self) -> None:
        saved = json.loads(json.dumps(self.counter.snapshot()))
        self.counter = Counter(self.counter.spec)
        self.counter.restore(saved)

    @property
    def kinds(self) -> list[str]:
        return [e.kind for h in self.heard for e in h.events]

    @property
    def total(self) -> Decimal:
        return self.counter.total


@pytest.fixture(params=[False, True], ids=["running", "restarted before each reading"])
def restarts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_counts_go_into_the_total_exactly(restarts: bool) -> None:
    line = Line(spec(scale=D("0.01")), restarts).read(2**63, 2**63 + 7, 2**63 + 107)
    assert line.total == D("1.07") and line.kinds == []
    line = Line(spec(step=D(0)), restarts).read(0.1, 0.2, 0.3)
    assert line.total == D("0.2")


def test_rollover_is_counted_and_told(restarts: bool) -> None:
    line = Line(spec(modulus=D(65536), max_rate=D(10)), restarts).read(65530, 65535, 3)
    assert line.total == 9 and line.kinds == ["counter_rollover"]
    (event,) = line.heard[-1].events
    assert event.detail["before"] == "65535" and event.detail["after"] == "3" and event.source == "d.energy"


def test_a_fall_that_no_rollover_explains_is_a_reset(restarts: bool) -> None:
    line = Line(spec(modulus=D(65536), max_rate=D(10)), restarts).read(1000, 1005, 2)
    assert line.total == 5 and line.kinds == ["counter_held"]  # one reading proves nothing
    line.read(4, 6)
    assert line.kinds == ["counter_held", "counter_reset"]
    assert line.total == 5 + 6 and [p.mark for h in line.heard for p in h.points].count("reset") == 1


def test_a_glitch_to_zero_changes_nothing(restarts: bool) -> None:
    line = Line(spec(), restarts).read(1000, 0, 0, 1001)
    assert line.total == 1 and line.kinds == ["counter_held", "counter_glitch"]


def test_a_glitch_upwards_changes_nothing(restarts: bool) -> None:
    line = Line(spec(), restarts).read(1000, 9999, 1002, 1003)
    assert line.total == 3 and line.kinds == ["counter_held", "counter_glitch"]


def test_an_implausible_jump_is_held_back_for_good(restarts: bool) -> None:
    line = Line(spec(), restarts).read(1000, 5000, 5001, 5002, 5003)
    assert line.total == 3 and line.kinds == ["counter_held", "counter_jump"]
    assert line.heard[3].events[0].detail["held_back"] == "4000"
    assert [p.total for h in line.heard for p in h.points] == [0, 0, 1, 2, 3]


def test_a_fall_to_neither_zero_nor_before_is_a_jump(restarts: bool) -> None:
    line = Line(spec(), restarts).read(1000, 500, 501, 502)
    assert line.total == 2 and line.kinds == ["counter_held", "counter_jump"]
    assert line.heard[-1].events[0].detail["held_back"] == "-500"


def test_a_meter_that_cannot_be_believed_counts_nothing(restarts: bool) -> None:
    line = Line(spec(), restarts).read(1000, 9000, 3, 7000, 55, 90_000, 400)
    assert line.total == 0 and line.kinds == ["counter_held"]
    assert line.counter.is_held


def test_noise_of_a_float_meter_is_no_reset(restarts: bool) -> None:
    line = Line(spec(noise=D("0.01")), restarts).read(100.5, 100.49, 100.5, 101.0)
    assert line.total == D("0.5") and line.kinds == []


def test_nameplate_is_inclusive_and_allows_for_a_lazy_meter(restarts: bool) -> None:
    assert Line(spec(step=D(0)), restarts).read(0, 1).total == 1
    assert Line(spec(step=D(0)), restarts).read(0, 1.001).kinds == ["counter_held"]
    assert Line(spec(), restarts).read(0, 2).total == 2  # one step of the register more
    lazy = Line(spec(lag_s=D(60)), restarts).read(*[0] * 50, 50)  # renewed once a minute
    assert lazy.total == 50 and lazy.kinds == []


def test_a_gap_is_valid_but_marked(restarts: bool) -> None:
    line = Line(spec(), restarts).read(0).read(3600, after_s=4 * 3600)
    assert line.total == 3600 and line.kinds == []
    assert line.heard[-1].points[0].gap_ns == 4 * 3600 * SECOND
    assert Line(spec(), restarts).read(0).read(30, after_s=60).heard[-1].points[0].gap_ns == 0


def test_a_replacement_declared_before_counts_both_parts(restarts: bool) -> None:
    line = Line(spec(max_rate=D(10), scale=D("0.1")), restarts).read(1000)
    assert line.declare(5, "100.4", "2.5").events == []
    line.read(1001).read(27, after_s=8)
    assert line.kinds == ["counter_replaced"]
    assert line.total == D("0.1") + D("0.3") + D("0.2")
    line.read(28)
    assert line.total == D("0.7")


def test_a_replacement_declared_too_early_waits_for_the_new_meter(restarts: bool) -> None:
    line = Line(spec(max_rate=D(10)), restarts).read(1000)
    line.declare(1, "1004", "0")
    line.read(1001, 1002, 1003, 1)
    assert line.kinds == ["counter_replaced"] and line.total == 3 + 1 + 1


def test_a_replacement_declared_while_held_back(restarts: bool) -> None:
    line = Line(spec(max_rate=D(2)), restarts).read(1000, 5, 6)
    assert line.counter.is_held
    line.declare(2, "1001", "4")
    assert line.total == 1 + 1 + 1 and line.kinds == ["counter_held", "counter_replaced"]
    assert not line.counter.is_held


@pytest.mark.parametrize("after", [50_000, 3])
def test_a_replacement_declared_late_is_an_amount_of_its_own(restarts: bool, after: int) -> None:
    line = Line(spec(max_rate=D(100)), restarts).read(1000, after, after + 1, after + 2)
    before = line.total
    heard = line.declare(2, "1007", str(after - 2))
    assert line.total == before  # nothing closed or open is edited
    counted = 3 if after == 3 else 0
    assert [(late.amount, late.reason) for late in heard.late] == [(7 + 2 - counted, "replaced")]
    assert line.declare(2, "1007", "1").events[0].kind == "counter_replacement_refused"


@pytest.mark.parametrize(("old_final", "new_start"), [("900", "0"), ("1e9", "0"), ("1001", "9999")])
def test_a_replacement_that_does_not_fit_is_refused(restarts: bool, old_final: str, new_start: str) -> None:
    line = Line(spec(), restarts).read(1000, 50_000, 50_001, 50_002)
    assert line.declare(2, old_final, new_start).events[0].kind == "counter_replacement_refused"
    assert line.total == 2
    early = Line(spec(), restarts).read(1000)
    early.declare(2, old_final, new_start)
    early.read(1000, 1001).read(1001, after_s=86_401)
    assert early.kinds == ["counter_replacement_refused"] and early.total == 1


def test_a_replacement_without_any_jump_is_refused() -> None:
    line = Line(spec()).read(1000, 1001)
    assert line.declare(1, "1001", "0").events[0].kind == "counter_replacement_refused"


def test_multipliers_are_versioned(restarts: bool) -> None:
    versions = (Multiplier(0, D(100)), Multiplier(START + 3 * SECOND, D(200)))
    line = Line(spec(multipliers=versions, max_rate=D(1000)), restarts).read(0, 1, 2, 3)
    assert line.total == 100 + 100 + 200
    assert line.kinds == ["counter_multiplier"] and line.heard[2].points[0].mark == "multiplier"


def test_uncertain_readings_are_counted_and_marked() -> None:
    counter = Counter(spec())
    counter.read(START, 0, 5)
    (point,) = counter.read(START + SECOND, SECOND, 6, uncertain=True).points
    assert point.total == 1 and point.mark == "uncertain"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": D(0)},
        {"max_rate": D(-1)},
        {"confirm": 1},
        {"modulus": D(0)},
        {"multipliers": (Multiplier(0, D(0)),)},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"d\.energy"):
        spec(**wrong)


def test_a_malformed_state_changes_nothing() -> None:
    line = Line(spec()).read(1, 2)
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        line.counter.restore({"total": "7", "base": ["x"]})
    assert line.total == 1


def play(
    readings: Sequence[Read], of: CounterSpec, rng: random.Random | None
) -> tuple[Counter, list[str], list[Any]]:
    counter, kinds, points = Counter(of), [], []
    for reading in readings:
        if rng is not None and rng.random() < 0.05:
            saved = json.loads(json.dumps(counter.snapshot()))
            counter = Counter(of)
            counter.restore(saved)
        heard = counter.read(reading.time_ns, reading.time_ns - START, reading.raw)
        kinds += [e.kind for e in heard.events]
        points += [(p.time_ns, p.total) for p in heard.points]
    return counter, kinds, points


@pytest.mark.parametrize("seed", range(20))
def test_counters_agree_with_the_naive_one(seed: int) -> None:
    """Rollovers, resets, jumps, glitches, gaps and restarts, 1500 readings each."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    modulus, rate = rng.choice([None, 65536, 10**6, 2**32]), rng.choice([1, 7, 40])
    confirm, lag_s = rng.choice([2, 3, 5]), rng.choice([0, 10])
    meter = Meter(rng, modulus, rate, register=rng.randrange(60_000))
    for _ in range(1500):
        meter.run(rng.choice([1, 1, 1, 1, 2, 5] + [600] * (rng.random() < 0.02)))
        odd = rng.random()
        if odd < 0.004:
            meter.register = rng.choice([0, 0, 3])
        elif odd < 0.006:
            meter.register = rng.randrange(60_000)
        meter.read()
        if 0.006 < odd < 0.02:
            meter.readings[-1] = Read(meter.time_ns, rng.choice([0, 65535, rng.randrange(10**6)]))
    given = spec(
        modulus=None if modulus is None else D(modulus), max_rate=D(rate), lag_s=D(lag_s), confirm=confirm
    )
    expected = NaiveCounter(modulus, rate, lag_s, confirm).account(meter.readings)
    for restarting in (None, random.Random(seed)):
        counter, kinds, points = play(meter.readings, given, restarting)
        assert kinds == expected.kinds
        assert counter.total == expected.counts.numerator and expected.counts.denominator == 1
        assert points == [(at, int(counts)) for at, counts in expected.points]
    assert "counter_reset" in kinds or "counter_jump" in kinds


@pytest.mark.parametrize("seed", range(10))
def test_what_went_through_a_truthful_meter_is_counted_to_the_last_count(seed: int) -> None:
    """Rollovers, declared replacements, gaps, glitches, restarts: the total is the truth."""
    print(f"seed {seed}")
    rng = random.Random(1000 + seed)
    meter = Meter(rng, 10_000, 3, register=rng.randrange(10_000))
    given = spec(modulus=D(10_000), max_rate=D(3), lag_s=D(0))
    counter, begun = Counter(given), None
    for step in range(1500):
        meter.run(rng.choice([1, 1, 2, 30, 600] if step % 50 == 0 else [1, 1, 2]))
        if rng.random() < 0.01:
            old = meter.register
            meter.swap(rng.randrange(5000))
            at = D(old), D(meter.register)
            counter.declare(Replacement(meter.time_ns, *at), meter.time_ns, meter.time_ns - START)
            meter.run(1)
        if rng.random() < 0.05:
            saved = json.loads(json.dumps(counter.snapshot()))
            counter = Counter(given)
            counter.restore(saved)
        glitch = step > 0 and rng.random() < 0.02
        far = (meter.register + 5000) % 10_000  # half way round: cannot be reached in time
        counter.read(meter.time_ns, meter.time_ns - START, far if glitch else meter.register)
        begun = meter.truth if begun is None else begun
    meter.run(1)
    counter.read(meter.time_ns, meter.time_ns - START, meter.register)
    assert counter.total == meter.truth - (begun or 0)


def test_the_last_reading_bounds_what_the_old_meter_may_have_shown() -> None:
    own = spec(scale=D("0.1"), noise=D(2), step=D(5), lag_s=D(4), multipliers=(Multiplier(0, D(10)),))
    line = Line(own)
    assert line.counter.old_final_range(START, START, 0) is None
    line.read(1000)
    now_s = 11
    now_ns, mono_ns = START + now_s * SECOND, now_s * SECOND
    # 1 kWh/s for ten seconds and the lag, five counts more; of it a tenth on the display
    assert line.counter.old_final_range(now_ns, now_ns, mono_ns) == (D("99.8"), D(100) + D("1.4") + D("0.5"))
    assert line.counter.old_final_range(now_ns + SECOND, now_ns, mono_ns) == (D("99.8"), D("102.0"))
    assert line.counter.old_final_range(START, now_ns, mono_ns) is None  # a later reading has been counted


def test_an_old_final_reading_within_the_noise_is_counted_as_none(restarts: bool) -> None:
    line = Line(spec(noise=D(2), max_rate=D(10)), restarts).read(1000)
    line.declare(2, "998", "5")
    line.read(7, after_s=2)
    assert line.kinds == ["counter_replaced"] and line.total == 2


def test_a_withdrawn_declaration_is_forgotten(restarts: bool) -> None:
    line = Line(spec(max_rate=D(10)), restarts).read(1000)
    line.declare(2, "1001", "5")
    assert [one.new_start for one in line.counter.withdraw()] == [5]
    assert line.counter.withdraw() == () and line.counter.declared == ()
    line.read(7, 8, 9, after_s=2)
    assert "counter_replaced" not in line.kinds
