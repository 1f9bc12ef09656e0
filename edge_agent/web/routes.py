"""What is answered under which path. Every answer is made of the status board."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from edge_agent.clock import Clock
from edge_agent.config.model import WebConfig
from edge_agent.metrics import CONTENT_TYPE, Exporter
from edge_agent.model import Event
from edge_agent.status import Board
from edge_agent.web import page
from edge_agent.web.cached import Cached
from edge_agent.web.document import AT_ONCE, few_at_a_time, in_pieces, object_bytes

METRICS_KEEP_S = 1.0
JSON_KEEP_S = 0.25
JSON = {"Content-Type": "application/json; charset=utf-8"}
MAX_EVENTS = 1000


async def _no_events(_limit: int) -> Sequence[Event]:
    return ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What the routes are made of; each is asked at the moment of a request, in the event loop.

    ``selected``: (device, tag) pairs that become series. ``events``: the newest events, newest first, at
    most so many. ``not_ready``: reasons why the agent is not ready, for people; none means ready.
    """

    board: Board
    clock: Clock
    selected: Callable[[], Collection[tuple[str, str]]] = frozenset
    events: Callable[[int], Awaitable[Sequence[Event]]] = _no_events
    not_ready: Callable[[], Sequence[str]] = tuple


class Routes:
    def __init__(self, sources: Sources, config: Callable[[], WebConfig]) -> None:
        self._sources = sources
        self._config = config
        self._exporter = Exporter()
        self._metrics = Cached(self._make_metrics, METRICS_KEEP_S)
        self._status = Cached(self._make_status, JSON_KEEP_S)
        self._tags = Cached(partial(self._make_status, tags=True), JSON_KEEP_S)
        self._windows = Cached(self._make_windows, JSON_KEEP_S)
        self._pages: dict[tuple[str, str], Cached] = {}  # by language and device, "" for all

    def table(self) -> list[web.RouteDef]:
        paths = {
            "/": self.page,
            "/metrics": self.metrics,
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/api/v1/status": self.status,
            "/api/v1/tags": self.tags,
            "/api/v1/windows": self.windows,
            "/api/v1/buffer": self.buffer,
            "/api/v1/events": self.events,
        }
        return [web.get(path, handler, allow_head=False) for path, handler in paths.items()]

    async def page(self, request: web.Request) -> web.StreamResponse:
        language = page.language(request.headers.get("Accept-Language", ""), self._sources.board.language)
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": page.POLICY}
        named = request.query.get("device", "")
        device = named if named in self._sources.board.devices else ""
        if (language, device) not in self._pages:
            self._pages[language, device] = Cached(partial(self._make_page, language, device), JSON_KEEP_S)
        return await _send(request, await self._pages[language, device].get(), headers)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        packed = _accepts_gzip(request.headers.get("Accept-Encoding", ""))
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        return await _send(request, await self._metrics.get(packed=packed), headers)

    async def healthz(self, _request: web.Request) -> web.Response:
        """The process and its event loop are alive; says nothing of devices."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        reasons = self._sources.not_ready()
        if reasons:
            return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
        return web.Response(text="ready\n")

    async def status(self, request: web.Request) -> web.StreamResponse:
        return await _send(request, await self._status.get(), JSON)

    async def tags(self, request: web.Request) -> web.StreamResponse:
        return await _send(request, await self._tags.get(), JSON)

    async def windows(self, request: web.Request) -> web.StreamResponse:
        return await _send(request, await self._windows.get(), JSON)

    async def buffer(self, request: web.Request) -> web.StreamResponse:
        numbers = dict(self._sources.board.buffer())
        answer = {"time_ns": self._sources.clock.time_ns(), "buffer": numbers}
        return await _send(request, [object_bytes(answer)], JSON)

    async def events(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("limit", "100")
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_EVENTS):
            raise web.HTTPBadRequest(text=f"400: limit is a number from 1 to {MAX_EVENTS}\n")
        events = await self._sources.events(int(text))
        return await _send(request, [object_bytes({"events": [_event(event) for event in events]})], JSON)

    async def _make_metrics(self) -> list[bytes]:
        clock = self._sources.clock
        snapshot = self._exporter.collect(
            self._sources.board,
            self._config(),
            mono_ns=clock.mono_ns(),
            time_ns=clock.time_ns(),
            selected=self._sources.selected,
        )
        return [await asyncio.to_thread(self._exporter.exposition, snapshot)]

    async def _make_status(self, *, tags: bool = False) -> list[bytes]:
        board, clock = self._sources.board, self._sources.clock
        snapshot = board.snapshot(clock.time_ns(), clock.mono_ns(), tags=tags, windows=False)
        rows = {"windows": board.windows(), "alarms": board.alarms().get("rows", ())}
        return await in_pieces(snapshot | rows, {"devices": 1, "windows": AT_ONCE, "alarms": AT_ONCE})

    async def _make_windows(self) -> list[bytes]:
        answer = {"time_ns": self._sources.clock.time_ns(), "windows": self._sources.board.windows()}
        return await in_pieces(answer, {"windows": AT_ONCE})

    async def _make_page(self, language: str, device: str) -> list[bytes]:
        from edge_agent.web.values import section  # when somebody looks, not at the start of the agent

        board, clock = self._sources.board, self._sources.clock
        urgent = page.Urgent()
        windows = board.windows()
        async for some in few_at_a_time(windows):
            urgent.see(some)
        snapshot = board.snapshot(clock.time_ns(), clock.mono_ns(), windows=False)
        snapshot["windows"] = urgent.chosen()
        left_out = len(windows) - len(snapshot["windows"])
        alarms = board.alarms().get("rows", ())
        snapshot["alarms"] = alarms[: page.MAX_ALARMS]
        more = len(alarms) - len(snapshot["alarms"])
        tags = await section(board, clock.mono_ns(), language, device)
        text = page.render(snapshot, language, left_out=left_out, alarms_left_out=more, values=tags)
        return [text.encode()]


def _accepts_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _event(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "source": event.source,
        "time_ns": event.time_ns,
        "config_version": event.config_version,
        "detail": dict(event.detail),
    }


async def _send(
    request: web.Request, pieces: Sequence[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    if len(pieces) == 1:
        return web.Response(body=pieces[0], headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_length = sum(map(len, pieces))
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response
