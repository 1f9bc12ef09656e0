"""What is said when a connection begins and ends, and what comes of how it ends."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from edge_agent.errors import Denied, Unreachable
from edge_agent.testing.destination import RecordingHost, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import Answer
from hardware_mocks.mqtt_broker import CLOSE

from .conftest import Opened
from .park import AGENT, Park

STATUS = f"lineside/{AGENT}/status"


async def test_the_client_id_is_the_same_at_every_connection(park: Park, opened: Opened) -> None:
    for _ in range(2):
        async with opened(park):
            pass
    assert {told.client_id for told in park.broker.connects} == {f"lineside-{AGENT}-under-test"}


async def test_it_asks_for_a_clean_session(park: Park, opened: Opened) -> None:
    """The buffer holds what was not confirmed: a session of the broker would only send it twice."""
    async with opened(park, keepalive="42s"):
        pass
    told = park.broker.connects[0]
    assert (told.clean, told.keep_alive_s) == (True, 42)


async def test_a_prescribed_client_id(park: Park, opened: Opened) -> None:
    async with opened(park, client_id="{line}/gateway-7"):
        pass
    assert park.broker.connects[0].client_id == "press-line-1/gateway-7"


async def test_online_and_offline_are_retained(park: Park, opened: Opened) -> None:
    async with opened(park):
        said = json.loads(park.broker.retained[STATUS].payload)
        assert (said["state"], said["agent"], said["line"]) == ("online", AGENT, "press-line-1")
    await until(
        lambda: json.loads(park.broker.retained[STATUS].payload)["state"] == "offline", "it never left"
    )


async def test_the_broker_says_offline_when_the_agent_dies(park: Park, opened: Opened) -> None:
    async with opened(park) as uplink:
        will = park.broker.connects[0].will
        assert will is not None and will.retain and will.topic == STATUS
        assert json.loads(will.payload)["state"] == "offline"
        assert uplink._link is not None and uplink._link._wire is not None
        uplink._link._wire._sock.shutdown(2)  # no DISCONNECT
        await until(lambda: json.loads(park.broker.retained[STATUS].payload)["state"] == "offline", "no will")


async def test_no_status_topic_no_will(park: Park, opened: Opened) -> None:
    async with opened(park, status_topic=""):
        assert park.broker.connects[0].will is None
    assert park.broker.published == []


@pytest.mark.parametrize(
    ("code5", "code3", "error", "word"),
    [
        (0x86, 4, Denied, "`username` and `password`"),
        (0x87, 5, Denied, "`client_id`"),
        (0x85, 2, Denied, "set `client_id`"),
        (0x88, 3, Unreachable, "server unavailable"),
        (0x84, 1, Denied, "`version"),
        (0x97, None, Unreachable, "quota exceeded"),
        (0x9D, None, Denied, "`url`"),
        (0x9A, None, Denied, "`status_topic: ''`"),
        (0x8A, None, Denied, "banned"),
    ],
)
async def test_a_refused_connection(
    park: Park, opened: Opened, code5: int, code3: int | None, error: type[Exception], word: str
) -> None:
    code = code5 if park.version == "5" else code3
    if code is None:
        return
    park.broker.moods.refuses = lambda _: code
    with pytest.raises(error) as caught:
        async with opened(park):
            pass
    assert word in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert str(park.broker.port) in str(caught.value)


async def test_a_subscription_that_is_not_granted(park: Park, opened: Opened) -> None:
    park.broker.moods.grants = lambda _: 0x80
    with pytest.raises(Denied, match=rf"may not subscribe to lineside/{AGENT}/ack.*`ack_topic`"):
        async with opened(park, ack_topic="lineside/{agent}/ack"):
            pass


async def test_a_broker_without_retained_messages(park5: Park, opened: Opened) -> None:
    park5.broker.moods.about = {"retain_available": 0}
    with pytest.raises(Denied, match="status_topic: ''"):
        async with opened(park5):
            pass
    async with opened(park5, status_topic="", schema_topic="") as uplink:
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_a_broker_without_qos_1(park5: Park, opened: Opened) -> None:
    park5.broker.moods.about = {"maximum_qos": 0}
    with pytest.raises(Denied, match="QoS 0 only"):
        async with opened(park5):
            pass


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Unreachable, "is it the port of MQTT"),
        (b"\x00\x00\x00\x00", Denied, "does not speak MQTT 5.*version: 3.1.1"),
        (b"\x20\x02\x00\x01", Denied, "unsupported protocol version.*version: 3.1.1"),  # a broker of 3.1.1
    ],
)
async def test_a_server_that_is_no_broker_of_this_version(
    opened: Opened, data: bytes, error: type[Exception], words: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    park = Park("5")
    park.broker.port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(error, match=words):
            async with opened(park):
                pass
    finally:
        server.close()
        await server.wait_closed()


async def test_a_silent_server_is_given_up_in_time(park: Park, opened: Opened) -> None:
    park.broker.moods.mute = True
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer within 0\.4 s"):
        async with opened(park, timeout="400ms"):
            pass
    assert time.monotonic() - start < 2


async def test_closed_instead_of_an_answer(park: Park, opened: Opened) -> None:
    park.broker.moods.refuses = lambda _: CLOSE
    with pytest.raises(Unreachable, match="port of MQTT"):
        async with opened(park):
            pass


async def test_a_host_name_that_does_not_exist(park: Park, opened: Opened) -> None:
    with pytest.raises(Unreachable, match=r"host name nowhere\.invalid cannot be resolved"):
        async with opened(park, url="mqtt://nowhere.invalid:1883"):
            pass


async def test_an_agent_without_an_id_waits(park: Park, opened: Opened, host: RecordingHost) -> None:
    host.agent = ""
    with pytest.raises(Unreachable, match="no id yet"):
        async with opened(park):
            pass
    assert park.broker.connects == []


# How it ends


async def test_an_idle_connection_that_is_closed_is_told_at_once(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(park) as uplink:
        park.broker.kick(CLOSE)
        await until(lambda: host.losses, "forwarding was never told")
        with pytest.raises(Unreachable):
            await uplink.send([segment(1)])
    assert len(host.losses) == 1


async def test_a_server_that_shuts_down_is_unreachable(
    park5: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(park5):
        park5.broker.kick(0x8B)
        await until(lambda: host.losses, "forwarding was never told")
    assert "server shutting down" in host.losses[0]


@pytest.mark.parametrize(
    ("code", "word"), [(0x8E, "client id lineside-"), (0x98, "administrative"), (0x87, "not authorized")]
)
async def test_thrown_out_is_denied_and_starts_no_war(
    park5: Park, opened: Opened, host: RecordingHost, code: int, word: str
) -> None:
    """Forwarding would connect again at once after ``lost``: so it is not told, and hears Denied when it
    sends next."""
    async with opened(park5) as uplink:
        park5.broker.kick(code)
        link = uplink._link
        assert link is not None
        await until(lambda: link.loss is not None, "the kick was not noticed")
        assert host.losses == []
        with pytest.raises(Denied, match=word):
            await uplink.send([segment(1)])
    assert len(park5.broker.connects) == 1


async def test_a_rival_with_the_same_client_id(park5: Park, opened: Opened, host: RecordingHost) -> None:
    async with opened(park5) as first:
        async with opened(park5) as rival:
            with pytest.raises(Denied, match="copied agent"):
                await first.send([segment(1)])
            assert (await rival.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED
    assert host.losses == []


async def closed_on(park: Park, host: RecordingHost) -> None:
    """The broker closes without a word, and that is noticed."""
    before = len(host.losses)
    park.broker.kick(CLOSE)
    await until(lambda: len(host.losses) > before, "not noticed")


async def test_silent_closings_one_after_the_other_are_tried_slowly(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    """MQTT 3.1.1 has no word for a rival, and a broker of MQTT 5 may close on a topic: the third time in a
    row it is taken for that."""
    for _ in range(3):
        async with opened(park):
            await closed_on(park, host)
    with pytest.raises(Denied, match=r"another client.*client id.*allow these topics"):
        async with opened(park):
            pass
    assert len(park.broker.connects) == 3
    assert list(host.kept) == ["closings"]


async def test_a_broker_that_took_data_and_is_restarted_is_no_rival(
    park5: Park, opened: Opened, host: RecordingHost
) -> None:
    for number in range(1, 6):
        async with opened(park5) as uplink:
            assert (await uplink.send([segment(number)]))[0].answer is Answer.ACKNOWLEDGED
            await closed_on(park5, host)
    assert len(host.losses) == 5 and not host.kept


async def test_half_open_is_noticed_within_one_and_a_half_keep_alives(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(park, keepalive="2s"):
        start = time.monotonic()
        park.broker.deafen()
        await until(lambda: host.losses, "nobody noticed")
        took_s = time.monotonic() - start
        park.broker.deafen(deaf=False)
    assert "not even an answer to a ping" in host.losses[0]
    assert 1.9 < took_s < 3.3


async def test_an_idle_connection_is_kept_by_pings(park: Park, opened: Opened, host: RecordingHost) -> None:
    async with opened(park, keepalive="1s") as uplink:
        await until(lambda: park.broker.pings >= 3, "no pings")
        assert host.losses == []
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_the_keep_alive_of_the_broker_is_taken(
    park5: Park, opened: Opened, host: RecordingHost
) -> None:
    park5.broker.moods.about = {"server_keep_alive": 1}
    async with opened(park5, keepalive="60s"):
        await until(lambda: park5.broker.pings >= 2, "no pings at the broker's pace")


@pytest.mark.parametrize(
    "data", [b"\xf9\xff\xff\xff\xff\xff\x07", b"\x00" * 200, b"\x40\x02\x00", b"\xe0\x01\xff"]
)
async def test_garbage_ends_the_connection_and_nothing_else(
    park: Park, opened: Opened, host: RecordingHost, data: bytes
) -> None:
    async with opened(park):
        for session in park.broker._sessions.values():
            session.say(data)
        park.broker.kick(CLOSE)
        await until(lambda: host.losses, "not noticed")


async def test_a_session_of_the_broker_with_tls_only(opened: Opened) -> None:
    """A plain connection to a TLS port, and the other way round, say what to look at."""
    park = Park("5")
    await park.start()
    try:
        with pytest.raises(Unreachable, match="does this port speak TLS"):
            async with opened(park, url=park.url.replace("mqtt:", "mqtts:"), timeout="3s"):
                pass
        assert park.broker.connects == []
    finally:
        await park.stop()
