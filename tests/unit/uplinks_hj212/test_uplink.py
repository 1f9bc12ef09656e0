"""The uplink over real sockets, against a host that shares no code with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from edge_agent.errors import Denied, Unreachable
from edge_agent.testing.wire import until
from edge_agent.uplink import ACKNOWLEDGED, Answer, Key, Lane
from edge_agent.uplinks.hj212 import connection, drafting
from edge_agent.uplinks.hj212.moment import read_qn
from hardware_mocks.hj212_host import Hj212Host

from .conftest import Agent, Opened
from .made import EIGHT, SECOND, batch, envelope, minute, schema


async def test_what_is_acknowledged_soon_is_a_verdict(platform: Hj212Host, connected: Opened) -> None:
    async with connected() as uplink:
        verdicts = await uplink.send([minute(1), minute(2)])
    assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED] * 2
    assert [p.data["DataTime"] for p in platform.records.values()] == ["20260101080100", "20260101080200"]
    (first, _) = platform.records.values()
    assert first.groups[1] == {"a21026-Avg": "18.50", "a21026-Flag": "N"}
    assert first.fields["Flag"] == "5"


async def test_what_is_acknowledged_late_reaches_the_host(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(over_time="5s", window=4) as uplink:
        assert (await uplink.send([minute(0)]))[0].answer is Answer.ACKNOWLEDGED
        platform.manners.late = True
        items = [minute(1), minute(2)]
        assert [v.answer for v in await uplink.send(items)] == [Answer.PENDING] * 2
        again = await uplink.send(items)  # forwarding may ask again: nothing goes twice
        assert [v.answer for v in again] == [Answer.PENDING] * 2
        agent.confirmed.clear()
        platform.acknowledge_late(lambda p: p.data["DataTime"].endswith("0200"))
        await until(lambda: agent.confirmed, "the late acknowledgement never arrived")
        assert agent.confirmed == [items[1].key]
        platform.acknowledge_late()
        await until(lambda: len(agent.confirmed) == 2, "the other one never arrived")
    assert platform.duplicates == 0


async def test_a_lost_acknowledgement_costs_a_repetition_and_nothing_else(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.lose = 2
    async with connected(over_time="200ms") as uplink:
        await uplink.send([minute(1)])
        await until(lambda: agent.confirmed, "never confirmed")
    assert agent.confirmed == [minute(1).key]
    assert platform.duplicates == 2
    assert len({p.raw for p in platform.packets}) == 1, "a repetition has the same QN and the same bytes"


async def test_doubled_and_damaged_acknowledgements(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.double = 3
    platform.manners.corrupt = 1
    async with connected(over_time="200ms") as uplink:
        for seq in range(4):
            await uplink.send([minute(seq)])
        await until(lambda: len(agent.confirmed) == 4, "not all were confirmed")
    assert len(agent.confirmed) == len(set(agent.confirmed)) == 4
    assert platform.duplicates == 1  # the one whose acknowledgement was damaged


@pytest.mark.parametrize("manner", ["wrong_qn", "wrong_mn"])
async def test_a_foreign_acknowledgement_confirms_nothing(
    platform: Hj212Host, agent: Agent, connected: Opened, manner: str
) -> None:
    setattr(platform.manners, manner, True)
    async with connected(over_time="200ms", re_count=2) as uplink:
        (verdict,) = await uplink.send([minute(1)])
        assert verdict.answer is Answer.PENDING
        await until(lambda: len(platform.packets) == 3, "it was not repeated")
        with pytest.raises(Unreachable, match="no acknowledgement"):
            for _ in range(200):
                await uplink.send([])
                await asyncio.sleep(0.01)
    assert agent.confirmed == []


async def test_wrong_credentials(platform: Hj212Host, connected: Opened) -> None:
    platform.manners.refuse = 3
    async with connected() as uplink:
        with pytest.raises(Denied, match=r"password \(PW\)"):
            await uplink.send([minute(1)])


async def test_credentials_that_are_refused_slowly_are_still_seen_by_the_first_message(
    platform: Hj212Host, connected: Opened
) -> None:
    platform.manners.refuse = 4
    platform.manners.refuse_after_s = 0.6
    async with connected() as uplink:
        with pytest.raises(Denied, match=r"device number \(MN\)"):
            await uplink.send([minute(1)])


async def test_a_beginning_without_an_end_does_not_swallow_the_acknowledgement(
    platform: Hj212Host, agent: Agent, connected: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PARTIAL_S", 0.1)
    async with connected(over_time="5s") as uplink:
        await until(lambda: platform.connections, "never connected")
        platform.send(b"##1000QN=2026")
        (verdict,) = await uplink.send([minute(1)])
    assert verdict.answer is Answer.ACKNOWLEDGED
    assert platform.duplicates == 0


async def test_a_refused_record_is_rejected_with_its_code(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.poison = lambda packet: packet.data.get("DataTime") == "20260101080200"
    async with connected(window=4) as uplink:
        verdicts = await uplink.send([minute(1), minute(2), minute(3)])
    assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED, Answer.REJECTED, Answer.ACKNOWLEDGED]
    assert "QnRtn=6" in verdicts[1].reason
    assert minute(2).key not in agent.confirmed


async def test_a_connection_that_is_cut_is_unreachable_and_the_next_one_delivers(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.hang_up_after = 2
    async with connected() as uplink:
        await uplink.send([minute(1)])
        with pytest.raises(Unreachable):
            await uplink.send([minute(2)])
    async with connected() as uplink:
        (verdict,) = await uplink.send([minute(2)])
    assert verdict.answer is Answer.ACKNOWLEDGED
    assert agent.confirmed == [minute(1).key, minute(2).key]
    assert platform.connections == 2


async def test_backlog_of_2025_is_marked(platform: Hj212Host, connected: Opened) -> None:
    async with connected(version="2025") as uplink:
        await uplink.send([minute(1, lane=Lane.BACKLOG), minute(2)])
    marks = {p.data["DataTime"][-4:]: p.fields.get("RF") for p in platform.records.values()}
    assert marks == {"0100": "1", "0200": None}


async def test_encrypted_data_of_2025(platform: Hj212Host, connected: Opened) -> None:
    platform.sm4_key = b"0" * 16
    platform.plain_flag = 8
    async with connected(version="2025", sm4_key="0" * 16, heartbeat="50ms") as uplink:
        assert (await uplink.send([minute(1), minute(2, 3.25)]))[1].answer is Answer.ACKNOWLEDGED
        await until(lambda: platform.heartbeats, "heartbeats stay plain")
    assert [p.data["a21026-Avg"] for p in platform.records.values()] == ["18.50", "3.25"]


async def test_heartbeats_of_2025(platform: Hj212Host, connected: Opened) -> None:
    platform.plain_flag = 8
    async with connected(version="2025", heartbeat="50ms") as uplink:
        await until(lambda: platform.heartbeats >= 3, "no heartbeats")
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED
    assert {p.fields["ST"] for p in platform.packets if p.cn == "9015"} == {"91"}


async def test_heartbeats_that_nobody_answers_end_the_connection(
    platform: Hj212Host, connected: Opened
) -> None:
    platform.manners.answer = False
    async with connected(version="2025", heartbeat="50ms", over_time="200ms", re_count=1) as uplink:
        with pytest.raises(Unreachable, match="CN=9015"):
            for _ in range(200):
                await uplink.send([])
                await asyncio.sleep(0.01)


async def test_a_record_that_needs_several_packets(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    tags = [f"t{n}" for n in range(60)]
    factors = [{"tag": f"stack.t{n}", "code": f"a2{n:04d}", "format": "N5.2"} for n in range(60)]
    async with connected(factors=factors) as uplink:
        (verdict,) = await uplink.send([minute(1, tags=tags)])
        if verdict.answer is Answer.PENDING:
            await until(lambda: agent.confirmed, "never confirmed")
    assert agent.confirmed == [minute(1).key]
    parts = list(platform.records.values())
    assert len(parts) > 1
    assert {(p.fields["PNUM"], p.fields["Flag"]) for p in parts} == {(str(len(parts)), "7")}
    assert len({p.qn for p in parts}) == len(parts)
    codes = [name for p in parts for group in p.groups[1:] for name in group if name.endswith("-Avg")]
    assert codes == [f"a2{n:04d}-Avg" for n in range(60)]


async def test_qns_rise_over_connections(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    for seq in range(3):
        async with connected() as uplink:
            await uplink.send([minute(seq)])
    qns = [read_qn(p.qn) for p in platform.packets]
    assert qns == sorted(set(qns))
    assert int(agent.kept["qn"]) == qns[-1]


async def test_qns_do_not_go_back_with_the_clock(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.kept["qn"] = str(read_qn("20990101000000000"))  # what an earlier run may have used
    async with connected() as uplink:
        await uplink.send([minute(1)])
    assert [p.qn for p in platform.packets] == ["20990101000000001"]


async def test_another_connection_does_not_contradict_what_was_sent(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    """Five polls in the second of which one packet has gone: the rest of them has nothing to say."""
    polls = [batch(schema(["so2"]), [float(n)], time_ns=EIGHT + n * SECOND // 5) for n in range(5)]
    units = [envelope("samples", n, poll) for n, poll in enumerate(polls)]
    async with connected(real_time="1s") as uplink:
        assert (await uplink.send(units[:1]))[0].answer is Answer.ACKNOWLEDGED
    async with connected(real_time="1s") as uplink:
        verdicts = await uplink.send(units)
    assert {v.answer for v in verdicts} == {Answer.ACKNOWLEDGED}
    assert {p.data["a21026-Rtd"] for p in platform.packets if p.cn == "2011"} == {"0.00"}
    assert platform.ledger.report()["conflicts"] == 0


@pytest.mark.parametrize("kept", ["[", "{}", "7", '[["stack"]]', '[["stack","fast",1,"samples",7,[],{}]]'])
async def test_damaged_memory_of_slots_is_none(
    platform: Hj212Host, agent: Agent, connected: Opened, kept: str
) -> None:
    await agent.keep("slots", kept)
    async with connected(real_time="1s") as uplink:
        (verdict,) = await uplink.send([envelope("samples", 1, batch(schema(["so2"]), [1.0]))])
    assert verdict.answer is Answer.ACKNOWLEDGED
    assert len(platform.records) == 1


async def test_a_full_disk_does_not_stop_delivery(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    agent.full = True
    async with connected() as uplink:
        assert (await uplink.send([minute(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_noise_on_the_line_does_not_disturb(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(over_time="2s") as uplink:
        await until(lambda: platform.connections, "never connected")
        platform.send(b"\x00\xff##0087QN=x\r\n##99##")
        (verdict,) = await uplink.send([minute(1)])
        if verdict.answer is Answer.PENDING:
            await until(lambda: agent.confirmed, "the acknowledgement drowned in noise")
    assert agent.confirmed == [minute(1).key]


async def test_real_time_and_unmapped_units(platform: Hj212Host, connected: Opened) -> None:
    reading = envelope("samples", 1, batch(schema(["so2", "dust"]), [1.0, 2.0]))
    other = envelope("samples", 2, batch(schema(["other"], group="slow"), [1.0]))
    async with connected() as uplink:
        verdicts = await uplink.send([reading, other])
    assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED] * 2
    (packet,) = platform.records.values()
    assert packet.cn == "2011"
    assert packet.groups[1:] == [
        {"a21026-Rtd": "1.00", "a21026-Flag": "N"},
        {"a34013-Rtd": "2.0", "a34013-Flag": "N"},
    ]


async def test_what_does_not_have_to_go_proves_nothing_before_the_platform_has(
    connected: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = envelope("samples", 2, batch(schema(["other"], group="slow"), [1.0]))
    async with connected() as uplink:
        assert (await uplink.send([other]))[0].reason
        await uplink.send([minute(1)])
        assert await uplink.send([other]) == [ACKNOWLEDGED], "it has answered"
    async with connected() as uplink:
        assert (await uplink.send([other]))[0].reason, "another connection"
        monkeypatch.setattr("edge_agent.uplinks.hj212.uplink.STANDS_S", 0)
        assert await uplink.send([other]) == [ACKNOWLEDGED], "it has stood for long"


async def test_a_port_that_is_closed(platform: Hj212Host, connected: Opened) -> None:
    await platform.close()
    with pytest.raises(Unreachable, match="tcp://127"):
        async with connected():
            pass


# Told at once, outside of send


async def test_a_connection_that_is_lost_is_reported_at_once(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected() as uplink:
        await uplink.send([minute(1)])
        await platform.cut()
        await until(lambda: agent.losses, "nobody was told")
        assert "closed the connection" in agent.losses[0]
    assert len(agent.losses) == 1


async def test_a_half_open_connection_is_reported_after_all_repetitions(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(over_time="200ms", re_count=1) as uplink:
        await uplink.send([minute(1)])
        platform.freeze()
        await uplink.send([minute(2)])
        await until(lambda: agent.losses, "nobody was told")
        assert "no acknowledgement of CN=2051, sent 2 times" in agent.losses[0]
    platform.thaw()


async def test_closing_is_no_loss(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    async with connected() as uplink:
        await uplink.send([minute(1)])
    assert agent.losses == []


async def test_a_late_refusal_reaches_the_host(platform: Hj212Host, agent: Agent, connected: Opened) -> None:
    async with connected() as uplink:
        await uplink.send([minute(0)])
        platform.manners.poison = lambda packet: packet.data.get("DataTime") == "20260101080200"
        platform.manners.refuse_after_s = 0.5
        (verdict,) = await uplink.send([minute(2)])
        assert verdict.answer is Answer.PENDING
        await until(lambda: agent.refused, "the refusal was lost")
    assert agent.refused == [(minute(2).key, "refused by the destination (QnRtn=6)")]
    assert minute(2).key not in agent.confirmed


# Several devices


TWO = [{"tag": "stack.so2", "code": "a21026"}, {"tag": "meter.so2", "code": "a21002"}]


async def test_the_devices_of_one_minute_share_its_packet(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    async with connected(factors=TWO) as uplink:
        verdicts = await uplink.send([minute(1)])
        assert [v.answer for v in verdicts] == [Answer.PENDING]
        assert [v.answer for v in await uplink.send([minute(1)])] == [Answer.PENDING], "forwarding asks again"
        other = replace(minute(1, device="meter"), key=Key("periods", 7, 99))
        assert (await uplink.send([other]))[0].answer is Answer.ACKNOWLEDGED
        assert sorted(agent.confirmed) == [minute(1).key, other.key]
    (packet,) = platform.records.values()
    assert set(packet.data) == {"DataTime", "a21026-Avg", "a21026-Flag", "a21002-Avg", "a21002-Flag"}


async def test_a_device_that_stays_away_holds_a_minute_up_only_for_a_while(
    platform: Hj212Host, agent: Agent, connected: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "GATHER_S", 0.1)
    async with connected(factors=TWO) as uplink:
        await uplink.send([minute(1)])
        await until(lambda: agent.confirmed, "never sent")
        assert (await uplink.send([minute(2)]))[0].answer is Answer.ACKNOWLEDGED


# The backlog


async def test_the_backlog_never_holds_up_live_data(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    """64 units of backlog at 30 packets a minute: send comes back, and live data goes beside them."""
    async with connected(backfill_per_min=30) as uplink:
        await uplink.send([minute(0)])
        items = [minute(seq, lane=Lane.BACKLOG) for seq in range(1, 40)]
        async with asyncio.timeout(3):
            verdicts = await uplink.send(items)
        assert Counter(v.answer for v in verdicts)[Answer.PENDING] >= 1
        again = [v for v in verdicts if v.answer is Answer.RETRY]
        assert again and all(v.after_s > 0 for v in again)
        assert (await uplink.send([minute(50)]))[0].answer is Answer.ACKNOWLEDGED


async def test_several_packets_are_under_way_at_once(
    platform: Hj212Host, agent: Agent, connected: Opened
) -> None:
    platform.manners.delay_s = 0.05
    async with connected() as uplink:
        await uplink.send([minute(0)])
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for first in range(1, 33, 16):
            await uplink.send([minute(seq) for seq in range(first, first + 16)])
        await until(lambda: len(agent.confirmed) == 33, "not all were confirmed")
        assert loop.time() - begin_s < 32 * 0.05 / 2, "one after the other would take 1.6 s"
    assert platform.duplicates == 0
