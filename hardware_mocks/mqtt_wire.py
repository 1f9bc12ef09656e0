"""MQTT 3.1.1 and 5 packets as a broker and a plain client need them. Written from the standards; shares no
code with the agent or with the library that the agent uses."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

LARGEST = 64 * 1024 * 1024


class Kind(IntEnum):
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Malformed(ValueError):
    """Not MQTT."""


Properties = Mapping[str, Any]

_BYTE, _SHORT, _LONG, _VARINT, _BLOB, _TEXT, _PAIR = range(7)
_PROPERTIES = {
    0x01: ("payload_format", _BYTE), 0x02: ("message_expiry", _LONG), 0x03: ("content_type", _TEXT),
    0x08: ("response_topic", _TEXT), 0x09: ("correlation_data", _BLOB), 0x0B: ("subscription_id", _VARINT),
    0x11: ("session_expiry", _LONG), 0x12: ("assigned_client_id", _TEXT), 0x13: ("server_keep_alive", _SHORT),
    0x15: ("auth_method", _TEXT), 0x16: ("auth_data", _BLOB), 0x17: ("request_problem", _BYTE),
    0x18: ("will_delay", _LONG), 0x19: ("request_response", _BYTE), 0x1A: ("response_info", _TEXT),
    0x1C: ("server_reference", _TEXT), 0x1F: ("reason", _TEXT), 0x21: ("receive_maximum", _SHORT),
    0x22: ("topic_alias_maximum", _SHORT), 0x23: ("topic_alias", _SHORT), 0x24: ("maximum_qos", _BYTE),
    0x25: ("retain_available", _BYTE), 0x26: ("user", _PAIR), 0x27: ("maximum_packet_size", _LONG),
    0x28: ("wildcards", _BYTE), 0x29: ("subscription_ids", _BYTE), 0x2A: ("shared_subscriptions", _BYTE),
}  # fmt: skip
_NUMBERS = {name: (number, kind) for number, (name, kind) in _PROPERTIES.items()}


@dataclass(frozen=True, slots=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    identifier: int = 0
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connect:
    level: int  # 4 or 5
    client_id: str
    clean: bool
    keep_alive_s: int
    username: str | None = None
    password: bytes | None = None
    will: Publish | None = None
    properties: Properties = field(default_factory=dict)

    @property
    def v5(self) -> bool:
        return self.level == 5


class Body:
    """What is left of a packet to be read. Malformed where something is missing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise Malformed("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def byte(self) -> int:
        return self.take(1)[0]

    def short(self) -> int:
        return int.from_bytes(self.take(2))

    def blob(self) -> bytes:
        return self.take(self.short())

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise Malformed("not UTF-8") from error

    def varint(self) -> int:
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Malformed("a length of more than four bytes")

    def properties(self) -> dict[str, Any]:
        inner = Body(self.take(self.varint()))
        found: dict[str, Any] = {}
        while inner.more:
            number = inner.varint()
            if number not in _PROPERTIES:
                raise Malformed(f"unknown property 0x{number:02x}")
            name, kind = _PROPERTIES[number]
            if kind == _PAIR:
                found.setdefault(name, []).append((inner.text(), inner.text()))
                continue
            if name in found:
                raise Malformed(f"{name} twice")
            found[name] = _READ[kind](inner)
        return found


_READ: dict[int, Any] = {
    _BYTE: Body.byte,
    _SHORT: Body.short,
    _LONG: lambda body: int.from_bytes(body.take(4)),
    _VARINT: Body.varint,
    _BLOB: Body.blob,
    _TEXT: Body.text,
}


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, int, Body]:
    """(kind, flags, body). Malformed, or EOFError (IncompleteReadError) at the end."""
    first = (await reader.readexactly(1))[0]
    length = 0
    for shift in (0, 7, 14, 21):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        if byte < 128:
            break
    else:
        raise Malformed("a length of more than four bytes")
    if length > LARGEST:
        raise Malformed(f"a packet of {length} bytes")
    return first >> 4, first & 15, Body(await reader.readexactly(length))


def packet(kind: Kind, body: bytes = b"", flags: int = 0) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def text(value: str) -> bytes:
    return blob(value.encode())


