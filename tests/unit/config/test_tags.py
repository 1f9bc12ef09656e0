"""What a row of a tag table becomes, with the types and arrays of its device's driver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import (
    Configuration,
    ConfigurationError,
    load,
    load_last_good,
    places_of,
    save_last_good,
)
from edge_agent.config.apart import load_apart
from edge_agent.config.meanings import range_scaling, read_label, read_no_value
from edge_agent.driver import DriverPlugin
from edge_agent.model import Scaling, Tag, ValueType, engineering
from edge_agent.registry import UnknownPlugin
from edge_agent.settings import Problem, Text
from tests.unit.config.good import AGENT, FAKE, FakePlugins, write

DEVICE = "device: press-1\ndriver: fake\nlink: bus://a\npoll: 1s\ntags: press-1.csv\n"
OTHER = DEVICE.replace("press-1\ndriver: fake", "press-2\ndriver: other")
TYPES = {"BCD16": ValueType.UINT16, "wstring": ValueType.STRING}


def elements(settings: Any, tag: Tag, count: int) -> Sequence[str]:
    first = int(tag.address.removeprefix("r"))
    if first + count > 100:
        raise ValueError("100 is the last")
    return [f"r{first + number}" for number in range(count)]


def check(settings: Any, tags: Sequence[Tag]) -> list[Problem]:
    bad = [tag for tag in tags if not tag.address.startswith("r")]
    return [
        Problem("E-X-1", ("tags", tag.name, "address"), Text("no", "否"), Text("r", "写 r")) for tag in bad
    ]


RICH = replace(FAKE, types=TYPES, elements=elements, check=check)


class Drivers(FakePlugins):
    """``fake`` with types and arrays of its own, ``other`` without either."""

    def __init__(self, rich: DriverPlugin = RICH) -> None:
        super().__init__(rich)

    def driver(self, name: str) -> DriverPlugin:
        if name == "other":
            return replace(FAKE, types={"s5time": ValueType.UINT32})
        if name == "fake":
            return self.fake
        raise UnknownPlugin(name, ["fake", "other"])


def loaded(directory: Path, table: str, device: str = DEVICE, **more: str) -> Configuration:
    files = {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": device, "tags.d/press-1.csv": table}
    write(directory, files | {f"devices.d/{name}.yaml": text for name, text in more.items()})
    return load(directory, plugins=Drivers(), environ={})


def tags(directory: Path, table: str) -> tuple[Tag, ...]:
    return loaded(directory, table).devices[0].tags


def mistakes(directory: Path, table: str, device: str = DEVICE, **more: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory, table, device, **more)
    return [f"{problem.place} {problem.code}" for problem in places_of(caught.value)]


# Types


def test_a_driver_s_type_is_its_wire_form_and_its_value_type(tmp_path: Path) -> None:
    coded, text, plain = tags(
        tmp_path, "name,address,type\ncoded,r0,bcd16\ntext,r1,WString[40]\nplain,r2,uint16\n"
    )
    assert (coded.type, coded.wire, coded.length) == (ValueType.UINT16, "bcd16", 1)
    assert (text.type, text.wire, text.length) == (ValueType.STRING, "wstring", 40)
    assert (plain.type, plain.wire) == (ValueType.UINT16, "")


def test_a_table_shared_by_two_drivers_is_read_with_the_types_of_each(tmp_path: Path) -> None:
    table = "name,address,type\nboth,r0,uint16\nfirst,r1,bcd16\nsecond,r2,s5time\nnobody,r3,s5tiem\n"
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, table, **{"press-2": OTHER})
    found = [(p.place, p.code, p.cure.en.partition("?")[0]) for p in places_of(caught.value)]
    assert [place for place, _, _ in found] == [
        "tags.d/press-1.csv:3:10",  # by the second device's driver
        "tags.d/press-1.csv:4:11",  # by the first's
        "tags.d/press-1.csv:5:11",  # by both: told once
    ]
    assert {code for _, code, _ in found} == {"E-CFG-059"}


def test_what_is_known_to_both_drivers_of_a_table_is_a_tag_of_both(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, "name,address,type\na,r0,uint16\n", **{"press-2": OTHER})
    assert [device.tags for device in configuration.devices] == [(Tag("a", "r0", ValueType.UINT16),)] * 2


def test_a_strange_type_of_an_unknown_driver_is_left_alone(tmp_path: Path) -> None:
    table = "name,address,type\na,r0,s5time\nb,r1,flaot32\nc,r2,word\n"
    found = mistakes(tmp_path, table, DEVICE.replace("fake", "fkae"))
    assert found == ["devices.d/press-1.yaml:2:9 E-CFG-040", "tags.d/press-1.csv:3:6 E-CFG-059"]


def test_the_suggestion_knows_the_driver_s_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tags(tmp_path, "name,address,type\na,r0,wstrng[40]\n")
    assert "'wstring[40]'" in caught.value.problems[0].cure.en
    assert "bcd16" in caught.value.problems[0].cure.zh


# Arrays


def test_an_array_is_one_tag_per_element(tmp_path: Path) -> None:
    table = "name,address,type,unit,low,high\nzone,r10,float32[3],°C,1,2\n文字,r20,string[8][2],,,\n"
    device = loaded(tmp_path, table).devices[0]
    assert [(tag.name, tag.address, tag.unit, tag.length) for tag in device.tags] == [
        ("zone[0]", "r10", "°C", 1),
        ("zone[1]", "r11", "°C", 1),
        ("zone[2]", "r12", "°C", 1),
        ("文字[0]", "r20", "", 8),
        ("文字[1]", "r21", "", 8),
    ]
    assert [window.name for window in device.windows] == [f"press-1.zone[{n}]" for n in range(3)]


def test_a_window_takes_an_element(tmp_path: Path) -> None:
    first = '{tag: "zone[2]", target: "press-1.zone[0]", tolerance: 1}'
    windows = f"windows:\n  - {first}\n  - tag: zone[1]\n    low: 1\n"
    device = loaded(tmp_path, "name,address,type\nzone,r10,float32[3]\n", DEVICE + windows).devices[0]
    one, second = device.windows
    assert (str(one.source), str(one.target)) == ("press-1.zone[2]", "press-1.zone[0]")
    assert str(second.source) == "press-1.zone[1]"


def test_an_array_of_one_has_brackets_too(tmp_path: Path) -> None:
    assert [tag.name for tag in tags(tmp_path, "name,address,type\nzone,r1,int16[1]\n")] == ["zone[0]"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("zone,r98,int16[3]", "2:6 E-CFG-105"),  # the driver: beyond the end
        ("zone,x98,int16[3]", "2:6 E-X-1"),  # no address at all: the check's words, not the array's
        ("zone,r1,int16[0]", "2:9 E-CFG-103"),
        ("zone,r1,int16[]", "2:9 E-CFG-103"),
        ("zone,r1,int16[4", "2:9 E-CFG-103"),
        ("zone,r1,int16[²]", "2:9 E-CFG-103"),
        ("zone,r1,int16[99999999999]", "2:9 E-CFG-103"),
        ("zone,r1,string[4][2][2]", "2:9 E-CFG-103"),
        ("zone,r1,string[16383]", "2:9 E-CFG-103"),
    ],
)
def test_a_mistake_in_an_array_is_one_mistake(tmp_path: Path, row: str, expected: str) -> None:
    assert mistakes(tmp_path, f"name,address,type\n{row}\n") == [f"tags.d/press-1.csv:{expected}"]


def test_brackets_cannot_be_written_in_a_name(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "name,address,type\nzone[1],r1,int16\nzone,r1,int16[2]\n")
    assert found == ["tags.d/press-1.csv:2:1 E-CFG-030"]


def test_a_mistake_in_every_element_is_told_once(tmp_path: Path) -> None:
    bad = replace(
        RICH, check=lambda settings, found: check(settings, [replace(t, address="x") for t in found])
    )
    files = {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE}
    write(tmp_path, files | {"tags.d/press-1.csv": "name,address,type\nzone,r1,int16[50]\n"})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=Drivers(bad), environ={})
    assert [problem.path for problem in caught.value.problems] == [("tags", "zone", "address")]


def test_a_driver_without_arrays_says_so(tmp_path: Path) -> None:
    device = DEVICE.replace("fake", "other")
    found = mistakes(tmp_path, "name,address,type\nzone,r1,int16[3]\n", device)
    assert found == ["tags.d/press-1.csv:2:9 E-CFG-104"]


@pytest.mark.parametrize(
    "faulty", [lambda settings, tag, count: ["r1"], lambda settings, tag, count: settings.no_such_key]
)
def test_a_faulty_elements_is_the_driver_s_mistake(tmp_path: Path, faulty: Any) -> None:
    files = {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE}
    write(tmp_path, files | {"tags.d/press-1.csv": "name,address,type\nzone,r1,int16[3]\n"})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=Drivers(replace(RICH, elements=faulty)), environ={})
    assert [problem.code for problem in caught.value.problems] == ["E-CFG-041"]


def test_wrong_settings_hide_no_array_and_invent_no_missing_tag(tmp_path: Path) -> None:
    device = DEVICE.replace("link: bus://a", "speed: fast") + 'windows:\n  - {tag: "zone[2]", low: 1}\n'
    found = mistakes(tmp_path, "name,address,type\nzone,r1,int16[3]\n", device)
    assert [line.rpartition(" ")[2] for line in found] == ["E-CFG-021", "E-CFG-022"]


# Numbers and what they mean


def test_every_new_column_arrives(tmp_path: Path) -> None:
    table = (
        "name,address,type,原始值下限,raw_high,工程值下限,eng_high,no_value,labels,编码\n"
        "a,r0,int16,4000,20000,0,10,0x8000;32767,,\n"
        "b,r1,uint8,,,,,,0=停止; 1 = 运行 ;0x10=故障,\n"
        "c,r2,string[4],,,,,,,GB2312\n"
    )
    a, b, c = tags(tmp_path, table)
    assert (a.scaling, a.no_value) == (Scaling(0.000625, -2.5), (-32768, 32767))
    assert b.labels == ((0, "停止"), (1, "运行"), (16, "故障"))
    assert c.encoding == "gb2312"


@given(
    st.tuples(*[st.floats(-1e6, 1e6, allow_nan=False, allow_infinity=False)] * 4).filter(
        lambda ends: abs(ends[0] - ends[1]) > 1e-3 and abs(ends[2] - ends[3]) > 1e-3
    )
)
def test_a_range_meets_its_ends(ends: tuple[float, float, float, float]) -> None:
    raw_low, raw_high, eng_low, eng_high = ends
    scaling = range_scaling(*ends)
    size = max(abs(raw_low * scaling.scale), abs(raw_high * scaling.scale), abs(eng_low), abs(eng_high))
    for raw, wanted in ((raw_low, eng_low), (raw_high, eng_high)):
        found = engineering(raw, scaling)
        assert isinstance(found, float) and abs(found - wanted) <= 4 * math.ulp(size)


RAW_RANGES = ((4000, 20000), (0, 27648), (-27648, 27648), (6553, 32767), (0, 4095), (819, 4095), (-1, -6))
RANGES = ((0, 10), (-50, 150), (-1, 5), (0, 1.6), (0.3, 0.5), (-20, 60), (1013.25, 1100), (100, 0))


@pytest.mark.parametrize("raw", RAW_RANGES)
@pytest.mark.parametrize("meant", RANGES)
def test_the_ends_of_usual_transmitters_are_exact(raw: tuple[int, int], meant: tuple[float, float]) -> None:
    scaling = range_scaling(*raw, *meant)
    assert engineering(raw[0], scaling) == meant[0]
    assert engineering(raw[1], scaling) == pytest.approx(meant[1], rel=1e-14, abs=1e-14)


def test_a_range_that_is_the_number_itself_leaves_an_integer_an_integer(tmp_path: Path) -> None:
    table = "name,address,type,raw_low,raw_high,eng_low,eng_high\na,r0,int16,0,100,0,100\n"
    assert tags(tmp_path, table)[0].scaling is None


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("65535", ValueType.UINT16, 65535),
        ("0x8000", ValueType.INT16, -32768),
        ("0x7FFF", ValueType.INT16, 32767),
        ("0XFFFFFFFF", ValueType.INT32, -1),
        ("0xFFFFFFFFFFFFFFFF", ValueType.UINT64, 2**64 - 1),
        ("-32768", ValueType.INT16, -32768),
        ("-9999.9", ValueType.FLOAT64, -9999.9),
        ("-9999.9", ValueType.FLOAT32, -9999.900390625),
        ("65536", ValueType.UINT16, None),
        ("0x10000", ValueType.INT16, None),
        ("-1", ValueType.UINT8, None),
        ("1.0", ValueType.UINT16, None),
        ("1e40", ValueType.FLOAT32, None),
        ("0x10", ValueType.FLOAT32, None),
        ("١", ValueType.INT16, None),
        ("nan", ValueType.FLOAT32, None),
    ],
)
def test_numbers_that_stand_for_no_value(text: str, kind: ValueType, number: float | None) -> None:
    found = read_no_value(text, kind)
    assert found == number and type(found) is type(number)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("1=on", (1, "on")),
        (" -2 = 停 (手动) ", (-2, "停 (手动)")),
        ("0x0A=ten", (10, "ten")),
        ("3=a=b", (3, "a=b")),
        ("1=", None),
        ("=on", None),
        ("1.0=on", None),
        ("on=1", None),
        ("0=off,1=on", None),
        ("0=停；1=行", None),
        ("1_0=on", None),
    ],
)
def test_labels(text: str, label: tuple[int, str] | None) -> None:
    assert read_label(text) == label


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "gbk", "latin-1", "utf-16-le", "gb18030", "shift_jis"])
def test_encodings_of_texts(tmp_path: Path, name: str) -> None:
    (tag,) = tags(tmp_path, f"name,address,type,encoding\na,r0,string[4],{name}\n")
    assert "中".encode(tag.encoding or "utf-8") if name != "latin-1" else tag.encoding == "iso8859-1"


@pytest.mark.parametrize(
    "name", ["base64", "rot13", "zlib", "mbcs0", "../x", "utf-8 "[:-1] + "é", "undefined"]
)
def test_what_is_no_encoding_of_text(tmp_path: Path, name: str) -> None:
    found = mistakes(tmp_path, f"name,address,type,encoding\na,r0,string[4],{name}\n")
    assert found == ["tags.d/press-1.csv:2:16 E-CFG-102"]


# The version, and the ways a configuration travels

FULL = (
    "name,address,type,raw_low,raw_high,eng_low,eng_high,no_value,labels,encoding\n"
    "a,40001,bcd16,0,27648,0,100,9999,,\nb,40002,float32,,,,,-9999.9;0,,\n"
    "c,40010,string[4],,,,,,,gbk\nd,40020,uint16[2],,,,,,0=off;1=on,\n"
)
MODBUS = "device: press-1\ndriver: modbus\nlink: tcp://10.0.0.21\npoll: 1s\ntags: press-1.csv\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [("bcd16", "uint16"), ("9999,", "9998,"), ("1=on", "1=ON"), ("gbk", "utf-8"), ("27648", "27649")],
)
def test_each_new_column_is_part_of_the_version(tmp_path: Path, old: str, new: str) -> None:
    first = write(
        tmp_path / "a", {"edge-agent.yaml": AGENT, "devices.d/m.yaml": MODBUS, "tags.d/press-1.csv": FULL}
    )
    other = {"tags.d/press-1.csv": FULL.replace(old, new, 1)}
    second = write(tmp_path / "b", {"edge-agent.yaml": AGENT, "devices.d/m.yaml": MODBUS} | other)
    assert load(first, environ={}).version != load(second, environ={}).version


async def test_nothing_is_lost_on_the_way_from_the_child_or_in_the_snapshot(tmp_path: Path) -> None:
    etc = write(tmp_path, {"edge-agent.yaml": AGENT, "devices.d/m.yaml": MODBUS, "tags.d/press-1.csv": FULL})
    here = load(etc, environ={})
    assert [tag.name for tag in here.devices[0].tags] == ["a", "b", "c", "d[0]", "d[1]"]
    there = (await load_apart(etc, fall_back=False)).configuration
    assert there.devices[0].tags == here.devices[0].tags
    assert there.version == here.version
    save_last_good(here, tmp_path / "var")
    assert load_last_good(tmp_path / "var", environ={}).devices[0].tags == here.devices[0].tags
