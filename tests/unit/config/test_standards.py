"""Limits handed down: which tags they find, what they add, what they bound, and when they are in force."""

from __future__ import annotations

import random
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from edge_agent.config import (
    ConfigurationError,
    Located,
    load,
    load_last_good,
    load_with_warnings,
    places_of,
    save_last_good,
)
from edge_agent.config.explained import story
from edge_agent.config.loader import load_explained
from edge_agent.config.model import Configuration, Window
from edge_agent.config.process import LimitKind, Origin
from edge_agent.config.quantities import convert, exact
from tests.unit.config.good import AGENT, FakePlugins, write

DEVICE = """device: press-1
driver: fake
link: bus://a
equipment: press
poll: 1s
tags: press-1.csv
"""
TABLE = """name,address,type,unit,quantity,low,high,deadband
running,r0,bool,,,,,
pressure,r1,float32,kPa,pressure,,,
zone,r2,float32,°C,temperature,,,
oil,r3,float32,°C,temperature,20,60,1
setpoint,r4,float32,°C,,,,
spare,r5,float32,MPa,,,,
"""
PARK = """standard: park-2026
level: park
version: "3"
source: notice 12
limits:
  - {equipment: press, quantity: pressure, unit: MPa, low: 0.3, high: 0.5}
  - {quantity: temperature, unit: °C, high: 80}
"""
PLACE = "standards.d/park.yaml"
ONE = "standard: {name}\nlevel: {level}\nversion: 1\nlimits:\n  - {{{limit}}}\n"


def one(name: str, level: str, limit: str) -> str:
    """A document with one limit."""
    return ONE.format(name=name, level=level, limit=limit)


def files(windows: str = "", device: str = DEVICE, **standards: str) -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {
        "edge-agent.yaml": AGENT,
        "devices.d/press-1.yaml": device + (f"windows:\n{windows}" if windows else ""),
        "tags.d/press-1.csv": TABLE,
    }
    return found | {f"standards.d/{name}.yaml": text for name, text in (standards or {"park": PARK}).items()}


def loaded(directory: Path, windows: str = "", **standards: str) -> dict[str, Window]:
    configuration = load(write(directory, files(windows, **standards)), plugins=FakePlugins(), environ={})
    return {window.name: window for window in configuration.windows}


def found(window: Window) -> dict[str, tuple[float | None, str]]:
    return {str(limit.kind): (limit.value, limit.origin.level) for limit in window.limits}


def mistakes(directory: Path, contents: dict[str, str | bytes], day: date | None = None) -> list[Located]:
    try:
        _, warnings = load_with_warnings(
            write(directory, contents), plugins=FakePlugins(), environ={}, day=day
        )
    except ConfigurationError as error:
        return list(places_of(error))
    return list(warnings)


def test_a_tag_without_a_window_gets_one(tmp_path: Path) -> None:
    windows = loaded(tmp_path)
    assert set(windows) == {"press-1.pressure", "press-1.zone", "press-1.oil"}
    pressure = windows["press-1.pressure"]
    assert (pressure.low, pressure.high, pressure.further) == (300.0, 500.0, ())
    assert pressure.origin == Origin("park", "park-2026@3", f"{PLACE}:6")
    assert pressure.standards == ("park-2026@3",)
    assert pressure.max_age_s == 3.0


def test_limits_of_the_table_stay_and_name_the_document(tmp_path: Path) -> None:
    oil = loaded(tmp_path)["press-1.oil"]
    assert found(oil) == {"low": (20.0, "line"), "high": (60.0, "line")}
    assert oil.standards == ("park-2026@3",)


def test_a_window_takes_what_it_lacks(tmp_path: Path) -> None:
    windows = loaded(tmp_path, "  - {tag: pressure, low: 310, deadband: 5, on_delay: 2s, priority: high}\n")
    pressure = windows["press-1.pressure"]
    assert found(pressure) == {"low": (310.0, "line"), "high": (500.0, "park")}
    assert pressure.origin == Origin()
    high = next(limit for limit in pressure.limits if limit.kind is LimitKind.HIGH)
    assert (high.deadband, high.on_delay_s, high.alarming) == (5.0, 2.0, pressure.alarming)
    assert high.origin == Origin("park", "park-2026@3", f"{PLACE}:6")


def test_the_same_limit_is_that_of_the_higher_level(tmp_path: Path) -> None:
    pressure = loaded(tmp_path, "  - {tag: pressure, low: 300, high: 500}\n")["press-1.pressure"]
    assert (pressure.low, pressure.high, pressure.further) == (300.0, 500.0, ())
    assert pressure.origin.level == "park"


