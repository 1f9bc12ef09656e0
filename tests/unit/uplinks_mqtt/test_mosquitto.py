"""Against Debian's mosquitto: a broker that shares no code with us."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable
from edge_agent.testing.destination import ROWS, SCHEMA, RecordingHost, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer
from edge_agent.uplinks.mqtt import MqttUplink
from edge_agent.uplinks.mqtt.settings import MqttSettings
from hardware_mocks.mqtt_broker import Broker
from hardware_mocks.mqtt_client import Subscriber
from hardware_mocks.mqtt_park import Mood, MqttPark
from hardware_mocks.mqtt_wire import Publish
from tests.plant.mosquitto import Mosquitto, mosquitto
from tests.unit.uplinks.park import Authority, server_context

from .park import AGENT

pytestmark = [pytest.mark.tool("mosquitto"), pytest.mark.timeout(90)]
USER, PASSWORD = "line-7", "s3cret"
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


class Uplink:
    """``async with``: connected and closed."""

    def __init__(self, url: str, host: RecordingHost | None = None, **settings: Any) -> None:
        keys = {"url": url, "timeout": "5s", "require_subscriber": False, **settings}
        self.host = host or RecordingHost()
        self.uplink = MqttUplink(MqttSettings.model_validate(keys), self.host, SystemClock())  # type: ignore[arg-type]

    async def __aenter__(self) -> MqttUplink:
        try:
            await self.uplink.connect()
        except BaseException:
            await self.uplink.close()
            raise
        return self.uplink

    async def __aexit__(self, *_: object) -> None:
        await self.uplink.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("plain")) as broker:
        yield broker


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Asks for a password; lets the line write its own topics only."""
    folder = tmp_path_factory.mktemp("guarded")
    passwords, access = folder / "passwords", folder / "access"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), USER, PASSWORD], check=True, timeout=20)
    access.write_text(f"user {USER}\ntopic readwrite lineside/#\n", encoding="utf-8")
    options = {"allow_anonymous": "false", "password_file": str(passwords), "acl_file": str(access)}
    with mosquitto(folder, options) as broker:
        yield broker


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"), "plant-ca")


def secured(authority: Authority, certificate: tuple[Path, Path], **more: str) -> Mapping[str, str]:
    names = {"cafile": str(authority.file), "certfile": str(certificate[0]), "keyfile": str(certificate[1])}
    return {"allow_anonymous": "true", **names, **more}


def url(broker: Mosquitto, scheme: str = "mqtt") -> str:
    return f"{scheme}://127.0.0.1:{broker.port}"


# What arrives


@VERSIONS
async def test_a_client_of_somebody_else_reads_what_we_send(plain: Mosquitto, version: str) -> None:
    line = "line/" + version
    reader = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-p", str(plain.port), "-V", "5", "-q", "1", "-t", line, "-C", "1", "-W", "20",
        "-F", "%J", stdout=subprocess.PIPE,
    )  # fmt: skip
    await until(lambda: f" 1 {line}\n" in plain.text(), "mosquitto_sub did not subscribe")
    async with Uplink(url(plain), version=version, topic=line) as uplink:
        assert await uplink.send([segment(1, ROWS)]) == [ACKNOWLEDGED]
    out = (await reader.communicate())[0].decode()
    shown = json.loads(next(text for text in out.splitlines() if text.startswith("{")))
    body = shown["payload"] if isinstance(shown["payload"], dict) else json.loads(shown["payload"])
    assert (shown["qos"], shown["retain"]) == (1, 0)
    assert body["segments"][0]["key"] == "samples/7/1"
    assert body["segments"][0]["values"][0][8] == ROWS[0][8]  # its own JSON rounds large integers
    if version == "5":
        properties = shown["properties"]
        assert properties["content-type"] == "application/json"
        assert properties["user-properties"]["agent"] == AGENT


@VERSIONS
async def test_who_comes_later_can_decode_and_knows_whether_the_agent_is_there(
    tmp_path: Path, version: str
) -> None:
    with mosquitto(tmp_path) as broker:
        async with Uplink(url(broker), version=version) as uplink:
            await uplink.send([segment(1)])  # nobody listens: the schema is sent with it
            park = MqttPark(broker.port, level=5 if version == "5" else 4)
            await park.start()
            try:
                await until(lambda: SCHEMA.digest in park.receipts.schemas, "no retained schema")
                assert park.states == {AGENT: "online"}
                await uplink.send([segment(2)])
                await until(lambda: "samples/7/2" in _keys(park), "not decoded")
                await uplink.close()
                await until(lambda: park.states == {AGENT: "offline"}, "not told")
            finally:
                await park.close()


@VERSIONS
async def test_nobody_subscribed(plain: Mosquitto, version: str) -> None:
    """MQTT 5 tells; 3.1.1 cannot."""
    async with Uplink(url(plain), version=version, require_subscriber=True, topic="nobody") as uplink:
        (verdict,) = await uplink.send([segment(1)])
    assert verdict.answer is (Answer.RETRY if version == "5" else Answer.ACKNOWLEDGED)


