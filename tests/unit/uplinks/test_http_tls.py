"""Always verified: what is refused, how it is said, and that nothing was sent before."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from edge_agent.errors import Denied
from edge_agent.testing.destination import segment
from edge_agent.uplink import Answer

from .conftest import Opened
from .park import Authority, Park, server_context


@asynccontextmanager
async def secure_park(context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[Park]:
    park = Park(tls=context, host=host)
    await park.start()
    try:
        yield park
    finally:
        await park.stop()


@contextmanager
def alerting_server(context: ssl.SSLContext) -> Iterator[str]:
    """Sends the alert of a failed handshake, as servers do; asyncio's only cut the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(5)
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secure:
            with contextlib.suppress(ssl.SSLError):
                secure.do_handshake()
            socket.socket.shutdown(secure, socket.SHUT_WR)  # an early close would overtake the alert
            while socket.socket.recv(secure, 65536):
                pass

    with listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/in"
        thread.join(5)
        assert not thread.is_alive()


async def refused(opened: Opened, url: str, ca_file: Path | None) -> str:
    async with opened(url=url, ca_file=ca_file) as uplink:
        with pytest.raises(Denied) as caught:
            await uplink.send([segment(1)])
    return str(caught.value)


async def test_a_certificate_of_our_own_ca_is_accepted(authority: Authority, opened: Opened) -> None:
    async with (
        secure_park(server_context(*authority.issue("park"))) as park,
        opened(url=park.url, ca_file=authority.file) as uplink,
    ):
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED


async def test_an_unknown_ca_is_denied(authority: Authority, opened: Opened, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path, "stranger")
    async with secure_park(server_context(*stranger.issue("park"))) as park:
        assert "unknown CA" in await refused(opened, park.url, authority.file)
        assert "unknown CA" in await refused(opened, park.url, None)
        assert park.seen == []


async def test_a_wrong_host_name_is_denied(authority: Authority, opened: Opened) -> None:
    async with secure_park(server_context(*authority.issue("park", address=None))) as park:
        assert "not for host name 127.0.0.1" in await refused(opened, park.url, authority.file)
        assert park.seen == []


async def test_a_wrong_host_name_by_name(authority: Authority, opened: Opened) -> None:
    async with secure_park(server_context(*authority.issue("park", address=None)), "localhost") as park:
        assert "not for host name localhost" in await refused(opened, park.url, authority.file)


async def test_an_expired_certificate_is_denied(authority: Authority, opened: Opened) -> None:
    async with secure_park(server_context(*authority.issue("park", days=(-5, -1)))) as park:
        message = await refused(opened, park.url, authority.file)
        assert "has expired" in message
        assert "clock" in message
        assert park.seen == []


async def test_a_certificate_of_tomorrow_is_denied(authority: Authority, opened: Opened) -> None:
    async with secure_park(server_context(*authority.issue("park", days=(1, 5)))) as park:
        assert "not valid yet" in await refused(opened, park.url, authority.file)


async def test_a_server_without_tls_is_denied_and_gets_no_plain_text(park: Park, opened: Opened) -> None:
    message = await refused(opened, park.url.replace("http:", "https:"), None)
    assert "no secure connection" in message
    assert park.seen == []


async def test_an_old_tls_version_is_denied(authority: Authority, opened: Opened) -> None:
    context = server_context(*authority.issue("park"))
    with pytest.warns(DeprecationWarning):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with alerting_server(context) as url:
        assert "no secure connection" in await refused(opened, url, authority.file)


async def test_a_client_certificate_is_shown_when_configured(authority: Authority, opened: Opened) -> None:
    context = server_context(*authority.issue("park"), client_ca=authority.file)
    certificate, key = authority.issue("agent", address=None)
    async with (
        secure_park(context) as park,
        opened(url=park.url, ca_file=authority.file, client_cert=certificate, client_key=key) as uplink,
    ):
        assert (await uplink.send([segment(1)]))[0].answer is Answer.ACKNOWLEDGED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_client_certificate_is_denied(
    authority: Authority, opened: Opened, version: ssl.TLSVersion
) -> None:
    context = server_context(*authority.issue("park"), client_ca=authority.file)
    context.minimum_version = context.maximum_version = version
    with alerting_server(context) as url:
        assert "no secure connection" in await refused(opened, url, authority.file)


async def test_certificate_files_that_cannot_be_used_are_named(
    authority: Authority, opened: Opened, tmp_path: Path
) -> None:
    certificate, _ = authority.issue("agent")
    _, other_key = authority.issue("other")
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    url = "https://127.0.0.1:1/in"
    for wrong in (
        {"ca_file": tmp_path / "missing.pem"},
        {"ca_file": junk},
        {"client_cert": tmp_path / "missing.pem"},
        {"client_cert": certificate},  # no key anywhere
        {"client_cert": certificate, "client_key": other_key},
    ):
        with pytest.raises(Denied) as caught:
            async with opened(url=url, **wrong):
                pass
        assert next(iter(wrong)) in str(caught.value)
        assert next(iter(wrong.values())).name in str(caught.value)
