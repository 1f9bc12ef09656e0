"""A destination that speaks ``docs/wire-format.md``: one POST per ``send``, a verdict per key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.clock import Clock
from edge_agent.errors import Unreachable
from edge_agent.uplink import NOTHING_TO_SEND, Answer, Envelope, Host, Verdict
from edge_agent.uplinks.http import address, answer, message
from edge_agent.uplinks.http.exchange import MAX_ANSWER_BYTES, Exchange, Reply, header_text

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import HttpSettings


@dataclass(slots=True)
class _Draft:
    """A message being put together: what goes in, and what is settled without it."""

    items: list[Envelope] = field(default_factory=list)
    schemas: dict[str, bytes] = field(default_factory=dict)
    segments: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    settled: dict[int, Verdict] = field(default_factory=dict)


class HttpUplink:
    """Keeps which schemas the destination has confirmed; a new object starts with none."""

    def __init__(self, settings: HttpSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._endpoint = address.endpoint(settings)
        self._exchange = Exchange(
            settings,
            clock,
            endpoint=self._endpoint,
            host=address.host_name(settings),
            secure=address.secure(settings),
        )
        self._secret = "" if settings.secret is None else settings.secret.get_secret_value().strip()
        self._hidden = answer.secrets_of(settings)
        self._texts = message.SchemaTexts()
        self._known: set[str] = set()

    async def connect(self) -> None:
        """Opens the session; the first ``send`` opens the connection. Denied when a certificate file or the
        token cannot be used."""
        await self._exchange.open({"Content-Type": "application/json", **authorization(self._settings)})

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """An item that cannot be written as JSON is rejected; the others go. Raises as ``answer`` decides."""
        if not self._exchange.is_open:
            raise Unreachable(f"{self._endpoint}: not connected")
        draft = await self._draft(items)
        if not draft.items:
            return [draft.settled[index] for index in range(len(items))]
        body = message.encode_message(
            # `line` is no part of the Host contract: another author's host may lack it
            message.encode_head(self._host.agent, str(getattr(self._host, "line", ""))),
            self._clock.time_ns() // 1000,
            draft.schemas.values(),
            draft.segments,
            draft.events,
        )
        names = "\n".join(str(item.key) for item in draft.items)
        headers = {**self._headers(), "Idempotency-Key": idempotency_key(self._host.agent, names)}
        reply = await self._exchange.post(address.filled(self._settings.url, self._secret), body, headers)
        verdicts = iter(self._judge(reply, draft))
        return [draft.settled.get(i) or next(verdicts) for i in range(len(items))]

    async def close(self) -> None:
        await self._exchange.close()

    def _headers(self) -> dict[str, str]:
        if not self._settings.headers:
            return {}
        from edge_agent.uplinks.http.headers import headers_of  # only where some are configured
        from edge_agent.uplinks.templates.words import About

        about = About(self._host.agent, self._host.line, self._clock.time_ns(), self._secret)
        return headers_of(self._settings.headers, about)

    async def _draft(self, items: Sequence[Envelope]) -> _Draft:
        draft = _Draft()
        for index, item in enumerate(items):
            if item.event is None and not item.batches:  # nothing of it is selected
                draft.settled[index] = NOTHING_TO_SEND
                continue
            try:
                text = message.encode_item(item, self._texts)
                if item.schema is not None and item.schema.digest not in self._known:
                    draft.schemas[item.schema.digest] = self._texts.of(item.schema)
            except (ValueError, TypeError) as error:
                draft.settled[index] = Verdict(Answer.REJECTED, f"cannot be written as JSON: {error}")
                continue
            draft.items.append(item)
            (draft.segments if item.event is None else draft.events).append(text)
            await asyncio.sleep(0)  # a large message must not hold up the polls
        return draft

    def _judge(self, reply: Reply, draft: _Draft) -> Sequence[Verdict]:
        if not 200 <= reply.status < 300:
            verdict = answer.not_taken(reply.status, reply.body, reply.retry_after_s, hidden=self._hidden)
            return [verdict] * len(draft.items)
        try:
            if len(reply.body) > MAX_ANSWER_BYTES:
                raise ValueError("no keys in the answer: longer than 1 MB")
            said = answer.read_confirmation(reply.body, self._hidden)
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


def authorization(settings: HttpSettings) -> dict[str, str]:
    """Denied, without showing it, when HTTP cannot carry the token."""
    if settings.token is None:
        return {}
    return {"Authorization": f"Bearer {header_text(settings.token.get_secret_value(), 'token')}"}


def idempotency_key(agent: str, names: str) -> str:
    """The same for the same units, whatever else has changed."""
    return f"{agent}-{hashlib.blake2b(names.encode(), digest_size=16).hexdigest()}"
