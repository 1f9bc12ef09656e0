"""Requests from the command topic -> the guarded pipeline -> the answer on the result topic.

Whether anything is written is never decided here: ``Host.ask`` refuses and records what is not permitted.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from edge_agent.uplink import Answer, Command, Host, Verdict
from edge_agent.uplinks.http.answer import readable
from edge_agent.uplinks.mqtt.link import Message

MOST_WAITING = 16
REMEMBERED = 256
_DETAIL = ("tag", "value", "token", "comment")


class Commands:
    """One at a time, in order. An id that was asked before is answered again and not asked again: brokers may
    deliver a message twice. ``tell`` publishes an answer."""

    def __init__(self, host: Host, topic: str, tell: Callable[[bytes], Awaitable[None]]) -> None:
        self._host = host
        self._topic = topic
        self._tell = tell
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        self._answered: OrderedDict[str, bytes] = OrderedDict()

    def put(self, message: Message) -> None:
        """When too many wait this one is dropped: its asker hears nothing, and asks again."""
        if not self._waiting.full():
            self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            message = await self._waiting.get()
            name, command = self._read(message)
            answer = self._answered.get(name) if name else None
            if answer is None:
                answer = self._answer(name, await self._host.ask(command))
                if name:
                    self._answered[name] = answer
                    while len(self._answered) > REMEMBERED:
                        self._answered.popitem(last=False)
            await self._tell(answer)

    def _read(self, message: Message) -> tuple[str, Command]:
        """What cannot be a request is asked as one that is always refused, so that it is on record."""
        source = f"mqtt {self._topic}"
        try:
            said = json.loads(message.payload)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):  # not its text, which may hold a token: the record is for everybody
            return "", Command("unreadable", source, {"bytes": len(message.payload)})
        name = readable(said["id"]) if isinstance(said.get("id"), str) else ""
        kind = readable(str(said.get("kind")))
        detail: dict[str, Any] = {key: said[key] for key in _DETAIL if key in said}
        if message.retained:  # it was for whoever listened then, and would come again with every connection
            kind = f"retained {kind}"
        elif kind == "write" and not name:
            kind = "write without an id"
        if kind != "write":
            detail.pop("token", None)
        return name, Command(kind, source, detail)

    def _answer(self, name: str, verdict: Verdict) -> bytes:
        done = verdict.answer is Answer.ACKNOWLEDGED
        said = {"agent": self._host.agent, "id": name, "done": done, "answer": verdict.answer}
        return json.dumps({**said, "reason": verdict.reason}, ensure_ascii=False).encode()
