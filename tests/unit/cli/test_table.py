"""Columns stay aligned, whatever is written in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
