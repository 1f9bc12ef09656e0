"""How mistakes are shown, and that the catalogue is whole."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from edge_agent.config import ConfigurationError, load, places_of
from edge_agent.config.catalogue import entries
from edge_agent.config.schema import FILES, as_text, json_schema
from tests.unit.config.good import DEVICE, GOOD, TABLE, FakePlugins, write

ROOT = Path(__file__).parents[3]


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_codes_are_unique_and_both_languages_say_the_same() -> None:
    codes = [entry.code for entry in entries()]
    assert len(codes) == len(set(codes)) > 50
    for entry in entries():
        assert re.fullmatch(r"[EW]-CFG-\d{3}", entry.code)
        assert fields(entry.en) == fields(entry.zh), entry.code
        assert fields(entry.cure_en) == fields(entry.cure_zh), entry.code
        chinese = re.search(r"[\u4e00-\u9fff]", entry.zh + entry.cure_zh)
        assert chinese or entry.zh == "'{key}'：{reason}", entry.code  # a plug-in's own words


def rendered(directory: Path, language: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(directory, plugins=FakePlugins(), environ={})
    return "\n".join(problem.render(language) for problem in places_of(caught.value))


def test_the_caret_stands_under_the_mistake_behind_chinese_text(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"tags.d/press-1.csv": TABLE.replace("0.1", "abc")})
    assert rendered(tmp_path, "en") == (
        "tags.d/press-1.csv:4:29: E-CFG-060 'abc' in column scale is not a number\n"
        "    zone1,r2,int16,°C,一区温度,slow,abc,,10,90,2,\n"
        "                                    ^\n"
        "    Write a number with a decimal point, without unit and without thousands separator."
    )


def test_both_languages_and_a_suggestion(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": DEVICE.replace("tag: pressure", "tag: presure")})
    assert "no tag 'presure'" in rendered(tmp_path, "en") and "Did you mean 'pressure'?" in rendered(
        tmp_path, "en"
    )
    assert "没有点 'presure'" in rendered(tmp_path, "zh") and "是否想写 'pressure'？" in rendered(
        tmp_path, "zh"
    )


def test_a_long_line_is_cut_around_the_mistake(tmp_path: Path) -> None:
    table = TABLE.replace("一区温度", "长" * 400).replace("0.1", "abc")
    lines = rendered(write(tmp_path, GOOD | {"tags.d/press-1.csv": table}), "zh").split("\n")
    assert len(lines[1]) < 120
    cells = sum(2 if char > "\u2e80" else 1 for char in lines[1][: lines[1].index("abc")])
    assert lines[2].index("^") == cells


def test_the_committed_schemas_are_those_of_the_models() -> None:
    for name, schema in json_schema().items():
        committed = (ROOT / "config" / "schema" / FILES[name]).read_text(encoding="utf-8")
        assert committed == as_text(schema), (
            "out of step; run: python -c 'import pathlib, edge_agent.config as c;"
            ' c.write_schemas(pathlib.Path("config/schema"))\''
        )


@pytest.mark.parametrize("page", ["configuration.md", "configuration.zh-CN.md"])
def test_the_guide_names_every_key_and_column(page: str) -> None:
    from edge_agent.config.columns import COLUMNS
    from edge_agent.config.shapes import (
        AgentFile,
        BufferFile,
        DeviceCommon,
        UplinkCommon,
        WebFile,
        WindowFile,
    )

    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for model in (AgentFile, BufferFile, DeviceCommon, UplinkCommon, WebFile, WindowFile):
        for key in model.model_fields:
            assert f"`{key}`" in text, f"{model.__name__}.{key}"
    for column, names in COLUMNS.items():
        assert f"`{column}`" in text
        if "zh" in page:
            assert all(name in text for name in names), column


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "examples").iterdir()), ids=lambda p: p.name)
def test_every_example_loads_without_a_warning(path: Path) -> None:
    from edge_agent.config import load_with_warnings

    configuration, warnings = load_with_warnings(path, environ={})
    assert warnings == ()
    assert configuration.devices
    for file in [path / "edge-agent.yaml", *path.glob("devices.d/*.yaml")]:
        first = file.read_text(encoding="utf-8").splitlines()[0]
        match = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
        assert match and (file.parent / match[1]).resolve().parent == ROOT / "config" / "schema"
