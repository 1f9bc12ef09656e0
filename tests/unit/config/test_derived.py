"""``derived.d``: formulas, counters and figures on their way into the configuration."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from edge_agent.config import (
    Configuration,
    ConfigurationError,
    TagRef,
    describe_changes,
    load,
    load_last_good,
    places_of,
    save_last_good,
)
from edge_agent.config.apart import load_apart
from edge_agent.config.derivation import Derivation
from edge_agent.config.derived_counters import zone_of
from edge_agent.config.derived_shapes import (
    CounterFile,
    DerivedFile,
    DerivedTagFile,
    FigureFile,
    MultiplierFile,
)
from edge_agent.config.virtual import groups_of
from edge_agent.expression import FUNCTIONS
from edge_agent.model import ValueType
from tests.unit.config.good import AGENT, FakePlugins, write

METERS = """device: meters-1
driver: fake
link: bus://b
poll: {fast: 200ms, slow: 5s}
tags: meters-1.csv
"""
TABLE = """name,address,type,unit,group,scale,metric
power,r0,float32,kW,fast,,
running,r1,bool,,fast,,
zone,r2,int16,°C,fast,0.1,
electricity,r3,uint32,kWh,slow,0.01,
mass,r4,float64,kg,slow,,
text,r5,string[10],,slow,,
"""
LINE = """zone: "+08:00"
tags:
  - name: specific
    formula: rate(electricity, 10min) / rate(mass, 10min)
    unit: kWh/kg
    description: per product
    metric: true
  - name: busy
    formula: meters-1.power > 50 kW and meters-1.running
  - name: busier
    formula: busy and meters-1.power > 90 kW
counters:
  - tag: meters-1.electricity
    nameplate: 500 kW
    rollover: 4294967296
    multiplier:
      - factor: 1
      - {from: 2026-01-01, factor: 40}
      - {from: 2026-06-01T00:00+09:00, factor: 0.1}
  - {tag: meters-1.mass, nameplate: 2 t/h, lag: 0s, step: 0.001, noise: 2, max_gap: 5min, confirm: 5}
figures:
  - {name: kwh_per_kg, formula: electricity / mass, unit: kWh/kg, only_if: mass > 10 kg}
windows:
  - {tag: kwh_per_kg.day, high: 3.2}
  - {tag: specific, high: 3.2, when: busier}
"""
GOOD = {
    "edge-agent.yaml": AGENT,
    "devices.d/meters-1.yaml": METERS,
    "tags.d/meters-1.csv": TABLE,
    "derived.d/line.yaml": LINE,
}


def read(directory: Path, **files: str) -> Configuration:
    """``line="..."`` is ``derived.d/line.yaml``, ``meters`` the device's file."""
    names = {"line": "derived.d/line.yaml", "meters": "devices.d/meters-1.yaml"}
    written = GOOD | {names.get(key, f"derived.d/{key}.yaml"): text for key, text in files.items()}
    return load(write(directory, written), plugins=FakePlugins(), environ={})


