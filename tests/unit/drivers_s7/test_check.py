"""The offline check: settings and tags together, warnings, and words a person can use."""

from __future__ import annotations

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.settings import S7Settings
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem

from .test_kinds import tag_for


def device(**keys: object) -> S7Settings:
    return S7Settings.model_validate({"link": "tcp://plc", **keys})


def found(problems: list[Problem]) -> list[tuple[str, tuple[str | int, ...], bool]]:
    for problem in problems:
        assert problem.message.en and problem.message.zh and problem.cure.en and problem.cure.zh
    return [(problem.code, problem.path, problem.warning) for problem in problems]


@pytest.mark.parametrize(
    ("link", "told"), [("10.0.0.7", "此处应为 tcp://10.0.0.7（"), ("压机", "例如 tcp://10.0.0.31（")]
)
def test_where_only_the_scheme_is_missing_the_whole_link_is_told(link: str, told: str) -> None:
    (problem,) = PLUGIN.check(device(link=link), [])
    assert problem.code == "E-S7-LINK" and told in problem.cure.zh


@pytest.mark.parametrize(("written", "meant"), [("E0.2", "I0.2"), ("%AW4", "QW4"), ("Z7", "C7")])
def test_german_letters_are_read_with_a_note(written: str, meant: str) -> None:
    kind = {"E": ValueType.BOOL, "Z": ValueType.UINT16}.get(written[0], ValueType.UINT16)
    (problem,) = PLUGIN.check(device(), [Tag("t", written, kind)])
    assert (problem.code, problem.warning) == ("E-S7-GERMAN", True)
    assert f"read as {meant}" in problem.message.en
    assert f"按 {meant} 读取" in problem.message.zh


def test_a_text_longer_than_the_shortest_pdu_is_a_warning_with_the_length_that_fits() -> None:
    long, fits = tag_for("string", "DB1.DBB0", 221), tag_for("string", "DB2.DBB0", 220)
    (problem,) = PLUGIN.check(device(), [long, fits])
    assert (problem.code, problem.warning) == ("E-S7-LONG", True)
    assert "needs a PDU of 241 bytes" in problem.message.en
    assert "string[220]" in problem.cure.en and "string[220]" in problem.cure.zh
    assert found(PLUGIN.check(device(pdu=240), [long])) == [("E-S7-LONG", ("tags", "t", "type"), False)]
    wide = tag_for("wstring", "DB1.DBB0", 110)
    assert "wstring[109]" in PLUGIN.check(device(), [wide])[0].cure.en


def test_a_set_that_cannot_come_in_one_request_is_found_offline() -> None:
    tags = [Tag(f"t{n}", f"DB{n + 1}.DBW0", ValueType.INT16) for n in range(21)]
    names = [tag.name for tag in tags]
    assert found(PLUGIN.check(device(consistent=[names]), tags)) == [
        ("E-S7-CONSISTENT", ("consistent",), False)
    ]
    assert found(PLUGIN.check(device(consistent=[names[:20]]), tags)) == [
        ("E-S7-CONSISTENT", ("consistent",), True)
    ], "twenty items fit a PDU of 480, not one of 240"
    assert PLUGIN.check(device(consistent=[names[:19]]), tags) == []
    assert found(PLUGIN.check(device(consistent=[names[:5]], max_items=4), tags)) == [
        ("E-S7-CONSISTENT", ("consistent",), False)
    ]
    halves = [names[:11], names[10:]]
    assert found(PLUGIN.check(device(consistent=halves), tags)) == [
        ("E-S7-CONSISTENT", ("consistent",), False)
    ], "sets that share a tag are one set"


def test_a_set_names_tags_of_one_group() -> None:
    fast = Tag("a", "DB1.DBW0", ValueType.INT16, group="fast")
    slow = Tag("b", "DB1.DBW2", ValueType.INT16, group="slow")
    (problem,) = PLUGIN.check(device(consistent=[["a", "b"]]), [fast, slow])
    assert problem.path == ("consistent", 0)
    assert "fast, slow" in problem.message.en
    assert found(PLUGIN.check(device(consistent=[["a", "c"], ["b"]]), [fast, slow])) == [
        ("E-S7-CONSISTENT", ("consistent", 0), False),
        ("E-S7-CONSISTENT", ("consistent", 1), False),
    ]


def test_a_mistake_in_a_member_does_not_hide_the_others() -> None:
    tags = [Tag("a", "nonsense", ValueType.INT16), Tag("b", "DB1.DBW0", ValueType.INT16)]
    problems = PLUGIN.check(device(consistent=[["a", "b", "c"]], exclusive_bytes=["DB1.DBW0"]), tags)
    assert [problem.code for problem in problems] == ["E-S7-ADDRESS", "E-S7-CONSISTENT", "E-S7-EXCLUSIVE"]


def test_an_encoding_nobody_knows_is_a_mistake() -> None:
    tag = tag_for("string", "DB1.DBB0", 8, "cp1251")
    assert found(PLUGIN.check(device(), [tag])) == [("E-S7-ENCODING", ("tags", "t", "encoding"), False)]


def test_devices_on_one_link_must_agree_on_what_the_link_does() -> None:
    assert PLUGIN.link_options == {"connection", "pdu", "cpu_state"}
