"""The TCP connection below one link: bytes out, whole replies in, nothing decided, nothing timed."""

from __future__ import annotations

import asyncio

from drivers.s7 import frames
from drivers.s7.pdu import reference_of
from edge_agent.driver import Trace
from edge_agent.errors import LinkLost, words_of
from edge_agent.settings import Text

_STRAYS_MAX = 100  # PDUs nobody asked for, during one wait; more is a peer that babbles
_UNSENT_MAX = 65_536
_CLOSED = Text("the connection was closed", "连接被关闭")
NOT_CONNECTED = Text("the link is not connected", "未连接")


def _broken(error: Exception) -> Text:
    return Text(f"the connection broke: {error}", f"连接中断：{words_of(error).zh}")


class Wire(asyncio.Protocol):
    """At most one waiting question, and the first reason why the connection was lost.

    A PDU whose reference no question waits for, because its deadline had passed or because nobody asked, is
    dropped.
    """

    def __init__(self) -> None:
        self.frames = frames.Reassembler()
        self.tpdu_size = 1024
        self.trace: Trace | None = None
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] | None = None
        self._lost: Text | str | None = None
        self._lost_reason = "reset"
        self._question: tuple[int | None, asyncio.Future[bytes]] | None = None
        self._strays = 0

    async def ask(self, data: bytes, reference: int | None) -> bytes:
        """Sends and waits for the PDU with that reference, or for the connect confirm (None)."""
        if self._lost is not None or self._transport is None:
            raise self._loss()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._question = (reference, answer)
        self._strays = 0
        if self.trace is not None:
            self.trace(">", data, "")
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _UNSENT_MAX:
            self._lose(LinkLost(Text("the controller takes nothing any more", "控制器不再接收数据")))
        try:
            return await answer
        finally:
            self._question = None
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, even if a cancellation overtook it

    async def close(self) -> None:
        self._lose(LinkLost(Text("the link was closed", "连接已关闭")))
        if self._closed is not None:
            await asyncio.shield(self._closed)  # abort() needs one turn of the loop, no network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        try:
            for tpdu in list(self.frames.feed(data)):  # what follows a frame may show that it was none
                self._take(tpdu)
                if self._lost is not None:
                    return
        except LinkLost as error:
            if self.trace is not None:
                self.trace("!", data, str(error))
            self._lose(error)

    def eof_received(self) -> None:
        self._lose(LinkLost(Text("the controller closed the connection", "控制器关闭了连接")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(LinkLost(_CLOSED if exc is None else _broken(exc)))
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _take(self, tpdu: frames.Tpdu) -> None:
        reference = None
        if self.trace is not None:
            self.trace("<", frames.whole(tpdu), "")
        if tpdu.kind == frames.DATA:
            reference = reference_of(tpdu.payload)
            if reference is None:
                raise LinkLost(
                    Text("what the controller sent is not S7", "收到的不是 S7 报文"), reason="mismatch"
                )
        if self._question is not None and self._question[0] == reference and not self._question[1].done():
            if self.frames.unfinished:  # we ask one thing at a time: half a packet behind it means it was cut
                raise LinkLost(
                    Text(
                        "the controller sent half a packet behind its answer",
                        "控制器在应答之后又发来半个报文",
                    ),
                    reason="mismatch",
                )
            self._question[1].set_result(tpdu.payload)
            return
        self._strays += 1
        if self._strays > _STRAYS_MAX:
            raise LinkLost(
                Text("the controller keeps sending what nobody asked for", "控制器不断发来未请求的数据"),
                reason="mismatch",
            )

    def _lose(self, error: LinkLost) -> None:
        if self._lost is None:
            self._lost, self._lost_reason = error.text, error.reason
        if self._transport is not None:
            self._transport.abort()
        if self._question is not None and not self._question[1].done():
            self._question[1].set_exception(error)

    def _loss(self) -> LinkLost:
        return LinkLost(self._lost or NOT_CONNECTED, reason=self._lost_reason)
