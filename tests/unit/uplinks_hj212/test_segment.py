"""The data segment: what is written is read; what is sloppy is read; what is wrong is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.uplinks.hj212 import fields
from edge_agent.uplinks.hj212.profile import Version, flag_of, read_flag
from edge_agent.uplinks.hj212.segment import BadSegment, Part, Segment, parse_segment

from . import vectors

MN = vectors.MN


@pytest.mark.parametrize("frame", vectors.FRAMES)
@pytest.mark.parametrize("lenient", [True, False])
def test_vectors_go_through_unchanged(frame: bytes, lenient: bool) -> None:
    raw = frame[6:-6]
    assert parse_segment(raw, lenient=lenient).encode() == raw


@pytest.mark.parametrize(
    ("version", "flags"),
    [(Version.V2005, (0, 1, 2, 3)), (Version.V2017, (4, 5, 6, 7)), (Version.V2025, (8, 9, 10, 11))],
)
def test_flag_table(version: Version, flags: tuple[int, ...]) -> None:
    made = tuple(flag_of(version, split=split, ack=ack) for split in (False, True) for ack in (False, True))
    assert made == flags
    for flag in flags:
        assert flag_of(version, split=read_flag(flag)[1], ack=read_flag(flag)[2]) == flag
        assert read_flag(flag)[0] is version


def test_chinese_is_counted_in_bytes() -> None:
    segment = parse_segment(vectors.FRAMES[12][6:-6])
    assert len(segment.encode()) == 146
    assert len(segment.encode().decode()) == 142


def test_backfill_mark_stands_before_cp_and_only_in_2025() -> None:
    segment = Segment("20260101093000001", "31", "2011", "123456", MN, Version.V2025, True, None, True)
    assert b";RF=1;CP=&&" in segment.encode()
    old = Segment("20260101093000001", "31", "2011", "123456", MN, Version.V2017, True, None, True)
    assert b"RF" not in old.encode()


def test_the_password_is_not_in_the_repr() -> None:
    assert "123456" not in repr(parse_segment(vectors.FRAMES[0][6:-6]))


GOOD = f"QN=20260101080000123;ST=31;CN=2011;PW=123456;MN={MN};Flag=5;CP=&&a=1&&"


@pytest.mark.parametrize(
    "sloppy",
    [
        GOOD.replace("a=1&&", "a=1;&&"),
        GOOD.replace("CP=&&a", "CP=&&  a"),
        GOOD.replace(MN, "12345678901234"),
        GOOD.replace("ST=31;CN=2011", "CN=2011;ST=31"),
        GOOD.replace("QN=20260101080000123;", "").replace("Flag=5;", ""),
        GOOD.replace("Flag=5", "Flag=5;New=1"),
        GOOD.replace("Flag=5", "Flag=7;PNO=1;PNUM=2"),
    ],
    ids=[
        "; before &&",
        "blanks",
        "foreign MN",
        "order",
        "2005 without QN and Flag",
        "unknown",
        "PNO before PNUM",
    ],
)
def test_seen_in_the_field(sloppy: str) -> None:
    assert parse_segment(sloppy.encode()).data == "a=1"
    with pytest.raises(BadSegment):
        parse_segment(sloppy.encode(), lenient=False)


def test_without_flag_it_is_2005() -> None:
    segment = parse_segment(f"ST=31;CN=2011;PW=123456;MN={MN};CP=&&&&".encode())
    assert (segment.version, segment.ack, segment.qn) == (Version.V2005, False, "")


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    "bad",
    [
        "",
        "CP=&&&&",
        GOOD[:-2],
        GOOD.replace("CN=2011;", ""),
        GOOD.replace("CN=2011", "CN=20"),
        GOOD.replace("CN=2011", "CN=２０１１"),
        GOOD.replace("20260101080000123", "20261301080000123"),
        GOOD.replace("20260101080000123", "2026"),
        GOOD.replace("Flag=5", "Flag=x"),
        GOOD.replace("Flag=5", "Flag=12"),
        GOOD.replace("Flag=5", "Flag=99999"),
        GOOD.replace("ST=31", "ST=31;ST=32"),
        GOOD.replace("ST=31", "ST"),
        GOOD.replace(f"MN={MN}", "MN="),
        GOOD.replace("ST=31;", "x=1;" * 40),
    ],
)
def test_refused_either_way(bad: str, lenient: bool) -> None:
    with pytest.raises(BadSegment):
        parse_segment(bad.encode(), lenient=lenient)


@pytest.mark.parametrize(
    "bad",
    [
        GOOD.replace("PW=123456", "PW=12345"),
        GOOD.replace(MN, MN.lower()),
        GOOD.replace("Flag=5", "Flag=7"),
        GOOD.replace("Flag=5", "Flag=5;PNUM=2;PNO=1"),
        GOOD.replace("Flag=5", "Flag=7;PNUM=2;PNO=3"),
        GOOD.replace("Flag=5", "Flag=5;RF=1"),
        GOOD.replace("Flag=5", "Flag=9;RF=0"),
        GOOD.replace("a=1", "a" * 944),
    ],
)
def test_strict_refuses(bad: str) -> None:
    with pytest.raises(BadSegment):
        parse_segment(bad.encode(), lenient=False)


def test_strict_refuses_what_is_not_utf8() -> None:
    raw = GOOD.encode().replace(b"a=1", b"a=\xff")
    with pytest.raises(BadSegment):
        parse_segment(raw, lenient=False)
    assert parse_segment(raw).data == "a=\ufffd"


@given(st.binary(max_size=400), st.booleans())
@settings(max_examples=200, deadline=None)
def test_random_bytes_raise_nothing_else(raw: bytes, lenient: bool) -> None:
    for data in (raw, b"QN=" + raw + b";CP=&&" + raw + b"&&", GOOD.encode()[:70] + raw + b"CP=&&&&"):
        try:
            parse_segment(data, lenient=lenient)
        except BadSegment as error:
            assert str(error)


_NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True)
_VALUE = st.text(
    st.characters(exclude_characters=";,&\r\n", exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]),
    max_size=12,
)
_GROUPS = st.lists(st.lists(st.tuples(_NAME, _VALUE), min_size=1, max_size=4).map(tuple), max_size=5)


@given(
    _GROUPS, st.sampled_from([Version.V2017, Version.V2025]), st.booleans(), st.booleans(), st.integers(1, 9)
)
@settings(max_examples=150, deadline=None)
def test_round_trip(
    groups: list[fields.Group], version: Version, ack: bool, backfill: bool, total: int
) -> None:
    part = Part(1, total) if total > 1 else None
    backfill = backfill and version is Version.V2025
    segment = Segment(
        "20260101080000123", "31", "2051", "Ab3!x_", MN, version, ack, part, backfill, fields.join(groups)
    )
    assert parse_segment(segment.encode(), lenient=False) == segment
    assert parse_segment(segment.encode()) == segment
    assert fields.split(segment.data) == groups


def test_a_comma_between_begin_and_end_is_understood() -> None:
    data = "BeginTime=20260101000000,EndTime=20260101010000"
    assert fields.values(data)["EndTime"] == "20260101010000"
    with pytest.raises(ValueError, match="no name=value"):
        fields.split("abc")


@pytest.mark.parametrize("value", ["1;2", "1,2", "&&", "a\r\n##"])
def test_a_value_cannot_break_the_structure(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        fields.group_text((("a-Info", value),))
