"""One Modbus TCP connection: bytes out, checked replies in.

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
import os
import random
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.modbus.endpoint import Limits, endpoint, limits_of
from drivers.modbus.plan import Learned, Read
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, Replan, StationSilent

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_HEADER = 6  # transaction id, protocol id, length
_SHORTEST, _LONGEST = (
    3,
    254,
)  # what the length field may say: unit, function, one byte; a frame has 260 at most
_BUFFER = 4096  # holds a dozen frames; a flood comes in pieces of this size
_FITTING = slice(2, 9)  # protocol id .. byte count: compared as one string with Read.head

_EXCEPTIONS = {
    1: "illegal function: the device does not know this function code",
    2: "illegal data address: the device has no such address",
    3: "illegal data value: the device does not accept this many at once",
    4: "device failure",
    5: "acknowledge: the device needs more time",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class ModbusTcpLink(asyncio.BufferedProtocol):
    """Meets ``edge_agent.driver.Link``. Being the transport's protocol itself keeps an exchange at one
    write and one callback; a buffer of our own spares asyncio's 256 kB allocation per read."""

    def __init__(self, settings: ModbusSettings) -> None:
        self._host, self._port = endpoint(settings.link)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] | None = None
        self._loss: tuple[str, str] | None = None  # words and reason
        self._closed = False
        self._rest = b""
        self._buffer = memoryview(bytearray(_BUFFER))
        self._transaction = random.randrange(0x10000)
        self._expected = b""
        self._read: Read | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._requests: Sequence[Request] = ()
        self._replies: list[bytes] = []
        self._learned: dict[int, Learned] = {}

    # The contract

    async def connect(self) -> None:
        """LinkLost with reason refused, reset, timeout or other."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.create_connection(lambda: self, self._host, self._port)
        except OSError as error:
            raise LinkLost(f"{self._name}: {_words(error)}", reason=_reason(error)) from error

    async def enrol(self, station: ModbusSettings) -> Limits:
        """The configured limits: Modbus negotiates nothing, so there is no I/O."""
        return limits_of(station)

    async def exchange(self, request: Request) -> bytes:
        """The data bytes of the reply, after its byte count: exactly as many as were asked for."""
        replies: list[bytes] = []
        await self.burst((request,), replies)
        return replies[0]

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
            words = "the device closed the connection" if exc is None else _words(exc)
            self._loss = (words, _reason(exc))
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
        while size - start >= _HEADER:
            length = data[start + 4] << 8 | data[start + 5]
            if data[start + 2] or data[start + 3] or not _SHORTEST <= length <= _LONGEST:
                self._break_off(f"not a Modbus TCP frame: {data[start : start + 9].hex(' ')}")
                return
            end = start + _HEADER + length
            if size < end:
                break
            self._take(data[start:end])
            start = end
        self._rest = data[start:]

    # One frame

    def _send(self, transport: asyncio.Transport, read: Read) -> None:
        self._transaction = (self._transaction + 1) & 0xFFFF
        self._expected = self._transaction.to_bytes(2, "big")
        self._read = read
        transport.write(self._expected + read.tail)

    def _take(self, frame: bytes) -> None:
        read, waiter = self._read, self._waiter
        if waiter is None or read is None or frame[:2] != self._expected:
            return  # late or unasked
        if waiter.done():  # cancelled in this turn of the loop: nothing more is sent for it
            return
        if frame[_FITTING] != read.head:
            self._settle(self._verdict(frame, read))
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

    def _verdict(self, frame: bytes, read: Read) -> DriverError:
        """What a sound frame with the right transaction id means that is not the plain answer."""
        station = f"{self._name} station {read.station}"
        is_exception = frame[6] == read.station and frame[7] == read.function | 0x80 and len(frame) == 9
        if not is_exception:
            shown = f"{frame[:9].hex(' ')} ({len(frame)} bytes)"
            return BadReply(f"{station}: the reply {shown} does not fit the request {read.place}")
        code = frame[8]
        words = f"{station}: {read.place}: exception {code}, {_EXCEPTIONS.get(code, 'not in the standard')}"
        match code:
            case 1:
                return Refused(words, reason="illegal_function")
            case 2:
                return self._smaller(words, read.if_hole, read.station)
            case 3:
                return self._smaller(words, read.if_too_many, read.station)
            case 5 | 6:
                return Busy(words)
            case 10 | 11:
                return StationSilent(words)
            case _:
                return Refused(words, reason="other")

    def _smaller(self, words: str, learned: Learned | None, station: int) -> DriverError:
        """What a station taught is kept for the life of the link, so that two requests of one plan that both
        fail do not overwrite each other's lesson."""
        if learned is None:
            return Refused(words)
        learned |= self._learned.get(station, Learned())
        self._learned[station] = learned
        return Replan(words, learned)

    def _break_off(self, words: str) -> None:
        self._loss = (words, "mismatch")
        self._rest = b""
        self._settle(self._lost())
        if self._transport is not None:
            self._transport.abort()

    def _lost(self) -> LinkLost:
        words, reason = ("not connected", "reset") if self._closed or self._loss is None else self._loss
        return LinkLost(f"{self._name}: {words}", reason=reason)

    @property
    def _name(self) -> str:
        return f"{self._host}:{self._port}"


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return str(error) or type(error).__name__


def _reason(error: Exception | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error is None or isinstance(error, ConnectionError):
        return "reset"
    return "timeout" if isinstance(error, TimeoutError) else "other"
