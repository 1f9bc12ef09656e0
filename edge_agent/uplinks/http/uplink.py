"""One HTTP destination: a session with one connection, one POST per ``send``."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from edge_agent import __version__
from edge_agent.clock import Clock
from edge_agent.errors import Denied, Unreachable
from edge_agent.uplink import Answer, Envelope, Host, Verdict
from edge_agent.uplinks.http import address, answer, message, tls

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import HttpSettings

MAX_ANSWER_BYTES = 1_000_000
KEEP_ALIVE_S = 60.0


@dataclass(slots=True)
class _Draft:
    """A message being put together: what goes in, and what could not be written."""

    items: list[Envelope] = field(default_factory=list)
    schemas: dict[str, bytes] = field(default_factory=dict)
    segments: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    unwritable: dict[int, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes  # at most one byte more than MAX_ANSWER_BYTES
    retry_after_s: float


class HttpUplink:
    """Keeps which schemas the destination has confirmed; a new object starts with none."""

    def __init__(self, settings: HttpSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._endpoint = address.endpoint(settings)
        self._texts = message.SchemaTexts()
        self._known: set[str] = set()
        self._session: aiohttp.ClientSession | None = None
        self._answered = False

    async def connect(self) -> None:
        """Opens the session; the first ``send`` opens the connection. Denied when a certificate file or the
        token cannot be used."""
        await self.close()
        headers = self._headers()
        context = (
            await asyncio.to_thread(tls.make_context, self._settings)
            if address.secure(self._settings)
            else True
        )
        connector = aiohttp.TCPConnector(limit=1, ssl=context, keepalive_timeout=KEEP_ALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours is around the whole exchange
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a compressed bomb must not unfold in front of the size limit
        )

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """An item that cannot be written as JSON is rejected; the others go. Raises as ``answer`` decides."""
        if self._session is None:
            raise Unreachable(f"{self._endpoint}: not connected")
        draft = await self._draft(items)
        if not draft.items:
            return [draft.unwritable[index] for index in range(len(items))]
        body = message.encode_message(
            # `line` is no part of the Host contract: another author's host may lack it
            message.encode_head(self._host.agent, str(getattr(self._host, "line", ""))),
            self._clock.time_ns() // 1000,
            draft.schemas.values(),
            draft.segments,
            draft.events,
        )
        verdicts = iter(self._judge(await self._deliver(body, draft.items), draft))
        return [draft.unwritable.get(i) or next(verdicts) for i in range(len(items))]

    async def close(self) -> None:
        session, self._session = self._session, None
        self._answered = False
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # the transports report their end in the next turn of the loop

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"lineside/{__version__}",
        }
        if self._settings.token is not None:
            token = self._settings.token.get_secret_value().strip()
            if not (token and token.isascii() and token.isprintable()):
                raise Denied("the token is empty, or holds characters that HTTP cannot carry")
            headers["Authorization"] = f"Bearer {token}"
        if self._settings.compress:
            headers["Content-Encoding"] = "gzip"
        return headers

    async def _draft(self, items: Sequence[Envelope]) -> _Draft:
        draft = _Draft()
        for index, item in enumerate(items):
            try:
                text = message.encode_item(item)
                if item.schema is not None and item.schema.digest not in self._known:
                    draft.schemas[item.schema.digest] = self._texts.of(item.schema)
            except (ValueError, TypeError) as error:
                draft.unwritable[index] = Verdict(Answer.REJECTED, f"cannot be written as JSON: {error}")
                continue
            draft.items.append(item)
            (draft.segments if item.event is None else draft.events).append(text)
            await asyncio.sleep(0)  # a large message must not hold up the polls
        return draft

    async def _deliver(self, body: bytes, items: Sequence[Envelope]) -> _Reply:
        keys = "\n".join(str(item.key) for item in items)
        digest = hashlib.blake2b(keys.encode(), digest_size=16).hexdigest()
        headers = {"Idempotency-Key": f"{self._host.agent}-{digest}"}
        try:
            async with asyncio.timeout(self._settings.timeout):
                if self._settings.compress:
                    body = await asyncio.to_thread(gzip.compress, body, 6, mtime=0)
                return await self._exchange_or_again(body, headers)
        except TimeoutError as error:
            raise Unreachable(f"{self._endpoint}: no answer within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._translated(error) from error

    async def _exchange_or_again(self, body: bytes, headers: dict[str, str]) -> _Reply:
        """Servers close idle connections, some just when the next flush is due. That is no fault of the
        destination: once, and only on a connection that has worked before, the message goes again at once."""
        if self._answered:
            try:
                return await self._exchange(body, headers)
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, aiohttp.ClientConnectorError):  # the old connection was gone already
                    raise
                self._answered = False
        return await self._exchange(body, headers)

    async def _exchange(self, body: bytes, headers: dict[str, str]) -> _Reply:
        assert self._session is not None
        async with self._session.post(
            self._settings.url, data=body, headers=headers, allow_redirects=False
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
            return _Reply(response.status, bytes(received), wait_s)

    def _judge(self, reply: _Reply, draft: _Draft) -> Sequence[Verdict]:
        if not 200 <= reply.status < 300:
            return [answer.not_taken(reply.status, reply.body, reply.retry_after_s)] * len(draft.items)
        try:
            if len(reply.body) > MAX_ANSWER_BYTES:
                raise ValueError("no keys in the answer: longer than 1 MB")
            said = answer.read_confirmation(reply.body)
        except ValueError as error:
            return [Verdict(Answer.RETRY, str(error))] * len(draft.items)
        verdicts = []
        for item in draft.items:
            digest = item.schema.digest if item.schema is not None else None
            verdict = said.verdict(str(item.key), digest, schema_included=digest in draft.schemas)
            if digest is not None and verdict.answer is Answer.ACKNOWLEDGED:
                self._known.add(digest)
            verdicts.append(verdict)
        self._known -= said.unknown_schemas
        return verdicts

    def _translated(self, error: Exception) -> Denied | Unreachable:
        secure = tls.tls_error(error)
        if secure is not None:
            return Denied(f"{self._endpoint}: {tls.explain(secure, address.host_name(self._settings))}")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Unreachable(
                f"{self._endpoint}: host name {address.host_name(self._settings)} cannot be resolved"
            )
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return Unreachable(f"{self._endpoint}: the destination closed the connection without an answer")
        if isinstance(error, aiohttp.ClientResponseError):
            return Unreachable(f"{self._endpoint}: the answer is not HTTP: {answer.readable(error.message)}")
        if isinstance(error, aiohttp.ClientPayloadError):
            return Unreachable(f"{self._endpoint}: the answer broke off")
        # not str(error): aiohttp puts the whole address into it, and its query may hold a key
        said = (e.strerror for e in tls.causes(error) if isinstance(e, OSError) and e.strerror)
        return Unreachable(f"{self._endpoint}: {next(said, 'the connection was lost')}")
