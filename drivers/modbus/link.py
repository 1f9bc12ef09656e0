"""One Modbus TCP connection, with or without TLS: bytes out, checked replies in.

A reply is taken only if all of this fits its request: transaction id, protocol id, unit id, function code,
byte count and frame length. What does not fit falls into three kinds:

- another transaction id: the late reply of an exchange that was cancelled. Dropped; the wait goes on.
- this transaction id, but another unit, function, count or length: ``BadReply``. The frames around it are
  sound, so the connection stays, and other stations on it notice nothing.
- no sound frame (protocol id not 0, impossible length): the stream cannot be trusted again. ``LinkLost``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.modbus.endpoint import Limits, endpoint, limits_of
from drivers.modbus.link_errors import NOT_CONNECTED, Verdicts, about, reason_of
from drivers.modbus.link_tls import explain, make_context
from drivers.modbus.request import Learned, Read
from drivers.modbus.write import Write, write_request
from edge_agent.driver import Request, Reserved, Trace
from edge_agent.errors import BadReply, DriverError, LinkDenied, LinkLost, words_of
from edge_agent.model import Tag, Value
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_HEADER = 6  # transaction id, protocol id, length
_SHORTEST, _LONGEST = (
    3,
    254,
)  # what the length field may say: unit, function, one byte; a frame has 260 at most
_BUFFER = 4096  # holds a dozen frames; a flood comes in pieces of this size
_CLOSED = Text("the device closed the connection", "设备关闭了连接")
_FITTING = slice(2, 9)  # protocol id .. byte count: compared as one string with Read.head


@dataclass(frozen=True, slots=True)
class _Change:
    """A write in the form in which the hot path takes a read: ``head`` is as much of the one fitting reply as
    that compares, the rest is compared when it has come."""

    station: int
    function: int
    place: str
    tail: bytes
    head: bytes
    if_hole: Learned | None = None
    if_too_many: Learned | None = None

    @classmethod
    def of(cls, write: Write) -> _Change:
        station = bytes((write.station,))
        return cls(
            write.station,
            write.function,
            write.text,
            b"\0\0" + (1 + len(write.pdu)).to_bytes(2, "big") + station + write.pdu,
            b"\0\0" + (1 + len(write.reply)).to_bytes(2, "big") + station + write.reply[:2],
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """A request whose reply may have any length; no head fits it, so its reply comes the other way."""

    station: int
    function: int
    place: str
    tail: bytes
    head: bytes = b""
    if_hole: Learned | None = None
    if_too_many: Learned | None = None


class ModbusTcpLink(asyncio.BufferedProtocol):
    """Meets ``edge_agent.driver.Link``. Being the transport's protocol itself keeps an exchange at one
    write and one callback; a buffer of our own spares asyncio's 256 kB allocation per read."""

    def __init__(self, settings: ModbusSettings) -> None:
        where = endpoint(settings.link)
        self._host, self._port, self._name = where.host, where.port, where.place
        self._settings = settings
        self._secure = where.scheme == "tls"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] | None = None
        self._loss: LinkLost | None = None
        self._closed = False
        self._rest = b""
        self._buffer = memoryview(bytearray(_BUFFER))
        self._transaction = random.randrange(0x10000)
        self._expected = b""
        self._read: Read | _Change | _Question | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._requests: Sequence[Request] = ()
        self._replies: list[bytes] = []
        self._verdicts = Verdicts(self._name)
        self.trace: Trace | None = None

    # The contract

    async def connect(self) -> None:
        """LinkLost with reason refused, reset, timeout or other; LinkDenied with reason cert, which names the
        certificate to look at."""
        self._loop = loop = asyncio.get_running_loop()
        context, name = None, None
        if self._secure:  # certificate files are read in a thread
            context, name = await loop.run_in_executor(None, make_context, self._settings), self._host
        try:
            await loop.create_connection(
                lambda: self, self._host, self._port, ssl=context, server_hostname=name
            )
        except OSError as error:
            raise self._loss_by(error) from error

    async def enrol(self, station: ModbusSettings) -> Limits:
        """The configured limits: Modbus negotiates nothing, so there is no I/O."""
        return limits_of(station)

    async def exchange(self, request: Request) -> bytes:
        """The data bytes of the reply, after its byte count: exactly as many as were asked for."""
        replies: list[bytes] = []
        await self.burst((request,), replies)
        return replies[0]

    async def ask(self, station: int, pdu: bytes) -> bytes:
        """For commissioning: the reply's PDU to any PDU that reads, with the same function code."""
        tail = b"\0\0" + (1 + len(pdu)).to_bytes(2, "big") + bytes((station,)) + pdu
        replies: list[bytes] = []
        await self.burst((Request((), _Question(station, pdu[0], f"FC{pdu[0]:02d}", tail)),), replies)
        return replies[0]

    async def write(self, station: ModbusSettings, tag: Tag, raw: Value) -> None:
        """Meets ``edge_agent.driver.Writer``. BadReply if the device confirms something else."""
        change = write_request(station, tag, raw)
        replies: list[bytes] = []
        await self.burst((Request((), _Change.of(change)),), replies)
        if replies[0] != change.reply[2:]:
            raise BadReply(
                Text(
                    f"{self._name} station {change.station}: another reply than to {change.text}",
                    f"{self._name} station {change.station}：应答与 {change.text} 不符",
                )
            )

    async def burst(self, requests: Sequence[Request], replies: list[bytes]) -> None:
        """One exchange after the other; the next request leaves as soon as a reply is checked."""
        if self._transport is None or self._loop is None or self._loss is not None or self._closed:
            raise self._lost()
        self._requests, self._replies = requests, replies
        self._waiter = waiter = self._loop.create_future()
        self._send(self._transport, requests[len(replies)].body)
        try:
            await waiter
        finally:
            self._waiter = None

    async def prove(self, station: ModbusSettings, reserved: Reserved) -> None:
        """Nothing to do: every reply on TCP carries its transaction id."""

    async def close(self) -> None:
        self._closed = True
        transport, gone = self._transport, self._gone
        if transport is None or gone is None:
            return
        transport.abort()  # close() would wait for a peer that has stopped reading
        await asyncio.shield(gone)

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        assert self._loop is not None
        self._transport = transport
        self._gone = self._loop.create_future()
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):  # refined where possible, never a reason to fail
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._closed:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._loss is None:
            self._loss = self._loss_by(exc)
        self._settle(self._lost())
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Bytes in whatever pieces the network made of them."""
        if self._loss is not None:
            return
        if self._rest:
            data = self._rest + data
        start, size = 0, len(data)
        frames = []
        while size - start >= _HEADER:
            length = data[start + 4] << 8 | data[start + 5]
            if data[start + 2] or data[start + 3] or not _SHORTEST <= length <= _LONGEST:
                if self.trace is not None:
                    self.trace("!", data[start:], "not a Modbus TCP frame")
                shown = data[start : start + 9].hex(" ")
                self._break_off(Text(f"not a Modbus TCP frame: {shown}", f"不是 Modbus TCP 报文：{shown}"))
                return
            end = start + _HEADER + length
            if size < end:
                break
            frames.append(data[start:end])
            start = end
        self._rest = data[start:]
        for frame in frames:  # only now: what follows a frame may show that it was none
            self._take(frame)

    # One frame

    def _send(self, transport: asyncio.Transport, read: Read | _Change | _Question) -> None:
        self._transaction = (self._transaction + 1) & 0xFFFF
        self._expected = self._transaction.to_bytes(2, "big")
        self._read = read
        if self.trace is not None:
            self.trace(">", self._expected + read.tail, "")
        transport.write(self._expected + read.tail)

    def _take(self, frame: bytes) -> None:
        read, waiter = self._read, self._waiter
        if self.trace is not None:
            self.trace("<", frame, "" if waiter is not None and frame[:2] == self._expected else "unasked")
        if waiter is None or read is None or frame[:2] != self._expected:
            return  # late or unasked
        if waiter.done():  # cancelled in this turn of the loop: nothing more is sent for it
            return
        if frame[_FITTING] != read.head:
            own = frame[6] == read.station  # a frame of another station is not even its exception
            if own and isinstance(read, _Question) and frame[7] == read.function:
                self._replies.append(frame[7:])
                self._settle(None)
                return
            self._settle(self._verdicts.of(read, frame[7:] if own else b"", frame))
            return
        if self._rest:  # we ask one thing at a time: a frame that fits with half a one behind it was cut
            shown = self._rest[:9].hex(" ")
            self._break_off(
                Text(
                    f"more than one reply: {shown} after {read.place}",
                    f"应答多于一个：{read.place} 之后收到 {shown}",
                )
            )
            return
        self._replies.append(frame[9:])  # the head holds the length, so the frame is exactly as long
        if len(self._replies) == len(self._requests):
            self._settle(None)
        elif self._transport is not None:
            self._send(self._transport, self._requests[len(self._replies)].body)

    def _settle(self, error: DriverError | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():  # done: cancelled in this turn of the loop
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def _break_off(self, words: Text) -> None:
        self._loss = LinkLost(about(self._name, words), reason="mismatch")
        self._rest = b""
        self._settle(self._lost())
        if self._transport is not None:
            self._transport.abort()

    def _lost(self) -> LinkLost:
        if self._closed or self._loss is None:
            return LinkLost(about(self._name, NOT_CONNECTED))
        return type(self._loss)(self._loss.text, reason=self._loss.reason)  # a new one for each to raise

    def _loss_by(self, error: Exception | None) -> LinkLost:
        if isinstance(error, ssl.SSLError) and (why := explain(error, self._host)) is not None:
            return LinkDenied(about(self._name, why), reason="cert")
        words = _CLOSED if error is None else words_of(error)
        if self._secure and not self._replies and reason_of(error) == "reset":
            words = Text(
                f"{words.en} without an answer; if it always does, it does not accept this agent's "
                "certificate",
                f"{words.zh}，没有应答；若总是如此，说明对方不接受本代理的证书",
            )
        return LinkLost(about(self._name, words), reason=reason_of(error))
