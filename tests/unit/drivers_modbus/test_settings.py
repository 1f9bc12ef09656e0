"""Settings, the mistakes that ``check`` finds, and the shipped sample."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from drivers.modbus import PLUGIN
from drivers.modbus.endpoint import Limits, limits_of
from drivers.modbus.settings import ModbusSettings
from edge_agent.config.loader import load
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem

LOADERS_KEYS = {"device", "driver", "poll", "tags", "windows", "description"}


def made(**keys: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"link": "tcp://10.0.0.21", **keys})


def problems(*tags: Tag, **keys: Any) -> list[Problem]:
    return PLUGIN.check(made(**keys), tags)


def codes(*tags: Tag, **keys: Any) -> list[tuple[str, Any]]:
    return [(p.code, p.path[-1]) for p in problems(*tags, **keys)]


def test_defaults() -> None:
    settings = made()
    assert (settings.link, settings.station, settings.byte_order) == ("tcp://10.0.0.21:502", 1, "ABCD")
    assert limits_of(settings) == Limits(125, 2000)
    assert settings.max_gap is None


@pytest.mark.parametrize(
    ("link", "key"),
    [
        ("tcp://10.0.0.21", "10.0.0.21:502"),
        ("tcp://10.0.0.21:1502", "10.0.0.21:1502"),
        ("tcp://PLC-1.line.local/", "plc-1.line.local:502"),
        ("tcp://[::1]:502", "[::1]:502"),
    ],
)
def test_link_key(link: str, key: str) -> None:
    settings = made(link=link)
    assert PLUGIN.link_key(settings) == key
    assert PLUGIN.link_key(made(link=settings.link)) == key, "a validated link must validate again"


@pytest.mark.parametrize(
    "link",
    [
        "udp://10.0.0.21",
        "10.0.0.21:65536",
        "tcp://",
        "tcp://:502",
        "tcp://10.0.0.21:0",
        "tcp://10.0.0.21:65536",
        "tcp://10.0.0.21:x",
        "tcp://user@10.0.0.21",
        "tcp://10.0.0.21/path",
        "tcp://10.0.0.21：502",
        "tcp://10.0.0 21",
        "rtu://dev/ttyUSB0",
        "rtu://",
        "rtu:///",
        "rtu+tcp://10.0.0.21",
        "ascii+tcp://10.0.0.21/dev/ttyUSB0",
        "tls:///dev/ttyUSB0",
    ],
)
def test_other_links_are_refused_with_a_cure(link: str) -> None:
    with pytest.raises(ValidationError) as caught:
        made(link=link)
    (error,) = caught.value.errors()
    assert error["type"] == "modbus_link"
    assert "tcp://HOST:PORT" in error["msg"]
    assert "不是 Modbus 连接" in error["ctx"]["zh"]
    assert "such as tcp://10.0.0.21:502" in error["ctx"]["cure_en"] and "请写" in error["ctx"]["cure_zh"]


@pytest.mark.parametrize("link", ["10.0.0.9", "10.0.0.9:1502", "tcp:10.0.0.9", "tcp//10.0.0.9", "/dev/ttyS1"])
def test_where_only_the_scheme_is_missing_the_whole_link_is_told(link: str) -> None:
    with pytest.raises(ValidationError) as caught:
        made(link=link)
    (error,) = caught.value.errors()
    meant = f"rtu://{link}" if link[0] == "/" else "tcp://10.0.0.9" + (":1502" if "1502" in link else "")
    assert f"here {meant}; " in error["ctx"]["cure_en"] and f"此处应为 {meant}；" in error["ctx"]["cure_zh"]
    assert made(link=meant).link.startswith(meant)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("station", 256),
        ("station", -1),
        ("byte_order", "ABDC"),
        ("max_registers", 0),
        ("max_registers", 126),
        ("max_bits", 2001),
        ("max_gap", -1),
        ("slave", 1),
    ],
)
def test_values_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        made(**{key: value})


def test_byte_order_in_small_letters() -> None:
    assert made(byte_order="cdab").byte_order == "CDAB"
    assert codes(Tag("t", "hr:0", ValueType.INT32, byte_order="cdab")) == []


def test_station_0_is_a_warning() -> None:
    (problem,) = problems(station=0)
    assert (problem.code, problem.path, problem.warning) == ("W-MB-101", ("station",), True)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (Tag("t", "hr:x", ValueType.INT16), [("E-MB-001", "address")]),
        (Tag("t", "hr:65536", ValueType.INT16), [("E-MB-001", "address")]),
        (Tag("t", "co:0", ValueType.INT16), [("E-MB-002", "type")]),
        (Tag("t", "di:0", ValueType.FLOAT32), [("E-MB-002", "type")]),
        (Tag("t", "hr:0.1", ValueType.UINT16), [("E-MB-002", "type")]),
        (Tag("t", "hr:0", ValueType.BOOL), [("E-MB-002", "type")]),
        (Tag("t", "hr:0", ValueType.STRING, length=8), []),
        (Tag("t", "hr:0", ValueType.STRING, length=0), [("E-MB-009", "type")]),
        (Tag("t", "co:0", ValueType.STRING, length=8), [("E-MB-002", "type")]),
        (Tag("t", "hr:0", ValueType.INT8), [("E-MB-002", "type")]),
        (Tag("t", "hr:0.h", ValueType.INT8), []),
        (Tag("t", "hr:0.h", ValueType.INT16), [("E-MB-002", "type")]),
        (Tag("t", "co:0.l", ValueType.UINT8), [("E-MB-001", "address")]),
        (Tag("t", "co:0", ValueType.UINT16, wire="bcd16"), [("E-MB-002", "type")]),
        (Tag("t", "hr:0", ValueType.UINT16, wire="bcd16"), []),
        (Tag("t", "hr:0", ValueType.UINT16, wire="s5time"), [("E-MB-003", "type")]),
        (Tag("t", "hr:0", ValueType.STRING, length=8, encoding="GBK"), []),
        (Tag("t", "hr:0", ValueType.STRING, length=8, encoding="utf-16"), [("E-MB-008", "encoding")]),
        (Tag("t", "hr:0", ValueType.INT16, encoding="gbk"), [("E-MB-008", "encoding")]),
        (Tag("t", "hr:65532", ValueType.STRING, length=8), []),
        (Tag("t", "hr:65532", ValueType.STRING, length=9), [("E-MB-004", "address")]),
        (Tag("t", "hr:0", ValueType.STRING, length=250), []),
        (Tag("t", "hr:0", ValueType.STRING, length=251), [("E-MB-006", "type")]),
        (Tag("t", "co:0", ValueType.BOOL, byte_order="CDAB"), [("W-MB-103", "byte_order")]),
        (Tag("t", "hr:65535", ValueType.INT32), [("E-MB-004", "address")]),
        (Tag("t", "465534", ValueType.FLOAT64), [("E-MB-004", "address")]),
        (Tag("t", "hr:0", ValueType.INT32, byte_order="little"), [("E-MB-005", "byte_order")]),
        (Tag("t", "hr:65535", ValueType.INT16), []),
        (Tag("t", "hr:65534", ValueType.INT32), []),
        (Tag("t", "hr:65532", ValueType.FLOAT64), []),
        (Tag("t", "co:65535", ValueType.BOOL), []),
    ],
)
def test_tag_mistakes(tag: Tag, expected: list[tuple[str, str]]) -> None:
    assert codes(tag) == expected


def test_a_value_wider_than_a_request() -> None:
    assert codes(Tag("t", "hr:0", ValueType.INT64), max_registers=3) == [("E-MB-006", "type")]
    assert codes(Tag("t", "hr:0", ValueType.INT64), max_registers=4) == []


@pytest.mark.parametrize(
    ("address", "kind", "hit"),
    [
        ("hr:99", ValueType.UINT16, False),
        ("hr:99", ValueType.UINT32, True),
        ("hr:120", ValueType.UINT16, True),
        ("400121.3", ValueType.BOOL, True),
        ("hr:121", ValueType.UINT16, False),
        ("ir:110", ValueType.UINT16, False),
        ("co:7", ValueType.BOOL, True),
        ("co:8", ValueType.BOOL, False),
    ],
)
def test_a_tag_in_a_forbidden_range(address: str, kind: ValueType, hit: bool) -> None:
    found = problems(Tag("t", address, kind), forbidden=["hr:100-120", "co:7"])
    assert [p.code for p in found] == (["E-MB-007"] if hit else [])
    for problem in found:
        assert "co:7 = 000008" in problem.message.en or "hr:100..120 = 400101..400121" in problem.message.zh


def test_forbidden_ranges_that_are_none() -> None:
    assert made(forbidden=["hr:100-120", "400201~400210", "co:7", "ir:0x10..0x1F"]).forbidden
    for text in ("hr:120-100", "hr:1-ir:2", "hr:1.3", "hr:1-", "x", "hr:1,hr:2"):
        with pytest.raises(ValidationError) as caught:
            made(forbidden=[text])
        (error,) = caught.value.errors()
        assert error["type"] == "modbus_range" and error["loc"] == ("forbidden", 0)
        assert error["ctx"]["zh"] and error["ctx"]["cure_en"] and error["ctx"]["cure_zh"]


def test_encodings() -> None:
    assert made().encoding == "utf-8"
    assert made(encoding="GB2312").encoding == "gbk" and made(encoding="UTF8").encoding == "utf-8"
    with pytest.raises(ValidationError):
        made(encoding="latin-1")


def test_a_timeout_shorter_than_the_longest_request() -> None:
    full = [Tag(f"t{n}", f"hr:{n}", ValueType.INT16) for n in range(125)]
    (problem,) = problems(*full, timeout="200ms", response_time="500ms")
    assert (problem.code, problem.path, problem.warning) == ("W-MB-104", ("timeout",), True)
    assert "hr:0..124 = 400001..400125" in problem.message.en and "set timeout to 0.8s" in problem.cure.en
    assert "max_registers" not in problem.cure.en, "fewer registers would not help"
    (problem,) = problems(*full, timeout="10ms", response_time="8ms")
    assert "max_registers to 50" in problem.cure.en
    assert problems(*full, timeout="10ms", response_time="8ms", max_registers=50) == []
    assert problems(*full[:40], timeout="10ms", response_time="8ms") == []
    other_group = [Tag(f"s{n}", f"hr:{200 + n}", ValueType.INT16, group="slow") for n in range(40)]
    assert problems(*full[:40], *other_group, timeout="10ms", response_time="8ms") == []
    assert problems(*full, timeout="1s") == []
    assert problems(timeout="1ms") == []


def test_every_problem_speaks_both_languages_and_both_notations() -> None:
    tags = [
        Tag("bit", "co:3", ValueType.INT16),
        Tag("end", "hr:65535", ValueType.INT32),
        Tag("twice", "hr:7", ValueType.INT16),
        Tag("again", "40008", ValueType.INT16),
        Tag("no_bits", "co:3.1", ValueType.BOOL),
        Tag("bit_16", "hr:7.16", ValueType.BOOL),
        Tag("hit", "hr:50", ValueType.INT16),
    ]
    found = problems(*tags, forbidden=["hr:50"])
    assert len(found) == 6
    for problem in found:
        for text in (problem.message, problem.cure):
            assert text.en and text.zh and text.en != text.zh
        assert re.search(r"\d{6} = \w\w:\d|\w\w:\d+ = \d{6}", problem.message.en), problem.message.en
        assert re.search(r"\d{6} = \w\w:\d|\w\w:\d+ = \d{6}", problem.message.zh), problem.message.zh


def test_two_mistakes_in_one_tag_are_both_found() -> None:
    assert codes(Tag("t", "hr:x", ValueType.INT32, byte_order="?")) == [
        ("E-MB-005", "byte_order"),
        ("E-MB-001", "address"),
    ]


def test_same_place_and_type_twice_is_a_warning() -> None:
    first, second = Tag("a", "40001", ValueType.INT16), Tag("b", "hr:0", ValueType.INT16)
    (problem,) = problems(first, second)
    assert (problem.code, problem.path, problem.warning) == ("W-MB-102", ("tags", "b", "address"), True)
    assert "'a'" in problem.message.en and "400001 = hr:0, FC03" in problem.message.en
    assert problems(first, Tag("c", "hr:0", ValueType.UINT16)) == []


def test_the_sample_is_valid_as_it_stands_and_with_every_default_uncommented() -> None:
    text = files("drivers.modbus").joinpath("sample.yaml").read_text(encoding="utf-8")
    given = _driver_keys(text)
    assert set(given) == {"link", "station"}
    everything = _driver_keys("\n".join(_uncommented(line) for line in text.splitlines()))
    shown = set(ModbusSettings.model_fields) - {"framing"}  # the link decides that one
    assert set(everything) == shown, "the sample must show every key"
    plain = made(**given).model_dump()
    for key in set(everything) - set(given):
        if ModbusSettings.model_fields[key].default is None:
            continue  # what it is without the key stands in the prose
        shown = made(**{**given, key: everything[key]}).model_dump()
        assert shown == plain, f"the sample shows {key}: {everything[key]}, which is not its default"


def _uncommented(line: str) -> str:
    return line[2:] if line.startswith("# ") else line


def _driver_keys(text: str) -> dict[str, Any]:
    keys = {key: value for key, value in yaml.safe_load(text).items() if key not in LOADERS_KEYS}
    made(**keys)
    return keys


def test_the_sample_loads_with_the_tags_it_names(tmp_path: Path) -> None:
    text = files("drivers.modbus").joinpath("sample.yaml").read_text(encoding="utf-8")
    rows = [
        line[5:].partition(" ")[0] for line in text.splitlines() if line.startswith("##   ") and "," in line
    ]
    table = [row for row in rows if row.count(",") >= 2]
    for name, content in (("edge-agent.yaml", "line: sample"), ("devices.d/a.yaml", text)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "tags.d").mkdir()
    (tmp_path / "tags.d" / "press-1.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (device,) = load(tmp_path).devices
    assert device.plugin is PLUGIN
    assert len(device.tags) == len(table) - 1 + 3, "the array is four tags"
    assert {"recipe", "zone[0]", "zone[3]", "pieces"} <= {tag.name for tag in device.tags}
    plan = PLUGIN.plan(device.settings, device.tags, None, None)
    assert len(plan.requests) == 4
