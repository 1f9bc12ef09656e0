"""``doctor`` for brokers: TCP, TLS, and one CONNECT under a client id of its own, so that no running agent is
thrown out; without a will, and nothing is published."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.settings import Finding, Text
from edge_agent.uplinks.http.doctor import ended, opened
from edge_agent.uplinks.http.doctor_words import CODES, finding
from edge_agent.uplinks.mqtt import address

ANSWER_S = 5.0
_CONNACK, _DISCONNECT = 0x20, b"\xe0\x00"
_CLEAN, _PASSWORD, _USER = 0x02, 0x40, 0x80
_AUTH = frozenset({4, 5, 0x86, 0x87, 0x8C})
_NAMES = {
    1: "protocol version", 2: "client id", 3: "server unavailable", 4: "bad user name or password",
    5: "not authorised", 0x84: "protocol version", 0x85: "client id", 0x86: "bad user name or password",
    0x87: "not authorised", 0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned",
    0x8C: "bad authentication method", 0x9C: "use another server", 0x9D: "server moved",
}  # fmt: skip


class MqttDoctor:
    """Meets ``edge_agent.uplink.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return CODES

    def place(self, settings: Any) -> tuple[str, int]:
        return address.host_name(settings), address.port(settings)

    async def diagnose(self, settings: Any) -> Sequence[Finding]:
        found, streams = await opened(*self.place(settings), settings, secure=address.secure(settings))
        if streams is None:
            return found
        reader, writer = streams
        five = getattr(settings, "version", "3.1.1") == "5"
        try:
            writer.write(
                connect_packet(five, f"lineside-doctor-{secrets.token_hex(3)}", *_credentials(settings))
            )
            async with asyncio.timeout(ANSWER_S):
                head = await reader.readexactly(4)
            writer.write(_DISCONNECT)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            return [*found, finding("up_silent", words=type(error).__name__)]
        finally:
            await ended(writer)
        return [*found, *judged(head)]


def connect_packet(five: bool, client_id: str, user: str | None, password: str | None) -> bytes:
    flags = _CLEAN | (_USER if user is not None else 0) | (_PASSWORD if password is not None else 0)
    parts = [_text("MQTT"), bytes((5 if five else 4, flags)), (10).to_bytes(2, "big"), b"\0" if five else b""]
    parts += [_text(part) for part in (client_id, user, password) if part is not None]
    body = b"".join(parts)
    return b"\x10" + _length(len(body)) + body


def judged(head: bytes) -> list[Finding]:
    """The first four bytes of what the broker says: with one byte of length, the fourth is the code."""
    if head[0] != _CONNACK or head[1] & 0x80:
        return [finding("up_silent", words=head.hex(" "))]
    code = head[3]
    if code == 0:
        return []
    words = f"{_NAMES.get(code, 'code')} (0x{code:02X})"
    return [finding("up_auth" if code in _AUTH else "up_broker", words=words)]


def _credentials(settings: Any) -> tuple[str | None, str | None]:
    token = getattr(settings, "token", None)
    if token is not None:
        return token.get_secret_value().strip(), None
    password = None if settings.password is None else settings.password.get_secret_value().strip()
    return settings.username, password


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)
