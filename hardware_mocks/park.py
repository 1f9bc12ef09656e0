"""The park's platform, as far as an agent meets it: receives, stores, answers with the keys.

On ``port``: ``POST /ingest`` (docs/wire-format.md) and ``POST /plain`` (any body: counted, answered ``{}``).
On ``control_port``, reachable whatever the mode: ``POST /control`` (see `moods`), ``GET /report``,
``GET /events``, and ``GET /samples?device=&tag=`` -> [[time_us, raw value, key], ...], with ``&quality=1`` a
fourth column.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from hardware_mocks.message import LARGEST_MESSAGE, Item, Message, Unreadable, parse_body, parse_message
from hardware_mocks.moods import Mood, UnknownMood
from hardware_mocks.receipts import Journal, Receipts

HOST = "127.0.0.1"
MOST_PROBLEMS = 100
TURNS = 8
"""Of the loop, in which the end of a connection that is already there shows."""


class Park:
    """``port`` and ``control_port`` are the real ones after ``start``.

    ``store``: a JSONL file, synced before every answer and read back at start. ``discard``: for benchmarks;
    parses, counts, echoes the keys, keeps nothing and checks nothing.
    """

    def __init__(
        self, port: int = 0, control_port: int = 0, store: Path | None = None, discard: bool = False
    ) -> None:
        self.port = port
        self.control_port = control_port
        self.receipts = Receipts()
        self.mood = Mood()
        self._journal = Journal(store) if store is not None else None
        self._discard = discard
        self._counts: Counter[str] = Counter()
        self._problems: list[str] = []
        self._keeping = asyncio.Lock()
        self._closing = asyncio.Event()
        self._front: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._control_runner: web.AppRunner | None = None
        self._return: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError if a port is taken or the store cannot be read."""
        self._load()
        app = web.Application(client_max_size=LARGEST_MESSAGE)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, auto_decompress=False)
        control = web.Application()
        routes = [web.post("/control", self._control), web.get("/report", self._report)]
        control.add_routes([*routes, web.get("/samples", self._samples), web.get("/events", self._events)])
        self._control_runner = web.AppRunner(control, access_log=None, shutdown_timeout=0.2)
        try:
            await self._runner.setup()
            await self._open()
            await self._control_runner.setup()
            await web.TCPSite(self._control_runner, HOST, self.control_port).start()
        except BaseException:
            await self.close()
            raise
        self.control_port = self._control_runner.addresses[0][1]

    async def close(self) -> None:
        self._closing.set()
        await self._cancel_return()
        await self._shut()
        for runner in (self._runner, self._control_runner):
            if runner is not None:
                await runner.cleanup()
        self._runner = self._control_runner = None

    async def set_mood(self, mood: Mood) -> None:
        await self._cancel_return()
        hung, self.mood = self.mood.mode == "hang", mood
        if hung:
            await self._shut()  # what came until now is never stored, read or not
        if mood.mode != "vanish":
            await self._open()
            return
        await self._shut()
        if mood.seconds > 0:
            self._return = asyncio.create_task(self._return_after(mood.seconds), name="park returns")

    def _routes(self) -> list[web.RouteDef]:
        return [web.post("/ingest", self._ingest), web.post("/plain", self._plain)]

    def report(self) -> dict[str, Any]:
        names = (
            "messages",
            "abandoned",
            "bytes",
            "stored",
            "rejected",
            "unknown_schemas",
            "malformed",
            "refused",
            "plain",
        )
        counts = {name: self._counts[name] for name in names}
        if self._discard:
            return (
                counts | {name: self._counts[name] for name in ("segments", "samples")} | {"mode": "discard"}
            )
        return counts | self.receipts.report() | {"mode": self.mood.mode, "problems": self._problems}

    def _load(self) -> None:
        for record in self._journal.load() if self._journal is not None else ():
            self.receipts.keep(self.receipts.sort(parse_message(record)))

    async def _open(self) -> None:
        if self._front is None and self._runner is not None and self._runner.server is not None:
            loop = asyncio.get_running_loop()
            self._front = await loop.create_server(self._runner.server, HOST, self.port)
            self.port = self._front.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        front, self._front = self._front, None
        if front is not None:
            front.close()
        if self._runner is not None and self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        if front is not None:
            await front.wait_closed()

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.mood = Mood()
        await self._open()

    async def _cancel_return(self) -> None:
        task, self._return = self._return, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _take_mood(self) -> Mood:
        mood = self.mood
        if mood.times is not None:
            self.mood = replace(mood, times=mood.times - 1) if mood.times > 1 else Mood()
        return mood

    async def _plain(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._counts["plain"] += 1
        self._counts["bytes"] += len(body)
        return web.json_response({})

    async def _ingest(self, request: web.Request) -> web.StreamResponse:
        met = await self._met(request)
        if isinstance(met, web.StreamResponse):
            return met
        body, mood = met
        try:
            data = parse_body(body, request.headers.get("Content-Encoding", ""))
            answer = (
                self._count_only(data) if self._discard else await self._receive(parse_message(data), mood)
            )
        except Unreadable as error:
            return self._malformed(str(error))
        except _Refused as refusal:
            self._counts["refused"] += 1
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        return broken(request) if mood.mode == "lose-answer" else web.json_response(answer)

    async def _met(self, request: web.Request) -> tuple[bytes, Mood] | web.StreamResponse:
        """The body and the mood in which it is to be taken, or what the mood answers at once."""
        body = await request.read()
        self._counts["messages"] += 1
        self._counts["bytes"] += len(body)
        if await self._abandoned(request):
            self._counts["abandoned"] += 1
            return broken(request)
        mood = self._take_mood()
        if mood.mode == "hang":
            await self._pause(request, math.inf)
        if mood.mode in ("hang", "vanish"):
            return broken(request)
        if mood.status is not None:
            self._counts["refused"] += 1
            headers = {} if mood.retry_after_s is None else {"Retry-After": str(mood.retry_after_s)}
            return web.json_response({"error": f"mode {mood.mode}"}, status=mood.status, headers=headers)
        if mood.mode == "no-echo":
            return web.json_response({})
        if mood.mode == "slow" and not await self._pause(request, mood.delay_s):
            return broken(request)
        return body, mood

    async def _abandoned(self, request: web.Request) -> bool:
        """Whether the client has already gone. On a busy machine this process may come to a request long
        after its client gave up on it, and when the mood has changed in between; what arrived while the park
        hung must not be stored for that."""
        for _ in range(TURNS):
            if request.transport is None or request.transport.is_closing():
                return True
            await asyncio.sleep(0)
        return False

    async def _pause(self, request: web.Request, seconds: float) -> bool:
        """False if the connection or the park was gone before the time was up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while request.transport is not None and not self._closing.is_set() and loop.time() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(0.1, until - loop.time())):
                    await self._closing.wait()
        return request.transport is not None and not self._closing.is_set()

    async def _receive(self, message: Message, mood: Mood) -> dict[str, Any]:
        """Sorts, makes durable, keeps, and only then answers. Raises Unreadable, _Refused."""
        if mood.mode == "413" and len(message.items) > mood.max_segments:
            raise _Refused(413, f"more than {mood.max_segments} items")
        marked = [item.key for item in message.items if self._is_marked(item, message, mood)]
        if mood.mode == "poison" and marked:
            raise _Refused(400, "unacceptable")  # which item it is, a real park does not say either
        async with self._keeping:
            sorting = self.receipts.sort(message, marked)
            if self._journal is not None:
                try:
                    await asyncio.to_thread(self._journal.append, sorting)
                except OSError as error:
                    raise _Refused(503, f"cannot store: {error}") from error
            self.receipts.keep(sorting)
        self._counts["stored"] += len(sorting.fresh)
        self._counts["rejected"] += len(marked)
        self._counts["unknown_schemas"] += len(sorting.unknown_schemas)
        return {
            "acknowledged": sorting.acknowledged,
            "rejected": dict.fromkeys(marked, "rejected by mode"),
            "unknown_schemas": sorted(sorting.unknown_schemas),
        }

    def _is_marked(self, item: Item, message: Message, mood: Mood) -> bool:
        if mood.mode not in ("reject", "poison"):
            return False
        if "kind" in item.body:
            device = str(item.body["source"]).partition(".")[0]
        else:
            digest = str(item.body.get("schema"))
            schema = message.schemas.get(digest) or self.receipts.schemas.get(digest, {})
            device = schema.get("device", "")
        return item.key in mood.keys or device in mood.devices

    def _count_only(self, data: Any) -> dict[str, Any]:
        segments = data.get("segments", [])
        self._counts["segments"] += len(segments)
        self._counts["samples"] += sum(len(row) for segment in segments for row in segment["values"])
        keys = [item["key"] for item in segments] + [item["key"] for item in data.get("events", [])]
        return {"acknowledged": keys, "rejected": {}, "unknown_schemas": []}

    def _malformed(self, problem: str) -> web.Response:
        self._counts["malformed"] += 1
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)
        return web.json_response({"error": problem}, status=400)

    async def _control(self, request: web.Request) -> web.Response:
        try:
            order = await request.json()
            if not isinstance(order, dict):
                raise UnknownMood("send one JSON object")
            await self.set_mood(Mood.parse(order))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"mode": self.mood.mode})

    async def _report(self, _: web.Request) -> web.Response:
        return web.json_response(self.report(), dumps=_dumps)

    async def _samples(self, request: web.Request) -> web.Response:
        device, tag = request.query.get("device", ""), request.query.get("tag", "")
        if not device or not tag:
            return web.json_response({"error": "ask for ?device=NAME&tag=NAME"}, status=400)
        found = self.receipts.samples(device, tag)
        if request.query.get("quality"):
            return web.json_response([[time_us, value, key, code] for time_us, value, code, key in found])
        return web.json_response([[time_us, value, key] for time_us, value, _, key in found])

    async def _events(self, _: web.Request) -> web.Response:
        return web.json_response(self.receipts.events(), dumps=_dumps)


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def broken(request: web.Request) -> web.Response:
    """Breaks the connection; the response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _dumps(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)
