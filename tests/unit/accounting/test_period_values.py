"""Every figure of every period against adding up every sample anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.period_values import Mean
from edge_agent.model import Level, Quality, Scaling
from tests.unit.accounting import period_naive as naive
from tests.unit.accounting.period_plant import (
    COMM,
    FAULT,
    HOUR,
    MIDNIGHT,
    MINUTE,
    STOPPED,
    Plant,
    S,
    chosen,
)  # fmt: skip


@st.composite
def runs(draw: Any) -> tuple[naive.Rule, Scaling | None, list[naive.Sample], bool]:
    rule = naive.Rule(
        kind=draw(st.sampled_from(["samples", "time"])),
        minute_ns=draw(st.sampled_from([1, 5, 30])) * MINUTE,
        min_samples=draw(st.sampled_from([0, 3, 12])),
        share=draw(st.sampled_from([75.0, 100.0, 33.3])),
        valid_minutes=draw(st.sampled_from([0, 2])),
        uncertain=draw(st.booleans()),
        integral_s=draw(st.sampled_from([None, 3600.0])),
        max_age_ns=draw(st.sampled_from([3 * S, 100 * S])),
    )
    gaps = st.one_of(st.integers(1, 5 * S), st.integers(1, 500 * S))
    quality = st.sampled_from([0, 0, 0, 0, COMM, FAULT, STOPPED, int(Quality.UNCERTAIN)])
    at, samples = MIDNIGHT + draw(st.integers(0, HOUR)), []
    for _ in range(draw(st.integers(0, 200))):
        samples.append((at, draw(st.integers(-1000, 1000)), draw(quality)))
        at += draw(gaps)
    return rule, draw(st.sampled_from([None, Scaling(-0.5, 3.0)])), samples, draw(st.booleans())


@given(runs())
@settings(max_examples=150, deadline=None)
def test_every_figure_is_that_of_adding_up_every_sample(
    run: tuple[naive.Rule, Scaling | None, list[naive.Sample], bool],
) -> None:
    """Also with other tags in the batch, and with state written and read in the middle of it."""
    rule, scaling, samples, interrupted = run
    made = {
        "mean": Mean.TIME if rule.kind == "time" else Mean.SAMPLES,
        "minute_s": rule.minute_ns // S, "min_samples": rule.min_samples, "share": rule.share,
        "valid_minutes": rule.valid_minutes, "uncertain": rule.uncertain, "integral_s": rule.integral_s,
        "max_age_s": rule.max_age_ns / S, "scaling": scaling,
    }  # fmt: skip
    plant = Plant(chosen("x", **made), names=["a", "x"], scaling=scaling)
    for number, (at, raw, quality) in enumerate(samples):
        plant.tick(at - 1)
        if interrupted and number % 50 == 30:
            plant.producer.rows()  # what is written changes nothing
        plant.say(at, 1, raw, quality=(0, quality))
    if not samples:
        return
    plant.settle(samples[-1][0] + 3 * HOUR)
    values = [(at, float(engineer(raw, scaling)), quality) for at, raw, quality in samples]
    first = samples[0][0] - samples[0][0] % rule.minute_ns
    start = first
    while start < samples[-1][0]:
        same(plant.figures(Level.MINUTE, start), naive.minute(values, start, rule), rule.minute_ns)
        start += rule.minute_ns
    hour = first - first % HOUR
    while hour < samples[-1][0]:
        same(plant.figures(Level.HOUR, hour), naive.hour(values, hour, first, rule), HOUR)
        hour += HOUR


def engineer(raw: int, scaling: Scaling | None) -> float:
    return raw if scaling is None else raw * scaling.scale + scaling.offset


def same(told: dict[str, Any], found: naive.Found, length_ns: int) -> None:
    assert told["flag"] == found.flag
    assert told["count"] == found.count
    assert told["coverage"] == pytest.approx(found.known_ns / length_ns * 100, abs=0.001)
    for name, value in (("avg", found.avg), ("sum", found.total), ("min", found.low), ("max", found.high)):
        wanted = None if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-6)
        assert told[name] == wanted, name
    assert told["last"] == found.last
    if told["avg"] is not None and told["min"] is not None:
        assert told["min"] - 1e-6 <= told["avg"] <= told["max"] + 1e-6