@VERSIONS
async def test_the_platform_confirms(plain: Mosquitto, version: str) -> None:
    host = RecordingHost()
    park = MqttPark(plain.port, ack_topic="lineside/{agent}/ack", client_id=f"park-{version}")
    await park.start()
    try:
        ack = {"version": version, "ack_topic": "lineside/{agent}/ack"}
        async with Uplink(url(plain), host, **ack) as uplink:
            park.mood = Mood("corrupt", times=1)
            assert await uplink.send([segment(1)]) == [PENDING]
            await until(lambda: park.report()["segments"] == 1, "did not arrive")
            park.mood = Mood("drop", times=1)
            assert await uplink.send([segment(2)]) == [PENDING]
            await until(lambda: park.report()["segments"] == 2, "did not arrive")
            park.mood = Mood("double")
            assert await uplink.send([segment(3), segment(1)]) == [PENDING] * 2
            await until(lambda: len(host.confirmed) == 4, "never confirmed")
            park.mood = Mood("reject", keys=frozenset({"samples/7/4"}))
            assert await uplink.send([segment(4), segment(5)]) == [PENDING] * 2
            await until(lambda: host.refused, "never refused")
        assert [key.seq for key, _ in host.refused] == [4]
        assert {key.seq for key in host.confirmed} == {1, 3, 5}
        assert park.report()["duplicates"] == 1
    finally:
        await park.close()


@VERSIONS
async def test_a_message_that_the_broker_delivers_again_is_known_by_its_key(
    plain: Mosquitto, version: str
) -> None:
    """QoS 1: the platform's connection breaks after it has stored and before it has confirmed."""
    taken: list[Publish] = []

    def take(message: Publish) -> None:
        taken.append(message)
        if len(taken) == 1:
            raise EOFError  # ends the connection: no PUBACK

    reader = Subscriber(plain.port, [f"again/{version}"], take, client_id=f"again-{version}")
    await reader.start()
    try:
        async with Uplink(url(plain), version=version, topic=f"again/{version}") as uplink:
            assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
            await until(lambda: len(taken) == 2, "not delivered again")
    finally:
        await reader.close()
    assert taken[1].duplicate and taken[0].payload == taken[1].payload


# Who may


@VERSIONS
async def test_the_right_password(guarded: Mosquitto, version: str) -> None:
    async with Uplink(url(guarded), version=version, username=USER, password=PASSWORD) as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]


@VERSIONS
@pytest.mark.parametrize(
    "keys", [{}, {"username": USER, "password": "wrong"}, {"username": "nobody", "password": "x"}]
)
async def test_the_wrong_password(guarded: Mosquitto, version: str, keys: dict[str, str]) -> None:
    with pytest.raises(Denied, match="`username`"):
        async with Uplink(url(guarded), version=version, **keys):
            pass


async def test_a_topic_that_may_not_be_written(guarded: Mosquitto) -> None:
    keys = {"username": USER, "password": PASSWORD}
    async with Uplink(url(guarded), topic="plant/data", **keys) as uplink:
        with pytest.raises(Denied, match="user line-7 may not publish to plant/data"):
            await uplink.send([segment(1)])
    with pytest.raises(Denied, match="`status_topic`"):
        async with Uplink(url(guarded), status_topic="plant/status", **keys):
            pass


async def test_mqtt_311_cannot_say_so_but_the_platforms_own_word_can(guarded: Mosquitto) -> None:
    """The broker throws the message away and confirms it: only an acknowledgement topic shows the truth."""
    keys = {"username": USER, "password": PASSWORD, "version": "3.1.1", "topic": "plant/data"}
    async with Uplink(url(guarded), **keys) as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
    host = RecordingHost()
    async with Uplink(url(guarded), host, ack_topic="lineside/{agent}/ack", **keys) as uplink:
        assert await uplink.send([segment(1)]) == [PENDING]
    assert host.confirmed == []


@VERSIONS
async def test_a_rival_that_reconnects_at_once_is_left_alone_in_the_end(
    plain: Mosquitto, version: str
) -> None:
    """This broker throws the older one out without a word, in either version."""
    rival, host = Subscriber(plain.port, ["nothing"], _nothing, client_id=f"twin-{version}"), RecordingHost()
    await rival.start()
    try:
        tries = 0
        with pytest.raises(Denied, match="copied agent"):
            while tries < 10:
                tries += 1
                async with Uplink(url(plain), host, version=version, client_id=f"twin-{version}"):
                    await until(lambda: len(host.losses) >= tries, "not thrown out")  # noqa: B023
        assert tries == 4
        await rival.connected.wait()
    finally:
        await rival.close()


# Sizes


@VERSIONS
async def test_the_largest_packet(tmp_path: Path, version: str) -> None:
    many = [segment(number) for number in range(40)]
    with mosquitto(tmp_path, {"allow_anonymous": "true", "max_packet_size": "4000"}) as broker:
        async with Uplink(url(broker), version=version) as uplink:
            with pytest.raises(TooLarge if version == "5" else Unacceptable):
                await uplink.send(many)
            assert await uplink.send(many[:2]) == [ACKNOWLEDGED] * 2