def blob(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


def properties(values: Properties) -> bytes:
    out = b""
    for name, value in values.items():
        number, kind = _NUMBERS[name]
        for one in value if kind == _PAIR else (value,):
            out += varint(number) + _property(kind, one)
    return varint(len(out)) + out


def _property(kind: int, value: Any) -> bytes:
    if kind == _PAIR:
        return text(value[0]) + text(value[1])
    if kind in (_BYTE, _SHORT, _LONG):
        return int(value).to_bytes({_BYTE: 1, _SHORT: 2, _LONG: 4}[kind])
    if kind == _VARINT:
        return varint(value)
    return blob(value) if kind == _BLOB else text(value)


def parse_connect(body: Body) -> Connect:
    if body.text() != "MQTT":
        raise Malformed("not MQTT")
    level, flags, keep_alive_s = body.byte(), body.byte(), body.short()
    if level not in (4, 5):
        return Connect(level, "", True, keep_alive_s)
    if flags & 1:
        raise Malformed("the reserved flag is set")
    told = body.properties() if level == 5 else {}
    client_id = body.text()
    will = None
    if flags & 4:
        about = body.properties() if level == 5 else {}
        will = Publish(body.text(), body.blob(), flags >> 3 & 3, bool(flags & 32), properties=about)
    username = body.text() if flags & 128 else None
    password = body.blob() if flags & 64 else None
    return Connect(level, client_id, bool(flags & 2), keep_alive_s, username, password, will, told)


def parse_publish(flags: int, body: Body, *, v5: bool) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3:
        raise Malformed("QoS 3")
    topic = body.text()
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise Malformed(f"topic {topic!r}")
    identifier = body.short() if qos else 0
    about = body.properties() if v5 else {}
    return Publish(topic, body.rest(), qos, bool(flags & 1), bool(flags & 8), identifier, about)


def parse_subscribe(body: Body, *, v5: bool) -> tuple[int, list[tuple[str, int]]]:
    """(identifier, [(filter, QoS)])."""
    identifier = body.short()
    if v5:
        body.properties()
    filters = []
    while body.more:
        filters.append((body.text(), body.byte() & 3))
    return identifier, filters


def connect(told: Connect) -> bytes:
    flags = (2 if told.clean else 0) | (128 if told.username is not None else 0)
    flags |= 64 if told.password is not None else 0
    body = text("MQTT") + bytes([told.level, flags]) + struct.pack("!H", told.keep_alive_s)
    body += properties(told.properties) if told.v5 else b""
    body += text(told.client_id)
    body += text(told.username) if told.username is not None else b""
    body += blob(told.password) if told.password is not None else b""
    return packet(Kind.CONNECT, body)


def connack(code: int, about: Properties, *, v5: bool, session: bool = False) -> bytes:
    body = bytes([session, code]) + (properties(about) if v5 else b"")
    return packet(Kind.CONNACK, body)


def publish(message: Publish, *, v5: bool) -> bytes:
    flags = message.duplicate << 3 | message.qos << 1 | message.retain
    body = text(message.topic) + (struct.pack("!H", message.identifier) if message.qos else b"")
    body += (properties(message.properties) if v5 else b"") + message.payload
    return packet(Kind.PUBLISH, body, flags)


def puback(identifier: int, code: int = 0, about: Properties | None = None, *, v5: bool) -> bytes:
    body = struct.pack("!H", identifier)
    if v5 and (code or about):
        body += bytes([code]) + (properties(about) if about else b"")
    return packet(Kind.PUBACK, body)


def subscribe(identifier: int, filters: Sequence[tuple[str, int]], *, v5: bool) -> bytes:
    body = struct.pack("!H", identifier) + (properties({}) if v5 else b"")
    return packet(Kind.SUBSCRIBE, body + b"".join(text(f) + bytes([qos]) for f, qos in filters), 2)


def suback(identifier: int, codes: Sequence[int], *, v5: bool) -> bytes:
    body = struct.pack("!H", identifier) + (properties({}) if v5 else b"")
    return packet(Kind.SUBACK, body + bytes(codes))


def disconnect(code: int = 0, about: Properties | None = None, *, v5: bool) -> bytes:
    return packet(Kind.DISCONNECT, bytes([code]) + properties(about or {}) if v5 else b"")


def matches(pattern: str, topic: str) -> bool:
    """Whether a subscription takes a topic."""
    wanted, given = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(given) or level not in ("+", given[number]):
            return False
    return len(wanted) == len(given)
