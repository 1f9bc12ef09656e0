"""A deadline that passes while this process does not run is no word about the destination."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge_agent.errors import Unreachable
from edge_agent.testing.clock import ManualClock
from edge_agent.testing.destination import RecordingHost, segment
from edge_agent.uplink import Answer
from edge_agent.uplinks.http import HttpUplink
from edge_agent.uplinks.http.deadline import deadline
from edge_agent.uplinks.http.settings import HttpSettings

TIMEOUT_S = 0.2


class Server(threading.Thread):
    """Answers one message, in a thread: at once, whether or not the client's loop runs."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.arrived, self.go, self.answered, self.over = (threading.Event() for _ in range(4))
        self.whole = whole

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            data = b""
            while not data.endswith(b'"events":[]}'):
                data += connection.recv(65536)
            self.arrived.set()
            self.go.wait(5)
            body = b'{"acknowledged":["samples/7/1"]}'
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + (body if self.whole else body[:-1]))
            self.answered.set()
            self.over.wait(10)


@contextmanager
def serving(*, whole: bool) -> Iterator[Server]:
    server = Server(whole=whole)
    server.start()
    try:
        yield server
    finally:
        server.over.set()
        server.join(5)
        server.listener.close()


async def sent_while_standing_still(server: Server) -> Answer:
    port = server.listener.getsockname()[1]
    keys = {"url": f"http://127.0.0.1:{port}/in", "timeout": f"{TIMEOUT_S * 1000:.0f}ms"}
    uplink = HttpUplink(HttpSettings.model_validate(keys), RecordingHost(), ManualClock())
    await uplink.connect()
    try:
        sending = asyncio.ensure_future(uplink.send([segment(1)]))
        await asyncio.to_thread(server.arrived.wait, 5)
        server.go.set()  # from here on the loop stands still
        server.answered.wait(5)
        time.sleep(1.5 * TIMEOUT_S)  # noqa: ASYNC251 - that nothing runs is the point
        return (await sending)[0].answer
    finally:
        await uplink.close()


async def test_an_answer_that_came_in_time_counts_although_nobody_looked() -> None:
    with serving(whole=True) as server:
        assert await sent_while_standing_still(server) is Answer.ACKNOWLEDGED


async def test_half_an_answer_does_not_count() -> None:
    with serving(whole=False) as server:
        with pytest.raises(Unreachable, match="no answer within"):
            await sent_while_standing_still(server)


async def test_a_deadline_ends_what_lasts_longer_and_nothing_else() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    with pytest.raises(TimeoutError):
        async with deadline(0.05):
            await asyncio.sleep(60)
    assert 0.05 <= loop.time() - begin < 5
    async with deadline(0.01):
        pass
    await asyncio.sleep(0.03)  # it is over: nobody is cancelled


async def test_a_cancellation_is_no_deadline() -> None:
    async def waiting() -> None:
        async with deadline(60):
            await asyncio.sleep(60)

    task = asyncio.ensure_future(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
