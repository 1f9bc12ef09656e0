"""asyncua's connection, tamed: every size capped, no task of its own, no waiting of its own. Imports asyncua.

- its connect and requests wait with ``wait_for``, which can swallow a cancellation: ours are plain awaits;
- its limits are replaced by whatever the server's Acknowledge says, even "none": ours only shrink;
- it buffers a chunk of any announced size: ours is refused at its header;
- it makes a list of any announced length, even of a type that takes no bytes: an array of nothing is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Any

from asyncua import ua as typed_ua
from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol, UASocketState
from asyncua.common.connection import TransportLimits
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import uatcp_to_binary

from edge_agent.driver import Trace
from edge_agent.errors import LinkLost

ua: Any = typed_ua

logging.getLogger("asyncua").setLevel(logging.INFO)  # at debug it writes whole requests: passwords
logging.getLogger("asyncua").addHandler(logging.NullHandler())  # nor to a terminal that asked for no log

CHUNK_MAX = 65_535
CHUNKS_MAX = 64
MESSAGE_MAX = 4 * 1024 * 1024
LIBRARY_TIMEOUT_S = 600.0  # the deadline that counts is the caller's
_UNANSWERED_MAX = 200
_ABORT_S = 0.5
_HEADER = 8
_KINDS = (b"MSG", b"OPN", b"CLO", b"ACK", b"ERR")
_LASTS = (b"", b"F", b"C", b"A")  # of a header: not there yet, final, to be continued, aborted


_unpack_array = ua_binary.unpack_uatype_array


def _unpack_sized_array(vtype: Any, data: Any) -> Any:
    """The library's, but for the one type whose length nothing bounds: nine bytes would become 2^31 Nones,
    and no deadline could end that."""
    if vtype is ua.VariantType.Null:
        raise ua.UaError("an array of nothing")
    return _unpack_array(vtype, data)


ua_binary.unpack_uatype_array = _unpack_sized_array


class Transport(UaClient):
    """asyncua's client with our protocol and a plain connect."""

    def __init__(self) -> None:
        super().__init__(LIBRARY_TIMEOUT_S)
        self.trace: Trace | None = None

    async def connect_socket(self, host: str, port: int) -> None:
        self._set_state(UaClientState.CONNECTING)
        await asyncio.get_running_loop().create_connection(self._make_protocol, host, port)
        self._set_state(UaClientState.SOCKET_OPEN)

    def _make_protocol(self) -> UASocketProtocol:
        protocol = Protocol(self._timeout, security_policy=self.security_policy, limits=Caps())
        protocol.owner = self
        self.protocol = protocol
        self.protocol.is_session_closing = lambda: True  # a late reply is nothing to warn of
        return self.protocol


@dataclass
class Caps(TransportLimits):
    """Ours for what is received, the lesser of ours and the server's for what is sent."""

    max_recv_buffer: int = CHUNK_MAX
    max_send_buffer: int = CHUNK_MAX
    max_chunk_count: int = CHUNKS_MAX
    max_message_size: int = MESSAGE_MAX

    def update_client_limits(self, msg: Any) -> None:
        if msg.ReceiveBufferSize:
            self.max_send_buffer = min(self.max_send_buffer, msg.ReceiveBufferSize)


def _announced(head: bytes) -> int | None:
    """Bytes of the chunk that begins with ``head``, or of a header not yet whole; None where it is none."""
    if not any(kind.startswith(head[:3]) for kind in _KINDS) or head[3:4] not in _LASTS:
        return None
    if len(head) < _HEADER:
        return _HEADER
    size = int.from_bytes(head[4:], "little")
    return size if _HEADER < size <= CHUNK_MAX else None


class Protocol(UASocketProtocol):
    """asyncua's protocol behind a gate: it is handed whole chunks of an allowed size only."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.owner: Transport | None = None
        self._pending = bytearray()
        self._gone = asyncio.Event()

    @property
    def is_usable(self) -> bool:
        return (
            self.state is UASocketState.OPEN
            and self.transport is not None
            and not self.transport.is_closing()
        )

    def data_received(self, data: bytes) -> None:
        """A chunk is handed on only when what came behind it begins like one as well: else it was cut, and
        made whole by bytes of another."""
        self._pending += data
        chunks = []
        while self._pending:
            size = _announced(bytes(self._pending[:_HEADER]))
            if size is None:
                self.abort()
                return
            if len(self._pending) < size:
                break
            chunks.append(bytes(self._pending[:size]))
            del self._pending[:size]
        for chunk in chunks:
            if self.is_usable:
                super().data_received(chunk)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> Any:
        """As the library's, but with our buffer size instead of 2 GB."""
        hello = ua.Hello(
            ReceiveBufferSize=CHUNK_MAX,
            SendBufferSize=CHUNK_MAX,
            MaxMessageSize=max_messagesize,
            MaxChunkCount=max_chunkcount,
            EndpointUrl=url,
        )
        if self.transport is None:
            raise ConnectionError("the connection is closed")
        acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._callbackmap[0] = acknowledged
        self.transport.write(uatcp_to_binary(ua.MessageType.Hello, hello))
        return await acknowledged

    async def open_secure_channel(self, params: Any) -> Any:
        """As the library's, without its waiting. One at a time: the caller sees to that."""
        self._open_secure_channel_exchange = params
        request = ua.OpenSecureChannelRequest(Parameters=params)
        await self._send_request(request, message_type=ua.MessageType.SecureOpen)
        response = self._open_secure_channel_exchange
        if not isinstance(response, ua.OpenSecureChannelResponse):
            raise ConnectionError("the answer to the opening of the channel was lost")
        self._open_secure_channel_exchange = None
        return response.Parameters

    async def send_request(
        self, request: Any, timeout: float | None = None, message_type: Any = ua.MessageType.SecureMessage
    ) -> Any:
        """The answer's bytes, or what the library raises for a ServiceFault. Cancelled, the answer is dropped
        when it comes."""
        data = await self.post(request, message_type)
        self.check_answer(data, "")
        return data

    def post(self, request: Any, message_type: Any = ua.MessageType.SecureMessage) -> asyncio.Future[Any]:
        """Sends now; the future gives the answer's bytes. Raises OSError where the connection is gone."""
        if len(self._callbackmap) >= _UNANSWERED_MAX:
            self.abort()
            raise LinkLost(f"the server has left {_UNANSWERED_MAX} requests unanswered", reason="timeout")
        answer = self._send_request(request, LIBRARY_TIMEOUT_S, message_type)
        if self.owner is not None and self.owner.trace is not None:
            from drivers.opcua.tracing import tell

            tell(self.owner.trace, request, answer)
        return answer

    def give_up(self) -> None:
        """Whoever waits for an answer gets a ConnectionError."""
        self._fail_all_pending(ConnectionError("given up"))

    async def cut(self) -> None:
        """Ends the connection without waiting for the peer."""
        if self.state is UASocketState.OPEN:
            self.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_S):
                    await self._gone.wait()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
