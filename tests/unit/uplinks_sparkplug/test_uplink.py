"""The uplink at a broker: order of the beginning, the primary host, rebirths, what may count as delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.errors import Denied, StorageError, Unreachable
from edge_agent.model import Batch
from edge_agent.testing.clock import ManualClock
from edge_agent.testing.destination import RecordingHost, incident
from edge_agent.testing.wire import deadline, until
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Envelope, Lane
from edge_agent.uplinks.sparkplug import PLUGIN
from edge_agent.uplinks.sparkplug.uplink import SparkplugUplink
from hardware_mocks import sparkplug_wire
from hardware_mocks.mqtt_broker import CLOSE
from tests.unit.uplinks_sparkplug.made import reading, schema, unit
from tests.unit.uplinks_sparkplug.served import HOST, Served, own_settings

OF = schema()


class Agent(RecordingHost):
    def __init__(self) -> None:
        super().__init__()
        self.newest: list[Batch] = []
        self.keeps = True

    def current(self) -> Sequence[Batch]:
        return self.newest

    async def keep(self, name: str, text: str) -> None:
        if not self.keeps:
            raise StorageError("the card is full")
        await super().keep(name, text)


class Line:
    """One agent at one broker; each ``uplink`` is another connection of it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.ledger = served.ledger
        self.clock = ManualClock()
        self.agent = Agent()
        self.uplinks: list[SparkplugUplink] = []

    def uplink(self, **more: Any) -> SparkplugUplink:
        settings = PLUGIN.settings.model_validate(own_settings(self.served.broker.port, **more))
        self.uplinks.append(SparkplugUplink(settings, self.agent, self.clock))
        return self.uplinks[-1]

    async def connected(self, **more: Any) -> SparkplugUplink:
        uplink = self.uplink(**more)
        async with deadline("connect"):
            await uplink.connect()
        return uplink

    async def heard_all(self, uplink: SparkplugUplink) -> None:
        """All that the broker has sent before is heard: an answer comes after it."""
        await uplink._prove()


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    served = Served()
    await served.start()
    line = Line(served)
    yield line
    for uplink in line.uplinks:
        await uplink.close()
    await served.stop()
    assert line.ledger.broken == []


def live(seq: int) -> Envelope:
    return unit([reading(OF, seq, [seq / 10, seq])], seq)


async def test_the_order_of_the_beginning(line: Line) -> None:
    line.agent.newest = [reading(OF, 0, [0.4, 0])]
    uplink = await line.connected()
    await uplink.send([live(1)])
    told = line.served.broker.connects[0]
    assert (told.level, told.clean) == (4, True)
    assert told.will is not None
    assert (told.will.topic, told.will.qos, told.will.retain) == ("spBv1.0/park/NDEATH/hall-3", 1, False)
    assert [kind for kind, _ in line.ledger.log] == ["NBIRTH", "DBIRTH", "DDATA"]
    assert {p.qos for p in line.served.broker.published} == {0}
    assert not any(p.retain for p in line.served.broker.published)


async def test_bd_seq_counts_connections_over_restarts_and_round(line: Line) -> None:
    line.agent.kept["bd-seq"] = "254"
    seen = []
    for _ in range(3):
        uplink = await line.connected()
        will = line.served.broker.connects[-1].will
        assert will is not None
        seen.append(line.ledger.nodes["park/hall-3"].bd_seq)
        (said,) = sparkplug_wire.read_payload(will.payload).metrics
        assert said.value == seen[-1]
        await uplink.close()
    assert seen == [255, 0, 1]


async def test_the_first_bd_seq_is_0_and_what_cannot_be_kept_stops_nothing(line: Line) -> None:
    line.agent.keeps = False
    await line.connected()
    assert line.ledger.nodes["park/hall-3"].bd_seq == 0


async def test_an_orderly_end_is_a_death_of_its_own(line: Line) -> None:
    uplink = await line.connected()
    await uplink.close()
    await until(lambda: line.ledger.messages["NDEATH"], "no death")
    assert line.ledger.messages["NDEATH"] == 1
    assert not line.ledger.nodes["park/hall-3"].online


async def test_an_end_without_a_word_is_the_will(line: Line) -> None:
    uplink = await line.connected()
    line.served.broker.kick(CLOSE)
    await until(lambda: line.agent.losses, "nobody noticed")
    await until(lambda: line.ledger.messages["NDEATH"], "no will")
    with pytest.raises(Unreachable):
        await uplink.send([live(1)])


# What may count as delivered


async def test_what_the_connection_has_outlived_is_confirmed(line: Line) -> None:
    uplink = await line.connected()
    assert list(await uplink.send([live(1)])) == [PENDING]
    await line.clock.advance(1.4)
    assert line.agent.confirmed == []
    await uplink.send([live(2)])
    assert line.agent.confirmed == [], "an answer before its time proves nothing"
    await line.clock.advance(0.1)
    await until(lambda: line.agent.confirmed, "not confirmed")
    assert line.agent.confirmed == [live(1).key]
    await line.clock.advance(1.4)
    await until(lambda: len(line.agent.confirmed) == 2, "the second was not confirmed")


