from __future__ import annotations

import pytest

from hardware_mocks.process import Meter, Process, Schedule

DT_S = 0.05
NEVER = Schedule(0, 0, 0)


def run(process: Process, seconds: float) -> list[dict[str, object]]:
    states = []
    for _ in range(round(seconds / DT_S)):
        process.step(DT_S)
        states.append(process.state())
    return states


def test_the_same_seed_gives_the_same_line() -> None:
    assert run(Process(seed=3), 30) == run(Process(seed=3), 30)
    assert run(Process(seed=3), 1) != run(Process(seed=4), 1)


def test_pressure_leaves_its_window_on_schedule_and_only_then() -> None:
    process = Process(seed=1)
    outside = [state["time_s"] for state in run(process, 60) if not 0.3 <= state["pressure_mpa"] <= 0.5]
    episodes = [[t for t in outside if start <= t <= start + 4.2] for start in (6.0, 26.0, 46.0)]
    assert sum(map(len, episodes)) == len(outside)
    for start, episode in zip((6.0, 26.0, 46.0), episodes, strict=True):
        assert start < episode[0] < start + 0.6
        assert start + 3.9 < episode[-1] < start + 4.2
        assert len(episode) > 3.4 / DT_S


def test_an_excursion_returns_inside_the_deadband() -> None:
    after = [state["pressure_mpa"] for state in run(Process(seed=1), 16) if 11 < state["time_s"] < 16]
    assert all(0.38 < pressure < 0.42 for pressure in after)


@pytest.mark.parametrize(
    ("schedule", "inside", "outside"),
    [
        (Schedule(6, 20, 4), (6.0, 9.99, 26.0, 46.1), (0.0, 5.99, 10.0, 25.99)),
        (Schedule(0, 10, 1), (0.0, 10.5), (1.0, 9.99)),
        (Schedule(5, 0, 4), (), (0.0, 5.0, 6.0)),
    ],
)
def test_schedule(schedule: Schedule, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    assert all(schedule.active(time_s) for time_s in inside)
    assert not any(schedule.active(time_s) for time_s in outside)


def test_zones_drift_in_turn_past_five_degrees_and_come_back() -> None:
    process = Process(seed=1)
    drifted: list[set[int]] = []
    for _ in range(3):
        states = run(process, 45)
        drifted.append(
            {
                zone
                for state in states
                for zone in range(3)
                if state["zone_temperature_c"][zone] - state["zone_setpoint_c"][zone] > 5.0
            }
        )
    assert drifted == [{0}, {1}, {2}]
    run(process, 10)  # to 145 s, before the next one at 160 s
    assert all(abs(zone.temperature_c - zone.setpoint_c) < 1.0 for zone in process.zones)


def test_without_schedules_it_stays_inside() -> None:
    for state in run(Process(5, NEVER, NEVER), 120):
        assert 0.38 < state["pressure_mpa"] < 0.42
        assert all(
            abs(t - s) < 1.5
            for t, s in zip(state["zone_temperature_c"], state["zone_setpoint_c"], strict=True)
        )


def test_a_zone_follows_its_set_point() -> None:
    process = Process(5, NEVER, NEVER)
    process.zones[1].setpoint_c = 800.0
    run(process, 20)
    assert process.zones[1].temperature_c == pytest.approx(800.0, abs=1.0)
    assert process.zones[0].temperature_c == pytest.approx(850.0, abs=1.0)


def test_a_stopped_line_makes_nothing_and_falls_to_rest() -> None:
    process = Process(5)
    process.running = False
    run(process, 15)
    mass_g, counts = process.mass_g, process.electricity.counts
    assert process.pressure_mpa < 0.01
    assert not process.fan_running
    assert not process.pressure_excursion
    run(process, 10)
    assert process.mass_g - mass_g < 30
    assert process.electricity.counts > counts  # idle, not switched off


def test_meters_count_what_flows() -> None:
    process = Process(5, NEVER, NEVER)
    before_kwh, before_kg = process.electricity.value, process.mass_kg
    run(process, 360)
    assert process.electricity.value - before_kwh == pytest.approx(12.0, rel=0.02)  # 120 kW for 0.1 h
    assert process.mass_kg - before_kg == pytest.approx(180.0, rel=0.02)  # 12 m/min of 2.5 kg/m


def test_a_meter_rolls_over_and_loses_nothing() -> None:
    meter = Meter(0.01, 100, 0.98)
    seen = []
    for _ in range(6):
        meter.add(0.005)
        seen.append(meter.counts)
    assert seen == [98, 99, 99, 0, 0, 1]
    meter.add(2.50)
    assert meter.counts == 51


@pytest.mark.parametrize("name", ["electricity", "gas", "water"])
def test_the_line_s_meters_roll_over_at_their_modulus(name: str) -> None:
    process = Process(5, NEVER, NEVER)
    meter = getattr(process, name)
    meter.counts = meter.modulus - 1
    for _ in range(200):
        process.step(1.0)
        assert 0 <= meter.counts < meter.modulus
    assert meter.counts < 1000
    assert {"electricity": 2**32, "gas": 10**8, "water": 2**16}[name] == meter.modulus
