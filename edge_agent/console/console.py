"""Serves the socket: a few clients at a time, none of which can hold anything up."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.console.listening import CannotListen, listen, share
from edge_agent.console.peer import Nameless, peer_user
from edge_agent.console.protocol import MAX_REQUEST, NoRequest, failure, parse, result
from edge_agent.errors import LinesideError
from edge_agent.settings import Text

log = logging.getLogger(__name__)

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Takes the user and the arguments; gives what JSON can say. Raises LinesideError with a sentence for a
person; where that has a ``text`` in both languages, both go out."""

MAX_CLIENTS = 16
IDLE_S = 60.0  # without a request
ANSWER_S = 10.0  # for a client to take an answer


class Console:
    """``group``: whose members may connect, beside root and the agent's own user; "": nobody else.
    ``handlers`` by verb; may be added to at any time."""

    def __init__(self, path: Path, group: str, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self.problem: Text | None = None
        self._group = group
        self._handlers = handlers
        self._listener: socket.socket | None = None
        self._inode = (0, 0)
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> bool:
        """Listens; True when it does. What prevents that, or lets fewer people in than configured, is logged
        with its cure and kept in ``problem``; it raises nothing: the line is watched without a console too.
        """
        if self._listener is not None:
            return True
        try:
            listener = listen(self.path)
        except CannotListen as error:
            self.problem = error.text
            log.error("%s", error.text.en)
            return False
        found = self.path.stat()
        self._inode = (found.st_dev, found.st_ino)
        self.problem = share(self.path, self._group) if self._group else None
        if self.problem is not None:
            log.error("%s", self.problem.en)
        self._listener = listener
        self._listen()
        return True

    async def close(self) -> None:
        """Idempotent; also without start. Requests under way are cut off."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        asyncio.get_running_loop().remove_reader(listener)
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        listener.close()
        try:
            found = self.path.stat()
            if (found.st_dev, found.st_ino) == self._inode:  # not one that another agent has put there
                self.path.unlink()
        except OSError:
            pass

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        """Not with ``sock_accept``: cancelled between accepting and telling, it forgets the connection."""
        loop = asyncio.get_running_loop()
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no file descriptor left
            log.warning("console cannot accept: %s", error)
            loop.remove_reader(listener)
            loop.call_later(1.0, self._listen)
            return
        connection.setblocking(False)
        client = loop.create_task(self._meet(connection))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        client.add_done_callback(lambda _: connection.close())  # also of a task that never began

    async def _meet(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_REQUEST)
        await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._clients) > MAX_CLIENTS:
                await _send(writer, failure(Text("too many clients, try again", "连接过多，请稍后重试")))
                return
            user = peer_user(writer.get_extra_info("socket"))
            while (line := await _line(reader)) is not None:
                await _send(writer, await self._answer(user, line))
        except TooLong:
            why = Text(f"a request has at most {MAX_REQUEST} bytes", f"请求最多 {MAX_REQUEST} 字节")
            await _try_send(writer, failure(why))
        except Nameless:
            await _try_send(writer, failure(_NAMELESS))
        except (OSError, TimeoutError):
            pass  # gone, or too slow: its own loss
        finally:
            writer.transport.abort()

    async def _answer(self, user: str, line: bytes) -> bytes:
        try:
            request = parse(line)
        except NoRequest as error:
            return failure(error.text)
        handler = self._handlers.get(request.verb)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            return failure(
                Text(
                    f"this agent does not know {request.verb!r}; it knows: {known}",
                    f"代理不认识 {request.verb!r}，可用：{known}",
                )
            )
        try:
            return result(await handler(user, request.args))
        except LinesideError as error:
            return failure(error.text)
        except Exception:  # the outermost loop of a client: a bug in one verb must not end the console
            log.exception("console request failed", extra={"verb": request.verb})
            return failure(Text("internal error; the agent's log says more", "内部错误，详情见代理日志"))


_NAMELESS = Text(
    "the service is not allowed to see who you are. "
    "Cure: install edge-agent-console.conf beside the unit (systemd/README.md), or ask as root",
    "服务无权得知您的身份。"
    "处理办法：为服务安装 edge-agent-console.conf（见 systemd/README.md），或以 root 执行",
)


class TooLong(Exception):
    pass


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """The next request; None when the client is done. Raises TimeoutError, TooLong, OSError."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise TooLong from None


async def _send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    async with asyncio.timeout(ANSWER_S):
        await writer.drain()


async def _try_send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    try:
        await _send(writer, answer)
    except (OSError, TimeoutError):
        pass