async def test_a_later_message_proves_the_earlier_one(line: Line) -> None:
    uplink = await line.connected()
    await uplink.send([live(1)])
    line.clock._mono_ns += 2_000_000_000  # the timer has not rung yet
    await uplink.send([live(2)])
    assert line.agent.confirmed == [live(1).key]


async def test_what_the_connection_has_not_outlived_is_not_confirmed(line: Line) -> None:
    uplink = await line.connected()
    await uplink.send([live(1)])
    line.served.broker.kick(CLOSE)
    await until(lambda: line.agent.losses, "nobody noticed")
    await line.clock.advance(60)
    assert line.agent.confirmed == []
    line.agent.newest = [reading(OF, 2, [0.2, 2])]
    uplink = await line.connected()
    await line.clock.advance(60)
    assert line.agent.confirmed == [], "another connection proves nothing about the first"
    await uplink.send([live(1)])
    (sample, *_) = (s for s in line.ledger.samples.values() if s.metric == "count")
    assert not sample.historical, "it had come the first time"
    assert (line.ledger.duplicates, line.ledger.changed) == (2, 0)
    assert line.ledger.historical == 2, "what is older than the birth goes again as historical"


async def test_a_silent_broker_confirms_nothing(line: Line) -> None:
    uplink = await line.connected()
    await uplink.send([live(1)])
    line.served.broker.moods.mute = True
    await line.clock.advance(2)
    await until(lambda: line.agent.losses, "nobody noticed")
    assert "no answer within 1 s" in line.agent.losses[0]
    assert line.agent.confirmed == []


async def test_units_without_anything_for_us_and_events(line: Line) -> None:
    uplink = await line.connected()
    first = live(1)
    empty = Envelope(first.key, Lane.LIVE, 0, OF, ())
    verdicts = list(await uplink.send([empty, incident(1)]))
    assert verdicts[0] == ACKNOWLEDGED
    assert verdicts[1].answer is Answer.REJECTED
    assert line.ledger.messages["DDATA"] == 0


# The primary host


async def test_births_wait_for_the_primary_host(line: Line) -> None:
    uplink = line.uplink(primary_host=HOST)
    connecting = asyncio.ensure_future(uplink.connect())
    await until(lambda: line.served.broker.clients, "no connection")
    line.served.state(online=False, time_ms=5)
    line.served.say("spBv1.0/STATE/another", b'{"online": true, "timestamp": 9}')
    line.served.say(f"spBv1.0/STATE/{HOST}", b"ONLINE")
    await asyncio.sleep(0.05)
    assert not connecting.done()
    assert line.ledger.messages.total() == 0
    line.served.state(online=True, time_ms=6)
    async with deadline("connect once the host is online"):
        await connecting
    assert line.ledger.messages["NBIRTH"] == 1


async def test_a_host_that_does_not_come_is_said_and_the_connection_closed(line: Line) -> None:
    uplink = line.uplink(primary_host=HOST, primary_wait="50ms")
    with pytest.raises(Unreachable, match="scada is not online"):
        await uplink.connect()
    await until(lambda: not line.served.broker.clients, "still connected")
    assert line.ledger.messages["NBIRTH"] == 0


async def test_a_host_that_goes_ends_the_session_and_confirms_nothing(line: Line) -> None:
    line.served.state(online=True, time_ms=10)
    uplink = await line.connected(primary_host=HOST)
    await uplink.send([live(1)])
    line.served.state(online=False, time_ms=9)  # the will of a connection before
    await line.heard_all(uplink)
    line.served.state(online=False, time_ms=10)
    await until(lambda: line.agent.losses, "nobody noticed")
    await until(lambda: line.ledger.messages["NDEATH"] == 1, "no death")
    with pytest.raises(Unreachable, match="scada is not online"):
        await uplink.send([live(2)])
    await line.clock.advance(60)
    assert line.agent.confirmed == []


# Rebirth and commands


async def test_a_rebirth(line: Line) -> None:
    line.agent.newest = [reading(OF, 0, [0.4, 0])]
    uplink = await line.connected()
    await uplink.send([live(1)])
    await line.clock.advance(1)
    line.served.ask_rebirth()
    await until(lambda: line.ledger.messages["NBIRTH"] == 2, "no rebirth")
    await uplink.send([live(2)])
    assert [kind for kind, _ in line.ledger.log] == ["NBIRTH", "DBIRTH", "DDATA"] * 2
    assert line.ledger.gaps == 0


