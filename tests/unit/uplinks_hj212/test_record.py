"""Stored units as records of HJ 212."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import Denied
from edge_agent.model import Event, Quality, Scaling
from edge_agent.uplink import Answer, Envelope, Key, Lane
from edge_agent.uplinks.hj212.drafting import Drafter
from edge_agent.uplinks.hj212.factors import FACTORS, FORMATS_2025, OLD_CODES, format_of
from edge_agent.uplinks.hj212.flags import flag_for, period_flag
from edge_agent.uplinks.hj212.number import Format
from edge_agent.uplinks.hj212.parts import cut
from edge_agent.uplinks.hj212.profile import MAX_CP, MAX_SEGMENT, Version
from edge_agent.uplinks.hj212.record import Recorder
from edge_agent.uplinks.hj212.segment import Part

from .made import EIGHT, IDENTITY, IDENTITY_2025, SECOND, batch, envelope, mapped, minute, schema
from .vectors import OWN

FACTORS_OF_STACK = [
    mapped("dust", "a34013", "N4.1"),
    mapped("so2", "a21026"),
    mapped("nox", "a21002", "N5.1"),
]


def drafter(version: Version = Version.V2017, real_time_s: float = 60.0) -> Drafter:
    identity = IDENTITY_2025 if version is Version.V2025 else IDENTITY
    return Drafter(identity, Recorder(FACTORS_OF_STACK, version), real_time_s)


def no(_: Key) -> bool:
    return False


def test_a_real_time_packet_is_the_vector() -> None:
    reading = batch(schema(["nox", "dust", "so2"]), [42.1, 12.3, 18.5])
    draft = drafter().draft([envelope("samples", 1, reading)], no)
    (packet,) = draft.letters[0].packets
    text = packet.encode().decode().replace("QN=;", "QN=20260101080000123;")
    assert text == OWN[0][6:-4]
    assert draft.letters[0].keys == (Key("samples", 7, 1),)


def test_backfill_is_marked_in_2025() -> None:
    reading = batch(schema(["dust"]), [12.3])
    for version, marked in ((Version.V2017, False), (Version.V2025, True)):
        late = drafter(version).draft([envelope("samples", 1, reading, lane=Lane.BACKLOG)], no)
        live = drafter(version).draft([envelope("samples", 1, reading)], no)
        assert (b"RF=1;" in late.letters[0].packets[0].encode()) is marked
        assert b"RF" not in live.letters[0].packets[0].encode()


@pytest.mark.parametrize(("stream", "cn"), [("minute", "2051"), ("hour", "2061"), ("day", "2031")])
def test_period_values(stream: str, cn: str) -> None:
    names = ["so2.max", "so2.avg", "so2.min", "so2.cou", "so2.coverage"]
    item = envelope(stream, 1, batch(schema(names), [20.1, 17.5, 16.4, 10.5, 75.0]))
    (packet,) = drafter().draft([item], no).letters[0].packets
    assert packet.cn == cn
    assert packet.data == (
        "DataTime=20260101080000;"
        "a21026-Cou=10.50,a21026-Min=16.40,a21026-Avg=17.50,a21026-Max=20.10,a21026-Flag=N"
    )


def test_totals_of_counters_are_a_cou() -> None:
    item = envelope(
        "hour", 1, batch(schema(["so2.hour", "so2.hour.coverage"], units=["kWh", "%"]), [7.0, 74.9])
    )
    (packet,) = drafter().draft([item], no).letters[0].packets
    assert packet.data == "DataTime=20260101080000;a21026-Cou=7.00,a21026-Flag=D"


@pytest.mark.parametrize(
    ("quality", "v2017", "v2025"),
    [
        (Quality.GOOD, "a21026-Rtd=1.00,a21026-Flag=N", "a21026-Rtd=1.00,a21026-Flag=N"),
        (Quality.UNCERTAIN, "a21026-Rtd=1.00,a21026-Flag=D", "a21026-Rtd=1.00,a21026-Flag=D"),
        (Quality.UNCERTAIN_ESTIMATED, "a21026-Rtd=1.00,a21026-Flag=S", "a21026-Rtd=1.00,a21026-Flag=S"),
        (Quality.BAD_COMM, "a21026-Flag=B", "a21026-Flag=D"),
        (Quality.STALE, "a21026-Flag=B", "a21026-Flag=D"),
        (Quality.BAD_DEVICE, "a21026-Flag=D", "a21026-Flag=D"),
        (Quality.BAD_DECODE, "a21026-Flag=D", "a21026-Flag=D"),
        (Quality.BAD_CONFIG, "a21026-Flag=D", "a21026-Flag=D"),
        (Quality.WAITING, "", ""),
        (Quality.UNDEFINED, "", ""),
        (Quality.NOT_REPORTED, "", ""),
        (Quality.UNCHANGED, "", ""),
    ],
)
def test_quality(quality: Quality, v2017: str, v2025: str) -> None:
    reading = batch(schema(["so2"]), [1.0], quality=[quality])
    for version, text in ((Version.V2017, v2017), (Version.V2025, v2025)):
        assert Recorder(FACTORS_OF_STACK, version).texts(reading, "samples") == (
            {"a21026": text} if text else {}
        )


def test_no_quality_but_good_ever_becomes_normal() -> None:
    for code in range(256):
        if code >= Quality.UNCERTAIN:
            assert flag_for(code, Version.V2017) != "N"


def test_a_value_above_the_format_is_flagged_and_not_sent() -> None:
    reading = batch(schema(["so2"]), [100_000.0])
    assert Recorder(FACTORS_OF_STACK, Version.V2017).texts(reading, "samples") == {"a21026": "a21026-Flag=T"}


def test_scaling_is_applied_once() -> None:
    reading = batch(schema(["so2"], scaling=Scaling(0.1, -1.0)), [125])
    assert Recorder(FACTORS_OF_STACK, Version.V2017).texts(reading, "samples") == {
        "a21026": "a21026-Rtd=11.50,a21026-Flag=N"
    }


@pytest.mark.parametrize("value", [None, "text", float("nan")])
def test_what_is_no_number_is_a_fault_and_not_a_zero(value: float | str | None) -> None:
    reading = batch(schema(["so2"]), [value])
    assert Recorder(FACTORS_OF_STACK, Version.V2017).texts(reading, "samples") == {"a21026": "a21026-Flag=D"}


@pytest.mark.parametrize(
    ("code", "normal", "total", "flag"),
    [
        ("a21026", 45, 60, "N"),
        ("a21026", 44, 60, "D"),
        ("a21026", 0, 0, "D"),
        ("w01018", 60, 60, "N"),
        ("w01018", 59, 60, "D"),
    ],
)
def test_three_quarters(code: str, normal: int, total: int, flag: str) -> None:
    assert period_flag(code, normal, total) == flag


def test_a_wrong_unit_stops_everything_and_says_where() -> None:
    factors = [mapped("so2", "a21026", unit="mg/m3")]
    wrong = envelope("samples", 1, batch(schema(["so2"], units=["ppm"]), [1.0]))
    with pytest.raises(Denied, match=r"stack\.so2 is in ppm"):
        Drafter(IDENTITY, Recorder(factors, Version.V2017), 60).draft([wrong], no)


def test_what_is_not_mapped_is_settled_without_a_packet() -> None:
    items = [
        envelope("samples", 1, batch(schema(["other"]), [1.0])),
        Envelope(Key("event", 7, 1), Lane.LIVE, event=Event("x", "y", 0, 0, "c")),
        envelope("months", 1, batch(schema(["so2"]), [1.0])),
    ]
    draft = drafter().draft(items, no)
    assert not draft.letters
    assert {v.answer for v in draft.verdicts.values()} == {Answer.ACKNOWLEDGED}
    assert len(draft.verdicts) == 3


def test_what_is_on_its_way_is_not_put_twice() -> None:
    draft = drafter().draft([minute(1)], lambda _: True)
    assert not draft.letters
    assert draft.verdicts[0].answer is Answer.PENDING


def test_one_real_time_packet_per_slot_and_the_same_one_again() -> None:
    rows = [batch(schema(["so2"]), [float(n)], time_ns=EIGHT + n * 25 * SECOND) for n in range(6)]
    items = [envelope("samples", n, row) for n, row in enumerate(rows)]
    one = drafter()
    first = [one.draft([item], no) for item in items]
    times = [d.letters[0].packets[0].data[9:23] for d in first if d.letters]
    assert times == ["20260101080000", "20260101080115", "20260101080205"]
    again = [one.draft([item], no) for item in items]
    assert [d.letters[0].packets if d.letters else None for d in again] == [
        d.letters[0].packets if d.letters else None for d in first
    ]


def test_units_of_one_moment_share_a_packet() -> None:
    """A platform that has a DataTime drops the next packet with it."""
    items = [
        envelope("samples", 1, batch(schema(["so2"]), [1.0])),
        envelope("samples", 2, batch(schema(["dust"], group="slow"), [2.0], time_ns=EIGHT + 400_000_000)),
    ]
    (only,) = drafter().draft(items, no).letters
    assert only.keys == (items[0].key, items[1].key)
    assert only.packets[0].data == (
        "DataTime=20260101080000;a34013-Rtd=2.0,a34013-Flag=N;a21026-Rtd=1.00,a21026-Flag=N"
    )


def test_a_long_record_is_cut_between_factors() -> None:
    factors = [mapped(f"t{n}", f"a2{n:04d}") for n in range(60)]
    reading = batch(schema([f"t{n}" for n in range(60)]), [12345.67] * 60)
    for identity in (IDENTITY, IDENTITY_2025):
        one = Drafter(identity, Recorder(factors, identity.version), 60)
        (only,) = one.draft([envelope("samples", 1, reading, lane=Lane.BACKLOG)], no).letters
        assert len(only.packets) == only.open > 1
        assert [p.part.number for p in only.packets if p.part] == list(range(1, len(only.packets) + 1))
        sent = ";".join(p.data.removeprefix("DataTime=20260101080000;") for p in only.packets)
        assert sent == ";".join(f"a2{n:04d}-Rtd=12345.67,a2{n:04d}-Flag=N" for n in range(60))
        for packet in only.packets:
            assert len(packet.encode()) + 17 < MAX_SEGMENT
            assert packet.flag & 3 == 3


def test_more_parts_than_2025_can_number_is_refused() -> None:
    groups = [f"a{n:05d}-Rtd=1.00,a{n:05d}-Flag=N" for n in range(400)]
    with pytest.raises(ValueError, match="can number 9"):
        cut("DataTime=20260101080000", groups, 900, Version.V2025)
    assert len(cut("DataTime=20260101080000", groups, 900, Version.V2017)) > 9
    with pytest.raises(ValueError, match="one factor"):
        cut("DataTime=20260101080000", ["x" * 950], 940, Version.V2017)


@given(st.lists(st.text("ab", min_size=1, max_size=400), max_size=30), st.integers(430, 950))
@settings(max_examples=100, deadline=None)
def test_cutting_loses_nothing(groups: list[str], size: int) -> None:
    packets = cut("D=1", groups, size, Version.V2017)
    assert [g for p in packets for g in p.split(";")[1:]] == groups
    assert all(len(p) <= size and p.startswith("D=1") for p in packets)


def test_room_leaves_every_segment_below_the_limit() -> None:
    for identity, total in ((IDENTITY, 9999), (IDENTITY_2025, 9)):
        largest = replace(
            identity.segment("2051", "2" * 17, "x" * identity.room, ack=True),
            part=Part(total, total),
            backfill=True,
        )
        assert MAX_SEGMENT - 12 < len(largest.encode()) < MAX_SEGMENT or identity.room == MAX_CP - 7


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("a34013", "particulates"), ("a21001", "NH3"), ("a21002", "NOx"), ("a21026", "SO2"), ("a21005", "CO"),
        ("a05001", "CO2"), ("a19001", "O2"), ("a01011", "flue gas velocity"),
        ("a01012", "flue gas temperature"),
        ("a01013", "flue gas pressure"), ("a01014", "flue gas humidity"), ("a24088", "NMHC"),
        ("w00000", "flow"),
        ("w01001", "pH"), ("w01018", "COD"), ("w21003", "ammonia nitrogen"), ("w21011", "total phosphorus"),
        ("w21001", "total nitrogen"), ("a00000", "flow"), ("i33201", "cumulative energy"),
    ],
)  # fmt: skip
def test_the_table_of_factors_is_not_shifted(code: str, name: str) -> None:
    assert FACTORS[code].name == name


def test_every_format_of_the_table_can_be_read() -> None:
    for code, factor in FACTORS.items():
        assert code == factor.code
        if factor.format:
            Format.parse(factor.format)
    assert set(OLD_CODES.values()) | set(FORMATS_2025) <= set(FACTORS)
    assert (format_of("a34013", edition_2025=False), format_of("a34013", edition_2025=True)) == ("N4", "N4.1")
    assert format_of("x99999", edition_2025=False) == ""
