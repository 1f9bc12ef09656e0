"""Opening the socket of a connection in the event loop: name, TCP, TLS. The MQTT library would block."""

from __future__ import annotations

import asyncio
import socket
import ssl

from edge_agent.errors import Denied, Unreachable
from edge_agent.uplinks.http import tls


async def dial(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    """A connected, non-blocking socket, secured when there is a context. The caller sets the deadline; a
    cancellation leaves nothing open."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"host name {host} cannot be resolved") from error
    trouble: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            sock = await _connected(family, kind, protocol, address)
        except OSError as error:
            trouble = error
            continue
        return sock if context is None else await _secured(sock, context, host)
    said = trouble.strerror if trouble is not None else None
    raise Unreachable(said or "the connection could not be opened") from trouble


async def _connected(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)  # type: ignore[arg-type]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


async def _secured(sock: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    try:
        secure = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        await _shake_hands(secure)
    except OSError as error:  # ssl.SSLError is one
        secure.close()
        trust = tls.tls_error(error)
        if trust is None:
            raise Unreachable(
                "the connection was closed before it was secure: does this port speak TLS (mqtts)?"
            ) from error
        raise Denied(tls.explain(trust, host)) from error
    except BaseException:
        secure.close()
        raise
    return secure


async def _shake_hands(sock: ssl.SSLSocket) -> None:
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            await _ready(sock, writing=False)
        except ssl.SSLWantWriteError:
            await _ready(sock, writing=True)


async def _ready(sock: socket.socket, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(sock.fileno(), _ring, ready)
    try:
        await ready
    finally:
        remove(sock.fileno())


def _ring(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
