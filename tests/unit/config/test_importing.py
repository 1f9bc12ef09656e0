"""Exports of other tools become tag tables without edits by hand; what cannot be taken over is named."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.config.importing import Imported, read_export
from edge_agent.config.importing.merging import Change, compare, write_csv
from edge_agent.config.importing.rows import tag_name
from edge_agent.config.importing.target import Target, fitted, mistakes_with, targets

CASES = Path(__file__).parents[2] / "cases" / "imports"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def export_of(case: str) -> Path:
    return next(
        path
        for path in (CASES / case).iterdir()
        if path.suffix in (".csv", ".xlsx", ".json") and path.stem != "expected"
    )


def site(case: str, directory: Path) -> Path:
    """A configuration with the device of the case, which has no table yet."""
    (directory / "devices.d").mkdir(parents=True)
    (directory / "edge-agent.yaml").write_text("line: line-1\nstate_dir: state\n", encoding="utf-8")
    shutil.copy(CASES / case / "device.yaml", directory / "devices.d" / "device.yaml")
    return directory


def judged(directory: Path, file: Path, tool: str = "auto") -> tuple[Target, Imported, Sequence[Change]]:
    target = targets(directory)[0]
    found = read_export(file.name, file.read_bytes(), tool=tool, driver=target.driver, device=target.name)
    imported = fitted(found, target)
    return target, imported, compare(target.now, imported.rows)


def applied(directory: Path, file: Path) -> Imported:
    target, imported, changes = judged(directory, file)
    written = write_csv(target.now, target.old, imported.rows, changes)
    assert mistakes_with(directory, target, written, imported) == ()
    (directory / "tags.d").mkdir(exist_ok=True)
    (directory / target.table).write_bytes(written.data)
    return imported


@pytest.mark.parametrize("case", NAMES)
def test_an_export_becomes_the_expected_table(case: str, tmp_path: Path) -> None:
    directory = site(case, tmp_path)
    imported = applied(directory, export_of(case))
    table = next((directory / "tags.d").iterdir()).read_bytes()
    assert table.startswith(b"\xef\xbb\xbf")  # Excel reads UTF-8 only with it
    expected = (CASES / case / "expected.csv").read_text(encoding="utf-8")
    assert table.decode("utf-8-sig").replace("\r\n", "\n") == expected
    told = [f"{problem.place} {problem.code} {problem.message.en}" for problem in imported.problems]
    assert told == (CASES / case / "expected.txt").read_text(encoding="utf-8").splitlines()
    assert imported.tool == case.partition("-")[0]


@pytest.mark.parametrize("case", NAMES)
def test_the_table_passes_the_check_and_importing_again_changes_nothing(case: str, tmp_path: Path) -> None:
    directory = site(case, tmp_path)
    imported = applied(directory, export_of(case))
    configuration = load(directory, environ={})
    assert {tag.name.partition("[")[0] for tag in configuration.devices[0].tags} == {
        row.name for row in imported.rows
    }
    assert judged(directory, export_of(case))[2] == []


@pytest.mark.parametrize("case", NAMES)
def test_every_tag_of_an_export_is_imported_or_named(case: str, tmp_path: Path) -> None:
    """Nothing is dropped in silence: rows and refusals together are all that the file has."""
    imported = judged(site(case, tmp_path), export_of(case))[1]
    refused = [problem for problem in imported.problems if problem.code == "W-CFG-171"]
    file = export_of(case)
    if file.suffix == ".csv":
        assert len(imported.rows) + len(refused) == len(file.read_text("utf-8").splitlines()) - 1
    for problem in imported.problems:
        assert re.search(r"[\u4e00-\u9fff]", problem.message.zh)
        assert re.search(r"[\u4e00-\u9fff]", problem.cure.zh)
        assert problem.warning


def test_an_import_of_another_tool_keeps_what_the_tool_knows_nothing_of(tmp_path: Path) -> None:
    directory = site("kepware-modbus", tmp_path)
    table = directory / "tags.d" / "press-1.csv"
    table.parent.mkdir()
    table.write_text(
        "# main press, by Wang\nname,address,type,unit,group,high,quantity\n"
        "Lamp,000016,bool,,slow,,\n"
        'Hydraulics.Pressure,400001,float32,"bar",fast,12,pressure\n\n'
        "# not in Kepware\nown,400900,int16,,fast,5,\n",
        encoding="utf-8",
    )
    file = export_of("kepware-modbus")
    target, imported, changes = judged(directory, file)
    by_tag = {change.tag: change for change in changes}
    assert by_tag["own"].kind == "removed"
    assert [(cell.column, cell.old, cell.new) for cell in by_tag["Lamp"].cells] == [
        ("address", "000016", "000017"),
        ("group", "slow", "fast"),
    ]
    assert [(cell.column, cell.new) for cell in by_tag["Hydraulics.Pressure"].cells] == [
        ("unit", "MPa"),
        ("description", "主缸压力"),
    ]
    lines = write_csv(target.now, target.old, imported.rows, changes).data.decode().splitlines()
    assert lines[0] == "# main press, by Wang"
    assert lines[1].startswith("name,address,type,unit,group,high,quantity,description,")
    assert lines[2] == "Lamp,000017,bool,,fast,,"
    assert lines[3] == "Hydraulics.Pressure,400001,float32,MPa,fast,12,pressure,主缸压力"
    assert "# not in Kepware" in lines
    assert not any(line.startswith("own,") for line in lines)
    kept = compare(target.now, imported.rows, keep=True)
    assert [change for change in kept if change.kind == "removed"] == []


def test_a_window_on_a_removed_tag_is_found_before_anything_is_written(tmp_path: Path) -> None:
    directory = site("tia", tmp_path)
    device = directory / "devices.d" / "device.yaml"
    device.write_text(device.read_text() + "windows:\n  - {tag: gone, high: 3}\n", encoding="utf-8")
    table = directory / "tags.d" / "furnace-1.csv"
    table.parent.mkdir()
    table.write_text("name,address,type\ngone,MW0,int16\n", encoding="utf-8")
    load(directory, environ={})
    target, imported, changes = judged(directory, export_of("tia"))
    written = write_csv(target.now, target.old, imported.rows, changes)
    found = mistakes_with(directory, target, written, imported)
    assert [problem.file for problem in found] == ["devices.d/device.yaml"]


def test_a_mistake_of_an_imported_row_stands_where_it_is_in_the_imported_file(tmp_path: Path) -> None:
    directory = site("tia", tmp_path)
    file = tmp_path / "wrong.csv"
    file.write_text(
        "Name,Path,Data Type,Logical Address,Comment\nok,t,Int,%MW10,\nwide,t,Real,%MW12,\n", encoding="utf-8"
    )
    target, imported, changes = judged(directory, file)
    assert imported.tool == "tia"
    written = write_csv(target.now, target.old, imported.rows, changes)
    found = mistakes_with(directory, target, written, imported)
    assert [(problem.file, problem.line) for problem in found] == [("wrong.csv", 3)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "E-CFG-052"),
        (b"hello", "E-CFG-054"),
        (b'{"a": 1}', "E-CFG-170"),
        (b'{"tags": [', "E-CFG-170"),
        (b"[" * 5000, "E-CFG-170"),
        (b"PK\x03\x04broken", "E-CFG-161"),
        (b"\xd0\xcf\x11\xe0old", "E-CFG-161"),
        (b"\0\0\0\0", "E-CFG-051"),
        (b"x" * 8_000_001, "E-CFG-013"),
    ],
)
def test_a_file_that_is_none_of_them_is_told_in_both_languages(data: bytes, code: str) -> None:
    imported = read_export("file", data)
    assert imported.broken
    assert imported.rows == ()
    assert code in {problem.code for problem in imported.problems}
    for problem in imported.problems:
        assert re.search(r"[\u4e00-\u9fff]", problem.render("zh"))


@pytest.mark.parametrize("tool", ["kepware", "neuron", "tia", "ignition"])
def test_the_wrong_tool_is_told(tool: str) -> None:
    imported = read_export("a.csv", b"name,address,type\na,40001,int16\n", tool=tool)
    assert [problem.code for problem in imported.problems] == ["E-CFG-170"]


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("Line 1/Press/温度", "Line_1.Press.温度"),
        ("a[3]", "a_3"),
        ("#1 泵", "1_泵"),
        ("$", "tag_"),
        ("x" * 150, "x" * 100),
    ],
)
def test_names(original: str, name: str) -> None:
    assert tag_name(original) == name


def test_names_that_become_the_same_stay_apart() -> None:
    rows = "a b,400001,Short,RO", "a_b,400002,Short,RO", "a b,400003,Short,RO"
    data = "\n".join(["Tag Name,Address,Data Type,Client Access", *rows]).encode()
    imported = read_export("k.csv", data)
    assert [row.name for row in imported.rows] == ["a_b", "a_b_2"]
    assert [(problem.line, problem.code) for problem in imported.problems] == [
        (2, "W-CFG-173"), (3, "W-CFG-173"), (4, "W-CFG-171"),
    ]  # fmt: skip


KEPWARE = (
    "Tag Name,Address,Data Type,Client Access,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,Negate Value\n"
)


@pytest.mark.parametrize(
    ("row", "driver", "expected"),
    [
        ("a,400001,Short,RO", "modbus", ("400001", "int16")),
        ("a,40001,Word,RO", "modbus", ("400001", "uint16")),
        ("a,H40010,Word,RO", "modbus", ("400016", "uint16")),
        ("a,465536,Word,RO", "modbus", ("465536", "uint16")),
        ("a,400001.15,Boolean,RO", "modbus", ("400001.15", "bool")),
        ("a,400001 [2][3],Float Array,RO", "modbus", ("400001", "float32[6]")),
        ("a,000001 [8],Boolean Array,RO", "modbus", ("000001", "bool[8]")),
        ("a,400001.30L,String,RO", "modbus", ("400001", "string[30]")),
        ("a,300001,Byte,RO", "modbus", ("300001.l", "uint8")),
        ("a,400001,LBCD,RO", "modbus", ("400001", "bcd32")),
        ("a,400001,Default,RO", "modbus", ("400001", "uint16")),
        ('a,"DB1,REAL4",Float,RO', "s7", ("DB1.DBD4", "float32")),
        ('a,"DB1,W4",Short,RO', "s7", ("DB1.DBW4", "int16")),
        ('a,"DB1,D4",Long,RO', "s7", ("DB1.DBD4", "int32")),
        ("a,DB1.DBX4.7,Boolean,RO", "s7", ("DB1.DBX4.7", "bool")),
        ("a,EW4,Word,RO", "s7", ("IW4", "uint16")),
        ("a,T5,DWord,RO", "s7", ("T5", "timer")),
        ("a,400000,Short,RO", "modbus", None),
        ("a,465537,Short,RO", "modbus", None),
        ("a,400001.16,Boolean,RO", "modbus", None),
        ("a,400001,Boolean,RO", "modbus", None),
        ("a,400001,Short Array,RO", "modbus", None),
        ('a,"DB1,X4.8",Boolean,RO', "s7", None),
        ("a,DB1.DBD4,Float,RO", "modbus", None),
        ("a,2,Boolean,RO", "modbus", None),
        ("a,400001,Short,WO", "modbus", None),
    ],
)
def test_kepware_addresses(row: str, driver: str, expected: tuple[str, str] | None) -> None:
    imported = read_export("k.csv", (KEPWARE + row + "\n").encode(), driver=driver)
    assert not imported.broken
    if expected is None:
        assert imported.rows == ()
        assert [problem.code for problem in imported.problems] == ["W-CFG-171"]
    else:
        (found,) = imported.rows
        assert (found.cells["address"], found.cells["type"]) == expected


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("Linear,0,1000,0,100,", {"scale": "0.1"}),
        ("Linear,0,27648,0,100,", {"raw_low": "0", "raw_high": "27648", "eng_low": "0", "eng_high": "100"}),
        ("Linear,0,3,0,1,", {"raw_low": "0", "raw_high": "3", "eng_low": "0", "eng_high": "1"}),
        ("Linear,4000,20000,-50,50.5,1",
         {"raw_low": "4000", "raw_high": "20000", "eng_low": "50", "eng_high": "-50.5"}),
        ("None,,,,,", {}),
        ("Linear,0,10,0,10,", {}),
        ("Square Root,0,10,0,10,", {}),
        ("Linear,5,5,0,10,", {}),
    ],
)  # fmt: skip
def test_kepware_scaling(ends: str, expected: dict[str, str]) -> None:
    imported = read_export("k.csv", (KEPWARE + f"a,400001,Short,RO,{ends}\n").encode(), driver="modbus")
    cells = imported.rows[0].cells
    columns = ("scale", "offset", "raw_low", "raw_high", "eng_low", "eng_high")
    assert {column: cells[column] for column in columns if cells[column]} == expected
    lost = ends.startswith(("Square", "Linear,5,5"))
    assert [problem.code for problem in imported.problems] == (["W-CFG-172"] if lost else [])


def test_damaged_exports_are_told_and_never_break_the_reader() -> None:
    """``left`` mutations of the samples; the seed stands in the message of a failure."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    whole = [(export_of(case).name, export_of(case).read_bytes()) for case in NAMES]
    pieces = [b'"', b",", b"{", b"}", b"[1]", b"null", b"\n", b"9" * 30, b"{a+1}", b"\\", b"\xff"]
    for left in range(400):
        name, data = chance.choice(whole)
        broken = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(broken))
            broken[at : at + chance.choice([0, 1, 20])] = chance.choice(pieces)
        try:
            read_export(name, bytes(broken), driver=chance.choice(["", "modbus", "s7", "opcua"]))
        except Exception as error:  # noqa: BLE001 - any of them is the finding
            pytest.fail(f"seed {seed}, mutation {left} of {name}: {error!r}")