async def test_a_host_that_asks_all_the_time_gets_a_birth_a_second(line: Line) -> None:
    await line.connected()
    for _ in range(50):
        line.served.ask_rebirth()
        await asyncio.sleep(0)
    await until(lambda: line.clock._sleepers, "no rebirth is waiting")
    assert line.ledger.messages["NBIRTH"] == 1
    await line.clock.advance(1)
    await until(lambda: line.ledger.messages["NBIRTH"] == 2, "no rebirth")
    await line.clock.advance(5)
    assert line.ledger.messages["NBIRTH"] == 2


async def test_data_waits_for_the_rebirth_that_was_asked(line: Line) -> None:
    uplink = await line.connected()
    line.served.ask_rebirth()
    await until(lambda: line.clock._sleepers, "no rebirth is waiting")
    sending = asyncio.ensure_future(uplink.send([live(1)]))
    await asyncio.sleep(0.02)
    assert line.ledger.messages["DDATA"] == 0
    await line.clock.advance(1)
    await sending
    assert [kind for kind, _ in line.ledger.log][:2] == ["NBIRTH", "NBIRTH"]


async def test_a_rebirth_does_not_wait_for_the_end_of_a_long_message(line: Line) -> None:
    uplink = await line.connected()
    await line.clock.advance(1)
    line.ledger.take = _asking(line.ledger.take, line.served.ask_rebirth)  # type: ignore[method-assign]
    await uplink.send([live(seq) for seq in range(1, 400)])
    kinds = [kind for kind, _ in line.ledger.log]
    again = kinds.index("NBIRTH", 1)
    assert "DDATA" in kinds[:again]
    assert kinds[again + 1] == "DBIRTH", "no data between the births"
    assert kinds[-1] == "DDATA"
    assert line.ledger.gaps == 0


def _asking(take: Callable[[str, bytes], str | None], ask: Callable[[], None]) -> Callable[..., str | None]:
    """At the first datum."""
    asked: list[bool] = []

    def hear(topic: str, data: bytes) -> str | None:
        if "/DDATA/" in topic and not asked:
            asked.append(True)
            ask()
        return take(topic, data)

    return hear


async def test_a_write_goes_to_the_guarded_pipeline(line: Line) -> None:
    line.agent.newest = [reading(OF, 0, [0.4, 0])]
    await line.connected()
    alias, _ = line.ledger.metric("press-1", "pressure")
    line.served.command([sparkplug_wire.commanded(0.45, alias=alias)], device="press-1")
    line.served.command([sparkplug_wire.commanded(True, name="Node Control/Reboot")])
    await until(lambda: len(line.agent.asked) == 2, "nothing was asked")
    write, control = line.agent.asked
    assert (write.kind, write.source) == ("write", "sparkplug DCMD")
    assert write.detail == {"tag": "press-1.pressure", "value": 0.45}
    assert (control.kind, control.source) == ("node_control", "sparkplug NCMD")


async def test_commands_of_yesterday_and_nonsense_ask_nothing(line: Line) -> None:
    topic = "spBv1.0/park/DCMD/hall-3/press-1"
    payload = sparkplug_wire.command(1, [sparkplug_wire.commanded(1.0, name="pressure")])
    line.served.say(topic, payload, retain=True)
    uplink = await line.connected()
    line.served.say(topic, b"\xff\xff\xff")
    line.served.say("spBv1.0/park/NCMD/hall-3", b"")
    await line.heard_all(uplink)
    assert line.agent.asked == []
    assert line.agent.losses == []


async def test_a_flood_of_commands_is_bounded(line: Line) -> None:
    line.agent.newest = [reading(OF, 0, [0.4, 0])]
    uplink = await line.connected()
    metrics = [sparkplug_wire.commanded(float(i), name="pressure") for i in range(100)]
    for _ in range(20):
        line.served.command(metrics, device="press-1")
    await line.heard_all(uplink)
    assert 0 < len(line.agent.asked) <= 2000
    assert uplink._requests.qsize() <= 64


# What is wrong


async def test_a_subscription_that_is_refused_names_what_to_allow(line: Line) -> None:
    line.served.broker.moods.grants = lambda pattern: 0x80 if "DCMD" in pattern else 1
    with pytest.raises(Denied, match=r"may not subscribe to spBv1\.0/park/DCMD"):
        await line.uplink().connect()


async def test_an_agent_without_an_id_sends_nothing(line: Line) -> None:
    line.agent.agent = ""
    with pytest.raises(Unreachable, match="no id"):
        await line.uplink().connect()


async def test_two_nodes_of_an_agent_have_two_client_ids(line: Line) -> None:
    first = await line.connected()
    await line.connected(node="hall-4")
    await first.send([live(1)])
    ids = {c.client_id for c in line.served.broker.connects}
    assert len(ids) == 2
    assert all(len(i) <= 23 and i.isalnum() for i in ids)
