"""``periods`` of device files and derived.d: what the rules become, and the space that is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import Configuration, ConfigurationError, load_with_warnings, places_of
from edge_agent.config.period_reader import VALUE_BYTES
from edge_agent.config.period_shapes import PeriodFile, PeriodsFile
from edge_agent.config.period_values import Beside, Mean, PeriodTag
from edge_agent.config.plugins import keys_of
from edge_agent.config.process import TagRef
from edge_agent.model import Scaling
from tests.unit.config.test_derived import write

AGENT = "line: l\nstate_dir: state\n"
TAGS = """name,address,type,group,unit,scale
so2,hr:0,float32,fast,mg/m3,
nox,hr:2,int16,fast,mg/m3,0.1
flow,hr:4,float32,fast,L/s,
power,hr:6,float32,slow,kW,
running,co:0,bool,fast,,
name,hr:20,string[8],fast,,
kwh,hr:30,uint32,slow,kWh,0.01
"""
LINK = "driver: modbus\nlink: tcp://127.0.0.1:1502\n"
DEVICE = f"device: stack\n{LINK}poll: {{fast: 1s, slow: 10s}}\ntags: stack.csv\n"
METER = "counters:\n  - {tag: stack.kwh, name: electricity, nameplate: 500 kW}\n"


def read(path: Path, periods: str, agent: str = "", derived: str = "") -> tuple[Configuration, list[str]]:
    files = {
        "edge-agent.yaml": AGENT + agent,
        "devices.d/stack.yaml": DEVICE + (f"periods:\n{periods}" if periods else ""),
        "tags.d/stack.csv": TAGS,
    }
    write(path, files | ({"derived.d/d.yaml": derived} if derived else {}))
    found, warnings = load_with_warnings(path, environ={})
    return found, [f"{w.place} {w.code}" for w in warnings if w.code != "W-CFG-050"]


def rule(path: Path, periods: str, name: str = "so2") -> PeriodTag:
    found, _ = read(path, periods)
    return next(tag for tag in found.periods.tags if tag.tag.tag == name)


def test_gas_is_as_the_standard_has_it(tmp_path: Path) -> None:
    gas = rule(tmp_path, "  - {tags: [so2], rule: gas}\n")
    assert (gas.mean, gas.minute_s, gas.min_samples, gas.share) == (Mean.SAMPLES, 60, 12, 75.0)
    assert (gas.valid_minutes, gas.valid_hours, gas.uncertain) == (45, 20, False)
    assert gas.tag == gas.key == TagRef("stack", "so2") and gas.max_age_s == 3.0


def test_water_is_as_the_standard_has_it(tmp_path: Path) -> None:
    water = rule(tmp_path, "  - {tags: [so2], rule: water, weight_by: flow}\n")
    assert (water.mean, water.minute_s, water.min_samples, water.share) == (Mean.FLOW, 600, 120, 100.0)
    assert (water.valid_minutes, water.valid_hours, water.uncertain) == (0, 1, False)
    assert water.weight_by == Beside(TagRef("stack", "flow"), max_age_s=3.0)


def test_plain_follows_time(tmp_path: Path) -> None:
    plain = rule(tmp_path, "  - {tags: [power], integral_per: 1h}\n", "power")
    assert (plain.mean, plain.minute_s, plain.min_samples, plain.share) == (Mean.TIME, 60, 0, 75.0)
    assert (plain.integral_s, plain.unit, plain.sum_unit, plain.max_age_s) == (3600.0, "kW", "kWh", 30.0)


def test_every_parameter_can_be_said(tmp_path: Path) -> None:
    made = rule(
        tmp_path,
        "  - {tags: [nox], rule: gas, minute: 5min, min_samples: 40, valid_share: 80 %, valid_minutes: 10,\n"
        "     valid_hours: 24, uncertain: valid, integral_per: 1s, sum_unit: x, maintenance: running,\n"
        "     calibration: {tag: stack.flow, is: [3, 4]}}\n",
        "nox",
    )
    assert (made.minute_s, made.min_samples, made.share, made.valid_minutes) == (300, 40, 80.0, 10)
    assert (made.valid_hours, made.uncertain, made.integral_s, made.sum_unit) == (24, True, 1.0, "x")
    assert made.maintenance == Beside(TagRef("stack", "running"), max_age_s=3.0)
    assert made.calibration == Beside(TagRef("stack", "flow"), (3.0, 4.0), max_age_s=3.0)
    assert made.scaling == Scaling(0.1)


def test_defaults_follow_the_length_of_a_minute(tmp_path: Path) -> None:
    gas = rule(tmp_path, "  - {tags: [so2], rule: gas, minute: 5min}\n")
    assert (gas.min_samples, gas.valid_minutes) == (60, 9)


def test_one_entry_says_the_length_for_all(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "  - {tags: [so2], rule: gas}\n  - {tags: [flow], rule: water, minute: 2min}\n")
    assert {tag.minute_s for tag in found.periods.tags} == {120}
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, "  - {tags: [so2], rule: gas}\n  - {tags: [flow], rule: water}\n")
    assert [f"{p.place} {p.code}" for p in places_of(caught.value)] == ["devices.d/stack.yaml:8:5 E-CFG-354"]


def test_patterns_leave_text_out(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "  - {tags: ['n*', flow]}\n")
    assert [tag.tag.tag for tag in found.periods.tags] == ["nox", "flow"]


def test_derived_tags_and_counters(tmp_path: Path) -> None:
    derived = METER + "tags:\n  - {name: sum, formula: stack.so2 + stack.nox}\nperiods:\n  - tags: ['*']\n"
    derived += "  - {tags: [electricity]}\n"
    found, _ = read(tmp_path, "", derived=derived)
    tag, counter = found.periods.tags
    assert (str(tag.tag), str(tag.key), tag.mean) == ("derived.sum", "derived.sum", Mean.TIME)
    assert (str(counter.tag), str(counter.key)) == ("derived.electricity", "stack.kwh")
    assert (counter.mean, counter.sum_unit, counter.max_age_s) == (Mean.COUNTER, "kWh", 60.0)


def test_a_device_that_is_off_has_no_periods(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "  - {tags: [so2]}\nenabled: false\n")
    assert found.periods.tags == ()


def test_the_store_has_room_for_half_a_year(tmp_path: Path) -> None:
    found, _ = read(tmp_path / "a", "  - {tags: ['*']}\n")
    assert found.buffer.periods_bytes == 6 * 190 * 1440 * VALUE_BYTES
    found, _ = read(tmp_path / "b", "  - {tags: ['*']}\n", "buffer: {periods_quota: 1GB}\n")
    assert found.buffer.periods_bytes == 1_000_000_000
    found, warnings = read(tmp_path / "c", "  - {tags: ['*']}\n", "periods: {keep: 20000d}\n")
    assert found.buffer.periods_bytes == 4_000_000_000
    assert warnings == ["edge-agent.yaml:3:17 W-CFG-361"]


def test_nothing_written_leaves_the_version_as_it_was(tmp_path: Path) -> None:
    bare, _ = read(tmp_path / "a", "")
    said, _ = read(tmp_path / "b", "", "periods: {grace: 5s}\n")
    other, _ = read(tmp_path / "c", "", "periods: {grace: 6s}\n")
    chosen, _ = read(tmp_path / "d", "  - {tags: [so2]}\n")
    assert bare.version == said.version != other.version
    assert chosen.version not in (bare.version, other.version)
    assert other.periods.grace_s == 6.0


# --- the pages ----------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["periods.md", "periods.zh-CN.md"]
STACK = """name,address,type,group,unit
so2,hr:0,float32,fast,mg/m3
nox,hr:2,float32,fast,mg/m3
dust,hr:4,float32,fast,mg/m3
power,hr:6,float32,fast,kW
service_switch,co:0,bool,fast,
analyser_state,hr:8,uint16,fast,
"""


@pytest.mark.parametrize("name", PAGES)
def test_the_example_of_the_page_loads(name: str, tmp_path: Path) -> None:
    example = (DOCS / name).read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    files = {"edge-agent.yaml": AGENT, "devices.d/stack-1.yaml": example, "tags.d/stack-1.csv": STACK}
    write(tmp_path, files)
    found, warnings = load_with_warnings(tmp_path, environ={})
    assert [tag.tag.tag for tag in found.periods.tags] == ["so2", "nox", "dust", "power"]
    assert [w.code for w in warnings] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_page_names_every_key(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert [key for key in keys_of(PeriodFile) if f"`{key}`" not in text] == []
    assert [key for key in keys_of(PeriodsFile) if f"`periods.{key}`" not in text] == []