def wrong(directory: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(directory, **files)
    return [f"{problem.place} {problem.code}" for problem in places_of(caught.value)]


def derivation(configuration: Configuration) -> Derivation:
    assert configuration.derivation is not None
    return configuration.derivation


def test_formulas_counters_and_figures_as_they_were_written(tmp_path: Path) -> None:
    found = derivation(read(tmp_path))
    assert [(tag.name, tag.formula.type, tag.formula.unit, tag.metric) for tag in found.derived] == [
        ("specific", ValueType.FLOAT64, "kWh/kg", True),
        ("busy", ValueType.BOOL, "", False),
        ("busier", ValueType.BOOL, "", False),
    ]
    electricity, mass = found.counters
    assert electricity.tag == TagRef("meters-1", "electricity") and electricity.unit == "kWh"
    assert abs(Decimal(electricity.max_rate) - Decimal(500) / 3600) < Decimal("1e-25")
    assert (electricity.scale, electricity.modulus) == ("0.01", "4294967296")
    assert electricity.multipliers == (
        (0, "1"),
        (1_767_196_800 * 10**9, "40"),  # midnight in the file's zone
        (1_780_239_600 * 10**9, "0.1"),
    )
    assert (mass.lag_s, mass.step, mass.noise, mass.max_gap_s, mass.confirm) == (0.0, "0.001", "2", 300.0, 5)
    assert (electricity.lag_s, electricity.max_gap_s, electricity.confirm) == (60.0, 60.0, 3)
    (figure,) = found.figures
    assert figure.formula.unit == "kWh/kg" and figure.condition is not None
    assert found.sources["meters-1.power"] == ("meters-1", "fast", 0.2, 1.0)
    assert found.sources["meters-1.mass"] == ("meters-1", "slow", 5.0, 15.0)
    assert found.zone_s == 28_800


def test_the_virtual_device_is_laid_out_in_groups(tmp_path: Path) -> None:
    groups = groups_of(derivation(read(tmp_path)))
    assert {name: [tag.name for tag in group.tags] for name, group in groups.items()} == {
        "meters-1.slow": ["specific"],
        "meters-1.fast": ["busy", "busier"],
        **{
            f"total.{p}": [
                f"electricity.{p}", f"electricity.{p}.coverage", f"mass.{p}", f"mass.{p}.coverage",
                f"kwh_per_kg.{p}",
            ]
            for p in ("hour", "day", "month")
        },
    }  # fmt: skip
    assert groups["total.day"].max_age_s == pytest.approx(86_400 + 150)
    assert groups["meters-1.fast"].max_age_s == 1.0


def test_windows_stand_on_derived_tags_and_totals(tmp_path: Path) -> None:
    day, now = read(tmp_path).derived_windows
    assert (day.name, day.source, day.high) == (
        "derived.kwh_per_kg.day", TagRef("derived", "kwh_per_kg.day"), 3.2,
    )  # fmt: skip
    assert day.max_age_s == pytest.approx(86_550) and day.unit == "kWh/kg"
    assert now.when == TagRef("derived", "busier") and now.max_age_s == 15.0


def test_windows_of_devices_may_name_derived_tags(tmp_path: Path) -> None:
    meters = METERS + "windows:\n  - {tag: power, target: derived.demand, tolerance: 5, when: derived.busy}\n"
    line = LINE.replace("counters:", "  - {name: demand, formula: 'avg(meters-1.power, 15min)'}\ncounters:")
    (window,) = read(tmp_path, meters=meters, line=line).devices[0].windows
    assert window.target == TagRef("derived", "demand") and window.when == TagRef("derived", "busy")


# --- conditions ---------------------------------------------------------------------------------------------

WINDOWS = """windows:
  - {tag: power, high: 90, when: running and zone > 800 °C}
  - {tag: mass, high: 90, when: running and zone > 800 °C}
  - {tag: electricity, high: 90, when: meters-1.running and not derived.busy}
  - {tag: zone, high: 90, when: running}
"""


def test_conditions_become_hidden_tags_that_equal_ones_share(tmp_path: Path) -> None:
    found = read(tmp_path, meters=METERS + WINDOWS)
    power, mass, electricity, zone = found.devices[0].windows
    assert power.when == mass.when == TagRef("derived", "when.meters-1.power")
    assert electricity.when == TagRef("derived", "when.meters-1.electricity")
    assert zone.when == TagRef("meters-1", "running")
    hidden = [tag for tag in derivation(found).derived if tag.hidden]
    assert [tag.name for tag in hidden] == ["when.meters-1.power", "when.meters-1.electricity"]
    assert [slot.name for slot in hidden[0].formula.slots] == ["meters-1.running", "meters-1.zone"]
    assert [slot.name for slot in hidden[1].formula.slots] == ["meters-1.running", "derived.busy"]


def test_conditions_need_no_file_of_derived_values(tmp_path: Path) -> None:
    files = {name: text for name, text in GOOD.items() if "derived" not in name}
    windows = "windows:\n  - {tag: power, high: 90, when: running and mass > 3 t}\n"
    write(tmp_path, files | {"devices.d/meters-1.yaml": METERS + windows})
    found = load(tmp_path, plugins=FakePlugins(), environ={})
    assert [tag.name for tag in derivation(found).derived] == ["when.meters-1.power"]
    assert derivation(found).device == "derived" and found.derived_windows == ()
    assert list(groups_of(derivation(found))) == ["meters-1.fast"]  # the faster of the two it reads


def test_without_anything_to_calculate_there_is_no_derivation(tmp_path: Path) -> None:
    files = {name: text for name, text in GOOD.items() if "derived" not in name}
    found = load(write(tmp_path, files), plugins=FakePlugins(), environ={})
    assert found.derivation is None
    assert read(tmp_path, line="device: elsewhere\n").derivation is None


def test_a_mistake_is_shown_at_its_character(tmp_path: Path) -> None:
    windows = "windows:\n  - tag: power\n    high: 90\n    when: running and\n      ruining\n"
    assert wrong(tmp_path, meters=METERS + windows) == ["devices.d/meters-1.yaml:10:7 E-FORMULA-NAME"]
    block = "tags:\n  - name: x\n    formula: |\n      meters-1.power +\n        meters-1.pover\n"
    assert wrong(tmp_path, line=block) == ["derived.d/line.yaml:5:9 E-FORMULA-NAME"]
    quoted = "tags:\n  - {name: x, formula: '  meters-1.power + meters-1.pover'}\n"
    assert wrong(tmp_path, line=quoted) == ["derived.d/line.yaml:2:44 E-FORMULA-NAME"]
    escaped = 'tags:\n  - {name: x, formula: "meters-1.power \\x2b meters-1.pover"}\n'
    assert wrong(tmp_path, line=escaped) == ["derived.d/line.yaml:2:24 E-FORMULA-NAME"]  # at the value
    trailing = "tags:\n  - {name: x, formula: 'meters-1.power +  '}\n"
    assert wrong(tmp_path, line=trailing) == ["derived.d/line.yaml:2:43 E-FORMULA-EXPECTED"]
    missing = "tags:\n  - name: x\n    formula: meters-1.power +  # more\n"
    assert wrong(tmp_path, line=missing) == ["derived.d/line.yaml:3:30 E-FORMULA-EXPECTED"]


def test_what_follows_from_another_mistake_is_not_said_as_well(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"tags.d/meters-1.csv": TABLE.replace("float32", "flaot32")})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    assert {problem.file for problem in places_of(caught.value)} == {"tags.d/meters-1.csv"}
    write(tmp_path, GOOD | {"devices.d/meters-1.yaml": METERS.replace("meters-1.csv", "absent.csv")})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    assert {problem.file for problem in places_of(caught.value)} == {"devices.d/meters-1.yaml"}


