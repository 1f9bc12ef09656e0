"""What a platform may order and ask about this agent, over real sockets: 1000, 1013, 1014, 1062 to 1064,
2012, 2041, 2081, 3019, 3020; and what of it is remembered."""

from __future__ import annotations

import pytest

from edge_agent.errors import Denied
from edge_agent.model import ClockState, Value
from edge_agent.testing.destination import RecordingHost
from edge_agent.testing.wire import until
from edge_agent.uplink import Answer
from edge_agent.uplinks.hj212.keyring import Keyring
from edge_agent.uplinks.hj212.orders import Orders, Standing
from edge_agent.uplinks.hj212.start import this_run
from hardware_mocks.hj212_host import Hj212Host

from .conftest import Agent, Opened, SetClock
from .made import EIGHT, SECOND, batch, envelope, minute, period, schema
from .test_requests import QN, asked
from .vectors import MN

CONFIGURED = Orders(10.0, 3, 60.0)
FIRST, SECOND_KEY = "registered-key-1", "delivered--key-2"


# 1000, 1062: obeyed within the standard's ranges, and kept


async def test_limits_are_obeyed_at_once_and_after_a_restart(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(over_time="5s") as uplink:
        exchange = await asked(platform, "1000", "OverTime=1;ReCount=1")
        assert (exchange.accepted, exchange.done) == (1, 1)
        assert uplink.connection is not None
        limits = uplink.connection.session.limits
        assert (limits.over_time_s, limits.re_count) == (1.0, 1)
    async with connected(over_time="5s") as uplink:
        assert uplink.connection is not None
        assert uplink.connection.session.limits.over_time_s == 1.0
    assert agent.asked == []


@pytest.mark.parametrize(
    "data",
    [
        "", "x", "OverTime=0;ReCount=3", "OverTime=100;ReCount=3", "OverTime=5;ReCount=0", "OverTime=5",
        "OverTime=5;ReCount=100", "ReCount=3", "OverTime=5.5;ReCount=3", "OverTime=-5;ReCount=3",
        "OverTime=٥;ReCount=3",
    ],
)  # fmt: skip
async def test_limits_outside_of_the_range_change_nothing(
    platform: Hj212Host, agent: Agent, connected: Opened, data: str
) -> None:
    async with connected() as uplink:
        assert (await asked(platform, "1000", data)).done == 2
        assert uplink.connection is not None
        assert uplink.connection.session.limits.re_count == 3
    assert "orders" not in agent.kept


@pytest.mark.parametrize(("interval", "done"), [(30, 1), (3600, 1), (29, 2), (3601, 2)])
async def test_the_real_time_interval(
    platform: Hj212Host, connected: Opened, interval: int, done: int
) -> None:
    async with connected(real_time="60s") as uplink:
        assert (await asked(platform, "1062", f"RtdInterval={interval}")).done == done
        exchange = platform.ask("20260101080000001", "1061")
        await until(lambda: exchange.done, "1061 was not answered")
        assert exchange.answers[1].data == {"RtdInterval": str(interval if done == 1 else 60)}
        rows = [batch(schema(["so2"]), [1.0], time_ns=EIGHT + n * 30 * SECOND) for n in range(4)]
        await uplink.send([envelope("samples", n, row) for n, row in enumerate(rows)])
    sent = sum(p.cn == "2011" for p in platform.packets)
    assert sent == {30: 4, 3600: 1}.get(interval, 2)


async def test_an_order_that_cannot_be_kept_is_not_obeyed(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.full = True
    async with connected() as uplink:
        assert (await asked(platform, "1062", "RtdInterval=30")).done == 2
        assert uplink._standing.now.real_time_s == 60


async def test_an_order_stands_until_a_person_changes_that_key() -> None:
    agent = RecordingHost()
    await Standing(agent, CONFIGURED).give(over_time_s=20.0, re_count=5, stopped=True)
    assert [kind for kind, _ in agent.recorded] == ["uplink_order"]
    assert agent.recorded[0][1]["ordered"] == {"over_time_s": 20.0, "re_count": 5, "stopped": True}
    same = Standing(agent, CONFIGURED)
    await same.load()
    assert same.now == Orders(20.0, 5, 60.0, stopped=True)
    changed = Standing(agent, Orders(12.0, 3, 60.0))
    await changed.load()
    assert changed.now == Orders(12.0, 5, 60.0, stopped=True)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "1", "null", '{"over_time_s": 5}', '{"over_time_s": ["a", 10.0]}']
)
async def test_damaged_orders_are_none(text: str) -> None:
    agent = RecordingHost()
    agent.kept["orders"] = text
    standing = Standing(agent, CONFIGURED)
    await standing.load()
    assert standing.now == CONFIGURED


# 1063, 1064


