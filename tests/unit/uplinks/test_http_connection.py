"""One POST, one connection: headers, deadlines, lost connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from edge_agent.errors import Denied, Unreachable
from edge_agent.testing.clock import ManualClock
from edge_agent.testing.destination import Manner, RecordingHost, incident, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import Answer
from edge_agent.uplinks.http import HttpUplink
from edge_agent.uplinks.http.settings import HttpSettings

from .conftest import Opened
from .park import TOKEN, Message, Park, confirm


async def test_what_a_message_looks_like_on_the_wire(park: Park, opened: Opened) -> None:
    async with opened() as uplink:
        await uplink.send([segment(1), incident(2)])
        await uplink.send([segment(1), incident(2)])
        await uplink.send([segment(1)])
    first = park.seen[0]
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert first.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in first.headers
    assert (first.body["agent"], first.body["line"]) == ("0f3c" * 8, "press-line-1")
    assert first.body["sent_us"] == 1_767_225_600_000_000  # the injected clock's
    names = [m.headers["Idempotency-Key"] for m in park.seen]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("0f3c" * 8)
    assert park.connections == 1, "one connection, kept"


async def test_gzip(park: Park, opened: Opened) -> None:
    async with opened(compress=True) as uplink:
        verdicts = await uplink.send([segment(n) for n in range(1, 40)])
    assert {v.answer for v in verdicts} == {Answer.ACKNOWLEDGED}
    assert park.seen[0].headers["Content-Encoding"] == "gzip"
    sent = int(park.seen[0].headers["Content-Length"])
    assert sent < len(json.dumps(park.seen[0].body)) / 3


async def test_a_unit_that_json_cannot_carry_is_rejected_and_the_others_go(
    park: Park, opened: Opened
) -> None:
    bad = segment(2, ((True, 1, 1, 1, 1, 1, float("nan"), 1.0, ""),))
    async with opened() as uplink:
        verdicts = await uplink.send([segment(1), bad, segment(3)])
        alone = await uplink.send([bad])
    assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED, Answer.REJECTED, Answer.ACKNOWLEDGED]
    assert "JSON" in verdicts[1].reason
    assert [v.answer for v in alone] == [Answer.REJECTED]
    assert len(park.seen) == 1


async def test_the_deadline_is_around_the_whole_exchange(park: Park, opened: Opened) -> None:
    park.manner = Manner.SILENT
    async with opened(timeout="100ms") as uplink:
        start = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await uplink.send([segment(1)])
        assert time.monotonic() - start < 2.0
        park.manner = Manner.CONFIRM
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED
    assert park.connections == 2, "a late answer must not be taken for the next one's"


@asynccontextmanager
async def raw_server(answer: bytes, *, drip_s: float = 0.0) -> AsyncIterator[str]:
    """Reads a request's head and answers with these bytes, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for i in range(0, len(answer), 1 if drip_s else len(answer)):
                writer.write(answer[i : i + 1] if drip_s else answer)
                await writer.drain()
                await asyncio.sleep(drip_s)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    finally:
        server.close()
        await server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        handlers = [t for t in others if "serve" in repr(t.get_coro())]
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\x16\x03\x01\x02\x00", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_unreachable_with_a_sentence(answer: bytes, opened: Opened) -> None:
    async with raw_server(answer) as url, opened(url=url, timeout="2s") as uplink:
        with pytest.raises(Unreachable) as caught:
            await uplink.send([segment(1)])
    assert str(caught.value).isprintable()
    assert "127.0.0.1" in str(caught.value)


async def test_an_answer_that_drips_ends_at_the_deadline(opened: Opened) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 1000
    async with raw_server(answer, drip_s=0.01) as url, opened(url=url, timeout="200ms") as uplink:
        with pytest.raises(Unreachable, match="no answer within"):
            await uplink.send([segment(1)])


async def test_a_connection_that_the_server_closed_between_messages_costs_nothing(
    park: Park, opened: Opened
) -> None:
    """As many servers do after five idle seconds."""

    def last(message: Message) -> web.Response:
        response = confirm(message)
        asyncio.get_running_loop().call_soon(park.forget_clients)
        return response

    async with opened() as uplink:
        for _ in range(3):
            park.reply = last
            verdicts = await uplink.send([segment(1)])
            assert verdicts[0].answer is Answer.ACKNOWLEDGED


async def test_a_server_that_drops_every_second_request_is_tried_once_more_and_no_oftener(
    park: Park, opened: Opened
) -> None:
    def drop(message: Message) -> web.Response:
        park.forget_clients()
        return confirm(message)

    async with opened() as uplink:
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED
        park.reply = drop
        with pytest.raises(Unreachable, match="closed the connection"):
            await uplink.send([segment(2)])
    assert len(park.seen) == 3
    assert park.seen[1].raw == park.seen[2].raw, "the same message, byte for byte"


async def test_a_fresh_connection_that_fails_is_not_tried_again(park: Park, opened: Opened) -> None:
    def drop(message: Message) -> web.Response:
        park.forget_clients()
        return confirm(message)

    park.reply = drop
    async with opened() as uplink:
        with pytest.raises(Unreachable):
            await uplink.send([segment(1)])
    assert len(park.seen) == 1


async def test_connection_refused_and_unknown_host_are_said_plainly(opened: Opened) -> None:
    async with opened(url="http://127.0.0.1:1/in") as uplink:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1/in: .*[Cc]onnect"):
            await uplink.send([segment(1)])


@pytest.mark.parametrize("token", ["", " ", "令牌", "a\nb"])
async def test_a_token_that_http_cannot_carry_is_denied_without_showing_it(park: Park, token: str) -> None:
    settings = HttpSettings.model_validate({"url": park.url, "token": token})
    uplink = HttpUplink(settings, RecordingHost(), ManualClock())
    with pytest.raises(Denied, match="token") as caught:
        await uplink.connect()
    assert token.strip() == "" or token not in str(caught.value)
    await uplink.close()


async def test_a_token_file_may_end_in_a_newline(park: Park, opened: Opened) -> None:
    async with opened(token=f"{TOKEN}\n") as uplink:
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_sends_after_connecting_again_carry_the_schema_again(park: Park, opened: Opened) -> None:
    async with opened() as uplink:
        await uplink.send([segment(1)])
        await uplink.connect()
        await uplink.send([segment(2)])
    assert park.connections == 2
    await until(lambda: len(park.seen) == 2, "the second message never came")
