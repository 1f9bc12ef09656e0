"""``tags``: what a technician sees and what is on disk afterwards."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.config import load

CASES = Path(__file__).parents[2] / "cases" / "imports"
AGENT = "line: line-1\nstate_dir: state\n"
PRESS = """\
device: press-1
driver: modbus
link: tcp://127.0.0.1:502
station: 1
poll: {fast: 500ms, slow: 10s}
windows:
  - {tag: pressure, low: 1, high: 12}
"""
TABLE = """\
# by Wang
name,address,type,unit,group,scale
pressure,400001,float32,MPa,fast,
温度,400003,int16,°C,slow,0.10
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "line"
    (directory / "devices.d").mkdir(parents=True)
    (directory / "tags.d").mkdir()
    (directory / "edge-agent.yaml").write_text(AGENT, encoding="utf-8")
    (directory / "devices.d/press-1.yaml").write_text(PRESS, encoding="utf-8")
    (directory / "tags.d/press-1.csv").write_text(TABLE, encoding="utf-8")
    monkeypatch.setenv("EDGE_AGENT_CONFIG", str(directory))
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    return directory


def table(site: Path) -> str:
    return (site / "tags.d/press-1.csv").read_text(encoding="utf-8")


def test_list(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tags", "list", "press-1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "device   tag       address  type     unit  group",
        "press-1  pressure  400001   float32  MPa   fast",
        "press-1  温度      400003   int16    °C    slow",
    ]
    assert main(["tags", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {
        "device": "press-1", "name": "温度", "address": "400003", "type": "int16", "unit": "°C",
        "group": "slow", "scale": "0.10",
    }  # fmt: skip


def test_a_device_that_is_not_there_is_named_with_those_that_are(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tags", "list", "press-9"]) == 2
    assert "press-1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_there_and_back(site: Path, name: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.parent / name
    assert main(["tags", "export", "press-1", "--out", str(out), "--lang", language]) == 0
    capsys.readouterr()
    assert main(["tags", "import", str(out), "press-1", "--apply", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["changes"], told["problems"], told["written"]) == ("lineside", [], [], False)
    assert table(site) == TABLE


def test_export_overwrites_only_when_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.parent / "out.csv"
    out.write_text("mine", encoding="utf-8")
    assert main(["tags", "export", "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "mine"
    assert main(["tags", "export", "--out", str(out), "--force"]) == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfname,")


def test_several_devices_need_a_workbook(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "devices.d/press-2.yaml").write_text(
        PRESS.replace("press-1", "press-2").replace("station: 1", "station: 2\ntags: press-1.csv"), "utf-8"
    )
    out = site.parent / "all.xlsx"
    assert main(["tags", "export", "--out", str(out.with_suffix(".csv"))]) == 2
    assert main(["tags", "export", "--out", str(out)]) == 0
    assert main(["tags", "import", str(out), "press-2"]) == 0
    assert "The table already says the same." in capsys.readouterr().out


def test_the_difference_is_shown_before_anything_is_written(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.parent / "new.csv"
    file.write_text(
        "点名,地址,数据类型,单位,分组,倍率\npressure,400001,float32,bar,fast,\n流量,400010,uint16,L/min,slow,0.1\n",
        encoding="gb18030",
    )
    assert main(["tags", "import", str(file), "press-1"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "new.csv -> tags.d/press-1.csv (lineside)",
        "change   tag       column  before  after",
        "changed  pressure  unit    MPa     bar",
        "added    流量                      address=400010  type=uint16  unit=L/min  group=slow  scale=0.1",
        "removed  温度",
        "1 added, 1 changed, 1 removed",
        "Nothing was written; --apply writes it.",
    ]
    assert table(site) == TABLE
    path = site / "tags.d/press-1.csv"
    path.chmod(0o640)
    assert main(["tags", "import", str(file), "press-1", "--apply"]) == 0
    assert path.stat().st_mode & 0o777 == 0o640
    assert table(site) == (
        "# by Wang\nname,address,type,unit,group,scale\npressure,400001,float32,bar,fast,\n"
        "流量,400010,uint16,L/min,slow,0.1\n"
    )
    assert [file.name for file in (site / "tags.d").iterdir()] == ["press-1.csv"]
    capsys.readouterr()
    assert main(["tags", "import", str(file), "press-1", "--apply", "--lang", "zh"]) == 0
    assert "点表内容已相同。" in capsys.readouterr().out


def test_keep_removes_nothing(site: Path) -> None:
    file = site.parent / "new.csv"
    file.write_text("name,address,type,unit\npressure,400001,float32,bar\n", encoding="utf-8")
    assert main(["tags", "import", str(file), "press-1", "--keep", "--apply"]) == 0
    assert table(site) == TABLE.replace("MPa", "bar")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,address,type\npressure,400001,flaot32\nb,xx,int16\nb,400003,int16\n",
         ["new.csv:2:17: E-CFG-059", "new.csv:3:3: E-MB-001", "new.csv:4:1: E-CFG-058"]),
        ("name,address,type\nother,400001,int16\n", ["devices.d/press-1.yaml:"]),
        ("name,addres,type\nother,400001,int16\n", ["new.csv:1:6: E-CFG-053"]),
    ],
)  # fmt: skip
def test_nothing_is_written_with_mistakes_and_all_are_shown(
    site: Path, text: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.parent / "new.csv"
    file.write_text(text, encoding="utf-8")
    assert main(["tags", "import", str(file), "press-1", "--apply"]) == 78
    shown = capsys.readouterr().err
    for line in expected:
        assert line in shown
    assert "Traceback" not in shown
    assert table(site) == TABLE


def test_a_mistake_in_a_workbook_is_at_its_cell(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "点表"
    for row in (["name", "address", "type"], ["pressure", "400001", "float32"], ["b", 1, "bool"]):
        book.active.append(row)
    book.save(site.parent / "new.xlsx")
    assert main(["tags", "import", str(site.parent / "new.xlsx"), "press-1", "--lang", "zh"]) == 78
    assert "new.xlsx!点表!B3: E-CFG-061" in capsys.readouterr().err


def test_what_is_not_taken_over_counts_under_strict(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "devices.d/press-1.yaml").write_text(PRESS.partition("windows")[0], encoding="utf-8")
    file = str(CASES / "kepware-modbus/press-1.csv")
    assert main(["tags", "import", file, "press-1", "--strict", "--apply"]) == 3
    assert "W-CFG-171 'Recipe.Start' is not imported" in capsys.readouterr().err
    assert len(load(site, environ={}).devices[0].tags) == 17
    assert main(["tags", "import", file, "press-1", "--apply"]) == 0
    assert "The table already says the same." in capsys.readouterr().out


def test_a_table_that_is_a_workbook_is_read_and_written_as_one(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "tags.d/press-1.csv").unlink()
    shutil.copy(CASES / "lineside/press-1.xlsx", site / "tags.d/press-1.xlsx")
    (site / "devices.d/press-1.yaml").write_text(PRESS.partition("windows")[0], encoding="utf-8")
    tags = load(site, environ={}).devices[0].tags  # found without `tags:`, by the device's file name
    assert [(tag.name, tag.address) for tag in tags] == [
        ("压力", "400001"), ("温度", "400003"), ("门", "000017"),
    ]  # fmt: skip
    file = site.parent / "new.csv"
    file.write_text(
        "name,address,type,group\n压力,400005,float32,fast\n阀,000018,bool,slow\n", encoding="utf-8"
    )
    assert main(["tags", "import", str(file), "press-1", "--apply"]) == 0
    capsys.readouterr()
    tags = load(site, environ={}).devices[0].tags
    assert [(tag.name, tag.address) for tag in tags] == [("压力", "400005"), ("阀", "000018")]
    assert main(["check"]) == 0
    assert main(["tags", "import", str(file), "press-1"]) == 0
    assert "0 added, 0 changed, 0 removed" in capsys.readouterr().out


@pytest.mark.parametrize("language", ["zh", "en"])
def test_without_openpyxl_the_cure_is_told(
    site: Path, language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    shutil.copy(CASES / "lineside/press-1.xlsx", site.parent / "a.xlsx")
    assert main(["tags", "import", str(site.parent / "a.xlsx"), "press-1", "--lang", language]) == 78
    assert main(["tags", "export", "--out", str(site.parent / "b.xlsx"), "--lang", language]) == 1
    shown = capsys.readouterr().err
    assert shown.count("pip install 'lineside[xlsx]'") == 2
    assert "E-CFG-160" in shown
    assert not (site.parent / "b.xlsx").exists()
    shutil.copy(CASES / "lineside/press-1.xlsx", site / "tags.d/press-1.xlsx")
    (site / "devices.d/press-1.yaml").write_text(PRESS + "tags: press-1.xlsx\n", encoding="utf-8")
    assert main(["check", "--lang", language]) == 78
    assert "tags.d/press-1.xlsx:1:1: E-CFG-160" in capsys.readouterr().err


@pytest.mark.parametrize(
    "old",
    [
        "name,address,type,group\n",
        "name,address,type,unit,description,scale\nfirst_value,400001,uint16,,x,\n",
    ],
    ids=["header only", "as init writes it"],
)
def test_the_first_import_finds_the_groups_no_tag_is_in_yet(
    site: Path, old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "devices.d/press-1.yaml").write_text(PRESS.partition("windows")[0], encoding="utf-8")
    (site / "tags.d/press-1.csv").write_text(old, encoding="utf-8")
    file = site.parent / "kepware.csv"
    shutil.copy(CASES / "kepware-modbus/press-1.csv", file)
    assert main(["tags", "import", str(file), "press-1", "--apply", "--lang", "zh"]) == 0
    shown = capsys.readouterr().err
    assert "press-1 没有周期为 2 s 的轮询组，现有：fast 0.5 s, slow 10 s" in shown
    assert "E-CFG-046" not in shown
    assert {tag.group for tag in load(site, environ={}).devices[0].tags} == {"fast", "slow"}


def test_what_was_wrong_before_does_not_keep_new_tags_out(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "tags.d/press-1.csv").write_text(TABLE + "odd,400009,flaot32,,fast,\n", encoding="utf-8")
    file = site.parent / "new.csv"
    file.write_text("name,address,type,group\nnew,400011,int16,slow\n", encoding="utf-8")
    assert main(["tags", "import", str(file), "press-1", "--apply", "--keep"]) == 0
    assert "new,400011,int16,,slow," in table(site)
    file.write_text("name,address,type,group\nodd,400009,flaot32,fast\n", encoding="utf-8")
    assert main(["tags", "import", str(file), "press-1", "--apply", "--keep"]) == 78  # it is what comes in
    capsys.readouterr()


def test_an_export_makes_no_directory(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.parent / "nodir" / "t.csv"
    assert main(["tags", "export", "press-1", "--out", str(out), "--lang", "zh"]) == 1
    assert f"目录 {out.parent} 不存在" in capsys.readouterr().err
    assert not out.parent.exists()


def test_a_device_without_a_table_gets_one(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "tags.d/press-1.csv").unlink()
    (site / "tags.d").rmdir()
    file = site.parent / "new.csv"
    file.write_text("name,address,type,group\npressure,400001,float32,fast\n", encoding="utf-8")
    assert main(["tags", "list"]) == 0
    assert main(["tags", "export", "--out", str(site.parent / "none.csv")]) == 1
    assert main(["tags", "import", str(file), "press-1", "--apply"]) == 0
    assert table(site) == "\ufeffname,address,type,group\npressure,400001,float32,fast\n"
    assert main(["check"]) == 0
