"""The control port of a simulated platform: questions by GET, orders by POST, all as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

HOST = "127.0.0.1"
Answer = Callable[[Mapping[str, str]], Any]


class Desk:
    """``questions``: what is answered, by path, from the words of the query; ``order``: takes the object of
    ``POST /control`` and raises ValueError with what is wrong about it. ``port`` is the real one after
    ``start``."""

    def __init__(
        self, port: int, questions: Mapping[str, Answer], order: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.port = port
        self._questions = questions
        self._order = order
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises OSError if the port is taken."""
        control = web.Application()
        control.router.add_post("/control", self._ordered)
        for path, answer in self._questions.items():
            control.router.add_get(path, _answered(answer))
        self._runner = web.AppRunner(control, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _ordered(self, request: web.Request) -> web.Response:
        try:
            order = await request.json()
            if not isinstance(order, dict):
                raise ValueError("send one JSON object")
            self._order(order)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"done": True})


def _answered(answer: Answer) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response(answer(request.query), dumps=_dumps)

    return handle


def _dumps(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)