def test_only_the_first_window_of_a_tag_takes_what_it_lacks(tmp_path: Path) -> None:
    text = "  - {tag: pressure, low: 310}\n  - {tag: pressure, name: fast, rise: {at: 1, per: 1s}}\n"
    windows = loaded(tmp_path, text)
    assert set(found(windows["press-1.pressure"])) == {"low", "high"}
    assert set(found(windows["press-1.fast"])) == {"rise"}


def test_the_word_of_the_window_counts_before_that_of_the_table(tmp_path: Path) -> None:
    windows = loaded(
        tmp_path, "  - {tag: spare, quantity: pressure}\n  - {tag: pressure, high: 900, quantity: flow}\n"
    )
    assert found(windows["press-1.spare"]) == {"low": (0.3, "park"), "high": (0.5, "park")}
    assert found(windows["press-1.pressure"]) == {"high": (900.0, "line")}


def test_another_kind_of_equipment(tmp_path: Path) -> None:
    windows = loaded(tmp_path, "  - {tag: spare, high: 9, quantity: pressure, equipment: pump}\n")
    assert found(windows["press-1.spare"]) == {"high": (9.0, "line")}


def test_level_by_level_the_tightest_holds(tmp_path: Path) -> None:
    sector = one("s", "sector", "quantity: pressure, equipment: press, unit: bar, high: 4.8")
    plant = sector.replace("sector", "enterprise").replace("standard: s", "standard: e").replace("4.8", "4.5")
    windows = loaded(tmp_path, park=PARK, sector=sector, plant=plant)
    pressure = windows["press-1.pressure"]
    assert found(pressure) == {"low": (300.0, "park"), "high": (450.0, "enterprise")}
    assert set(pressure.standards) == {"park-2026@3", "s@1", "e@1"}


def test_a_target_that_is_a_number_is_judged(tmp_path: Path) -> None:
    window = loaded(
        tmp_path,
        "  - {tag: setpoint, target: 70, tolerance: 10, quantity: temperature}\n",
    )["press-1.setpoint"]
    assert (window.target, window.tolerance, window.standards) == (70.0, 10.0, ("park-2026@3",))
    assert [(limit.kind, limit.tolerance) for limit in window.limits] == [("low", 10.0), ("high", 10.0)]


def test_beside_a_target_that_is_a_tag_the_absolute_limit_stands(tmp_path: Path) -> None:
    text = "  - {tag: zone, target: setpoint, tolerance: 5, deadband: 1}\n"
    window = loaded(tmp_path, text)["press-1.zone"]
    assert [(str(x.kind), x.value, x.tolerance, x.deadband, x.origin.level) for x in window.limits] == [
        ("low", None, 5.0, 1.0, "line"), ("high", None, 5.0, 1.0, "line"), ("hihi", 80.0, None, 1.0, "park")
    ]  # fmt: skip


def test_a_rate_handed_down(tmp_path: Path) -> None:
    text = PARK + "  - {quantity: pressure, unit: bar, rise: {at: 6, per: 1min, over: 30s}}\n"
    windows = loaded(tmp_path, park=text)
    rise = next(x for x in windows["press-1.pressure"].limits if x.kind is LimitKind.RISE)
    assert (rise.value, rise.over_s, rise.origin.place) == (10.0, 30.0, f"{PLACE}:8")


def test_temperatures_are_shifted_and_rates_are_not(tmp_path: Path) -> None:
    text = one("s", "park", "quantity: temperature, unit: °F, high: 176, rise: {at: 9, per: 1s}")
    windows = loaded(tmp_path, park=text)
    assert found(windows["press-1.oil"]) == {
        "low": (20.0, "line"),
        "high": (60.0, "line"),
        "rise": (5.0, "park"),
    }


# --- in force ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "codes"),
    [
        (date(2025, 12, 31), ["W-CFG-230"]),
        (date(2026, 1, 1), []),
        (date(2026, 6, 30), []),
        (date(2026, 7, 1), ["W-CFG-231"]),
    ],
)
def test_the_first_and_the_last_day_count(tmp_path: Path, day: date, codes: list[str]) -> None:
    text = PARK.replace("source:", "valid_from: 2026-01-01\nvalid_until: 2026-06-30\nsource:")
    contents = files(park=text)
    assert [problem.code for problem in mistakes(tmp_path, contents, day)] == codes
    configuration = load(tmp_path, plugins=FakePlugins(), environ={}, day=day)
    names = {window.name for window in configuration.windows}
    assert ("press-1.pressure" in names) is (not codes)


