"""One connection to one HTTP destination: a POST goes, its answer comes, failures become sentences.

Of this package's own messages nothing is known here; other uplinks over HTTP use it as well.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from edge_agent import __version__
from edge_agent.clock import Clock
from edge_agent.errors import Denied, Unreachable
from edge_agent.uplinks.http import answer, tls
from edge_agent.uplinks.http.deadline import deadline

MAX_ANSWER_BYTES = 1_000_000
KEEP_ALIVE_S = 60.0
_GZIP_LEVEL = 6


class Connection(tls.Files, Protocol):
    """The settings it needs; ``settings.WebSettings`` has them."""

    @property
    def timeout(self) -> float: ...

    @property
    def compress(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes  # at most one byte more than MAX_ANSWER_BYTES
    retry_after_s: float


class Exchange:
    """``endpoint``: the address as errors show it, without anything secret. ``host``: the name in it.
    ``secure``: whether it is https."""

    def __init__(self, settings: Connection, clock: Clock, *, endpoint: str, host: str, secure: bool) -> None:
        self._settings = settings
        self._clock = clock
        self._endpoint = endpoint
        self._host = host
        self._secure = secure
        self._session: aiohttp.ClientSession | None = None
        self._answered = False

    @property
    def is_open(self) -> bool:
        return self._session is not None

    async def open(self, headers: Mapping[str, str]) -> None:
        """The first ``post`` opens the connection. Denied when a certificate file cannot be used."""
        await self.close()
        context = await asyncio.to_thread(tls.make_context, self._settings) if self._secure else True
        connector = aiohttp.TCPConnector(limit=1, ssl=context, keepalive_timeout=KEEP_ALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Accept-Encoding": "identity", "User-Agent": f"lineside/{__version__}", **headers},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours is around the whole exchange
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a compressed bomb must not unfold in front of the size limit
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST") -> Reply:
        """Raises Unreachable, or Denied for what is wrong with a certificate."""
        if self._session is None:
            raise Unreachable(f"{self._endpoint}: not connected")
        try:
            async with deadline(self._settings.timeout):
                if self._settings.compress:
                    headers = {**headers, "Content-Encoding": "gzip"}
                    body = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0)
                return await self._exchange_or_again(method, url, body, headers)
        except TimeoutError as error:
            raise Unreachable(f"{self._endpoint}: no answer within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._translated(error) from error

    async def close(self) -> None:
        session, self._session = self._session, None
        self._answered = False
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # the transports report their end in the next turn of the loop

    async def _exchange_or_again(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        """Servers close idle connections, some just when the next flush is due. That is no fault of the
        destination: once, and only on a connection that has worked before, the message goes again at once."""
        if self._answered:
            try:
                return await self._exchange(method, url, body, headers)
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, aiohttp.ClientConnectorError):  # the old connection was gone already
                    raise
                self._answered = False
        return await self._exchange(method, url, body, headers)

    async def _exchange(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        assert self._session is not None
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            received = bytearray()
            while len(received) <= MAX_ANSWER_BYTES:
                chunk = await response.content.read(MAX_ANSWER_BYTES + 1 - len(received))
                if not chunk:
                    break
                received += chunk
            else:
                response.close()
            self._answered = True
            wait_s = answer.retry_after_s(
                response.headers.get("Retry-After"),
                response.headers.get("Date"),
                self._clock.time_ns() / 1e9,
            )
            return Reply(response.status, bytes(received), wait_s)

    def _translated(self, error: Exception) -> Denied | Unreachable:
        secure = tls.tls_error(error)
        if secure is not None:
            return Denied(f"{self._endpoint}: {tls.explain(secure, self._host)}")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Unreachable(f"{self._endpoint}: host name {self._host} cannot be resolved")
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return Unreachable(f"{self._endpoint}: the destination closed the connection without an answer")
        if isinstance(error, aiohttp.ClientResponseError):
            said = answer.readable(answer.hide(error.message, answer.secrets_of(self._settings)))
            return Unreachable(f"{self._endpoint}: the answer is not HTTP: {said}")
        if isinstance(error, aiohttp.ClientPayloadError):
            return Unreachable(f"{self._endpoint}: the answer broke off")
        # not str(error): aiohttp puts the whole address into it, and its query may hold a key
        reasons = (e.strerror for e in tls.causes(error) if isinstance(e, OSError) and e.strerror)
        return Unreachable(f"{self._endpoint}: {next(reasons, 'the connection was lost')}")


def header_text(text: str, what: str) -> str:
    """A secret as a header may carry it. Denied, without showing it, where HTTP cannot."""
    text = text.strip()
    if not (text and text.isascii() and text.isprintable()):
        raise Denied(f"the {what} is empty, or holds characters that HTTP cannot carry")
    return text
