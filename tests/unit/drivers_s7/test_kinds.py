"""Every type of S7 against vectors worked out by hand, and arrays of them."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.s7 import PLUGIN, moments, texts
from drivers.s7.address import AddressMistake
from drivers.s7.codec import Reply
from drivers.s7.kinds import KINDS, TYPES
from drivers.s7.settings import S7Settings
from edge_agent.model import Quality, Tag, Value, ValueType

SETTINGS = S7Settings.model_validate({"link": "tcp://plc", "cpu_state": "0s"})
BAD = None

VECTORS: list[tuple[str, str, str, Value]] = [
    ("byte", "DBB0", "80", 128),
    ("usint", "DBB0", "ff", 255),
    ("sint", "DBB0", "80", -128),
    ("word", "DBW0", "8000", 32768),
    ("uint", "DBW0", "0102", 258),
    ("int", "DBW0", "8000", -32768),
    ("dword", "DBD0", "80000000", 2**31),
    ("udint", "DBD0", "01020304", 16909060),
    ("dint", "DBD0", "fffffffe", -2),
    ("lword", "DBL0", "8000000000000000", 2**63),
    ("ulint", "DBL0", "ffffffffffffffff", 2**64 - 1),
    ("lint", "DBB0", "fffffffffffffffe", -2),
    ("real", "DBD0", "41a40000", 20.5),
    ("real", "DBD0", "7fc00000", BAD),
    ("lreal", "DBL0", "3fb999999999999a", 0.1),
    ("lreal", "DBL0", "fff0000000000000", BAD),
    ("bcd16", "DBW0", "0415", 415),
    ("bcd16", "DBW0", "f237", -237),
    ("bcd16", "DBW0", "0a00", BAD),
    ("s5time", "DBW0", "0000", 0),
    ("s5time", "DBW0", "0123", 1230),  # 123 x 10 ms
    ("s5time", "DBW0", "1123", 12300),  # 123 x 100 ms
    ("s5time", "DBW0", "2123", 123_000),  # 123 x 1 s
    ("s5time", "DBW0", "3999", 9_990_000),  # 999 x 10 s
    ("s5time", "DBW0", "c123", 1230),  # the two highest bits mean nothing
    ("s5time", "DBW0", "0a00", BAD),
    ("s5time", "DBW0", "00a0", BAD),
    ("s5time", "DBW0", "000a", BAD),
    ("time", "DBD0", "fffffa24", -1500),
    ("time", "DBD0", "7fffffff", 2**31 - 1),
    ("ltime", "DBL0", "0000000059682f00", 1_500_000_000),
    ("tod", "DBD0", "05265bff", 86_399_999),
    ("tod", "DBD0", "05265c00", BAD),  # 24:00
    ("time_of_day", "DBD0", "00000001", 1),
    ("ltod", "DBL0", "00004e94914effff", 86_399_999_999_999),
    ("ltod", "DBL0", "00004e94914f0000", BAD),
    ("date", "DBW0", "0000", "1990-01-01"),
    ("date", "DBW0", "34a2", "2026-11-22"),
    ("date", "DBW0", "ff62", "2168-12-31"),
    ("date", "DBW0", "ff63", BAD),
    ("dt", "DBB0", "2611221011123451", "2026-11-22T10:11:12.345"),
    ("dt", "DBB0", "9001010000000002", "1990-01-01T00:00:00.000"),
    ("dt", "DBB0", "8912312359599997", "2089-12-31T23:59:59.999"),
    ("dt", "DBB0", "2613221011123451", BAD),
    ("dt", "DBB0", "261a221011123451", BAD),
    ("dt", "DBB0", "26112210111234a1", BAD),
    ("date_and_time", "DBL0", "2402291011123455", "2024-02-29T10:11:12.345"),
    ("dtl", "DBB0", "07ea0b16010a0b0c149a9c35", "2026-11-22T10:11:12.345676853"),
    ("dtl", "DBB0", "07b2010105000000 00000000", "1970-01-01T00:00:00.000000000"),
    ("dtl", "DBB0", "07ea0d16010a0b0c00000000", BAD),
    ("dtl", "DBB0", "07ea0b16010a0b0c3b9aca00", BAD),  # 10^9 ns
    ("dtl", "DBB0", "000000000000000000000000", BAD),
    ("ldt", "DBL0", "0000000000000001", "1970-01-01T00:00:00.000000001"),
    ("ldt", "DBL0", "7fffffffffffffff", "2262-04-11T23:47:16.854775807"),
    ("ldt", "DBL0", "ffffffffffffffff", BAD),
]


def tag_for(kind: str, address: str, length: int = 1, encoding: str = "") -> Tag:
    if kind in ("bool", "string"):
        return Tag("t", address, ValueType(kind), length=length, encoding=encoding)
    return Tag("t", address, TYPES[kind], length=length, wire=kind, encoding=encoding)


def decoded(tag: Tag, data: bytes) -> tuple[Value, int]:
    assert not [p for p in PLUGIN.check(SETTINGS, [tag]) if not p.warning]
    plan = PLUGIN.plan(SETTINGS, [tag], None, None)
    (request,) = plan.requests
    assert request.body.lengths == (len(data),)
    columns = plan.decode([Reply((data,))])
    return columns.values[0], columns.quality[0]


@pytest.mark.parametrize(("kind", "place", "data", "value"), VECTORS)
def test_a_value_of_every_type(kind: str, place: str, data: str, value: Value) -> None:
    found, quality = decoded(tag_for(kind, f"DB1.{place}"), bytes.fromhex(data))
    assert (found, quality) == (value, Quality.BAD_DECODE if value is None else Quality.GOOD)
    assert type(found) is type(value)


def test_no_type_is_without_a_vector() -> None:
    tested = {kind for kind, *_ in VECTORS}
    elsewhere = {"bool", "timer", "counter", "string", "wstring", "char", "wchar"}
    assert tested | elsewhere == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "length", "data", "value"),
    [
        ("string", 4, "0402c2afffff", "炉"),
        ("string", 0, "fe0141" + 253 * "00", "A"),  # without a length: STRING[254], as in the controller
        ("wstring", 0, "00fe00010041" + 253 * "0000", "A"),
        ("char", 0, "41", "A"),
        ("string", 4, "fe0461626364", "abcd"),
        ("string", 4, "040561626364", None),  # actual over maximum
        ("string", 4, "fe0561626364", None),  # actual over what we read
        ("string", 4, "0402c2ff0000", None),  # no GBK
        ("wstring", 2, "0002 0002 7089 0031", "炉1"),
        ("wstring", 2, "0001 0002 7089 0031", None),
        ("wstring", 2, "000a 0003 7089 0031", None),
        ("wstring", 2, "0002 0001 d800 0031", None),  # half a pair
        ("char", 1, "41", "A"),
        ("char", 4, "41200000", "A "),
        ("wchar", 1, "00c4", "Ä"),
        ("wchar", 2, "00c40000", "Ä"),
    ],
)
def test_texts(kind: str, length: int, data: str, value: str | None) -> None:
    assert decoded(tag_for(kind, "DB1.DBB0", length), bytes.fromhex(data))[0] == value


@pytest.mark.parametrize(
    ("encoding", "data"), [("gbk", "c2afcec2"), ("utf-8", "e78289e6b8a9"), ("latin-1", "41fc")]
)
def test_a_text_is_read_in_the_tags_own_encoding(encoding: str, data: str) -> None:
    raw = bytes.fromhex(data)
    value, _ = decoded(tag_for("string", "DB1.DBB0", 8, encoding), bytes((8, len(raw))) + raw.ljust(8))
    assert value == raw.decode(encoding)


@given(st.integers(0, 999), st.sampled_from([10, 100, 1_000, 10_000]))
def test_an_s5time_survives_both_ways(count: int, base_ms: int) -> None:
    assert moments.s5time_ms(moments.s5time_word(count * base_ms)) == count * base_ms


@given(st.datetimes(datetime(1990, 1, 1), datetime(2089, 12, 31, 23, 59, 59)))
def test_dates_survive_both_ways(moment: datetime) -> None:
    whole = moment.replace(microsecond=0).isoformat()
    ms, ns = f"{moment.microsecond // 1000:03d}", f"{moment.microsecond:06d}789"
    assert moments.dt_text(moments.dt_bytes(f"{whole}.{ms}")) == f"{whole}.{ms}"
    assert moments.dtl_text(moments.dtl_bytes(f"{whole}.{ns}")) == f"{whole}.{ns}"
    assert moments.ldt_text(moments.ldt_nanoseconds(f"{whole}.{ns}")) == f"{whole}.{ns}"
    assert moments.date_text(moments.date_days(whole[:10])) == whole[:10]


@given(st.integers(0, 2**63 - 1))
def test_an_ldt_counts_nanoseconds(nanoseconds: int) -> None:
    text = moments.ldt_text(nanoseconds)
    since = datetime.fromisoformat(text[:19]) - datetime(1970, 1, 1)
    assert since // timedelta(seconds=1) * 10**9 + int(text[20:]) == nanoseconds


@given(st.text(max_size=20), st.sampled_from(["utf-8", "gbk"]))
def test_any_text_that_an_encoding_has_arrives(text: str, encoding: str) -> None:
    try:
        raw = text.encode(encoding)
    except UnicodeEncodeError:
        return
    assert texts.string_text(bytes((254, len(raw))) + raw + b"\xff" * 3, encoding) == text
    wide = text.encode("utf-16-be", "surrogatepass")
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert texts.wstring_text(struct.pack(">HH", 99, len(wide) // 2) + wide) == text


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.binary(min_size=64, max_size=64))
def test_any_bytes_are_a_value_or_no_value(kind: str, data: bytes) -> None:
    tag = tag_for(kind, {"bool": "DB1.DBX0.3", "timer": "T0", "counter": "C0"}.get(kind, _place(kind)), 9)
    if not KINDS[kind].is_text:
        tag = tag_for(kind, tag.address)
    plan = PLUGIN.plan(SETTINGS, [tag], None, None)
    columns = plan.decode([Reply((data[: plan.requests[0].body.lengths[0]],))])
    assert (columns.values[0] is None) == (columns.quality[0] == Quality.BAD_DECODE)


def _place(kind: str) -> str:
    size = KINDS[kind].size
    if KINDS[kind].is_text:
        return "DB1.DBB0"
    return f"DB1.DB{ {1: 'B', 2: 'W', 4: 'D'}.get(size, 'B') }0"


@pytest.mark.parametrize(
    ("kind", "address", "length", "wanted"),
    [
        ("bool", "DB1.DBX0.6", 1, ["DB1.DBX0.6", "DB1.DBX0.7", "DB1.DBX1.0"]),
        ("bool", "M9.7", 1, ["M9.7", "M10.0", "M10.1"]),
        ("byte", "IB0", 1, ["IB0", "IB1", "IB2"]),
        ("int", "%MW10", 1, ["MW10", "MW12", "MW14"]),
        ("dtl", "DB1.DBB0", 1, ["DB1.DBB0", "DB1.DBB12", "DB1.DBB24"]),
        ("string", "DB1.DBB0", 3, ["DB1.DBB0", "DB1.DBB6", "DB1.DBB12"]),
        ("wstring", "DB1.DBB0", 3, ["DB1.DBB0", "DB1.DBB10", "DB1.DBB20"]),
        ("timer", "T5", 1, ["T5", "T6", "T7"]),
        ("counter", "Z5", 1, ["C5", "C6", "C7"]),
    ],
)
def test_elements_lie_as_the_controller_lays_them(
    kind: str, address: str, length: int, wanted: list[str]
) -> None:
    assert PLUGIN.elements is not None
    tag = tag_for(kind, address, length)
    assert list(PLUGIN.elements(SETTINGS, tag, 3)) == wanted
    assert list(PLUGIN.elements(SETTINGS, tag, 0)) == []


def test_an_array_beyond_the_address_space_is_a_mistake() -> None:
    assert PLUGIN.elements is not None
    with pytest.raises(AddressMistake):
        PLUGIN.elements(SETTINGS, tag_for("real", "DB1.DBD65528"), 3)
    with pytest.raises(ValueError, match="not an S7 address"):
        PLUGIN.elements(SETTINGS, tag_for("real", "DB1.X"), 3)