def test_one_version_takes_over_from_the_other(tmp_path: Path) -> None:
    old = PARK.replace("source:", "valid_until: 2026-06-30\nsource:")
    new = (
        PARK.replace('"3"', '"4"')
        .replace("source:", "valid_from: 2026-07-01\nsource:")
        .replace("0.5", "0.45")
    )
    contents = files(a=old, b=new)
    assert [p.code for p in mistakes(tmp_path, contents, date(2026, 6, 30))] == ["W-CFG-230"]
    before = load(tmp_path, plugins=FakePlugins(), environ={}, day=date(2026, 6, 30))
    after = load(tmp_path, plugins=FakePlugins(), environ={}, day=date(2026, 7, 1))
    assert (before.windows[0].high, after.windows[0].high) == (500.0, 450.0)
    assert after.windows[0].standards == ("park-2026@4",)
    assert before.version != after.version


# --- version and snapshot ----------------------------------------------------------------------------------


def version(directory: Path, contents: dict[str, str | bytes]) -> str:
    return load(write(directory, contents), plugins=FakePlugins(), environ={}).version


def test_the_version_follows_the_meaning_of_standards(tmp_path: Path) -> None:
    first = version(tmp_path / "a", files())
    assert version(tmp_path / "b", files(park="# 注\n\n" + PARK)) == first
    assert version(tmp_path / "c", files(park=PARK.replace("0.5", "0.50"))) == first
    for number, other in enumerate(
        [
            PARK.replace("0.5", "0.49"),
            PARK.replace('"3"', '"4"'),
            PARK.replace("park-2026", "park-2027"),
            PARK + "  - {quantity: nobody, unit: MPa, high: 1}\n",
            PARK.replace("level: park", "level: sector"),
        ]
    ):
        assert version(tmp_path / str(number), files(park=other)) != first
    device = DEVICE.replace("equipment: press", "equipment: press2")
    assert version(tmp_path / "d", files(device=device)) != first


def test_the_kind_of_equipment_is_part_of_the_version(tmp_path: Path) -> None:
    """Also where no limit hangs on it: the park is told of it."""
    other = DEVICE.replace("equipment: press", "equipment: pump")
    none = {"none": one("z", "park", "quantity: z, high: 1")}
    assert version(tmp_path / "a", files(**none)) != version(tmp_path / "b", files(device=other, **none))


def test_the_snapshot_holds_them(tmp_path: Path) -> None:
    configuration = load(write(tmp_path / "c", files()), plugins=FakePlugins(), environ={})
    assert PLACE in configuration.files
    save_last_good(configuration, tmp_path / "state")
    again = load_last_good(tmp_path / "state", plugins=FakePlugins(), environ={})
    assert again.windows == configuration.windows and again.version == configuration.version


# --- mistakes name both places -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contents", "code", "here", "there"),
    [
        (files("  - {tag: pressure, high: 501}\n"), "E-CFG-220", "devices.d/press-1.yaml:8", f"{PLACE}:6"),
        (
            files("  - {tag: spare, high: 1, quantity: temperature}\n"),
            "E-CFG-222", "devices.d/press-1.yaml:8", f"{PLACE}:7",
        ),
        (files(park=PARK.replace("unit: MPa, ", "")), "E-CFG-223", "tags.d/press-1.csv:3", f"{PLACE}:6"),
        (
            files(park=PARK, s=one("s", "sector", "quantity: temperature, unit: °C, high: 81")),
            "E-CFG-220", "standards.d/s.yaml:5", f"{PLACE}:7",
        ),
        (
            files(park=PARK, s=one("s", "park", "quantity: temperature, unit: °C, low: 80")),
            "E-CFG-221", "standards.d/s.yaml:5", f"{PLACE}:7",
        ),
    ],
)  # fmt: skip
def test_both_places_are_named(
    tmp_path: Path, contents: dict[str, str | bytes], code: str, here: str, there: str
) -> None:
    problems = [problem for problem in mistakes(tmp_path, contents) if problem.code == code]
    assert len(problems) == 1
    assert f"{problems[0].file}:{problems[0].line}" == here
    for language in ("en", "zh"):
        assert there in problems[0].message.say(language)


