"""The typing-accident lint: what it leaves alone, and that repaired places lead back to the original."""

from __future__ import annotations

import pytest

from edge_agent.config.document import scalar
from edge_agent.config.lint import full_width_in, lint


@pytest.mark.parametrize(
    "text",
    [
        "description: 一号机：主缸，压力（绝压）“左”",
        "# 注释：全角，“引号”　空格\na: 1  # 同样，：“”",
        "a: \"一，二：三“四”\"\nb: '［全角］'",
        "a: |\n  注意：\t第一行\n  key:value\n  -item\n\n  “引号”\nb: 1",
        "a: >-\n  x：y\nb: 1",
        "- a: |\n    x：y\n  b: 1",
        "a: 第一行\n  第二行：继续，-x\nb: 1",
        "link: tcp://10.0.0.1:502\nurls: [http://a/b, tcp://c:1]\n- hr:0",
        'a: "第一行\n  第二行：“x”，\n  end"\nb: 1',
        "a: {b: c, 'd：e': \"f，g\"}\nc: -5\nd: 50%\ne: a*b & c @ d",
        "a: 一号\u3000热压机\nb:\t1\t# tab",
        "a: [1,\n\t2,\n    {b: c}]\nd: 1",
        "---\na: 1\n",
        "快: 1s\n慢: 2s",
    ],
)
def test_legitimate_text_is_left_alone(text: str) -> None:
    repaired = lint(text)
    assert [(a.line, a.column, a.entry.code) for a in repaired.accidents] == []
    assert repaired.text == text


@pytest.mark.parametrize(
    ("text", "meant", "places"),
    [
        ("a：1\n", "a: 1\n", [(1, 2)]),
        ("a： 1", "a: 1", [(1, 2)]),
        ("  - tag：x", "  - tag: x", [(1, 8)]),
        ("组：1s", "组: 1s", [(1, 2)]),
        ("a: “b” # “c”", 'a: "b" # “c”', [(1, 4), (1, 6)]),
        ("a: [x，y、z；w]", "a: [x,y,z,w]", [(1, 6), (1, 8), (1, 10)]),
        ("\ta: 1\n\t\t- b: 2", "  a: 1\n    - b: 2", [(1, 1), (2, 1)]),
        ("\u3000a: 1", "  a: 1", [(1, 1)]),
        ("a:\u30001", "a: 1", [(1, 3)]),
        ("-\u3000a: 1", "- a: 1", [(1, 2)]),
        ("host:10.0.0.5", "host: 10.0.0.5", [(1, 5)]),
        ("-b", "- b", [(1, 1)]),
        ("a: ！secret x", "a: !secret x", [(1, 4)]),
        ("a: 'x’", "a: 'x'", [(1, 6)]),
        ("a: −5", "a: -5", [(1, 4)]),
        ("x: 1\u200b\n", "x: 1\n", [(1, 5)]),
        ("a: 1\n\u3000\u3000\nb: 2", "a: 1\n\nb: 2", []),
        ("- - -a", "- - - a", [(1, 5)]),
        ("a:\n  - x\n  －y", "a:\n  - x\n  - y", [(3, 3)]),
        ("{fast:1s, slow：2s}", "{fast: 1s, slow: 2s}", [(1, 6), (1, 15)]),
    ],
)
def test_what_was_meant(text: str, meant: str, places: list[tuple[int, int]]) -> None:
    repaired = lint(text)
    assert repaired.text == meant
    assert [(a.line, a.column) for a in repaired.accidents] == places


def test_places_in_the_repaired_text_lead_back() -> None:
    text = "-tag：[a，b]  # x"
    repaired = lint(text)
    assert repaired.text == "- tag: [a,b]  # x"
    for needle in ("tag", "a", "b", "]", "#"):
        at = repaired.text.index(needle, 2 if needle != "a" else 7)
        original = text.index(needle, 1 if needle != "a" else 5)
        assert repaired.original(0, at) == (1, original + 1), needle


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("y", "y"), ("true", True), ("False", False),
        ("010", 10), ("0x1F", 31), ("0o17", 15), ("1:30", "1:30"), ("12:30:45", "12:30:45"),
        ("1_000", "1_000"), ("2026-01-02", "2026-01-02"), ("1e3", 1000.0), ("-.5", -0.5), ("5.", 5.0),
        ("+7", 7), ("", None), ("~", None), ("null", None), ("1.2.3", "1.2.3"), ("0b1", "0b1"), ("=", "="),
        ("５", "５"),
        ("9" * 4001, "9" * 4001), ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_full_width_digits_are_found() -> None:
    assert full_width_in("1５") == (1, "５", "5")
    assert full_width_in("0。5") == (1, "。", ".")
    assert full_width_in("一号") is None
