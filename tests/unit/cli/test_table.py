"""Columns stay aligned, whatever is written in them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli.fitting import fitted, widths
from edge_agent.cli.output import rich_table, value_text
from edge_agent.cli.table import Table, plain, width

CELL = st.text(st.sampled_from("ab1 °C温度压力“，é…\u0301\x1b\n\t"), max_size=8)


def test_wide_characters_take_two_columns() -> None:
    assert (width("温度"), width("°C"), width("a，b"), width("e\u0301")) == (4, 2, 4, 1)


def test_a_chinese_table() -> None:
    table = Table(
        "设备", ("变量", "值", "单位"), [["温度", "85.2", "°C"], ["pressure", "0.41", "MPa"]], frozenset({1})
    )
    assert plain(table).split("\n") == [
        "设备",
        "变量        值  单位",
        "温度      85.2  °C",
        "pressure  0.41  MPa",
    ]


@given(st.lists(st.tuples(CELL, CELL), max_size=5))
def test_second_columns_start_at_the_same_place(rows: list[tuple[str, str]]) -> None:
    lines = plain(Table("", ("h", "|"), [(one, "|" + two) for one, two in rows])).split("\n")
    assert len(lines) == len(rows) + 1
    assert len({width(line[: line.index("|")]) for line in lines}) == 1


def test_text_of_a_device_moves_no_cursor() -> None:
    assert "\x1b" not in plain(Table("", ("a",), [["\x1b[2Jgone"]]))


NAME = "press-1.zone1_temperature_of_the_second_oven.high"
NOW_NS = 1_795_400_000_000_000_000  # 2026-11-23 00:53:20 in Beijing
ALARMS = Table(
    "Alarms",
    ("alarm", "state", "priority", "value", "since", "who", "why"),
    [[NAME, "ACTIVE", "high", "0.52", "2026-11-23 00:52:05+08:00", "", "somebody had a long reason for it"]],
    frozenset({3}),
    (5, 6, 2),
)


def _drawn(table: Table, columns: int) -> str:
    from rich.console import Console

    console = Console(width=columns, file=io.StringIO())
    console.print(rich_table(table, columns))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_a_narrow_terminal_cuts_no_name(columns: int) -> None:
    drawn = _drawn(ALARMS, columns)
    lines = drawn.splitlines()
    assert "…" not in drawn and max(map(len, lines)) <= columns
    assert "".join(line[: len(NAME)].split("  ")[0].strip() for line in lines[2:]).startswith(NAME)


def test_what_matters_least_goes_first_and_is_told() -> None:
    fit, gone = fitted(ALARMS, 88, NOW_NS)
    assert fit.headings == ("alarm", "state", "priority", "value", "since")
    assert gone == ["why"]  # nothing stood under "who"
    assert fit.right == {3} and fit.rows[0][-1] == "00:52:05"
    assert "no room for: why (--json has all)" in _drawn(ALARMS, 88)
    assert fitted(ALARMS, 400, NOW_NS)[0].headings == ALARMS.headings
    assert sum(widths(fit, 40)) + 2 * 4 <= 40


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-11-23 00:00:00+08:00", "00:00:00"),
        ("2026-11-22 21:23:59+08:00", "11-22 21:23"),
        ("2025-11-23 00:00:00+08:00", "2025-11-23"),
        ("since 2025-11-23 00:00:00+08:00", "since 2025-11-23 00:00:00+08:00"),
    ],
)
def test_a_list_on_a_terminal_has_short_times(written: str, shown: str) -> None:
    (row,) = fitted(Table("", ("a", "b", "c"), [[written, "", ""]]), 200, NOW_NS)[0].rows
    assert row[0] == shown
    (row,) = fitted(Table("", ("what", "value"), [["since", written]]), 200, NOW_NS)[0].rows
    assert row[1] == written


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (123456.8984375, "float32", "123456.9"),
        (123456.8984375, "", "123456.9"),
        (0.4099999964237213, "", "0.41"),
        (409.9999964237213, "float32", "410"),  # scaled
        (16777216.0, "float32", "16777216"),
        (100000000.0, "float32", "100000000"),
        (123456.94, "", "123456.94"),
        (123456.901, "float64", "123456.901"),
        (0.1 + 0.2, "", "0.3"),
        (190.20000000000002, "int16", "190.2"),
        (123456789012.5, "float64", "123456789012"),
        (9_007_199_254_740_993, "int64", "9007199254740993"),
        (1e300, "", "1e+300"),
        (float("inf"), "", "inf"),
        (float("nan"), "", "nan"),
        (True, "bool", "1"),
        (None, "", ""),
    ],
)
def test_a_number_has_the_digits_that_it_has(value: object, kind: str, shown: str) -> None:
    assert value_text(value, kind) == shown
