"""What a server says to a write, and what becomes of the units in it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable
from edge_agent.model import Event
from edge_agent.testing.destination import START_NS, RecordingHost, incident, segment
from edge_agent.uplink import Answer, Envelope, Key, Lane
from edge_agent.uplinks.influx import PLUGIN
from edge_agent.uplinks.influx.settings import InfluxSettings
from tests.unit.uplinks.park import Authority, server_context

TWO: dict[str, Any] = {"org": "my plant", "bucket": "line 1", "token": "s3cret-token", "unsigned": True}
ONE: dict[str, Any] = {"database": "lineside", "strings": True, "unsigned": True}
ITEMS = [segment(1), segment(2), incident(3)]


@dataclass
class Server:
    status: int = 204
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((request.raw_path, dict(request.headers), await request.read()))
        if self.status == 0:
            await self.over.wait()
        return web.Response(status=self.status, text=self.body, headers=self.headers)


@asynccontextmanager
async def serving(
    status: int = 204, body: str = "", *, tls: ssl.SSLContext | None = None, **headers: str
) -> AsyncIterator[Server]:
    server = Server(status, body, headers)
    runner = web.ServerRunner(web.Server(server.answer, auto_decompress=False), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        server.over.set()
        await runner.cleanup()


@asynccontextmanager
async def opened(server: Server, **keys: Any) -> AsyncIterator[Any]:
    settings = InfluxSettings.model_validate({"url": server.url, "timeout": "5s", **keys})
    uplink = PLUGIN.open(settings, RecordingHost())
    await uplink.connect()
    try:
        yield uplink
    finally:
        await uplink.close()


async def answers(uplink: Any, items: Sequence[Envelope] = ITEMS) -> list[Answer]:
    return [verdict.answer for verdict in await uplink.send(items)]


async def test_version_two() -> None:
    async with serving() as server, opened(server, **TWO) as uplink:
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 3
    ((path, headers, body),) = server.seen
    assert path == "/api/v2/write?org=my+plant&bucket=line+1&precision=ns"
    assert headers["Authorization"] == "Token s3cret-token"
    assert headers["Content-Encoding"] == "gzip"
    lines = gzip.decompress(body).decode().splitlines()
    assert len([line for line in lines if line.startswith("press-1,")]) == 6
    assert lines[-1].startswith("events,kind=excursion_begin,")


async def test_version_one_with_a_password_below_a_path() -> None:
    async with serving() as server:
        server.url += "/influx/"
        keys = {**ONE, "user": "line", "password": "p:w", "retention_policy": "year", "compress": False}
        async with opened(server, **keys) as uplink:
            assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 3
    ((path, headers, body),) = server.seen
    assert path == "/influx/write?db=lineside&rp=year"
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'line:p:w').decode()}"
    assert "Content-Encoding" not in headers
    assert body.startswith(b"press-1,device=press-1,")


async def test_version_one_with_a_token_and_without_any() -> None:
    async with serving() as server:
        async with opened(server, **ONE, token="t0ken") as uplink:
            await uplink.send(ITEMS)
        async with opened(server, **ONE) as uplink:
            await uplink.send(ITEMS)
    assert server.seen[0][1]["Authorization"] == "Bearer t0ken"
    assert "Authorization" not in server.seen[1][1]


@pytest.mark.parametrize("status", [200, 201, 202, 206])
async def test_only_204_is_a_word(status: int) -> None:
    async with serving(status, "<html>It works!</html>") as server, opened(server, **ONE) as uplink:
        verdicts = await uplink.send(ITEMS)
    assert {v.answer for v in verdicts} == {Answer.RETRY}
    assert f"HTTP {status} instead of 204" in verdicts[0].reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_later(status: int) -> None:
    async with serving(status, "busy", **{"Retry-After": "7"}) as server, opened(server, **ONE) as uplink:
        verdicts = await uplink.send(ITEMS)
    assert {(v.answer, v.after_s) for v in verdicts} == {(Answer.RETRY, 7.0)}


@pytest.mark.parametrize("status", [400, 422])
async def test_poison(status: int) -> None:
    said = '{"error":"partial write: field type conflict: input field \\"t\\" dropped=1"}'
    async with serving(status, said) as server, opened(server, **ONE) as uplink:
        with pytest.raises(Unacceptable, match=f"HTTP {status}.*partial write"):
            await uplink.send(ITEMS)


async def test_too_large() -> None:
    async with serving(413) as server, opened(server, **ONE) as uplink:
        with pytest.raises(TooLarge, match="HTTP 413"):
            await uplink.send(ITEMS)


@pytest.mark.parametrize(
    ("status", "keys", "cure"),
    [
        (401, TWO, "`token`"), (403, ONE, "`user`"), (404, ONE, "`database`"), (404, TWO, "`bucket`"),
        (302, ONE, "moved"), (405, ONE, "`url`"),
    ],
)  # fmt: skip
async def test_refusals_name_the_cure(status: int, keys: dict[str, Any], cure: str) -> None:
    async with serving(status, '{"error":"?"}') as server, opened(server, **keys) as uplink:
        with pytest.raises(Denied, match=f"HTTP {status}.*{cure}"):
            await uplink.send(ITEMS)


async def test_silence() -> None:
    async with serving(0) as server, opened(server, **ONE, timeout="100ms") as uplink:
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await uplink.send(ITEMS)


async def test_a_server_that_repeats_the_token_does_not_give_it_away() -> None:
    async with serving(400, 'bad token "s3cret-token"') as server, opened(server, **TWO) as uplink:
        with pytest.raises(Unacceptable) as caught:
            await uplink.send(ITEMS)
    assert "s3cret" not in str(caught.value)


async def test_a_unit_without_a_form_is_rejected_and_the_others_go() -> None:
    bad = Envelope(
        Key("event", 7, 9), Lane.LIVE, event=Event("x", "w", START_NS, 0, "v", {"a": float("nan")})
    )
    async with serving() as server:
        async with opened(server, **{**ONE, "unsigned": False}) as uplink:
            verdicts = await uplink.send(
                [segment(1), segment(2, ((True, 1, 2, 3, 4, 5, 6.0, 7.0, "x"),)), bad]
            )
    assert [v.answer for v in verdicts] == [Answer.REJECTED, Answer.ACKNOWLEDGED, Answer.REJECTED]
    assert "`unsigned: true`" in verdicts[0].reason
    assert "JSON compliant" in verdicts[2].reason


async def test_what_has_no_value_at_all_is_settled_without_a_write() -> None:
    empty = Envelope(Key("samples", 7, 1), Lane.LIVE, 0, segment(1).schema, ())
    async with serving(500) as server, opened(server, **ONE) as uplink:
        assert await answers(uplink, [empty, segment(2, ((None,) * 9,))]) == [Answer.ACKNOWLEDGED] * 2
    assert server.seen == []


@pytest.mark.parametrize("keys", [{**ONE, "user": "u", "password": " "}, {**TWO, "token": "令牌"}])
async def test_a_secret_that_cannot_be_used_is_denied_without_showing_it(keys: dict[str, Any]) -> None:
    uplink = PLUGIN.open(InfluxSettings.model_validate({"url": "http://h", **keys}), RecordingHost())
    with pytest.raises(Denied) as caught:
        await uplink.connect()
    assert "令" not in str(caught.value)


async def test_tls_and_mutual_tls_as_over_http(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, "plant-ca")
    context = server_context(*authority.issue("server"), client_ca=authority.file)
    certificate, key = authority.issue("agent")
    async with serving(tls=context) as server:
        shown = {"ca_file": authority.file, "client_cert": certificate, "client_key": key}
        async with opened(server, **TWO, **shown) as uplink:
            assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 3
        async with opened(server, **TWO) as uplink:
            with pytest.raises(Denied, match="unknown CA"):
                await uplink.send(ITEMS)


@pytest.mark.parametrize(
    ("keys", "path", "said"),
    [
        ({}, (), "either 'database' or 'bucket'"),
        ({**ONE, **TWO}, (), "either 'database' or 'bucket'"),
        ({"database": "d"}, (), "does this server keep text"),
        ({**ONE, "org": "o"}, (), "'org' belongs to the other API"),
        ({**TWO, "user": "u"}, (), "'user' belongs to the other API"),
        ({**TWO, "retention_policy": "r"}, (), "'retention_policy' belongs to the other API"),
        ({"bucket": "b"}, (), "one of a pair is missing"),
        ({**ONE, "user": "u"}, (), "one of a pair is missing"),
        ({**ONE, "user": "u", "password": "p", "token": "t"}, (), "both 'user' and 'token'"),
        ({**ONE, "url": "http://h/write"}, ("url",), "ends before /write"),
        ({**ONE, "url": "http://h/api/v2/write"}, ("url",), "ends before /write"),
        ({**ONE, "url": "http://h?db=x"}, ("url",), "ends before /write"),
        ({**ONE, "measurement": "{{tag}}"}, ("measurement",), "stands for nothing"),
        ({**ONE, "measurement": "#x"}, ("measurement",), "begin with # or _"),
        ({**ONE, "tags": {"device": "x"}}, ("tags", "device", "[key]"), "the agent's own"),
        ({**ONE, "ca_file": "ca.pem"}, (), "no effect with http://"),
    ],
)
def test_wrong_keys_are_refused_at_their_place(
    keys: dict[str, Any], path: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        InfluxSettings.model_validate({"url": "http://10.0.0.9:8086", **keys})
    (error,) = caught.value.errors(include_url=False)
    assert error["loc"] == path
    assert said in error["msg"]
    assert all(error["ctx"][text] for text in ("zh", "cure_en", "cure_zh"))


def test_the_endpoint_shows_no_secret() -> None:
    settings = InfluxSettings.model_validate({"url": "http://10.0.0.9:8086/x", **TWO})
    assert PLUGIN.endpoint(settings) == "http://10.0.0.9:8086/x"
