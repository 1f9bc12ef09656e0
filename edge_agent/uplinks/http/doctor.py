"""``doctor`` for destinations over HTTP; the first steps, TCP and TLS, also for others.

The one exchange is a HEAD of the configured address, with the credentials; where that says 404, which
servers do that know only POST there, an empty POST. Neither holds any data.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from edge_agent.clock import SystemClock
from edge_agent.errors import Denied, Unreachable
from edge_agent.settings import Finding, Text
from edge_agent.uplinks.http import address, tls
from edge_agent.uplinks.http.doctor_words import CODES, finding
from edge_agent.uplinks.http.exchange import Exchange, Reply

CONNECT_S = 5.0
EXCHANGE_S = 8.0
FAREWELL_S = 1.0
SOON_DAYS = 21
_PORTS = {"http": 80, "https": 443}
_TIME, _NAME = frozenset({9, 10}), frozenset({62, 64})

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpDoctor:
    """Meets ``edge_agent.uplink.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return CODES

    def place(self, settings: Any) -> tuple[str, int]:
        parts = urlsplit(settings.url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)

    async def diagnose(self, settings: Any) -> Sequence[Finding]:
        found, streams = await opened(*self.place(settings), settings, secure=address.secure(settings))
        if streams is None:
            return found
        await ended(streams[1])
        try:
            headers, url = self.asks(settings)
        except Denied as error:
            return [*found, finding("up_file", words=str(error))]
        return [*found, *await _asked(settings, url, headers)]

    def asks(self, settings: Any) -> tuple[dict[str, str], str]:
        """Headers and address of the one exchange. Denied where a secret cannot be used."""
        from edge_agent.uplinks.http.uplink import authorization

        secret = "" if settings.secret is None else settings.secret.get_secret_value().strip()
        return authorization(settings), address.filled(settings.url, secret)


async def opened(
    host: str, port: int, settings: tls.Files, *, secure: bool
) -> tuple[list[Finding], Streams | None]:
    """TCP, and TLS where it is ``secure``. Streams only where both succeeded. Unreachable without TCP."""
    context = None
    if secure:
        try:
            context = await asyncio.to_thread(tls.make_context, settings)
        except Denied as error:
            return [finding("up_file", words=str(error))], None
    try:
        async with asyncio.timeout(CONNECT_S):
            streams = await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError:
        raise Unreachable(f"no connection to {host}:{port} within {CONNECT_S:g} s") from None
    except (OSError, UnicodeError) as error:
        trust = tls.tls_error(error)
        if trust is not None:
            return [_distrusted(trust, host)], None
        if isinstance(error, ssl.SSLError) or (secure and isinstance(error, ConnectionResetError)):
            return [finding("up_tls", words=str(error) or type(error).__name__)], None
        raise Unreachable(str(error)) from error
    return _expiry(streams[1]) if secure else [], streams


async def ended(writer: asyncio.StreamWriter) -> None:
    """Closes; waits a moment for it."""
    writer.close()
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(FAREWELL_S):
            await writer.wait_closed()


def _distrusted(error: ssl.SSLError, host: str) -> Finding:
    words, now = tls.explain(error, host), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if not isinstance(error, ssl.SSLCertVerificationError):
        return finding("up_tls", words=words)
    code = error.verify_code
    if code in _TIME:
        return finding("up_tls_time", words=words, now=now)
    return finding("up_tls_host" if code in _NAME else "up_tls_chain", words=words)


def _expiry(writer: asyncio.StreamWriter) -> list[Finding]:
    shown = writer.get_extra_info("peercert") or {}
    ends = shown.get("notAfter")
    if not isinstance(ends, str):
        return []
    days = (ssl.cert_time_to_seconds(ends) - datetime.now(UTC).timestamp()) / 86_400
    return [finding("up_tls_soon", days=f"{days:.0f}")] if days < SOON_DAYS else []


async def _asked(settings: Any, url: str, headers: dict[str, str]) -> list[Finding]:
    plain = settings.model_copy(update={"compress": False})  # nothing, compressed, would be something
    exchange = Exchange(
        plain, SystemClock(), endpoint=address.endpoint(settings), host=address.host_name(settings),
        secure=address.secure(settings),
    )  # fmt: skip
    try:
        async with asyncio.timeout(EXCHANGE_S):
            await exchange.open(headers)
            reply = await exchange.post(url, b"", {}, method="HEAD")
            if reply.status in (404, 405):
                reply = await exchange.post(url, b"", {})
    except TimeoutError:
        return [finding("up_silent", words=f"> {EXCHANGE_S:g} s")]
    except (Unreachable, Denied) as error:
        return [finding("up_silent", words=str(error))]
    finally:
        await exchange.close()
    return judged(reply)


def judged(reply: Reply) -> list[Finding]:
    """A refusal of the empty message itself (400, 411, 415, 422 ...) is as good as a welcome."""
    words = f"HTTP {reply.status}"
    if reply.status in (401, 403, 407):
        return [finding("up_auth", words=words)]
    if reply.status in (404, 410) or 300 <= reply.status < 400:
        return [finding("up_path", words=words)]
    return [finding("up_answer", words=words)] if reply.status >= 500 else []
