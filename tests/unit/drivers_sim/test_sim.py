"""What the simulated signals are, and the shipped sample."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from drivers.sim import PLUGIN
from drivers.sim.address import Signal, parse
from drivers.sim.settings import SimSettings
from edge_agent.config.loader import load
from edge_agent.model import Quality, Tag, Value, ValueType


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("sine:60s", Signal("sine", 60.0)),
        ("ramp:100", Signal("ramp", 100.0)),
        ("constant:-2.5", Signal("constant", -2.5)),
        (" counter ", Signal("counter")),
        ("sine:60", None),
        ("sine:0s", None),
        ("ramp:-1", None),
        ("constant:", None),
        ("counter:1", None),
        ("noise", None),
        ("", None),
    ],
)
def test_addresses(text: str, signal: Signal | None) -> None:
    assert parse(text) == signal


@pytest.mark.parametrize(
    ("signal", "seconds", "value"),
    [
        (Signal("sine", 60), 0, 50),
        (Signal("sine", 60), 15, 100),
        (Signal("sine", 60), 45, 0),
        (Signal("ramp", 100), 99.5, 99.5),
        (Signal("ramp", 100), 101, 1),
        (Signal("constant", 5), 1e6, 5),
        (Signal("counter"), 1e6, 12),
    ],
)
def test_signals(signal: Signal, seconds: float, value: float) -> None:
    assert signal.at(seconds, reads=12) == pytest.approx(value)


@pytest.mark.parametrize(
    ("number", "kind", "value"),
    [
        (300.7, ValueType.UINT8, 44),
        (200.0, ValueType.INT8, -56),
        (-7.0, ValueType.INT16, -7),
        (99.9, ValueType.INT32, 99),
        (2.5, ValueType.FLOAT64, 2.5),
        (3.0, ValueType.BOOL, True),
        (4.0, ValueType.BOOL, False),
    ],
)
def test_types(number: float, kind: ValueType, value: Value) -> None:
    columns = PLUGIN.plan(SimSettings(), [Tag("t", "counter", kind)], None, None).decode([(number,)])
    assert columns.values == (value,) and type(columns.values[0]) is type(value)
    assert columns.quality == bytes([Quality.GOOD])


def test_devices_of_one_name_share_a_link() -> None:
    assert PLUGIN.link_key(SimSettings(link="sim://a")) == PLUGIN.link_key(
        SimSettings(link="sim://a", speed=2)
    )
    assert PLUGIN.link_key(SimSettings(link="sim://a")) != PLUGIN.link_key(SimSettings(link="sim://b"))
    assert "speed" in PLUGIN.link_options


def test_the_sample_shows_every_key_with_its_default() -> None:
    text = files("drivers.sim").joinpath("sample.yaml").read_text(encoding="utf-8")
    shown = yaml.safe_load("\n".join(line.removeprefix("# ") for line in text.splitlines()))
    assert yaml.safe_load(text)["driver"] == shown["driver"] == "sim"
    keys = {key: shown[key] for key in ("link", "speed")}
    assert SimSettings.model_validate(keys) == SimSettings()


def test_the_sample_loads_with_the_tags_it_names(tmp_path: Path) -> None:
    text = files("drivers.sim").joinpath("sample.yaml").read_text(encoding="utf-8")
    rows = [
        line[5:].partition(" ")[0] for line in text.splitlines() if line.startswith("##   ") and "," in line
    ]
    table = [row for row in rows if row.count(",") >= 2]
    for name, content in (("edge-agent.yaml", "line: sample"), ("devices.d/a.yaml", text)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "tags.d").mkdir()
    (tmp_path / "tags.d" / "sim-1.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (device,) = load(tmp_path).devices
    assert device.plugin is PLUGIN
    assert len(device.tags) == 4
    plan = PLUGIN.plan(device.settings, device.tags, None, None)
    assert len(plan.requests) == 1
