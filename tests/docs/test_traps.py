"""Every trap of docs/traps.md is held by a test that exists, or says plainly why by none."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, codes, page

TRAPS = ROOT / "docs" / "traps.md"
HEADING = ["What goes wrong", "What Lineside does", "Held by", "Why not"]
ROWS = [row for table in page(TRAPS).tables() for row in table]
REASON_AT_LEAST = 20


def missing(place: str) -> str:
    """What is wrong with the name of a test or of a case folder; nothing if it exists."""
    path, _, test = place.partition("::")
    if not test:
        return "" if path.startswith("tests/cases/") and (ROOT / path).is_dir() else "no such case folder"
    if not re.fullmatch(r"tests/[\w/]+\.py", path) or not (ROOT / path).is_file():
        return "no such file"
    text = (ROOT / path).read_text(encoding="utf-8")
    return (
        "" if re.search(rf"^\s*(async )?def {re.escape(test)}\(", text, re.M) else "no such test in that file"
    )


def problems(row: list[str]) -> list[str]:
    if len(row) != len(HEADING):
        return [f"{len(row)} cells instead of {len(HEADING)}"]
    wrong, does, held, reason = row
    names = codes(held)
    told = [f"{name}: {why}" for name in names if (why := missing(name))]
    if not wrong or not does:
        told.append("an empty cell")
    if re.sub(r"`[^`]*`|[, ]", "", held):
        told.append("something else than names of tests stands in 'Held by'")
    if not names and len(reason) < REASON_AT_LEAST:
        told.append("neither a test nor a reason")
    return told


def test_every_table_has_these_columns() -> None:
    lines = [line for _, line in page(TRAPS).prose]
    heads = [lines[at - 1] for at, line in enumerate(lines) if re.fullmatch(r"[|\- ]+", line) and "-" in line]
    assert [[cell.strip() for cell in head.strip("| ").split("|")] for head in heads] == [HEADING] * 7
    assert [level for level, _ in page(TRAPS).headings].count(2) == len(heads)


def test_every_trap_has_a_test_or_a_reason() -> None:
    assert len(ROWS) > 150
    told = {row[0]: found for row in ROWS if (found := problems(row))}
    assert not told, told


def test_no_trap_stands_there_twice() -> None:
    first = [row[0] for row in ROWS]
    assert sorted(set(first)) == sorted(first)


THIS = "tests/docs/test_traps.py"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["a", "b", f"`{THIS}::test_no_trap_stands_there_twice`", ""], 0),
        (["a", "b", "`tests/cases/modbus/arrays`", ""], 0),
        (["a", "b", "", "it would need hardware nobody here has"], 0),
        (["a", "b", "", ""], 1),
        (["a", "b", "", "no"], 1),
        (["a", "b", f"`{THIS}::test_no_trap`", ""], 1),
        (["a", "b", "`tests/docs/test_trap.py::test_no_trap_stands_there_twice`", ""], 1),
        (["a", "b", "`tests/cases/modbus/no-such-case`", ""], 1),
        (["a", "b", "`tests/docs`", ""], 1),
        (["a", "b", "some test", "it would need hardware nobody here has"], 1),
        (["a", "", f"`{THIS}::test_no_trap_stands_there_twice`", ""], 1),
        (["a", "b"], 1),
    ],
)
def test_what_is_wrong_with_a_row_is_found(row: list[str], expected: int) -> None:
    assert len(problems(row)) == expected