def test_a_looser_sector_for_all_does_not_contradict_a_park_for_presses(tmp_path: Path) -> None:
    sector = one("s", "sector", "quantity: pressure, unit: bar, high: 9")
    windows = loaded(tmp_path, park=PARK, sector=sector)
    assert windows["press-1.pressure"].high == 500.0


# --- explained ---------------------------------------------------------------------------------------------


def test_the_story_of_a_limit(tmp_path: Path) -> None:
    sector = one("s", "sector", "quantity: pressure, unit: bar, high: 4.8")
    text = "  - {tag: pressure, low: 300, high: 450}\n"
    write(tmp_path, files(text, park=PARK, sector=sector))
    known = load_explained(tmp_path, plugins=FakePlugins(), environ={})
    window = next(w for w in known.configuration.windows if w.name == "press-1.pressure")
    told = {
        str(one.limit.kind): one
        for one in story(known.configuration, window, known.notes[window.name]).limits
    }
    assert [(s.level, s.value, s.place, s.in_force) for s in told["high"].said] == [
        ("park", 500.0, f"{PLACE}:6", False),
        ("sector", 480.0, "standards.d/sector.yaml:5", False),
        ("line", 450.0, "devices.d/press-1.yaml:8", True),
    ]
    assert [(s.level, s.value, s.in_force) for s in told["low"].said] == [
        ("park", 300.0, True), ("line", 300.0, False)
    ]  # fmt: skip
    assert told["low"].origin.source == "notice 12"


# --- by chance ---------------------------------------------------------------------------------------------


def test_what_is_in_force_is_never_looser_than_any_level(tmp_path: Path) -> None:
    """Three documents and a line with random limits: either it is refused because a lower level loosens a
    higher one (found here by brute force), or every limit is the tightest that was stated."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    refused = 0
    for round_ in range(40):
        highs = {
            level: chance.choice([None, 0.4, 0.45, 0.5, 0.55])
            for level in ("park", "sector", "enterprise", "line")
        }
        contents = files(
            f"  - {{tag: spare, quantity: pressure, hihi: 9, high: {highs['line']}}}\n"
            if highs["line"]
            else "",
            none="standard: z\nlevel: park\nversion: 1\nlimits: [{quantity: z, high: 1}]\n",
        )
        for level in ("park", "sector", "enterprise"):
            if highs[level] is not None:
                unit, factor = chance.choice([("MPa", 1), ("kPa", 1000), ("bar", 10)])
                number = float(exact(float(highs[level] or 0)) * factor)
                contents[f"standards.d/{level}.yaml"] = one(
                    level, level, f"quantity: pressure, unit: {unit}, high: {number!r}"
                )
        stated = [value for value in highs.values() if value is not None]
        loosened = any(later > earlier for n, earlier in enumerate(stated) for later in stated[n + 1 :])
        directory = tmp_path / str(round_)
        codes = {problem.code for problem in mistakes(directory, contents)}
        assert codes == ({"E-CFG-220"} if loosened else set()), highs
        refused += loosened
        if not loosened and highs["line"]:
            window = {w.name: w for w in load(directory, plugins=FakePlugins(), environ={}).windows}[
                "press-1.spare"
            ]
            high = next(limit for limit in window.limits if limit.kind is LimitKind.HIGH)
            assert high.value == min(stated)
            first = next(level for level, value in highs.items() if value == min(stated))
            assert high.origin.level == first
    assert 0 < refused < 40


@pytest.mark.parametrize(
    ("value", "unit", "into", "result"),
    [
        (0.3, "MPa", "kPa", Fraction(300)),
        (0.1, "MPa", "bar", Fraction(1)),
        (3.2, "kWh/kg", "kJ/kg", Fraction(11520)),
        (20.0, "°C", "°F", Fraction(68)),
        (5.0, "℃", "°C", Fraction(5)),
        (5.0, "", "%", None),
        (5.0, "MPa", "", None),
        (5.0, "MPa", "°C", None),
        (5.0, "", "", Fraction(5)),
    ],
)
def test_conversion_is_exact(value: float, unit: str, into: str, result: Fraction | None) -> None:
    assert convert(exact(value), unit, into) == result


def test_nothing_changes_without_standards(tmp_path: Path) -> None:
    contents = {name: text for name, text in files().items() if not name.startswith("standards")}
    configuration: Configuration = load(write(tmp_path, contents), plugins=FakePlugins(), environ={})
    assert [window.name for window in configuration.windows] == ["press-1.oil"]
    assert configuration.windows[0].standards == ()
