"""``doctor`` of destinations over real sockets: trust in the certificate, and what is said to one harmless
question."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.errors import Unreachable
from edge_agent.settings import Finding
from edge_agent.uplinks.hj212.doctor import Hj212Doctor
from edge_agent.uplinks.http.doctor import HttpDoctor
from edge_agent.uplinks.http.settings import HttpSettings
from edge_agent.uplinks.influx.doctor import InfluxDoctor
from edge_agent.uplinks.influx.settings import InfluxSettings
from edge_agent.uplinks.mqtt.doctor import MqttDoctor, connect_packet
from edge_agent.uplinks.mqtt.settings import MqttSettings

SECRET = "canary-4711"


class Server:
    """Answers the first bytes of each connection; ``heard`` holds them all."""

    def __init__(self, answer: Callable[[bytes], bytes], context: ssl.SSLContext | None = None) -> None:
        self.heard: list[bytes] = []
        self.port = 0
        self._answer = answer
        self._context = context

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.heard.append(data)
                writer.write(self._answer(data))
        except OSError:
            pass
        finally:
            writer.close()


def certificate(folder: Path, *, days: float = 100, host: str = "127.0.0.1") -> Path:
    """A self-signed PEM with its key. It is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "park")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=200))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / f"park-{days}-{host}.pem"
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *kind)
    )
    return file


def http(status: str) -> Callable[[bytes], bytes]:
    return lambda _: f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def codes(findings: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("200 OK", []), ("204 No", []), ("400 No", []), ("405 No", []), ("401 No", ["up_auth"]),
     ("403 No", ["up_auth"]), ("404 No", ["up_path"]), ("302 No", ["up_path"]), ("500 No", ["up_answer"])],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["http", "influx"])
async def test_what_an_http_server_says(kind: str, status: str, expected: list[str]) -> None:
    async with Server(http(status)).running() as server:
        url = f"http://127.0.0.1:{server.port}"
        doctor, settings = _over_http(kind, url)
        assert codes(await doctor.diagnose(settings)) == expected
        asked = b"".join(server.heard)
    assert SECRET.encode() in asked and b'"values"' not in asked
    assert {head.split(b" ")[0] for head in asked.split(b"\r\n\r\n") if head} <= {b"HEAD", b"POST"}


def _over_http(kind: str, url: str) -> tuple[HttpDoctor, Any]:
    if kind == "http":
        return HttpDoctor(), HttpSettings(url=f"{url}/ingest", token=SECRET)
    settings = InfluxSettings(url=url, org="o", bucket="b", token=SECRET)
    return InfluxDoctor(), settings


@pytest.mark.parametrize(
    ("trusted", "days", "host", "expected"),
    [
        (True, 100, "127.0.0.1", []),
        (False, 100, "127.0.0.1", ["up_tls_chain"]),
        (True, -1, "127.0.0.1", ["up_tls_time"]),
        (True, 5, "127.0.0.1", ["up_tls_soon"]),
        (True, 100, "127.0.0.9", ["up_tls_host"]),
    ],
)
async def test_trust(tmp_path: Path, trusted: bool, days: float, host: str, expected: list[str]) -> None:
    file = certificate(tmp_path, days=days, host=host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    async with Server(http("200 OK"), context).running() as server:
        authority = {"ca_file": file} if trusted else {}
        url = f"https://127.0.0.1:{server.port}/"
        settings = HttpSettings(url=url, **authority)
        assert codes(await HttpDoctor().diagnose(settings)) == expected
    if expected and expected != ["up_tls_soon"]:
        assert not server.heard, "nothing is said to a stranger"


@pytest.mark.parametrize(
    ("version", "answer", "expected"),
    [("3.1.1", "20020000", []), ("5", "2003000000", []), ("3.1.1", "20020004", ["up_auth"]),
     ("3.1.1", "20020005", ["up_auth"]), ("5", "2003008600", ["up_auth"]), ("3.1.1", "20020002", [
          "up_broker"]),
     ("5", "2003008400", ["up_broker"]), ("5", "48545450", ["up_silent"])],
)  # fmt: skip
async def test_what_a_broker_says(version: str, answer: str, expected: list[str]) -> None:
    async with Server(lambda _: bytes.fromhex(answer)).running() as server:
        settings = MqttSettings(
            url=f"mqtt://127.0.0.1:{server.port}", version=version, username="u",
            password=SECRET,
        )  # fmt: skip
        assert codes(await MqttDoctor().diagnose(settings)) == expected
    assert server.heard[0][0] == 0x10 and b"lineside-doctor-" in server.heard[0]
    assert not any(data[0] & 0xF0 == 0x30 for data in server.heard), "nothing is published"


def test_the_packet_is_as_the_standard_has_it() -> None:
    assert connect_packet(False, "c", "u", "p").hex() == "101300044d51545404c2000a0001630001750001700"[:-1]


async def test_hj212_is_only_connected_to() -> None:
    async with Server(lambda _: b"").running() as server:
        settings = type("Settings", (), {"address": f"tcp://127.0.0.1:{server.port}"})
        assert codes(await Hj212Doctor().diagnose(settings)) == ["up_only_tcp"]
    assert not any(server.heard)


async def test_nobody_listens() -> None:
    async with Server(lambda _: b"").running() as server:
        port = server.port
    settings = MqttSettings(url=f"mqtt://127.0.0.1:{port}")
    with pytest.raises(Unreachable):
        await MqttDoctor().diagnose(settings)
