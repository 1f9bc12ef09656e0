"""The session as a machine: no sockets, no clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.uplink import Key, Lane
from edge_agent.uplinks.hj212 import letter
from edge_agent.uplinks.hj212.frame import FrameReader
from edge_agent.uplinks.hj212.letter import Letter, data_letter
from edge_agent.uplinks.hj212.moment import QuestionNumbers
from edge_agent.uplinks.hj212.segment import Segment, parse_segment
from edge_agent.uplinks.hj212.session import Heard, Limits, Session

from .made import EIGHT, IDENTITY, IDENTITY_2025, SECOND

LIMITS = Limits(over_time_s=10, re_count=3, window=1)


def session(limits: Limits = LIMITS, *, v2025: bool = False) -> Session:
    identity = IDENTITY_2025 if v2025 else IDENTITY
    return Session(identity, limits, QuestionNumbers(lambda: EIGHT).next, 0)


def record(seq: int, *, lane: Lane = Lane.LIVE, factors: int = 1) -> Letter:
    texts = [f"a2{n:04d}-Avg=12345.67,a2{n:04d}-Flag=N" for n in range(factors)]
    return data_letter(
        IDENTITY, "2051", f"202601010800{seq:02d}", texts, lane=lane, keys=(Key("periods", 7, seq),)
    )


def read(frames: list[bytes]) -> list[Segment]:
    return [parse_segment(raw, lenient=False) for raw in FrameReader(lenient=False).feed(b"".join(frames))]


def ack(packet: Segment, **changes: str) -> Segment:
    return replace(letter.received(IDENTITY, packet.qn), **changes)  # type: ignore[arg-type]


def test_an_acknowledgement_settles_the_unit() -> None:
    one = session()
    one.put(record(1))
    (packet,) = read(one.due(0))
    assert one.holds(Key("periods", 7, 1))
    assert one.hear(ack(packet)).confirmed == [Key("periods", 7, 1)]
    assert not one.holds(Key("periods", 7, 1))
    assert one.next_ns() is None
    assert one.waiting == 0


@pytest.mark.parametrize(
    "changes",
    [{"cn": "9013"}, {"cn": "9012"}, {"qn": "20260101080000999"}, {"mn": "0" * 24}, {"qn": ""}],
)
def test_only_its_own_acknowledgement_counts(changes: dict[str, str]) -> None:
    one = session()
    one.put(record(1))
    (packet,) = read(one.due(0))
    assert one.hear(ack(packet, **changes)) == Heard()
    assert one.counts["stray"] == 1
    assert one.holds(Key("periods", 7, 1))


def test_a_doubled_acknowledgement_settles_nothing_else() -> None:
    one = session()
    one.put(record(1))
    one.put(record(2))
    (packet,) = read(one.due(0))
    assert one.hear(ack(packet)).confirmed
    assert one.hear(ack(packet)) == Heard()
    assert one.holds(Key("periods", 7, 2))


def test_it_repeats_the_same_bytes_and_then_gives_up() -> None:
    one = session()
    one.put(record(1))
    first = one.due(0)
    for tries in range(1, 4):
        assert one.due(tries * 10 * SECOND - 1) == []
        assert one.due(tries * 10 * SECOND) == first
    assert not one.lost
    assert one.due(40 * SECOND) == []
    assert "sent 4 times" in one.lost


def test_a_late_acknowledgement_of_a_repetition_counts() -> None:
    one = session()
    one.put(record(1))
    (packet,) = read(one.due(0))
    one.due(10 * SECOND)
    assert one.hear(ack(packet)).confirmed
    assert one.due(100 * SECOND) == []
    assert not one.lost


def test_a_split_record_is_settled_by_all_of_its_parts() -> None:
    one = session(Limits(window=8))
    one.put(record(1, factors=60))
    packets = read(one.due(0))
    assert len({p.qn for p in packets}) == len(packets) > 1
    for packet in packets[1:]:
        assert one.hear(ack(packet)).confirmed == []
    assert one.hear(ack(packets[0])).confirmed == [Key("periods", 7, 1)]


def test_a_unit_in_two_letters_waits_for_both() -> None:
    one = session(Limits(window=8))
    for _ in range(2):
        one.put(record(1))
    first, second = read(one.due(0))
    assert one.hear(ack(first)).confirmed == []
    assert one.hear(ack(second)).confirmed == [Key("periods", 7, 1)]


def test_no_more_than_the_window_is_under_way() -> None:
    one = session(Limits(window=3))
    for seq in range(10):
        one.put(record(seq, lane=Lane.BACKLOG))
    packets = read(one.due(0))
    assert len(packets) == 3
    assert one.due(1) == []
    one.hear(ack(packets[1]))
    assert len(one.due(2)) == 1


def test_live_first_but_the_backlog_never_starves() -> None:
    one = session()
    for seq in range(20):
        one.put(record(seq, lane=Lane.BACKLOG))
        one.put(record(seq + 30))
    lanes = []
    for _ in range(12):
        (packet,) = read(one.due(0))
        lanes.append("live" if int(packet.data[21:23]) >= 30 else "backlog")
        one.hear(ack(packet))
    assert lanes == (["live"] * 4 + ["backlog"]) * 2 + ["live"] * 2


@pytest.mark.parametrize(("code", "word"), [(3, "password"), (4, "device number")])
def test_refused_credentials(code: int, word: str) -> None:
    one = session()
    one.put(record(1))
    (packet,) = read(one.due(0))
    one.hear(ack(packet, cn="9011", data=f"QnRtn={code}"))
    assert word in one.denied
    assert one.holds(Key("periods", 7, 1))


def test_a_refused_packet_is_named_with_its_code_after_all_parts() -> None:
    one = session(Limits(window=8))
    one.put(record(1, factors=60))
    packets = read(one.due(0))
    assert one.hear(ack(packets[0], cn="9011", data="QnRtn=6")).refused == {}
    heard = [one.hear(ack(p)) for p in packets[1:]][-1]
    assert "QnRtn=6" in heard.refused[Key("periods", 7, 1)]
    assert heard.confirmed == []


@pytest.mark.parametrize("data", ["", "QnRtn=", "QnRtn=x", "QnRtn=1", "QnRtn=9", "nonsense"])
def test_a_reply_that_refuses_nothing_settles_nothing(data: str) -> None:
    one = session()
    one.put(record(1))
    (packet,) = read(one.due(0))
    heard = one.hear(ack(packet, cn="9011", data=data))
    assert not heard.refused
    assert not heard.confirmed
    assert not one.denied
    assert one.holds(Key("periods", 7, 1))


def test_heartbeat() -> None:
    one = session(Limits(heartbeat_s=30, over_time_s=10, re_count=1), v2025=True)
    assert one.due(29 * SECOND) == []
    assert one.next_ns() == 30 * SECOND
    (beat,) = read(one.due(30 * SECOND))
    assert (beat.cn, beat.st, beat.flag, beat.data) == ("9015", "91", 9, "")
    assert one.hear(ack(beat)) == Heard()  # 9014 is not the answer to it
    assert one.hear(ack(beat, cn="9013")) == Heard()
    assert one.due(59 * SECOND) == []
    one.due(60 * SECOND)
    one.due(70 * SECOND)
    one.due(80 * SECOND)
    assert "9015" in one.lost


def test_calibration_is_asked_for_and_answered_by_9013() -> None:
    one = session()
    one.notify(letter.calibration_wanted(IDENTITY, "w01018"))
    (asked,) = read(one.due(0))
    assert (asked.cn, asked.data, asked.ack) == ("1013", "PolId=w01018", True)
    one.hear(ack(asked, cn="9013"))
    assert one.next_ns() is None


def test_requests_are_handed_over() -> None:
    asked = Segment("20260101080000000", "31", "2051", "123456", IDENTITY.mn, data="x=1")
    assert session().hear(asked).request is asked


def test_replies_go_first_and_are_not_waited_for() -> None:
    one = session()
    one.put(record(1))
    one.reply(letter.accepted(IDENTITY, "20260101080000000", 1))
    packets = read(one.due(0))
    assert [p.cn for p in packets] == ["9011", "2051"]
    assert (
        packets[0]
        .encode()
        .decode()
        .endswith("ST=91;CN=9011;PW=123456;MN=" + IDENTITY.mn + ";Flag=4;CP=&&QnRtn=1&&")
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "ack", "stray", "wait", "late"]), st.integers(0, 5)), max_size=60
    )
)
@settings(max_examples=150, deadline=None)
def test_every_unit_is_confirmed_exactly_once_and_only_when_acknowledged(
    steps: list[tuple[str, int]],
) -> None:
    one = session(Limits(over_time_s=10, re_count=99, window=3))
    now, seq = 0, 0
    confirmed: list[Key] = []
    open_packets: dict[str, Segment] = {}
    put: set[Key] = set()

    def post() -> None:
        for packet in read(one.due(now)):
            open_packets.setdefault(packet.qn, packet)

    for what, number in steps:
        if what == "put":
            seq += 1
            one.put(record(seq % 60, factors=1 + 12 * number))
            put.add(Key("periods", 7, seq % 60))
        elif what == "ack" and open_packets:
            packet = list(open_packets.values())[number % len(open_packets)]
            del open_packets[packet.qn]
            confirmed += one.hear(ack(packet)).confirmed
            assert one.hear(ack(packet)).confirmed == []
        elif what == "stray":
            assert (
                one.hear(ack(Segment(f"2020010100000000{number}", "91", "9014", "", IDENTITY.mn))) == Heard()
            )
        elif what == "wait":
            now += number * 7 * SECOND
        post()
    while open_packets:
        _, packet = open_packets.popitem()
        confirmed += one.hear(ack(packet)).confirmed
        post()
    assert set(confirmed) == put
    assert one.waiting == 0


def test_only_data_are_sealed() -> None:
    sealed: list[bytes] = []

    def seal(frame: bytes) -> bytes:
        sealed.append(frame)
        return frame.replace(b"a2", b"xx")

    one = Session(IDENTITY_2025, LIMITS, QuestionNumbers(lambda: EIGHT).next, 0, seal=seal)
    one.notify(letter.calibration_wanted(IDENTITY_2025, "w01018"))
    (asked,) = read(one.due(0))
    assert sealed == []
    one.hear(ack(asked, cn="9013"))
    one.put(record(1))
    (frame,) = one.due(0)
    assert b"xx0000-Avg" in frame
    assert one.due(10 * SECOND) == [frame]


# The backlog's pace


def test_the_backlog_goes_at_its_rate_and_live_data_beside_it() -> None:
    one = session(Limits(window=8, backfill_per_s=2.0))
    for seq in range(6):
        one.put(record(seq, lane=Lane.BACKLOG))
    assert len(read(one.due(0))) == 1
    assert one.next_ns() == SECOND // 2
    assert one.due(SECOND // 2 - 1) == []
    one.put(record(30))
    assert [p.data[19:23] for p in read(one.due(SECOND // 2 - 1))] == ["0030"]
    assert len(read(one.due(SECOND // 2))) == 1
    assert len(read(one.due(10 * SECOND - 1))) == 1, "time without a packet is not made up for"


def test_live_data_have_places_of_their_own() -> None:
    """Backlog whose acknowledgements are lost fills the window until they are due again."""
    one = session(Limits(window=4))
    for seq in range(9):
        one.put(record(seq, lane=Lane.BACKLOG))
    assert len(one.due(0)) == 4
    one.put(record(30))
    one.put(record(31))
    one.put(record(32))
    assert [p.data[21:23] for p in read(one.due(1))] == ["30", "31"]


def test_a_window_of_one_is_one() -> None:
    one = session(Limits(window=1))
    one.put(record(1, lane=Lane.BACKLOG))
    assert len(one.due(0)) == 1
    one.put(record(30))
    assert one.due(1) == []


# What is not insisted on


def test_a_notice_that_nobody_answers_costs_nothing() -> None:
    one = session()
    one.notify(letter.calibration_wanted(IDENTITY))
    for tries in range(4):
        assert len(one.due(tries * 10 * SECOND)) == 1
    assert one.due(40 * SECOND) == []
    assert (one.lost, one.next_ns(), one.counts["given_up"]) == ("", None, 1)


def test_a_start_that_nobody_acknowledges_is_given_up() -> None:
    one = session()
    told = letter.started(IDENTITY, "20260101080000", "20260101075900")
    one.put(told)
    for tries in range(5):
        one.due(tries * 10 * SECOND)
    assert one.given_up == [told]
    assert not one.lost


# Units of which a part is not ready


def test_a_reserved_unit_is_not_settled_by_its_other_letters() -> None:
    one = session(Limits(window=8))
    one.reserve([Key("periods", 7, 1)])
    one.put(record(1))
    (packet,) = read(one.due(0))
    assert one.hear(ack(packet)).confirmed == []
    one.put(record(1))
    assert one.release([Key("periods", 7, 1)]) == Heard()
    (packet,) = read(one.due(0))
    assert one.hear(ack(packet)).confirmed == [Key("periods", 7, 1)]


def test_a_reserved_unit_that_cannot_be_written_is_refused() -> None:
    one = session()
    one.reserve([Key("periods", 7, 1)])
    one.spoil([Key("periods", 7, 1)], "too long")
    assert one.release([Key("periods", 7, 1)]).refused == {Key("periods", 7, 1): "too long"}


def test_new_limits_hold_from_the_next_packet_on() -> None:
    one = session()
    one.put(record(1))
    one.due(0)
    one.limits = Limits(over_time_s=1, re_count=1)
    assert one.next_ns() == 10 * SECOND
    one.due(10 * SECOND)
    assert one.next_ns() == 11 * SECOND
    one.due(11 * SECOND)
    assert "sent 2 times" in one.lost


def test_a_key_that_comes_meanwhile_holds_for_the_repetition() -> None:
    keys = [b"first", b"second"]
    one = Session(
        IDENTITY_2025, LIMITS, QuestionNumbers(lambda: EIGHT).next, 0, seal=lambda frame: keys[0] + frame
    )
    one.put(record(1))
    (first,) = one.due(0)
    keys.pop(0)
    (again,) = one.due(10 * SECOND)
    assert (first.removeprefix(b"first"), first != again) == (again.removeprefix(b"second"), True)