# --- version, snapshot, child process -----------------------------------------------------------------------


def test_the_version_follows_the_meaning(tmp_path: Path) -> None:
    version = read(tmp_path / "a").version
    blanks = LINE.replace("meters-1.power > 50 kW", "(meters-1.power   > 50 [kW])").replace(
        "500 kW", "0.5 MW"
    )
    again = read(tmp_path / "b", line=f"# a comment\n{blanks}")
    assert again.version == version
    for was, then in (("50 kW", "51 kW"), ("500 kW", "501 kW"), ("high: 3.2", "high: 3.3"), ("+08", "+09")):
        assert read(tmp_path / was, line=LINE.replace(was, then)).version != version
    other = read(tmp_path / "c", line=LINE.replace("50 kW", "51 kW"))
    assert describe_changes(again, other).agent == ("state_dir", "derivation")
    assert not describe_changes(read(tmp_path / "a"), read(tmp_path / "a"))


def test_the_last_good_configuration_holds_derived_values(tmp_path: Path) -> None:
    configuration = read(tmp_path / "a")
    save_last_good(configuration, tmp_path / "state")
    found = load_last_good(tmp_path / "state", plugins=FakePlugins(), environ={})
    assert "derived.d/line.yaml" in found.files
    assert found.derivation == configuration.derivation and found.version == configuration.version


def test_a_pickle_calculates_the_same(tmp_path: Path) -> None:
    found = derivation(read(tmp_path))
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    for mine, other in zip(found.derived, again.derived, strict=True):
        values = [70.0, True] if mine.name == "busy" else [True, 95.0]
        if mine.name != "specific":
            assert (
                other.formula.evaluate(values, [0, 0]) == mine.formula.evaluate(values, [0, 0]) == (True, 0)
            )
    assert again.derived[0].formula.evaluate([6.0, 2.0], [0, 0]) == (3.0, 0)
    assert again.derived[0].formula.evaluate([6.0, 0.0], [0, 0]) == (None, 0x88)


async def test_the_child_process_hands_it_over() -> None:
    demo = Path(__file__).parents[3] / "config" / "demo"
    found = (await load_apart(demo, fall_back=False)).configuration
    assert found.derivation == load(demo, environ={}).derivation
    assert [figure.name for figure in derivation(found).figures] == ["kwh_per_kg", "water_per_t"]


