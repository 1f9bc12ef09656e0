"""A park platform on the loopback, behaving as told, and authorities that issue certificates for it.

Decodes with the standard ``json`` only: it shares no code with the uplink."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ipaddress
import json
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.testing.destination import Manner, Received

TOKEN = "s3cret-token"

Reply = Callable[["Message"], web.StreamResponse]


@dataclass
class Message:
    """One POST as it arrived."""

    body: dict[str, Any]
    raw: bytes
    headers: Mapping[str, str]

    @property
    def keys(self) -> list[str]:
        return [item["key"] for item in [*self.body["segments"], *self.body["events"]]]


def confirm(message: Message) -> web.Response:
    return web.json_response({"acknowledged": message.keys, "rejected": {}, "unknown_schemas": []})


@dataclass
class Park:
    """``reply`` overrides the manner. ``seen``: every message that arrived, answered or not."""

    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    reply: Reply | None = None
    poison: Collection[str] = ()
    seen: list[Message] = field(default_factory=list)
    received: dict[str, Received] = field(default_factory=dict)
    events: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    connections: int = 0
    port: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._manner = Manner.CONFIRM
        self._speak = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._ports: set[Any] = set()
        self._transports: set[asyncio.BaseTransport] = set()

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer, **self.options), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._speak.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/in?line=1"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"url": self.url, "token": TOKEN, "timeout": "300ms"}

    @property
    def messages(self) -> int:
        return len(self.seen)

    @property
    def manner(self) -> Manner:
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        if manner is not Manner.SILENT:
            self._speak.set()

    def forget_clients(self) -> None:
        """Cuts every connection without a word."""
        for transport in self._transports:
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        self._transports.clear()

    async def confirm(self, keys: Sequence[str]) -> None:
        raise NotImplementedError("HTTP confirms in its answer")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            self._transports.add(request.transport)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        if peer not in self._ports:
            self._ports.add(peer)
            self.connections += 1
        raw = await request.read()
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw  # the server may have unpacked it
        message = Message(json.loads(text, parse_constant=_no_constant), raw, dict(request.headers))
        self.seen.append(message)
        if self.reply is not None:
            return self.reply(message)
        return await self._in_manner(message)

    async def _in_manner(self, message: Message) -> web.StreamResponse:
        if self._manner is Manner.SILENT:
            self._speak.clear()
            await self._speak.wait()
            return web.Response()
        if self._manner is Manner.REFUSE or message.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, text="who are you?")
        if self._manner is Manner.MUTE:
            return web.json_response({"ok": True})
        if self._manner is Manner.POISON and set(message.keys) & set(self.poison):
            return web.Response(status=400, text="bad value")
        self._store(message)
        return confirm(message)

    def _store(self, message: Message) -> None:
        for item in message.body["segments"]:
            width = len(message.body["schemas"].get(item["schema"], {"names": item["values"][0]})["names"])
            quality = item.get("quality", {})
            assert all(len(row) == width for row in item["values"])
            assert len(item["values"]) == len(item["time_us"])
            rows = [bytes.fromhex(quality.get(str(i), "00" * width)) for i in range(len(item["values"]))]
            self.received[item["key"]] = Received(item["values"], rows)
        for item in message.body["events"]:
            self.events[item["key"]] = item["detail"]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True)
class Authority:
    """A certificate authority made for one test."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key, days=(-10, 10))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, name, key, certificate)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(
        self, label: str, *, address: str | None = "127.0.0.1", days: tuple[int, int] = (-1, 5)
    ) -> tuple[Path, Path]:
        """Certificate and key files for a server (or client) at this address, or at ``other.example``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
        names: list[x509.GeneralName] = [x509.DNSName("other.example")]
        if address is not None:
            names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("localhost")]
        certificate = (
            _builder(subject, self.certificate.subject, key, days=days)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        paths = (self.folder / f"{label}.crt", self.folder / f"{label}.key")
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths


def server_context(certificate: Path, key: Path, *, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
    )
