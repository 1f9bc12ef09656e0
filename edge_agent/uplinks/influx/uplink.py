"""One server that takes line protocol: one POST per ``send``, one word (204) for all of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from edge_agent.clock import Clock
from edge_agent.errors import Denied, Unreachable
from edge_agent.uplink import ACKNOWLEDGED, NOTHING_TO_SEND, Answer, Envelope, Host, Verdict
from edge_agent.uplinks.http import address, answer
from edge_agent.uplinks.http.exchange import Exchange, header_text
from edge_agent.uplinks.influx.lines import Lines, Naming

if TYPE_CHECKING:
    from edge_agent.uplinks.influx.settings import InfluxSettings

WRITTEN = 204


class InfluxUplink:
    """Holds nothing between messages but the patterns of schemas."""

    def __init__(self, settings: InfluxSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._endpoint = address.endpoint(settings)
        self._url = write_url(settings)
        self._lines = Lines(
            Naming(
                host.line,
                settings.measurement,
                settings.period_measurement,
                settings.event_measurement,
                settings.tags,
                settings.unsigned,
                settings.strings is not False,
            )
        )
        self._hidden = answer.secrets_of(settings)
        self._secret = ""
        for secret in (settings.token, settings.password):
            self._secret = self._secret if secret is None else secret.get_secret_value().strip()
        self._cures = answer.Cures(
            "check `token`, or `user` and `password`, and whether they may write there",
            "There is no such database or bucket, or no server of this kind: check `url` and "
            + ("`database`" if settings.bucket is None else "`org` and `bucket`"),
        )
        self._exchange = Exchange(
            settings,
            clock,
            endpoint=self._endpoint,
            host=address.host_name(settings),
            secure=address.secure(settings),
        )

    async def connect(self) -> None:
        """Denied when a certificate file or a secret cannot be used."""
        await self._exchange.open({"Content-Type": "text/plain; charset=utf-8", **self._authorization()})

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """What has no form in line protocol is rejected, what has no value to send is acknowledged without a
        line; for the others the server's 204 holds. Raises as ``answer`` decides."""
        if not self._exchange.is_open:
            raise Unreachable(f"{self._endpoint}: not connected")
        settled: dict[int, Verdict] = {}
        out: list[bytes] = []
        for index, item in enumerate(items):
            try:
                lines = self._lines.of(item).encode()
            except (ValueError, TypeError, OverflowError) as error:
                settled[index] = Verdict(Answer.REJECTED, f"cannot be written as line protocol: {error}")
                continue
            if lines:
                out.append(lines)
            else:
                settled[index] = NOTHING_TO_SEND
            await asyncio.sleep(0)  # a large message must not hold up the polls
        verdict = await self._written(b"".join(out)) if out else NOTHING_TO_SEND
        return [settled.get(index, verdict) for index in range(len(items))]

    async def close(self) -> None:
        await self._exchange.close()

    async def _written(self, body: bytes) -> Verdict:
        reply = await self._exchange.post(self._url, body, {})
        if reply.status == WRITTEN:
            return ACKNOWLEDGED
        if 200 <= reply.status < 300:
            said = answer.told(reply.body, self._hidden)
            return Verdict(Answer.RETRY, f"HTTP {reply.status} instead of 204: no write endpoint? {said}")
        return answer.not_taken(
            reply.status, reply.body, reply.retry_after_s, hidden=self._hidden, cures=self._cures
        )

    def _authorization(self) -> dict[str, str]:
        settings = self._settings
        if settings.token is not None:
            scheme = "Bearer" if settings.bucket is None else "Token"
            return {"Authorization": f"{scheme} {header_text(self._secret, 'token')}"}
        if settings.user is not None:
            if not self._secret:
                raise Denied("the password is empty")
            pair = base64.b64encode(f"{settings.user}:{self._secret}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def write_url(settings: InfluxSettings) -> str:
    """Time stamps are nanoseconds, which is what both take a line to mean."""
    base = settings.url.rstrip("/")
    if settings.bucket is not None:
        query = {"org": settings.org or "", "bucket": settings.bucket, "precision": "ns"}
        return f"{base}/api/v2/write?{urlencode(query)}"
    query = {"db": settings.database or ""}
    if settings.retention_policy is not None:
        query["rp"] = settings.retention_policy
    return f"{base}/write?{urlencode(query)}"