def test_calculating_needs_neither_parser_nor_pydantic() -> None:
    code = (
        "import sys, edge_agent.accounting.plan_of, edge_agent.config.model, edge_agent.config.virtual;"
        "heavy = [m for m in sys.modules if m in ('pydantic', 'yaml') or m.startswith('edge_agent.expr')];"
        "print(sorted(heavy))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    needed = [f"edge_agent.expression.{m}" for m in ("emit", "exact", "formula", "nodes", "rating")]
    assert told.strip() == str(["edge_agent.expression", *needed])
    bare = "import sys, edge_agent.config.model; print([m for m in sys.modules if 'expression' in m])"
    assert subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("+08:00", 28_800), ("UTC+8", 28_800), (8, 28_800), ("-03:30", -12_600), ("UTC", 0), ("Nanjing", None),
     ("+15:00", None), ("+0800", 28_800)],
)  # fmt: skip
def test_zones(written: str | int, seconds: int | None) -> None:
    assert zone_of(written) == seconds


# --- the pages ----------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
PAGES = ["derived.md", "derived.zh-CN.md"]


@pytest.mark.parametrize("name", PAGES)
def test_the_example_of_the_page_loads(name: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    shutil.copytree(ROOT / "config" / "demo", tmp_path / "demo")
    write(tmp_path / "demo", {"derived.d/line.yaml": example})
    found = load(tmp_path / "demo", environ={})
    assert [window.name for window in found.derived_windows] == [
        "derived.specific_energy", "derived.kwh_per_kg.day",
    ]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_page_names_every_key_and_function(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    for model in (DerivedFile, DerivedTagFile, CounterFile, MultiplierFile, FigureFile):
        for key, field in model.model_fields.items():
            assert f"`{field.alias or key}`" in text, f"{model.__name__}.{key}"
    assert all(f"`{function}" in text for function in FUNCTIONS)


# --- several files ------------------------------------------------------------------------------------------


def test_all_files_say_the_name_of_the_virtual_device_or_none_does(tmp_path: Path) -> None:
    more = "tags:\n  - {name: more, formula: meters-1.power * 2}\n"
    assert wrong(tmp_path / "a", extra="device: derived2\n" + more) == ["derived.d/line.yaml:1:1 E-CFG-156"]
    assert wrong(tmp_path / "b", extra="device:\n" + more, line="device: plant\n" + LINE) == [
        "derived.d/extra.yaml:1:8 E-CFG-156"
    ]
    named = read(tmp_path / "c", extra="device: plant\n" + more, line="device: plant\n" + LINE)
    assert derivation(named).device == "plant"
    assert derivation(read(tmp_path / "d", extra="device: derived\n" + more)).device == "derived"


LOST = "windows:\n  - {tag: lost, high: 3}\n"


@pytest.mark.parametrize(
    "extra",
    [
        "tags:\n  - {name: lost, formula: meters-1.pover}\n",
        "tags:\n  - {name: lost, formula: meters-1.power, unti: kW}\n",
        "tag:\n  - {name: lost, formula: meters-1.power}\n",
        "tags:\n  - lost\n",
        "tags: lost\n",
        "tags: [\n",
        "counters:\n  - {nameplate: 5 kW}\n",
    ],
)
def test_nobody_is_told_that_a_tag_with_a_mistake_does_not_exist(tmp_path: Path, extra: str) -> None:
    assert {place.partition(":")[0] for place in wrong(tmp_path, extra=extra, line=LINE + LOST[9:])} == {
        "derived.d/extra.yaml"
    }


def test_a_window_on_no_tag_is_told_beside_mistakes_elsewhere(tmp_path: Path) -> None:
    broken = "tags:\n  - {name: broken, formula: meters-1.pover}\n"
    assert "derived.d/line.yaml:26:11 E-CFG-070" in wrong(tmp_path, extra=broken, line=LINE + LOST[9:])


def test_a_figure_is_told_of_counters_only(tmp_path: Path) -> None:
    lines = (
        "tags:\n  - {name: broken, formula: meters-1.pover}\n"
        "  - {name: keyless, formula: meters-1.power, unti: kW}\n"
        "counters:\n  - {tag: meters-1.mass, nameplate: 2 t/h}\n"
        "  - {tag: meters-1.electricity, nameplate: lots}\n"
        "figures:\n  - {name: bad, formula: gas / electricity}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, line=lines)
    (found,) = [one for one in caught.value.problems if one.code == "E-CFG-154"]
    assert "counters so far: electricity, mass." in found.cure.en