async def test_the_minute_interval_is_told(platform: Hj212Host, connected: Opened) -> None:
    async with connected(min_interval=10):
        exchange = await asked(platform, "1063")
    assert [p.cn for p in exchange.answers] == ["9011", "1063", "9012"]
    assert exchange.answers[1].data == {"MinInterval": "10"}


async def test_the_same_minute_interval_is_agreed_to(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected():
        exchange = await asked(platform, "1064", "MinInterval=1")
    assert (exchange.accepted, exchange.done) == (1, 1)
    assert [p.cn for p in exchange.answers] == ["9011", "9012"]
    assert agent.asked == []


@pytest.mark.parametrize("data", ["MinInterval=10", "MinInterval=", "", "x", "MinInterval=01"])
async def test_another_minute_interval_is_refused_and_on_record(
    platform: Hj212Host, agent: Agent, connected: Opened, data: str
) -> None:
    async with connected():
        assert (await asked(platform, "1064", data)).accepted == 2
        await until(lambda: agent.asked, "no record")
    assert "MinInterval here is 1" in agent.asked[0].detail["reason"]


# 2011, 2012


async def test_real_time_upload_is_stopped_and_started(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    def reading(seq: int):  # type: ignore[no-untyped-def]
        return envelope("samples", seq, batch(schema(["so2"]), [1.0], time_ns=EIGHT + seq * 60 * SECOND))

    async with connected() as uplink:
        await until(lambda: platform.connections, "never connected")
        stop = platform.ask(QN, "2012")
        await until(lambda: stop.noticed, "2012 is answered by 9013")
        assert [p.cn for p in stop.answers] == ["9013"]
        assert [v.answer for v in await uplink.send([reading(1), minute(1)])] == [Answer.ACKNOWLEDGED] * 2
        assert [p.cn for p in platform.records.values()] == ["2051"]
    async with connected() as uplink:  # still so
        await uplink.send([reading(2)])
        assert [p.cn for p in platform.records.values()] == ["2051"]
        agent.now = [batch(schema(["so2"]), [7.0])]
        start = platform.ask("20260101080000001", "2011")
        await until(lambda: start.done == 1, "not started")
        await uplink.send([reading(3)])
    assert [p.data["a21026-Rtd"] for p in platform.records.values() if p.cn == "2011"] == ["7.00", "1.00"]


async def test_a_stop_that_cannot_be_kept_is_not_confirmed(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.full = True
    async with connected() as uplink:
        await until(lambda: platform.connections, "never connected")
        stop = platform.ask(QN, "2012")
        assert (await asked(platform, "1061", "")) is not None
        assert not stop.noticed
        assert not uplink._standing.now.stopped


# 1013, 2081


async def test_an_unset_clock_asks_for_calibration_and_nothing_depends_on_it(
    platform: Hj212Host, connected: Opened
) -> None:
    clock = SetClock()
    clock.said = ClockState.UNSYNCHRONISED
    platform.manners.notices = False
    async with connected(clock, over_time="200ms", re_count=1, hold_unsynchronised="0s") as uplink:
        await until(lambda: platform.notices, "1013 never came")
        assert (platform.notices[0].cn, platform.notices[0].fields["ST"]) == ("1013", "31")
        await until(lambda: len(platform.notices) == 2, "not repeated")
        assert uplink.connection is not None
        session = uplink.connection.session
        await until(lambda: session.counts["given_up"] == 1, "never given up")
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_a_set_clock_asks_nothing(platform: Hj212Host, connected: Opened) -> None:
    async with connected() as uplink:
        await uplink.send([minute(1)])
    assert platform.notices == []


async def test_period_values_of_an_unset_clock_wait_and_then_go_marked(
    platform: Hj212Host, connected: Opened
) -> None:
    clock = SetClock(up_s=100)
    clock.said = ClockState.UNSYNCHRONISED
    row = period("minute", {"so2.avg": 1.0, "so2.flag": "N"}, clock=ClockState.UNSYNCHRONISED)
    sure = period("minute", {"so2.avg": 2.0, "so2.flag": "N"}, time_ns=EIGHT + 60 * SECOND)
    items = [envelope("periods", 1, row), envelope("periods", 2, sure)]
    async with connected(clock, hold_unsynchronised="10min") as uplink:
        verdicts = await uplink.send(items)
        assert [v.answer for v in verdicts] == [Answer.RETRY, Answer.ACKNOWLEDGED]
        assert "not synchronised" in verdicts[0].reason
        assert 0 < verdicts[0].after_s <= 5
    async with connected(clock, hold_unsynchronised="90s") as uplink:
        assert (await uplink.send(items[:1]))[0].answer is Answer.ACKNOWLEDGED
    marked = platform.records[MN, "2051", "20260101080000", ""]
    assert marked.data == {
        "DataTime": "20260101080000",
        "a21026-Avg": "1.00",
        "a21026-Flag": "N",
        "a21026-EFlag": "TIME",
    }


async def test_the_start_is_told_once_per_start(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    for _ in range(2):
        async with connected(report_start=True) as uplink:
            await uplink.send([minute(1)])
            await until(lambda: "start" in agent.kept, "never confirmed")
    started = [p for p in platform.packets if p.cn == "2081"]
    assert len(started) == 1
    assert list(started[0].data) == ["DataTime", "RestartTime"]
    assert started[0].fields["ST"] == "31"


async def test_a_platform_that_does_not_know_2081_loses_nothing(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.poison = lambda packet: packet.cn == "2081"
    platform.manners.poison_code = 8
    async with connected(report_start=True) as uplink:
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED
    assert "start" not in agent.kept


def test_this_run_is_the_same_within_a_process() -> None:
    assert this_run(SetClock()) == this_run(SetClock())
    assert 0 <= this_run(SetClock()).mono_ns <= SetClock().mono_ns()


# 2041, 3019, 3020


HOURS = [{"code": "SB1", "tag": "stack.fan_h"}]


async def test_running_hours_of_days(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.stored["periods"] = [
        period("day", {"fan_h.sum": float(n)}, time_ns=EIGHT + (n * 24 - 8) * 3600 * SECOND) for n in range(3)
    ]
    async with connected(running_hours=HOURS):
        exchange = await asked(platform, "2041", "BeginTime=20260101000000;EndTime=20260102000000")
    assert exchange.done == 1
    assert [(p.cn, p.data) for p in platform.records.values()] == [
        ("2041", {"DataTime": "20260101000000", "SB1-RT": "0.00"}),
        ("2041", {"DataTime": "20260102000000", "SB1-RT": "1.00"}),
    ]


SERIALS = [
    {"tag": "stack.so2", "code": "a21026", "sn": "0123456789ABCDEF01234567"},
    {"tag": "stack.x", "code": "a21002"},
]


@pytest.mark.parametrize(
    ("data", "done"), [("PolId=a21026", 1), ("PolId=02", 1), ("", 1), ("PolId=a21002", 100)]
)
async def test_serial_numbers(platform: Hj212Host, connected: Opened, data: str, done: int) -> None:
    async with connected(factors=SERIALS):
        exchange = await asked(platform, "3019", data)
    assert exchange.done == done
    if done == 1:
        assert exchange.answers[1].data == {"a21026-SN": "0123456789ABCDEF01234567"}


INFOS = [
    {"factor": "a21026", "code": "i12001", "tag": "stack.state"},
    {"factor": "a21026", "code": "i11001", "tag": "stack.log"},
]


def said(n: int, state: Value, log: str = "维护"):  # type: ignore[no-untyped-def]
    return batch(schema(["state", "log"]), [state, log], time_ns=EIGHT + n * 60 * SECOND)


async def test_a_state_and_a_log_now(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    """The log is the vector of 3020."""
    agent.now = [said(0, 1)]
    async with connected(infos=INFOS):
        assert (await asked(platform, "3020", "PolId=a21026;InfoId=i11001")).done == 1
        again = platform.ask("20260101080000001", "3020", "PolId=a21026;InfoId=i12001")
        await until(lambda: again.done == 1, "the state was not told")
    log, state = [p for p in platform.packets if p.cn == "3020"]
    assert (
        log.raw.partition(b"CP=")[2][:-6].decode()
        == "&&DataTime=20260101080000;PolId=a21026;i11001-Info=//维护//&&"
    )
    assert (log.fields["ST"], log.fields["Flag"]) == ("31", "5")
    assert state.data["i12001-Info"] == "1"


async def test_changes_of_a_state(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    agent.stored["samples"] = [said(n, state) for n, state in enumerate([0, 0, True, 2.5, None, 2.5, 0])]
    async with connected(infos=INFOS):
        data = "PolId=a21026;InfoId=i12001;BeginTime=20260101080000;EndTime=20260101090000"
        assert (await asked(platform, "3020", data)).done == 1
    told = [(p.data["DataTime"][10:12], p.data["i12001-Info"]) for p in platform.packets if p.cn == "3020"]
    assert told == [("00", "0"), ("02", "1"), ("03", "2.5"), ("06", "0")]


@pytest.mark.parametrize("text", ["a;b", "a,b", "&&", "a//b", "x\r\n##0001", "维" * 900])
async def test_a_text_cannot_break_the_structure(
    platform: Hj212Host, agent: Agent, connected: Opened, text: str
) -> None:
    agent.now = [said(0, 1, text)]
    async with connected(infos=INFOS):
        assert (await asked(platform, "3020", "InfoId=i11001")).done == 1
    (packet,) = [p for p in platform.packets if p.cn == "3020"]
    assert list(packet.data) == ["DataTime", "PolId", "i11001-Info"]


async def test_info_that_is_not_configured_is_no_data(platform: Hj212Host, connected: Opened) -> None:
    async with connected(infos=INFOS):
        assert (await asked(platform, "3020", "PolId=w01018")).done == 100


# 1014


def exchange_keys(platform: Hj212Host) -> dict[str, object]:
    platform.sm4_key, platform.plain_flag = FIRST.encode(), 8
    return {"version": "2025", "sm4_key": FIRST, "key_exchange": True, "heartbeat": "0s"}


async def test_a_new_key_is_used_and_kept_sealed(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    keys = exchange_keys(platform)
    async with connected(**keys) as uplink:
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED
        exchange = platform.ask(QN, "1014", f"SKCreateTime=20260101080000;NewSK={SECOND_KEY}", sealed=True)
        await until(lambda: exchange.done == 1, "not carried out")
        platform.sm4_key = SECOND_KEY.encode()
        assert (await uplink.send([minute(2)]))[0].answer is Answer.ACKNOWLEDGED
    async with connected(**keys) as uplink:  # over a restart
        assert (await uplink.send([minute(3)]))[0].answer is Answer.ACKNOWLEDGED
    assert [p.data["DataTime"][-4:] for p in platform.records.values()] == ["0100", "0200", "0300"]
    for text in agent.kept.values():
        assert SECOND_KEY not in text and SECOND_KEY.encode().hex() not in text
    assert agent.asked == []


async def test_a_new_registered_key_makes_the_kept_one_unreadable(agent: Agent) -> None:
    ring = Keyring(agent, MN, FIRST.encode(), "raw")
    await ring.deliver(SECOND_KEY, "20260101080000")
    same, other, device = (
        Keyring(agent, mn, key, "raw")
        for mn, key in ((MN, FIRST.encode()), (MN, b"another-key-0123"), ("F" * 24, FIRST.encode()))
    )
    for one, created in ((same, "20260101080000"), (other, ""), (device, "")):
        await one.load()
        assert one.created == created
    agent.kept["sm4-key"] = "AAAA" + agent.kept["sm4-key"][4:]
    damaged = Keyring(agent, MN, FIRST.encode(), "raw")
    await damaged.load()
    assert damaged.created == ""


async def test_an_old_key_is_asked_to_be_replaced(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    keys = exchange_keys(platform)
    await Keyring(agent, MN, FIRST.encode(), "raw").deliver(FIRST, "20200101000000")
    async with connected(**keys):
        await until(lambda: platform.notices, "1014 never came")
    (asked_for,) = platform.notices
    assert (asked_for.cn, asked_for.data) == ("1014", {"SKCreateTime": "20200101000000"})


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_key_comes_encrypted_or_not_at_all(
    platform: Hj212Host, agent: Agent, connected: Opened, sealed: bool
) -> None:
    async with connected(**exchange_keys(platform)):
        await until(lambda: platform.connections, "never connected")
        exchange = platform.ask(QN, "1014", f"SKCreateTime=1;NewSK={SECOND_KEY}", sealed=sealed)
        await until(lambda: exchange.accepted, "not answered")
        assert exchange.accepted == (1 if sealed else 2)
    assert (len(agent.asked), SECOND_KEY in str(agent.asked)) == (0 if sealed else 1, False)


@pytest.mark.parametrize("data", ["", "NewSK=", "NewSK=short", "x"])
async def test_a_key_that_is_none(platform: Hj212Host, connected: Opened, data: str) -> None:
    async with connected(**exchange_keys(platform)) as uplink:
        await until(lambda: platform.connections, "never connected")
        # two blocks, so that something is encrypted
        exchange = platform.ask(QN, "1014", f"SKCreateTime=20260101080000;{data}", sealed=True)
        await until(lambda: exchange.done == 2, "not refused")
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_a_key_that_cannot_be_kept_is_not_used(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(**exchange_keys(platform)) as uplink:
        await until(lambda: platform.connections, "never connected")
        agent.full = True
        exchange = platform.ask(QN, "1014", f"SKCreateTime=1;NewSK={SECOND_KEY}", sealed=True)
        await until(lambda: exchange.done == 2, "not refused")
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_a_machine_without_sm4_is_denied(
    platform: Hj212Host, connected: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise ValueError("the OpenSSL of this machine has no SM4")

    monkeypatch.setattr("edge_agent.uplinks.hj212.keyring.Sm4", none)
    with pytest.raises(Denied, match="no SM4"):
        async with connected(**exchange_keys(platform)):
            pass
