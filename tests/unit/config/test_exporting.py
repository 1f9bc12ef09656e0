"""A table that is exported and imported again is the same table; a workbook helps to fill it in."""

from __future__ import annotations

import io
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.config.columns import COLUMNS, NUMBERS
from edge_agent.config.exporting import NOTES, Sheet, to_csv, to_workbook
from edge_agent.config.importing import read_export
from edge_agent.config.importing.merging import compare, csv_line, write_csv, write_workbook
from edge_agent.config.located import Collector, Source
from edge_agent.config.sources import decode
from edge_agent.config.table import Table, read_table
from edge_agent.config.workbook import read_workbook

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from('=+-@",;#\n\t 0'), max_size=12
).map(lambda text: " ".join(text.replace("\t", " ").split(" ")).strip())
NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(["0.10", "1e3", "-0.0", "+5", ".5", "5.", "100000000000000000000"]),
)
ADDRESS = st.sampled_from(["400001", "000017", "hr:0x0A", "DB1.DBX0.3", 'ns=2;s=A "b",c', "1-2", "40001"])
TYPES = st.sampled_from(["int16", "float32", "string[20]", "float32[4]", "BCD16", "bool"])


def _cell(column: str) -> st.SearchStrategy[str]:
    if column in NUMBERS:
        return st.one_of(st.just(""), NUMBER)
    if column == "metric":
        return st.sampled_from(["", "yes", "no", "是", "1"])
    if column in ("group", "quantity"):
        return st.sampled_from(["", "fast", "慢速"])
    return TEXT


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV as people keep it: any columns in any order, any separator, comments."""
    names = draw(
        st.lists(st.from_regex(r"[a-z温度][\w.-]{0,8}", fullmatch=True), min_size=1, max_size=8, unique=True)
    )
    more = draw(
        st.lists(st.sampled_from([c for c in COLUMNS if c not in ("name", "address", "type")]), unique=True)
    )
    columns = draw(st.permutations(["name", "address", "type", *more]))
    mark = draw(st.sampled_from(",;\t"))
    lines = [mark.join(columns)]
    for name in names:
        cells = {"name": name, "address": draw(ADDRESS), "type": draw(TYPES)}
        cells |= {column: draw(_cell(column)) for column in more}
        lines.append(csv_line([cells[column] for column in columns], mark))
        if draw(st.booleans()) and columns[0] == "name":
            lines.append("# a comment")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return (draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + end).encode()


def read(data: bytes) -> Table:
    decoded = decode(data)
    return read_table(Source("tags.d/t.csv", decoded.text or ""), decoded, Collector())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(tables())
def test_csv_there_and_back_is_no_difference(data: bytes) -> None:
    table = read(data)
    imported = read_export("back.csv", to_csv(table), tool="lineside")
    assert compare(table, imported.rows) == []
    written = write_csv(table, data, imported.rows, [])
    assert written.data == data  # to the byte: comments, order, quotes, line ends


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(tables(), st.sampled_from(["zh", "en"]))
def test_a_workbook_there_and_back_is_no_difference(data: bytes, language: str) -> None:
    table = read(data)
    book = to_workbook([Sheet("press-1", table, ["int16"], ["fast"])], language)
    imported = read_export("back.xlsx", book, device="press-1")
    assert imported.tool == "lineside"
    assert compare(table, imported.rows) == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(tables(), tables())
def test_what_is_applied_is_there_and_applying_again_changes_nothing(data: bytes, other: bytes) -> None:
    table, imported = read(data), read_export("other.csv", other, tool="lineside")
    changes = compare(table, imported.rows)
    written = write_csv(table, data, imported.rows, changes)
    after = read(written.data)
    assert after.usable
    assert compare(after, imported.rows) == []
    assert list(after.names) == [n for n in table.names if n in read(other).names] + [
        n for n in read(other).names if n not in table.names
    ]
    for line, row in written.lines.items():
        assert after.names[row.name].line == line


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(tables(), tables())
def test_the_same_in_a_workbook_that_is_the_table(data: bytes, other: bytes) -> None:
    old = to_workbook([Sheet("t", read(data), [], [])], "zh")
    table = read_workbook("tags.d/t.xlsx", old, Collector())
    imported = read_export("other.csv", other, tool="lineside")
    written = write_workbook(table, old, imported.rows, compare(table, imported.rows))
    after = read_workbook("tags.d/t.xlsx", written.data, Collector())
    assert compare(after, imported.rows) == []
    for line, row in written.lines.items():
        assert after.names[row.name].line == line


def test_a_workbook_helps_to_fill_it_in() -> None:
    table = read(b"name,address,type,description\na,000017,bool,=1+1\n")
    types = [f"type{number}" for number in range(80)]  # too long for a list in place
    sheets = [Sheet("press-1", table, types, ["fast", "slow"]), Sheet("a/b" * 20, table, types, [])]
    book: Any = openpyxl.load_workbook(io.BytesIO(to_workbook(sheets, "zh")))
    sheet = book["press-1"]
    assert [cell.value for cell in sheet[1]] == [names[0] for names in COLUMNS.values()]
    assert sheet.freeze_panes == "B2"
    for cell, note in zip(sheet[1], NOTES.values(), strict=True):
        assert cell.comment.text == note.zh
    rules = {str(rule.sqref).rstrip("0123456789:"): rule for rule in sheet.data_validations.dataValidation}
    assert len(rules) == 4
    assert all(len(rule.formula1) < 255 and rule.formula1.startswith("lists!$") for rule in rules.values())
    assert [cell.value for cell in book["lists"]["A"]] == types
    assert book["lists"].sheet_state == "hidden"
    assert sheet["B2"].value == "000017"
    assert sheet["E2"].data_type == "s"  # not a formula
    assert book.sheetnames[0] == "press-1"
    assert set(NOTES) == set(COLUMNS)
    assert max(len(name) for name in book.sheetnames) <= 31


def test_a_control_character_is_told_and_nothing_lost() -> None:
    table = read(b"name,address,type,description\na,40001,bool,x\x0by\n")
    with pytest.raises(ValueError, match="description"):
        to_workbook([Sheet("p", table, [], [])], "en")
    imported = read_export("back.csv", to_csv(table), tool="lineside")
    assert compare(table, imported.rows) == []


def test_a_gbk_table_becomes_utf8_when_it_is_written() -> None:
    data = "name,address,type,unit\n温度,40001,int16,°C\n".encode("gb18030")
    imported = read_export("new.csv", "name,address,type\n温度,40002,int16\n".encode(), tool="lineside")
    table = read(data)
    written = write_csv(table, data, imported.rows, compare(table, imported.rows))
    assert written.data == "\ufeffname,address,type,unit\n温度,40002,int16,°C\n".encode()
