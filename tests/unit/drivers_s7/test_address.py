"""Addresses and settings: what is accepted, where it lies, and what a mistake says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import drivers.s7
from drivers.s7 import PLUGIN
from drivers.s7.address import locate
from drivers.s7.settings import S7Settings
from edge_agent.config.kinds import Kind, Kinds
from edge_agent.model import Tag, ValueType

GOOD = [
    ("DB1.DBX0.3", ValueType.BOOL, (1, 0, 1, "B", 3)),
    ("DB1.DBB1", ValueType.UINT8, (1, 1, 1, "B", None)),
    ("DB1.DBB1", ValueType.INT8, (1, 1, 1, "b", None)),
    ("DB10.DBW2", ValueType.INT16, (10, 2, 2, "h", None)),
    ("%DB10.DBW2", ValueType.UINT16, (10, 2, 2, "H", None)),
    ("db1.dbd4", ValueType.INT32, (1, 4, 4, "i", None)),
    (" DB1.DBD4 ", ValueType.FLOAT32, (1, 4, 4, "f", None)),
    ("DB1.DBL8", ValueType.FLOAT64, (1, 8, 8, "d", None)),
    ("M10.3", ValueType.BOOL, (0, 10, 1, "B", 3)),
    ("%MX10.3", ValueType.BOOL, (0, 10, 1, "B", 3)),
    ("%MW10", ValueType.INT16, (0, 10, 2, "h", None)),
    ("IB0", ValueType.UINT8, (0, 0, 1, "B", None)),
    ("Q4.7", ValueType.BOOL, (0, 4, 1, "B", 7)),
    ("QD8", ValueType.FLOAT32, (0, 8, 4, "f", None)),
    ("ML8", ValueType.INT64, (0, 8, 8, "q", None)),
    ("T5", ValueType.UINT32, (0, 10, 2, "H", None)),
    ("%C3", ValueType.UINT16, (0, 6, 2, "H", None)),
    ("C32767", ValueType.UINT16, (0, 65534, 2, "H", None)),
    ("DB1.DBB8", ValueType.UINT64, (1, 8, 8, "Q", None)),
    ("DB65535.DBB65535", ValueType.UINT8, (65535, 65535, 1, "B", None)),
]
BAD = [
    ("", ValueType.UINT8, "E-S7-ADDRESS", "address"),
    ("M10", ValueType.BOOL, "E-S7-BIT", "address"),
    ("M10", ValueType.INT16, "E-S7-WIDTH", "address"),
    ("MW10.1", ValueType.INT16, "E-S7-BIT", "address"),
    ("DB1.MW10", ValueType.INT16, "E-S7-ADDRESS", "address"),
    ("V10.0", ValueType.BOOL, "E-S7-ADDRESS", "address"),
    ("T5.1", ValueType.BOOL, "E-S7-ADDRESS", "address"),
    ("T5", ValueType.BOOL, "E-S7-TYPE", "type"),
    ("T5", ValueType.UINT16, "E-S7-TYPE", "type"),
    ("C5", ValueType.FLOAT32, "E-S7-TYPE", "type"),
    ("C32768", ValueType.UINT16, "E-S7-RANGE", "address"),
    ("MD65533", ValueType.INT32, "E-S7-RANGE", "address"),
    ("DB1.W2", ValueType.INT16, "E-S7-ADDRESS", "address"),
    ("DB1.DBX0.8", ValueType.BOOL, "E-S7-BIT", "address"),
    ("DB1.DBX0", ValueType.BOOL, "E-S7-BIT", "address"),
    ("DB1.DBW2.1", ValueType.INT16, "E-S7-BIT", "address"),
    ("DB1.DBX0.1", ValueType.INT16, "E-S7-WIDTH", "address"),
    ("DB1.DBB0", ValueType.BOOL, "E-S7-WIDTH", "address"),
    ("DB1.DBW2", ValueType.FLOAT32, "E-S7-WIDTH", "address"),
    ("DB1.DBB2", ValueType.INT16, "E-S7-WIDTH", "address"),
    ("DB0.DBB0", ValueType.UINT8, "E-S7-RANGE", "address"),
    ("DB65536.DBB0", ValueType.UINT8, "E-S7-RANGE", "address"),
    ("DB1.DBD65533", ValueType.INT32, "E-S7-RANGE", "address"),
    ("DB1.DBD0", ValueType.STRING, "E-S7-WIDTH", "address"),
]
SETTINGS = S7Settings(link="tcp://10.0.0.31")


@pytest.mark.parametrize(("address", "kind", "place"), GOOD)
def test_a_good_address_is_located(address: str, kind: ValueType, place: tuple[object, ...]) -> None:
    found = locate(Tag("t", address, kind))
    assert (found.db, found.start, found.length, found.code, found.bit) == place
    assert PLUGIN.check(SETTINGS, [Tag("t", address, kind)]) == []


@pytest.mark.parametrize(("address", "kind", "code", "column"), BAD)
def test_a_mistake_has_code_place_and_cure(address: str, kind: ValueType, code: str, column: str) -> None:
    (problem,) = PLUGIN.check(SETTINGS, [Tag("t", address, kind)])
    assert (problem.code, problem.path, problem.warning) == (code, ("tags", "t", column), False)
    assert problem.message.en and problem.message.zh and problem.cure.en and problem.cure.zh


def test_all_mistakes_are_found_at_once() -> None:
    tags = [Tag(f"t{n}", address, kind) for n, (address, kind, _, _) in enumerate(BAD)]
    problems = PLUGIN.check(S7Settings(link="10.0.0.31"), tags)
    assert [problem.code for problem in problems] == ["E-S7-LINK", *(code for _, _, code, _ in BAD)]


def test_an_odd_offset_and_a_byte_order_are_spoken_of() -> None:
    odd, order = PLUGIN.check(
        SETTINGS,
        [
            Tag("odd", "DB1.DBW3", ValueType.INT16),
            Tag("order", "DB1.DBW6", ValueType.INT16, byte_order="CDAB"),
        ],
    )
    assert (odd.code, odd.warning) == ("E-S7-ODD", True)
    assert (order.code, order.warning, order.path) == (
        "E-S7-BYTE-ORDER",
        False,
        ("tags", "order", "byte_order"),
    )


@pytest.mark.parametrize(
    "link",
    ["10.0.0.31", "tcp://", "tcp://a:0", "tcp://a:70000", "tcp://a:x", "udp://a", "tcp://a/b", "tcp://u@a"],
)
def test_a_bad_link_is_a_problem_and_still_has_a_key(link: str) -> None:
    settings = S7Settings(link=link)
    (problem,) = PLUGIN.check(settings, [])
    assert (problem.code, problem.path) == ("E-S7-LINK", ("link",))
    assert link in PLUGIN.link_key(settings)


def test_the_link_key_is_host_port_rack_and_slot() -> None:
    assert PLUGIN.link_key(SETTINGS) == "10.0.0.31:102/0/1"
    assert PLUGIN.link_key(S7Settings(link="tcp://plc:1102", rack=1, slot=3)) == "plc:1102/1/3"


@pytest.mark.parametrize(
    "keys", [{"rack": 8}, {"slot": 32}, {"connection": "hmi"}, {"pdu": 239}, {"pdu": 961}]
)
def test_settings_outside_their_range_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        S7Settings.model_validate({"link": "tcp://plc", **keys})


def test_the_sample_shows_the_real_defaults_and_good_tags() -> None:
    text = (Path(drivers.s7.__file__).parent / "sample.yaml").read_text(encoding="utf-8")
    shown = yaml.safe_load("\n".join(re.findall(r"^# (\w+: .*|\w+:)$", text, re.MULTILINE)))
    keys = yaml.safe_load(text)
    assert set(keys) == {"device", "driver", "link", "poll", "tags"}
    settings = S7Settings(link=keys["link"])
    shown.pop("timeout")  # decided by the agent, per link
    assert S7Settings.model_validate({"link": keys["link"], **shown}) == settings
    kinds = Kinds(PLUGIN.types)
    tags = []
    for name, address, cell, group in (
        line.split(",") for line in re.findall(r"^##   (\w+,\S+)", text, re.MULTILINE)
    ):
        kind = kinds.read(cell)
        assert isinstance(kind, Kind), kind
        tags.append(Tag(name, address, kind.type, group, length=kind.length, wire=kind.wire))
    assert len(tags) >= 12
    assert {tag.group for tag in tags} == set(keys["poll"])
    assert PLUGIN.check(settings, tags) == []


def test_the_sample_names_every_key() -> None:
    text = (Path(drivers.s7.__file__).parent / "sample.yaml").read_text(encoding="utf-8")
    for key in S7Settings.model_fields:
        assert re.search(rf"^(# )?{key}: ", text, re.MULTILINE), key