async def test_a_limit_that_the_broker_did_not_tell(tmp_path: Path) -> None:
    many = [segment(number) for number in range(40)]
    with mosquitto(tmp_path, {"allow_anonymous": "true", "message_size_limit": "4000"}) as broker:
        async with Uplink(url(broker)) as uplink:
            with pytest.raises((TooLarge, Unacceptable)):
                await uplink.send(many)
            assert await uplink.send(many[:2]) == [ACKNOWLEDGED] * 2


# TLS


@VERSIONS
async def test_tls_and_mutual_tls(authority: Authority, tmp_path: Path, version: str) -> None:
    certificate, key = authority.issue("agent", address=None)
    options = secured(authority, authority.issue("broker"), require_certificate="true")
    with mosquitto(tmp_path, options) as broker:
        files = {"ca_file": authority.file, "client_cert": certificate, "client_key": key}
        async with Uplink(url(broker, "mqtts"), version=version, **files) as uplink:
            assert await uplink.send([segment(1, ROWS * 500)]) == [ACKNOWLEDGED]
            assert await uplink.send([segment(2)]) == [ACKNOWLEDGED]


async def test_without_the_certificate_that_is_asked_for(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path, "stranger")
    options = secured(authority, authority.issue("broker"), require_certificate="true")
    with mosquitto(tmp_path / "b", options) as broker:
        other = dict(zip(("client_cert", "client_key"), stranger.issue("agent"), strict=True))
        for files in ({}, other):
            with pytest.raises(Denied, match=r"no secure connection.*client_cert"):
                async with Uplink(url(broker, "mqtts"), ca_file=authority.file, **files):
                    pass


@pytest.mark.parametrize(
    ("days", "address", "words"),
    [
        ((-5, -1), "127.0.0.1", "has expired"),
        ((1, 5), "127.0.0.1", "not valid yet"),
        ((-1, 5), None, "not for host name 127.0.0.1"),
    ],
)
async def test_a_certificate_that_is_not_valid(
    authority: Authority, tmp_path: Path, days: tuple[int, int], address: str | None, words: str
) -> None:
    with mosquitto(
        tmp_path, secured(authority, authority.issue("bad", address=address, days=days))
    ) as broker:
        with pytest.raises(Denied, match=words):
            async with Uplink(url(broker, "mqtts"), ca_file=authority.file, username=USER, password=PASSWORD):
                pass
        assert "Received CONNECT" not in broker.text()
        assert "New client connected" not in broker.text()


async def test_an_unknown_ca(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path, "stranger")
    with mosquitto(tmp_path / "b", secured(stranger, stranger.issue("broker"))) as broker:
        for ca_file in (authority.file, None):
            with pytest.raises(Denied, match="unknown CA"):
                async with Uplink(url(broker, "mqtts"), ca_file=ca_file):
                    pass


async def test_tls_1_1_only(authority: Authority) -> None:
    context = server_context(*authority.issue("old"))
    with pytest.warns(DeprecationWarning):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    async with Broker(tls=context) as broker:
        with pytest.raises((Denied, Unreachable), match=r"secure|TLS"):
            async with Uplink(f"mqtts://127.0.0.1:{broker.port}", ca_file=authority.file):
                pass
        assert broker.connects == []


async def test_never_plain(authority: Authority, plain: Mosquitto, tmp_path: Path) -> None:
    """A port without TLS gets nothing of ours when TLS is asked for; one with TLS takes nothing plain."""
    before = plain.text().count("New client connected")
    with pytest.raises(Unreachable, match="does this port speak TLS"):
        async with Uplink(url(plain, "mqtts"), username=USER, password=PASSWORD):
            pass
    assert plain.text().count("New client connected") == before
    assert PASSWORD not in plain.text()
    with mosquitto(tmp_path, secured(authority, authority.issue("broker"))) as broker:
        with pytest.raises(Unreachable, match="with TLS"):
            async with Uplink(url(broker)):
                pass


# The broker goes and comes


@VERSIONS
async def test_a_broker_that_is_killed_and_comes_back(tmp_path: Path, version: str) -> None:
    broker = Mosquitto(tmp_path, persistent=True).start()
    try:
        host = RecordingHost()
        async with Uplink(url(broker), host, version=version) as uplink:
            assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
            broker.kill()
            await until(lambda: host.losses, "not noticed")
            with pytest.raises(Unreachable):
                await uplink.send([segment(2)])
        with pytest.raises(Unreachable):
            async with Uplink(url(broker), host, version=version):
                pass
        broker.start()
        async with Uplink(url(broker), host, version=version) as uplink:
            assert await uplink.send([segment(2)]) == [ACKNOWLEDGED]
    finally:
        broker.stop()


def _nothing(_: Publish) -> None:
    pass


def _keys(park: MqttPark) -> set[str]:
    return {f"{i.stream}/{i.epoch}/{i.seq}" for i in park.receipts._items}
