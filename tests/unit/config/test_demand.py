"""How busy a link gets, and when that is worth a warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import Configuration, ConfigurationError, Located, load_with_warnings
from edge_agent.config.demand import demands, on_link, share
from edge_agent.driver import Columns, DriverPlugin, Plan, Request
from edge_agent.model import Tag
from tests.unit.config.good import DEVICE, FAKE, GOOD, FakePlugins, write

COST_S = 0.05


def plan(settings: Any, tags: Sequence[Tag], limits: Any, learned: Any) -> Plan:
    """One request per tag."""
    assert limits is None and learned is None
    requests = tuple(Request((number,), None, COST_S, tag.address, 20) for number, tag in enumerate(tags))
    return Plan(requests, lambda replies: Columns((), b""))


PLANNING = replace(FAKE, plan=plan)


def loaded(
    directory: Path, device: str = DEVICE, driver: DriverPlugin = PLANNING, **more: str
) -> tuple[Configuration, tuple[Located, ...]]:
    files = {f"devices.d/{name}.yaml": text for name, text in more.items()}
    write(directory, GOOD | {"devices.d/press-1.yaml": device} | files)
    return load_with_warnings(directory, plugins=FakePlugins(driver), environ={})


def second(link: str = "bus://a") -> str:
    return DEVICE.replace("press-1\n", "press-2\n").replace("bus://a", link)


def test_of_every_group(tmp_path: Path) -> None:
    device = loaded(tmp_path)[0].devices[0]
    fast, slow = demands(device)
    assert (fast.group, fast.every_s, len(fast.requests), fast.size_bytes) == ("fast", 0.2, 2, 40)
    assert (fast.cycle_s, fast.share) == (pytest.approx(0.1), pytest.approx(0.5))
    assert slow.share == pytest.approx(0.02)
    assert [request.text for request in slow.requests] == ["r2", "r3"]


def test_of_all_devices_on_a_link_and_of_no_other(tmp_path: Path) -> None:
    more = {"press-2": second(), "press-3": second("bus://b").replace("press-2", "press-3")}
    devices = loaded(tmp_path, **more)[0].devices
    assert [demand.device for demand in on_link(devices[0], devices)] == ["press-1"] * 2 + ["press-2"] * 2
    assert share(on_link(devices[0], devices)) == pytest.approx(1.04)
    assert share(on_link(devices[2], devices)) == pytest.approx(0.52)


def test_a_subscribed_group_is_read_seldom(tmp_path: Path) -> None:
    driver = replace(PLANNING, subscribed=lambda settings: frozenset({"fast"}))
    fast, slow = demands(loaded(tmp_path, driver=driver)[0].devices[0])
    assert (fast.subscribed, fast.every_s, slow.subscribed) == (True, 600.0, False)


def test_a_link_with_time_enough_gets_no_warning(tmp_path: Path) -> None:
    assert loaded(tmp_path)[1] == ()


def test_too_much_for_a_link_is_a_warning_at_the_group_that_needs_most(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, **{"press-2": second().replace("fast: 200ms", "fast: 100ms")})[1]
    assert (warning.code, warning.warning) == ("W-CFG-048", True)
    assert warning.place == "devices.d/press-2.yaml:4:14"
    assert warning.source_line[warning.column - 1 :].startswith("100ms")
    assert "154 %" in warning.message.en and "1.6" in warning.cure.zh and "press-2" in warning.cure.zh


def test_a_single_period_is_the_place_too(tmp_path: Path) -> None:
    device = DEVICE.replace("{fast: 200ms, slow: 5s}", "100ms")
    table = GOOD["tags.d/press-1.csv"].replace(",fast,", ",,").replace(",slow,", ",,")
    write(tmp_path, {"tags.d/press-1.csv": table})
    write(tmp_path, {name: text for name, text in GOOD.items() if not name.startswith("tags.d")})
    write(tmp_path, {"devices.d/press-1.yaml": device})
    _, (warning,) = load_with_warnings(tmp_path, plugins=FakePlugins(PLANNING), environ={})
    assert (warning.code, warning.place) == ("W-CFG-048", "devices.d/press-1.yaml:4:7")


def test_a_driver_that_cannot_plan_what_it_checked_is_broken(tmp_path: Path) -> None:
    def faulty(*_: Any) -> Plan:
        raise KeyError("r1")

    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, driver=replace(FAKE, plan=faulty))
    assert [problem.code for problem in caught.value.problems] == ["E-CFG-041"]
    assert "KeyError" in caught.value.problems[0].message.en
