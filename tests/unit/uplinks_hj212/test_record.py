"""Stored units as records of HJ 212."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import Denied
from edge_agent.model import ClockState, Event, Quality, Scaling
from edge_agent.uplink import Answer, Envelope, Key, Lane
from edge_agent.uplinks.hj212.drafting import GATHER_S, NOT_WANTED, REST_S, Drafter, together
from edge_agent.uplinks.hj212.facilities import Facilities, Facility
from edge_agent.uplinks.hj212.factors import FACTORS, FORMATS_2025, OLD_CODES, TOTALS, format_of
from edge_agent.uplinks.hj212.flags import flag_for
from edge_agent.uplinks.hj212.number import Format
from edge_agent.uplinks.hj212.orders import Orders
from edge_agent.uplinks.hj212.parts import cut
from edge_agent.uplinks.hj212.profile import MAX_CP, MAX_SEGMENT, Version
from edge_agent.uplinks.hj212.record import Mapped, Recorder
from edge_agent.uplinks.hj212.segment import Part
from edge_agent.uplinks.hj212.slots import Slots

from .made import EIGHT, IDENTITY, IDENTITY_2025, SECOND, batch, envelope, mapped, minute, period, schema
from .vectors import OWN

FACTORS_OF_STACK = [
    mapped("dust", "a34013", "N4.1"),
    mapped("so2", "a21026"),
    mapped("nox", "a21002", "N5.1"),
]


def drafter(
    version: Version = Version.V2017,
    real_time_s: float = 60.0,
    *,
    factors: Sequence[Mapped] = FACTORS_OF_STACK,
    facilities: Facilities | None = None,
    stopped: bool = False,
    slots: Slots | None = None,
) -> Drafter:
    identity = IDENTITY_2025 if version is Version.V2025 else IDENTITY
    orders = Orders(10.0, 3, real_time_s, stopped)
    return Drafter(identity, Recorder(factors, version), lambda: orders, facilities, slots)


def no(_: Key) -> bool:
    return False


def test_a_real_time_packet_is_the_vector() -> None:
    reading = batch(schema(["nox", "dust", "so2"]), [42.1, 12.3, 18.5])
    draft = drafter().draft([envelope("samples", 1, reading)], no, 0)
    (packet,) = draft.letters[0].packets
    text = packet.encode().decode().replace("QN=;", "QN=20260101080000123;")
    assert text == OWN[0][6:-4]
    assert draft.letters[0].keys == (Key("samples", 7, 1),)


def test_backfill_is_marked_in_2025() -> None:
    reading = batch(schema(["dust"]), [12.3])
    for version, marked in ((Version.V2017, False), (Version.V2025, True)):
        late = drafter(version).draft([envelope("samples", 1, reading, lane=Lane.BACKLOG)], no, 0)
        live = drafter(version).draft([envelope("samples", 1, reading)], no, 0)
        assert (b"RF=1;" in late.letters[0].packets[0].encode()) is marked
        assert b"RF" not in live.letters[0].packets[0].encode()


FIGURES = {"so2.avg": 17.5, "so2.min": 16.4, "so2.max": 20.1, "so2.last": 18.0, "so2.sum": 1050.0}


@pytest.mark.parametrize(("level", "cn"), [("minute", "2051"), ("hour", "2061"), ("day", "2031")])
def test_period_values(level: str, cn: str) -> None:
    figures = {**FIGURES, "so2.count": 60, "so2.coverage": 100.0, "so2.flag": "N"}
    item = envelope("periods", 1, period(level, figures))
    (packet,) = drafter().draft([item], no, 0).letters[0].packets
    assert packet.cn == cn
    assert packet.data == (
        "DataTime=20260101080000;a21026-Min=16.40,a21026-Avg=17.50,a21026-Max=20.10,a21026-Flag=N"
    ), "never a sum of concentrations"


def test_a_cou_is_the_sum_of_the_declared_total() -> None:
    """The vector of minute data: flow with its volume, COD with its mass."""
    factors = [
        mapped("flow", "w00000", "N5.1", total="volume"),
        mapped("cod", "w01018", "N5.1", total="cod_mass"),
    ]
    figures = {
        "flow.avg": 17.5, "flow.min": 16.4, "flow.max": 20.1, "flow.sum": 1050.0, "flow.flag": "N",
        "volume.sum": 10.5, "volume.flag": "N", "cod_mass.sum": 0.4, "cod_mass.flag": "N",
        "cod.avg": 40.1, "cod.min": 40.1, "cod.max": 40.1, "cod.sum": 2406.0, "cod.flag": "N",
    }  # fmt: skip
    item = envelope("periods", 1, period("minute", figures))
    (packet,) = drafter(factors=factors).draft([item], no, 0).letters[0].packets
    assert packet.data == OWN[2][6:-4].partition("CP=&&")[2].removesuffix("&&")


@pytest.mark.parametrize("letter", ["N", "D", "F", "M", "C", "S", "T", "B"])
def test_the_stored_letter_is_what_is_sent(letter: str) -> None:
    row = period("minute", {**FIGURES, "so2.flag": letter})
    for version in (Version.V2017, Version.V2025):
        (text,) = Recorder(FACTORS_OF_STACK, version).texts(row, "minute").values()
        assert text.startswith("a21026-Min=16.40,a21026-Avg=17.50")
        shown = "D" if (letter, version) == ("B", Version.V2025) else letter  # 2025 has no B
        assert text.endswith(f",a21026-Flag={shown}")


@pytest.mark.parametrize("letter", [None, "", "NN", "n", "&", ";", 3, "；"])
def test_what_is_no_letter_is_a_fault(letter: str | int | None) -> None:
    row = period("minute", {**FIGURES, "so2.flag": letter})
    (text,) = Recorder(FACTORS_OF_STACK, Version.V2017).texts(row, "minute").values()
    assert text.endswith(",a21026-Flag=D")


def test_a_figure_that_does_not_exist_is_left_out() -> None:
    row = period(
        "hour", {"so2.avg": None, "so2.min": None, "so2.max": None, "so2.sum": None, "so2.flag": "B"}
    )
    recorder = Recorder([mapped("so2", "a21026", total="so2")], Version.V2017)
    assert recorder.texts(row, "hour") == {"a21026": "a21026-Flag=B"}
    silent = period("hour", {"so2.avg": None, "so2.flag": "N"})
    assert recorder.texts(silent, "hour") == {"a21026": "a21026-Flag=D"}, "nothing is not normal"


def test_a_normal_period_that_cannot_be_written_is_above_its_range() -> None:
    row = period("minute", {"so2.avg": 17.5, "so2.max": 1e9, "so2.flag": "N"})
    recorder = Recorder(FACTORS_OF_STACK, Version.V2017)
    assert recorder.texts(row, "minute") == {"a21026": "a21026-Avg=17.50,a21026-Flag=T"}
    faulty = period("minute", {"so2.avg": 17.5, "so2.max": 1e9, "so2.flag": "D"})
    assert recorder.texts(faulty, "minute") == {"a21026": "a21026-Avg=17.50,a21026-Flag=D"}


def test_an_unsure_stamp_is_marked_and_not_changed() -> None:
    for clock, mark in (
        (ClockState.UNSYNCHRONISED, ",a21026-EFlag=TIME"), (ClockState.SYNCHRONISED, ""),
        (ClockState.UNKNOWN, ""),
    ):  # fmt: skip
        row = period("minute", {"so2.avg": 17.5, "so2.flag": "N"}, clock=clock)
        (packet,) = drafter().draft([envelope("periods", 1, row)], no, 0).letters[0].packets
        assert packet.data == f"DataTime=20260101080000;a21026-Avg=17.50,a21026-Flag=N{mark}"


def test_running_hours_go_with_the_day() -> None:
    facilities = Facilities([Facility("SB1", "stack.fan_h"), Facility("SB2", "stack.pump_h", "max")])
    figures = {
        **FIGURES, "so2.flag": "N", "fan_h.sum": 1.1, "fan_h.max": 9.0, "pump_h.sum": 0.0, "pump_h.max": None
    }  # fmt: skip
    one = drafter(facilities=facilities)
    item = envelope("periods", 1, period("day", figures))
    day, hours = one.draft([item], no, 0).letters
    assert (day.packets[0].cn, hours.packets[0].cn) == ("2031", "2041")
    assert hours.packets[0].data == "DataTime=20260101080000;SB1-RT=1.10"
    assert day.keys == hours.keys == (item.key,)
    for level in ("minute", "hour"):
        again = one.draft([envelope("periods", 2, period(level, figures))], no, 0)
        assert [x.packets[0].cn for x in again.letters] == [{"minute": "2051", "hour": "2061"}[level]]
    for hours_run in (24.01, -1.0):
        wrong = envelope("periods", 3, period("day", {"fan_h.sum": hours_run}))
        assert not one.draft([wrong], no, 0).letters


# Several devices behind one device number


TWO = [mapped("so2", "a21026"), Mapped("meter.kwh", "i33201", Format(13))]


def meter(seq: int) -> Envelope:
    row = period(
        "minute", {"kwh.avg": 7.0, "kwh.flag": "N"}, time_ns=EIGHT + seq * 60 * SECOND, device="meter"
    )
    return envelope("periods", 100 + seq, row)


def test_a_period_waits_for_its_other_devices() -> None:
    one = drafter(factors=TWO)
    first = one.draft([minute(1)], no, 0)
    assert (first.letters, first.verdicts, first.parked) == ([], {}, [minute(1).key])
    second = one.draft([meter(1)], no, SECOND)
    (only,) = second.letters
    assert only.keys == (minute(1).key, meter(1).key)
    assert second.freed == [minute(1).key]
    assert only.packets[0].data == (
        "DataTime=20260101080100;a21026-Avg=18.50,a21026-Flag=N;i33201-Avg=7,i33201-Flag=N"
    )
    assert one.next_ns() is None


def test_a_device_that_does_not_come_is_waited_for_once() -> None:
    one = drafter(factors=TWO)
    one.draft([minute(1)], no, 0)
    assert one.next_ns() == round(GATHER_S * 1e9)
    assert not one.overdue(one.next_ns() - 1).letters
    late = one.overdue(one.next_ns())
    assert [x.keys for x in late.letters] == [(minute(1).key,)]
    assert late.freed == [minute(1).key]
    assert one.draft([minute(2)], no, 0).letters, "not waited for again"
    assert one.draft([meter(3)], no, 0).parked == [meter(3).key], "seen again: both are expected"


def test_what_comes_together_goes_together() -> None:
    draft = drafter(factors=TWO).draft([minute(1), meter(1), minute(2), meter(2)], no, 0)
    assert [x.keys for x in draft.letters] == [
        (minute(1).key, meter(1).key), (minute(2).key, meter(2).key)
    ]  # fmt: skip
    assert [len(c) for c in together(draft.letters)] == [1, 1]


def test_letters_that_share_a_unit_are_one_cluster() -> None:
    so2 = schema(["so2"])
    rows = [batch(so2, [1.0], time_ns=EIGHT + n * 60 * SECOND) for n in range(4)]
    a, b = envelope("samples", 1, *rows[:2]), envelope("samples", 2, *rows[2:])
    draft = drafter().draft([a, b], no, 0)
    assert [[x.keys for x in c] for c in together(draft.letters)] == [[(a.key,)] * 2, [(b.key,)] * 2]


def test_stopped_real_time_data_are_not_wanted_and_periods_are() -> None:
    one = drafter(stopped=True)
    reading = envelope("samples", 1, batch(schema(["so2"]), [1.0]))
    draft = one.draft([reading, minute(1)], no, 0)
    assert draft.verdicts == {reading.key: NOT_WANTED}
    assert [x.packets[0].cn for x in draft.letters] == ["2051"]


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


def test_a_wrong_unit_stops_everything_and_says_where() -> None:
    factors = [mapped("so2", "a21026", unit="mg/m3")]
    wrong = envelope("samples", 1, batch(schema(["so2"], units=["ppm"]), [1.0]))
    with pytest.raises(Denied, match=r"stack\.so2 is in ppm"):
        drafter(factors=factors).draft([wrong], no, 0)


def test_what_is_not_mapped_is_settled_without_a_packet() -> None:
    items = [
        envelope("samples", 1, batch(schema(["other"]), [1.0])),
        Envelope(Key("event", 7, 1), Lane.LIVE, event=Event("x", "y", 0, 0, "c")),
        envelope("months", 1, batch(schema(["so2"]), [1.0])),
        envelope("periods", 1, period("month", {"so2.avg": 1.0})),
        envelope("periods", 2, period("samples", {"so2": 1.0})),
        envelope("periods", 3, period("minute", {"other.avg": 1.0, "so2.flag": "N"})),
        Envelope(Key("samples", 7, 9), Lane.LIVE, 0, schema(["so2"]), ()),  # the rate left none of it
    ]
    draft = drafter().draft(items, no, 0)
    assert not draft.letters
    assert {v.answer for v in draft.verdicts.values()} == {Answer.ACKNOWLEDGED}
    assert draft.verdicts.keys() == {item.key for item in items}


def test_what_is_on_its_way_is_not_put_twice() -> None:
    draft = drafter().draft([minute(1)], lambda _: True, 0)
    assert not draft.letters
    assert draft.verdicts[minute(1).key].answer is Answer.PENDING


def test_one_real_time_packet_per_slot_and_the_same_one_again() -> None:
    rows = [batch(schema(["so2"]), [float(n)], time_ns=EIGHT + n * 25 * SECOND) for n in range(6)]
    items = [envelope("samples", n, row) for n, row in enumerate(rows)]
    one = drafter()
    first = [one.draft([item], no, 0) for item in items]
    times = [d.letters[0].packets[0].data[9:23] for d in first if d.letters]
    assert times == ["20260101080000", "20260101080115", "20260101080205"]
    again = [one.draft([item], no, 0) for item in items]
    assert [d.letters[0].packets if d.letters else None for d in again] == [
        d.letters[0].packets if d.letters else None for d in first
    ]


def test_units_of_one_moment_share_a_packet() -> None:
    """A platform that has a DataTime drops the next packet with it."""
    items = [
        envelope("samples", 1, batch(schema(["so2"]), [1.0])),
        envelope("samples", 2, batch(schema(["dust"], group="slow"), [2.0], time_ns=EIGHT + 400_000_000)),
    ]
    (only,) = drafter().draft(items, no, 0).letters
    assert only.keys == (items[0].key, items[1].key)
    assert only.packets[0].data == (
        "DataTime=20260101080000;a34013-Rtd=2.0,a34013-Flag=N;a21026-Rtd=1.00,a21026-Flag=N"
    )


def test_a_second_that_has_been_sent_is_not_sent_again_with_other_values() -> None:
    """The rest of the second comes with the next flush: it would be taken for a contradiction."""
    one, tenth = drafter(), SECOND // 10
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    first = [batch(so2, [1.0], time_ns=EIGHT + tenth)]
    then = [batch(dust, [float(n)], time_ns=EIGHT + n * SECOND + 6 * tenth) for n in range(4)]
    (sent,) = one.draft([envelope("samples", 1, *first)], no, 0).letters
    (later,) = one.draft([envelope("samples", 2, *then)], no, 0).letters
    assert sent.packets[0].data.startswith("DataTime=20260101080000;")
    assert later.packets[0].data == "DataTime=20260101080001;a34013-Rtd=1.0,a34013-Flag=N"
    (again,) = one.draft([envelope("samples", 2, *then)], no, 0).letters
    assert again.packets == later.packets


def test_a_second_that_was_cut_by_a_flush_waits_for_its_rest() -> None:
    """Each reading in a unit of its own. At first nobody knows that there is another group."""
    one = drafter(real_time_s=1.0)
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    sent: list[tuple[str, int]] = []
    for n in range(3):
        for seq, of in ((2 * n, so2), (2 * n + 1, dust)):
            reading = batch(of, [1.0], time_ns=EIGHT + n * SECOND)
            draft = one.draft([envelope("samples", seq, reading)], no, 0)
            sent += [(letter.packets[0].data[21:23], len(letter.keys)) for letter in draft.letters]
            assert len(draft.parked) == ((of is so2) if n else (of is dust))
            assert len(draft.freed) == (n > 0 and of is dust)
    assert sent == [("00", 1), ("01", 2), ("02", 2)]


def test_the_first_second_waits_for_devices_that_have_not_come_yet() -> None:
    """After a start nobody knows their poll groups, but that there are two devices."""
    two = [mapped("so2", "a21026"), Mapped("meter.kwh", "p99001", Format(10))]
    one = drafter(real_time_s=1.0, factors=two)
    meter = replace(schema(["kwh"]), device="meter")
    first = envelope("samples", 1, batch(schema(["so2"]), [1.0], time_ns=EIGHT + SECOND // 5))
    assert one.draft([first], no, 0).parked == [first.key]
    rest = envelope("samples", 2, batch(meter, [7.0], time_ns=EIGHT + SECOND // 2))
    draft = one.draft([rest], no, 0)
    assert draft.freed == [first.key]
    assert [x.keys for x in draft.letters] == [(first.key, rest.key)]


def test_a_packet_that_goes_again_waits_until_it_can_say_the_same() -> None:
    """There was no room for it, or the connection broke: its units come again, and not in one message."""
    one = drafter(real_time_s=1.0, slots=Slots())
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    units = [envelope("samples", n, batch(of, [float(n)])) for n, of in enumerate((so2, dust))]
    (first,) = one.draft(units, no, 0).letters
    assert one.draft(units[:1], no, 0).parked == [units[0].key]
    draft = one.draft(units[1:], no, 0)
    assert [x.packets for x in draft.letters] == [first.packets]
    assert draft.freed == [units[0].key]


def test_what_the_platform_has_does_not_go_again_with_less() -> None:
    """A unit with two seconds, of which the first was acknowledged; the other units of that second are
    settled."""
    slots = Slots()
    one = drafter(real_time_s=1.0, slots=slots)
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    two = envelope("samples", 1, *(batch(so2, [1.0], time_ns=EIGHT + n * SECOND) for n in range(2)))
    rest = envelope("samples", 2, batch(dust, [1.0]))
    first, second = one.draft([two, rest], no, 0).letters + one.overdue(2 * SECOND).letters
    slots.finish(first.second)
    after = Slots()
    after.read(slots.text())
    again = drafter(real_time_s=1.0, slots=after).draft([two], no, 0)
    assert [x.packets for x in again.letters] == [second.packets]


def test_the_rest_of_a_second_that_does_not_come_is_not_waited_for() -> None:
    one = drafter(real_time_s=1.0)
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    both = [batch(so2, [1.0]), batch(dust, [1.0])]
    assert len(one.draft([envelope("samples", n, row) for n, row in enumerate(both)], no, 0).letters) == 1
    alone = envelope("samples", 3, batch(so2, [1.0], time_ns=EIGHT + SECOND))
    assert one.draft([alone], no, 0).parked == [alone.key]
    assert not one.overdue(round(REST_S * 1e9) - 1).letters
    draft = one.overdue(one.next_ns() or 0)
    assert draft.freed == [alone.key] and len(draft.letters) == 1
    after = envelope("samples", 4, batch(so2, [1.0], time_ns=EIGHT + 2 * SECOND))
    assert len(one.draft([after], no, 0).letters) == 1, "dust is not expected until it has been seen again"


@pytest.mark.parametrize("lane", list(Lane))
def test_what_has_passed_is_not_waited_for(lane: Lane) -> None:
    """Each lane is in order: when it has come to the next second, this one is whole. The other lane may be
    anywhere."""
    one = drafter(real_time_s=1.0)
    so2, dust = schema(["so2"]), schema(["dust"], group="slow")
    both = [batch(so2, [1.0]), batch(dust, [1.0])]
    one.draft([envelope("samples", n, row, lane=lane) for n, row in enumerate(both)], no, 0)
    other = Lane.LIVE if lane is Lane.BACKLOG else Lane.BACKLOG
    later = batch(dust, [1.0], time_ns=EIGHT + 50 * SECOND)
    one.draft([envelope("samples", 3, later, lane=other)], no, 0)
    alone = envelope("samples", 4, batch(so2, [1.0], time_ns=EIGHT + SECOND), lane=lane)
    assert one.draft([alone], no, 0).parked == [alone.key]
    passing = envelope("samples", 5, batch(dust, [1.0], time_ns=EIGHT + 2 * SECOND), lane=lane)
    draft = one.draft([passing], no, 0)
    assert draft.freed == [alone.key]
    assert [letter.packets[0].data[21:23] for letter in draft.letters] == ["01"]


def test_a_message_that_ends_in_the_middle_of_a_second() -> None:
    """A backlog of twenty devices' seconds, nine units at a time: a packet for each second, and no second
    one."""
    groups = [schema(["so2"], group=f"g{n}") for n in range(20)]
    one = drafter(real_time_s=1.0, slots=Slots())
    rows = [batch(of, [1.0], time_ns=EIGHT + s * SECOND) for s in range(10) for of in groups]
    units = [envelope("samples", n, row, lane=Lane.BACKLOG) for n, row in enumerate(rows)]
    first = one.draft(units[:20], no, 0).letters
    letters = [x for n in range(20, 200, 9) for x in one.draft(units[n : n + 9], no, 0).letters]
    times = [x.packets[0].data[21:23] for x in first + letters]
    assert times == [f"{s:02}" for s in range(10)]
    assert all(len(x.keys) == 20 for x in letters)


def test_a_long_record_is_cut_between_factors() -> None:
    factors = [mapped(f"t{n}", f"a2{n:04d}") for n in range(60)]
    reading = batch(schema([f"t{n}" for n in range(60)]), [12345.67] * 60)
    for identity in (IDENTITY, IDENTITY_2025):
        one = drafter(identity.version, factors=factors)
        (only,) = one.draft([envelope("samples", 1, reading, lane=Lane.BACKLOG)], no, 0).letters
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


NAMES = {
    "w00000": "flow", "w01001": "pH", "w01009": "dissolved oxygen", "w01010": "temperature",
    "w01012": "suspended solids", "w01014": "conductivity", "w01018": "COD",
    "w01019": "permanganate index", "w01020": "TOC", "w21001": "total nitrogen",
    "w21003": "ammonia nitrogen", "w21011": "total phosphorus", "w22001": "oils", "w20111": "mercury",
    "w20115": "cadmium", "w20116": "chromium", "w20117": "hexavalent chromium", "w20119": "arsenic",
    "w20120": "lead", "w20121": "nickel",
    "a00000": "flow", "a01001": "air temperature", "a01002": "relative humidity", "a01006": "pressure",
    "a01007": "wind speed", "a01008": "wind direction", "a01011": "flue gas velocity",
    "a01012": "flue gas temperature", "a01013": "flue gas pressure", "a01014": "flue gas humidity",
    "a01015": "chiller temperature", "a01016": "duct area", "a01017": "dynamic pressure",
    "a01901": "furnace mean temperature", "a01902": "furnace DCS temperature", "a05001": "CO2",
    "a05002": "CH4", "a19001": "O2", "a21001": "NH3", "a21002": "NOx", "a21003": "NO", "a21004": "NO2",
    "a21005": "CO", "a21022": "Cl2", "a21024": "HCl", "a21026": "SO2", "a21028": "H2S", "a24088": "NMHC",
    "a25002": "benzene", "a25003": "toluene", "a25005": "xylene", "a34001": "TSP", "a34002": "PM10",
    "a34004": "PM2.5", "a34013": "particulates",
    "i33200": "current of the sewage station", "i33201": "cumulative energy", "i33202": "daily energy",
    "i33400": "production load",
}  # fmt: skip
FORMS = {
    "w00000": "N5.2", "w01001": "N2.2", "w01012": "N4", "w01018": "N5.1", "w21001": "N4.2",
    "w21003": "N4.2", "w21011": "N3.2", "w22001": "N3.2", "a00000": "N6.1", "a01006": "N5.3",
    "a01011": "N5.2", "a01012": "N3.1", "a01013": "N5.3", "a01014": "N3.1", "a01901": "N4.1",
    "a01902": "N4.1", "a19001": "N3.1", "a21002": "N5.1", "a21026": "N5.2", "a24088": "N7.3",
    "a34013": "N4", "i33201": "N13", "i33202": "N7",
}  # fmt: skip
UNITS = {
    "w00000": "L/s", "w01018": "mg/L", "w20111": "ug/L", "w20121": "mg/L", "w01014": "uS/cm",
    "a00000": "m3/s", "a01013": "kPa", "a01011": "m/s", "a01016": "m2", "a21026": "mg/m3",
    "a34013": "mg/m3", "i33200": "A", "i33201": "kWh", "i33400": "%",
}  # fmt: skip


def test_the_table_of_factors_is_not_shifted() -> None:
    """Written a second time from the standard's list: public tables are known to be off by one line."""
    assert {code: factor.name for code, factor in FACTORS.items()} == NAMES
    assert {code: factor.format for code, factor in FACTORS.items() if factor.format} == FORMS
    assert {code: FACTORS[code].unit for code in UNITS} == UNITS


def test_only_volumes_and_energies_add_up() -> None:
    assert set(FACTORS) >= TOTALS
    assert {FACTORS[code].unit for code in TOTALS} == {"L/s", "m3/s", "kWh"}


@pytest.mark.parametrize(
    ("old", "code"),
    [("011", "w01018"), ("060", "w21003"), ("B01", "w00000"), ("01", "a34013"), ("02", "a21026"),
     ("03", "a21002"), ("S01", "a19001"), ("S02", "a01011"), ("S03", "a01012"), ("S05", "a01014"),
     ("S08", "a01013")],
)  # fmt: skip
def test_codes_of_2005(old: str, code: str) -> None:
    assert OLD_CODES[old] == code
    assert len(OLD_CODES) == 11


def test_every_format_of_the_table_can_be_read() -> None:
    for code, factor in FACTORS.items():
        assert code == factor.code
        if factor.format:
            Format.parse(factor.format)
    assert set(OLD_CODES.values()) | set(FORMATS_2025) <= set(FACTORS)
    assert (format_of("a34013", edition_2025=False), format_of("a34013", edition_2025=True)) == ("N4", "N4.1")
    assert format_of("x99999", edition_2025=False) == ""
