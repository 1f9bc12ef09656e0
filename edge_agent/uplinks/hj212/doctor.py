"""``doctor`` for HJ 212: whether the platform takes a connection. Every packet of an agent is data or answers
a question, so there is nothing harmless to say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.errors import Unreachable
from edge_agent.settings import Finding, Text
from edge_agent.uplinks.hj212.address import parse
from edge_agent.uplinks.http.doctor import CONNECT_S, ended
from edge_agent.uplinks.http.doctor_words import CODES, finding


class Hj212Doctor:
    """Meets ``edge_agent.uplink.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return {"up_only_tcp": CODES["up_only_tcp"]}

    def place(self, settings: Any) -> tuple[str, int]:
        return parse(str(settings.address))

    async def diagnose(self, settings: Any) -> Sequence[Finding]:
        host, port = self.place(settings)
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(host, port)
        except (TimeoutError, OSError, UnicodeError) as error:
            raise Unreachable(f"no connection to {host}:{port}: {error}") from error
        await ended(writer)
        return [finding("up_only_tcp")]
