"""What a platform asks, over real sockets."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.model import Batch
from edge_agent.testing.wire import until
from edge_agent.uplink import Answer, Command, Verdict
from edge_agent.uplinks.hj212.moment import QuestionNumbers, read_stamp, stamp
from edge_agent.uplinks.hj212.requests import Offer, for_the_record, judge, period_asked
from edge_agent.uplinks.hj212.segment import BadSegment, parse_segment
from edge_agent.uplinks.hj212.session import Limits, Session
from hardware_mocks.hj212_host import Exchange, Hj212Host

from .conftest import Agent, Opened
from .made import EIGHT, IDENTITY, SECOND, batch, minute, period, schema

QN = "20260101080000000"
HOUR = "BeginTime=20260101080000;EndTime=20260101080300"


async def asked(platform: Hj212Host, cn: str, data: str = "", **changes: str) -> Exchange:
    await until(lambda: platform.connections, "never connected")
    exchange = platform.ask(QN, cn, data, **changes)  # type: ignore[arg-type]
    await until(lambda: exchange.accepted is not None, f"CN={cn} was not answered")
    if exchange.accepted == 1:
        await until(lambda: exchange.done is not None, f"CN={cn} was never finished")
    return exchange


def minutes(count: int, level: str = "minute") -> list[Batch]:
    return [
        period(level, {"so2.avg": float(n), "so2.flag": "N"}, time_ns=EIGHT + n * 60 * SECOND)
        for n in range(count)
    ]


async def test_time_is_told(platform: Hj212Host, connected: Opened) -> None:
    async with connected():
        exchange = await asked(platform, "1011", "PolId=w01018")
    assert [p.cn for p in exchange.answers] == ["9011", "1011", "9012"]
    assert {p.qn for p in exchange.answers} == {QN}
    assert [p.fields["ST"] for p in exchange.answers] == ["91", "31", "91"]
    assert {p.fields["Flag"] for p in exchange.answers} == {"4"}
    told = read_stamp(exchange.answers[1].data["SystemTime"])
    assert abs(told - SystemClock().time_ns()) < 10 * SECOND
    assert exchange.done == 1


async def test_time_is_not_set_but_its_offset_is_on_record(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    theirs = stamp(SystemClock().time_ns() + 3600 * SECOND)
    async with connected():
        exchange = await asked(platform, "1012", f"SystemTime={theirs}")
    assert exchange.done == 3
    (record,) = agent.asked
    assert record.kind == "time_offset"
    assert abs(record.detail["offset_ms"] - 3_600_000) < 10_000


@pytest.mark.parametrize(("answer", "code"), [(Answer.ACKNOWLEDGED, 1), (Answer.REJECTED, 3)])
async def test_time_is_set_by_the_guarded_pipeline_only(
    platform: Hj212Host, agent: Agent, connected: Opened, answer: Answer, code: int
) -> None:
    async def ask(command: Command) -> Verdict:
        agent.asked.append(command)
        return Verdict(answer)

    agent.ask = ask  # type: ignore[method-assign]
    async with connected(allow_remote_time=True):
        exchange = await asked(platform, "1012", "SystemTime=20260101080001")
    assert exchange.done == code
    assert [c.kind for c in agent.asked] == ["set_time"]
    assert agent.asked[0].detail["time_ns"] == EIGHT + SECOND


@pytest.mark.parametrize("data", ["", "SystemTime=", "SystemTime=20261301000000", "x"])
async def test_nonsense_time(platform: Hj212Host, connected: Opened, data: str) -> None:
    async with connected():
        assert (await asked(platform, "1012", data)).done == 2


@pytest.mark.parametrize(
    "cn",
    ["1002", "1014", "1064", "1072", "2013", "2021", "2022", "2041", "2052", "2062", "2111", "3011", "3012",
     "3013", "3014", "3015", "3016", "3017", "3018", "3019", "3020", "3021", "3022", "3024", "4711"],
)  # fmt: skip
async def test_everything_else_is_refused_and_on_record(
    platform: Hj212Host, agent: Agent, connected: Opened, cn: str
) -> None:
    async with connected() as uplink:
        exchange = await asked(platform, cn, "NewPW=abcdef;RtdInterval=30")
        assert exchange.accepted == 2
        await until(lambda: agent.asked, "no record")
        await uplink.send([minute(1)])
    assert [p.cn for p in exchange.answers] == ["9011"]
    (record,) = agent.asked
    assert (record.kind, record.detail["cn"]) == (f"hj212.{cn}", cn)
    assert "abcdef" not in str(record)
    assert "123456" not in str(record)


@pytest.mark.parametrize(
    ("changes", "code"), [({"pw": "654321"}, 3), ({"mn": "F" * 24}, 4), ({"st": "32"}, 5)]
)
async def test_a_stranger_is_refused(
    platform: Hj212Host, agent: Agent, connected: Opened, changes: dict[str, str], code: int
) -> None:
    async with connected():
        assert (await asked(platform, "1011", **changes)).accepted == code
        await until(lambda: agent.asked, "no record")


async def test_a_request_without_a_number_is_recorded_and_not_answered(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected() as uplink:
        await until(lambda: platform.connections, "never connected")
        platform.ask("", "1011")
        await until(lambda: agent.asked, "no record")
        await uplink.send([minute(1)])
    assert [p.cn for p in platform.packets] == ["2051"]


@pytest.mark.parametrize("data", ["PolId=a&&b", "PolId=a\r\n##0087", "PolId=维护", "PolId=" + "x" * 33])
async def test_what_is_echoed_cannot_bend_the_answer(
    platform: Hj212Host, connected: Opened, data: str
) -> None:
    async with connected():
        exchange = await asked(platform, "1011", data)
    assert set(exchange.answers[1].data) == {"SystemTime"}


@given(
    st.text(max_size=60), st.text(max_size=12), st.sampled_from(["2051", "1012", "9011", "9014", "3021"]),
    st.sampled_from(["", QN]), st.sampled_from(["123456", "x", "é"]),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_request_makes_anything_raise(data: str, odd: str, cn: str, qn: str, pw: str) -> None:
    """Whatever a stranger writes between the ; of a well-formed frame."""
    raw = f"QN={qn};ST={odd};CN={cn};PW={pw};MN=x{odd};Flag=5;CP=&&{data}&&".encode()
    try:
        segment = parse_segment(raw)
    except BadSegment:
        return
    session = Session(IDENTITY, Limits(), QuestionNumbers(lambda: EIGHT).next, 0)
    session.hear(segment)
    for request in (segment, replace(segment, mn=IDENTITY.mn, pw=IDENTITY.pw, st=IDENTITY.st)):
        assert judge(request, IDENTITY, Offer(True, True, True, True)).code in (1, 2, 3, 4, 5, 7)
        assert for_the_record(request)["cn"] == cn
        with contextlib.suppress(ValueError):
            period_asked(request)


async def test_history_by_minutes(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.stored["periods"] = minutes(10)
    async with connected():
        exchange = await asked(platform, "2051", HOUR)
    assert (exchange.accepted, exchange.done) == (1, 1)
    packets = list(platform.records.values())
    assert [p.data["DataTime"][-4:] for p in packets] == [
        "0000",
        "0100",
        "0200",
        "0300",
    ]  # both ends included
    assert [p.data["a21026-Avg"] for p in packets] == ["0.00", "1.00", "2.00", "3.00"]
    assert QN not in {p.qn for p in packets}, "data packets have QNs of their own"
    assert platform.packets[-1].cn == "9012", "the end comes after the data"
    assert agent.confirmed == []


@pytest.mark.parametrize(("cn", "level"), [("2061", "hour"), ("2031", "day")])
async def test_history_of_hours_and_days(
    platform: Hj212Host, agent: Agent, connected: Opened, cn: str, level: str
) -> None:
    """All levels are one stream: those that were not asked for stay out."""
    agent.stored["periods"] = [*minutes(2), *minutes(1, level)]
    async with connected():
        assert (await asked(platform, cn, HOUR)).done == 1
    assert [p.cn for p in platform.records.values()] == [cn]
    assert agent.looked[0][0] == "periods"


async def test_batches_of_one_period_share_a_packet(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    dust = period("minute", {"dust.avg": 5.0, "dust.flag": "N"}, device="stack")
    agent.stored["periods"] = [*minutes(1), dust]
    async with connected():
        await asked(platform, "2051", HOUR)
    (packet,) = platform.records.values()
    assert set(packet.data) == {"DataTime", "a21026-Avg", "a21026-Flag", "a34013-Avg", "a34013-Flag"}


async def test_no_data(platform: Hj212Host, connected: Opened) -> None:
    async with connected():
        assert (await asked(platform, "2051", HOUR)).done == 100


@pytest.mark.parametrize(
    "data",
    [
        "",
        "BeginTime=20260101080000",
        "BeginTime=20260101080000;EndTime=20250101080000",
        "BeginTime=1;EndTime=2",
        "zzz",
    ],
)
async def test_a_period_that_makes_no_sense(platform: Hj212Host, connected: Opened, data: str) -> None:
    async with connected():
        assert (await asked(platform, "2051", data)).done == 2


async def test_an_agent_that_cannot_look_back(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.broken = True
    async with connected() as uplink:
        assert (await asked(platform, "2051", HOUR)).done == 2
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_current_values(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.now = [batch(schema(["so2"]), [7.0])]
    async with connected():
        assert (await asked(platform, "2011", "RtdInterval=30")).done == 1
    (packet,) = platform.records.values()
    assert (packet.cn, packet.data["a21026-Rtd"]) == ("2011", "7.00")


async def test_interval_is_told(platform: Hj212Host, connected: Opened) -> None:
    async with connected(real_time="30s"):
        exchange = await asked(platform, "1061")
    assert exchange.answers[1].data == {"RtdInterval": "30"}


async def test_a_repeated_request_is_answered_again_and_not_carried_out_again(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.stored["periods"] = minutes(2)
    async with connected():
        exchange = await asked(platform, "2051", HOUR)
        platform.ask(QN, "2051", HOUR)
        await until(lambda: len(exchange.answers) == 4, "not answered again")
    assert [p.cn for p in exchange.answers] == ["9011", "9012"] * 2
    assert platform.duplicates == 0
    assert len(agent.looked) == 2  # where there is something, and what


async def test_one_history_at_a_time(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.stored["periods"] = minutes(3)
    platform.manners.late = True
    async with connected(over_time="5s"):
        await until(lambda: platform.connections, "never connected")
        first = platform.ask(QN, "2051", HOUR)
        await until(lambda: platform.records, "the first never began")
        second = platform.ask("20260101080000001", "2061", HOUR)
        await until(lambda: second.done == 5, "the second was not told BUSY")
        assert first.done is None
        platform.manners.late = False
        platform.acknowledge_late()
        await until(lambda: first.done == 1, "the first never ended")


async def test_a_cut_connection_ends_a_history(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.stored["periods"] = minutes(9)
    platform.manners.hang_up_after = 2
    async with connected():
        await until(lambda: platform.connections, "never connected")
        platform.ask(QN, "2051", HOUR)
        await until(lambda: not platform._writers, "never cut")


async def test_records_of_refusals_are_bounded(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    async with connected() as uplink:
        await until(lambda: platform.connections, "never connected")
        for number in range(60):
            exchange = platform.ask(f"202601010900{number:02d}000", "3021")
            await until(lambda exchange=exchange: exchange.accepted == 2, "not refused")  # type: ignore[misc]
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED
    assert len(agent.asked) == 30


async def test_data_flow_while_the_platform_asks(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.stored["periods"] = minutes(4)
    async with connected() as uplink:
        exchange = platform.ask(QN, "2051", HOUR) if platform.connections else None
        for seq in range(20, 25):
            verdicts = await uplink.send([minute(seq)])
            assert verdicts[0].answer in (Answer.ACKNOWLEDGED, Answer.PENDING)
        exchange = exchange or await asked(platform, "2051", HOUR)
        await until(lambda: len(agent.confirmed) == 5, "not all were confirmed")
