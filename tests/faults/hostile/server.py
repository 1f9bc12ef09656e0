"""One process: the hostile devices of one transport. First line of stdout: {"endpoints": [...]}.

Lines on stdin: ``counts`` prints {behaviour: requests treated so}, ``share X`` changes the faulted share.
At the end of stdin the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import ssl
import struct
import sys
import tty
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.hostile.behaviours import APPLICABLE, Behaviour, Deck
from tests.faults.hostile.conversation import Conversation, guarded
from tests.faults.hostile.frames import Talk
from tests.faults.hostile.modbus import AsciiTalk, MbapTalk, RtuTalk
from tests.faults.hostile.s7 import S7Talk

_UNSENT_MAX = 1_000_000
_THIEF_S = (0.02, 0.1)


def _opcua(link: int) -> Talk:
    from tests.faults.hostile.opcua import OpcuaTalk

    return OpcuaTalk(link)


TALKS: dict[str, Callable[[int], Talk]] = {
    "tcp": MbapTalk,
    "tls": MbapTalk,
    "rtu": RtuTalk,
    "ascii": AsciiTalk,
    "rtu+tcp": RtuTalk,
    "ascii+tcp": AsciiTalk,
    "s7": S7Talk,
    "opcua": _opcua,
}


class SocketDevice:
    """Takes one client at a time: the newest."""

    def __init__(self, certificate: Path | None, chance: Random) -> None:
        self.converse: Callable[[Any], Conversation]
        self._certificate = certificate
        self._chance = chance
        self._clients: set[_SocketLine] = set()
        self._turn_away = 0
        self._port = 0

    async def open(self) -> str:
        server = await asyncio.get_running_loop().create_server(
            lambda: _SocketLine(self), "127.0.0.1", 0, ssl=self._tls(server_side=True)
        )
        self._port = server.sockets[0].getsockname()[1]
        return f"127.0.0.1:{self._port}"

    def arrived(self, client: _SocketLine) -> bool:
        if self._turn_away:
            self._turn_away -= 1
            return False
        for other in self._clients:
            other.drop()
        self._clients = {client}
        return True

    def left(self, client: _SocketLine) -> None:
        self._clients.discard(client)

    def turn_away_next(self) -> None:
        self._turn_away += 1

    async def steal(self) -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._tls(server_side=False)
            )
            await asyncio.sleep(self._chance.uniform(*_THIEF_S))
            writer.transport.abort()

    def _tls(self, *, server_side: bool) -> ssl.SSLContext | None:
        if self._certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        if server_side:
            context.load_cert_chain(self._certificate / "server.pem", self._certificate / "server.key")
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class _SocketLine(asyncio.Protocol):
    serial = False

    def __init__(self, device: SocketDevice) -> None:
        self._device = device
        self._transport: asyncio.Transport | None = None
        self._conversation: Conversation | None = None
        self._thieves: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._device.arrived(self):
            transport.close()
            return
        self._conversation = self._device.converse(self)

    def data_received(self, data: bytes) -> None:
        if self._conversation is not None and not guarded(self._conversation.received, data):
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._device.left(self)
        if self._conversation is not None:
            self._conversation.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() < _UNSENT_MAX:
            self._transport.write(data)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def act(self, behaviour: Behaviour) -> None:
        if self._transport is None:
            return
        if behaviour is Behaviour.STOLEN:
            task = asyncio.get_running_loop().create_task(self._device.steal())
            self._thieves.add(task)
            task.add_done_callback(self._thieves.discard)
        elif behaviour is Behaviour.CLOSE:
            self._device.turn_away_next()
            self._transport.close()
        else:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


class PtyDevice:
    """A pseudo-terminal. What is written while nobody has it open waits for who opens it next, as in the
    buffer of a serial server."""

    serial = True

    def __init__(self) -> None:
        self.converse: Callable[[Any], Conversation]
        self._master = -1
        self._unsent = b""

    async def open(self) -> str:
        self._master, slave = os.openpty()  # the slave stays open, so that the line survives a client's close
        tty.setraw(self._master)
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._conversation = self.converse(self)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        return os.ttyname(slave)

    def write(self, data: bytes) -> None:
        if len(self._unsent) > 4 * 16_384:
            return
        self._unsent += data
        self._flush()

    def act(self, behaviour: Behaviour) -> None:
        raise AssertionError(f"a serial line cannot {behaviour}")

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = os.write(self._master, self._unsent)
        except BlockingIOError:
            sent = 0
        self._unsent = self._unsent[sent:]
        if self._unsent:
            loop.add_writer(self._master, self._flush)
        else:
            loop.remove_writer(self._master)

    def _readable(self) -> None:
        guarded(self._conversation.received, os.read(self._master, 4096))


async def _serve(chosen: argparse.Namespace) -> None:
    deck = Deck(chosen.transport, chosen.share, f"{chosen.seed}/{chosen.transport}")
    endpoints = []
    for link in range(chosen.links):
        chance = Random(f"{chosen.seed}/{chosen.transport}/{link}")
        device: SocketDevice | PtyDevice
        if chosen.transport in ("rtu", "ascii"):
            device = PtyDevice()
        else:
            certificate = chosen.certificate if chosen.transport == "tls" else None
            device = SocketDevice(certificate, chance)
        device.converse = partial(_converse, chosen, link, deck, chance)
        endpoints.append(await device.open())
    print(json.dumps({"endpoints": endpoints}), flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := (await commands.readline()).decode().split():
        if line[0] == "share":
            deck.share = float(line[1])
        print(json.dumps(deck.counts), flush=True)


def _converse(chosen: argparse.Namespace, link: int, deck: Deck, chance: Random, line: Any) -> Conversation:
    return Conversation(TALKS[chosen.transport](link), deck, chance, chosen.timeout, line)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("transport", choices=sorted(APPLICABLE))
    options.add_argument("--links", type=int, default=1)
    options.add_argument("--share", type=float, default=0.0)
    options.add_argument("--timeout", type=float, default=0.1)
    options.add_argument("--seed", default="0")
    options.add_argument("--certificate", type=Path, help="folder with server.pem and server.key, for tls")
    asyncio.run(_serve(options.parse_args()))


if __name__ == "__main__":
    main()
