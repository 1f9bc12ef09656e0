"""asyncua, tamed: what ``link`` needs of it, with every size capped, no task of its own and no reconnect.

The only module here that imports asyncua. Four things are done otherwise than by ``Client.connect``:
- its supervisor, stale-subscription watchdog and renewal task are never started; the channel is renewed by
  the first read after 75 % of its life;
- its connect waits with ``asyncio.wait_for``, which can swallow a cancellation on Python 3.11: ours does not;
- its limits are replaced by whatever the server's Acknowledge says, even "none": ours only shrink;
- it buffers a chunk of any announced size: ours is refused at its header.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua as typed_ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol, UASocketState
from asyncua.common.connection import TransportLimits
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from drivers.opcua.address import NodeAddress
from edge_agent.errors import BadReply, Busy, DriverError, LinkDenied, LinkLost, Refused

ua: Any = typed_ua  # its annotations ask for its own number types, its code does not

_CHUNK_MAX = 65_535
_CHUNKS_MAX = 64
_MESSAGE_MAX = 4 * 1024 * 1024
_LIBRARY_TIMEOUT_S = 600.0  # the deadline that counts is the caller's
_FAREWELL_S = 1.0
_ABORT_S = 0.5
_RENEW_AT = 0.75
_HEADER = 8
_MALFORMED = (UaError, ValueError, TypeError, LookupError, AttributeError, OverflowError, struct.error)
"""What the library's parser raises for bytes that are no message."""

_KIND = {
    "i": ua.NodeIdType.Numeric,
    "s": ua.NodeIdType.String,
    "g": ua.NodeIdType.Guid,
    "b": ua.NodeIdType.ByteString,
}
_Code = ua.StatusCodes
_TOO_MANY = (
    _Code.BadTooManyOperations,
    _Code.BadEncodingLimitsExceeded,
    _Code.BadRequestTooLarge,
    _Code.BadResponseTooLarge,
)
_DENIED = (
    _Code.BadUserAccessDenied,
    _Code.BadIdentityTokenInvalid,
    _Code.BadIdentityTokenRejected,
    _Code.BadSecurityChecksFailed,
    _Code.BadSecurityModeRejected,
    _Code.BadSecurityPolicyRejected,
    _Code.BadCertificateInvalid,
    _Code.BadCertificateUntrusted,
)
_BUSY = (_Code.BadTcpServerTooBusy, _Code.BadResourceUnavailable, _Code.BadTooManyPublishRequests)
_REFUSED = (_Code.BadUserAccessDenied, _Code.BadServiceUnsupported, _Code.BadNotSupported)
_ANSWERED_BADLY = (
    _Code.BadUnexpectedError,
    _Code.BadInternalError,
    _Code.BadDecodingError,
    _Code.BadEncodingError,
    _Code.BadTimeout,
    _Code.BadRequestHeaderInvalid,
)


class Session:
    """One channel and one session. Every method raises only what ``edge_agent.errors`` lists for drivers."""

    def __init__(self, url: str, session_timeout_s: float) -> None:
        self._client = Client(url, timeout=_LIBRARY_TIMEOUT_S, auto_reconnect=False)
        self._client.uaclient = self._transport = _Transport(_LIBRARY_TIMEOUT_S)
        self._client.name = self._client.description = "Lineside"
        self._client.application_uri = "urn:lineside:edge-agent"
        self._client.session_timeout = round(session_timeout_s * 1000)
        self._client.max_messagesize = _MESSAGE_MAX
        self._client.max_chunkcount = _CHUNKS_MAX
        self._renew_at_s = 0.0
        self._renewing = False
        self._activated = False

    async def open(self) -> None:
        client = self._client
        try:
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            self._plan_renewal()
            await client.create_session()
            await client.activate_session()
        except UaStatusCodeError as error:
            kind = LinkDenied if error.code in _DENIED else LinkLost
            raise kind(f"the server refuses the session: {error}") from error
        except OSError as error:
            raise LinkLost(f"no connection to {client.server_url.geturl()}: {error}") from error
        except _MALFORMED as error:
            if type(error) is UaError:  # the library's own refusal: no endpoint without security
                raise LinkDenied(f"the server offers no session as configured: {error}") from error
            raise LinkLost(f"what the server sent is not OPC UA: {error}", reason="mismatch") from error
        self._activated = True

    def prepare(self, nodes: Sequence[NodeAddress]) -> Any:
        """The nodes as ReadParameters: attribute Value, both time stamps."""
        return ua.ReadParameters(
            MaxAge=0,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            NodesToRead=[
                ua.ReadValueId(NodeId=_node_id(node), AttributeId=ua.AttributeIds.Value) for node in nodes
            ],
        )

    async def read(self, parameters: Any) -> Any:
        """One Read call: one DataValue per node, or None where the server finds the nodes too many."""
        protocol = self._open_protocol()
        try:
            await self._renew_channel()
            request = ua.ReadRequest(Parameters=parameters)
            data = await protocol.send_request(request)
            response = struct_from_binary(ua.ReadResponse, data)
            _check_identity(request, response)
            response.ResponseHeader.ServiceResult.check()
        except UaStatusCodeError as error:
            if error.code in _TOO_MANY:
                return None
            raise _service_fault(error) from error
        except OSError as error:
            raise LinkLost(f"the connection to the server broke: {error}") from error
        except _MALFORMED as error:
            raise BadReply(f"the server's answer cannot be read: {error}") from error
        results = response.Results or []
        if len(results) != len(parameters.NodesToRead):
            raise BadReply(
                f"asked for {len(parameters.NodesToRead)} nodes, the server answered {len(results)}"
            )
        return results

    async def close(self) -> None:
        """Says farewell if the server listens, for at most 1 s, then cuts the connection. Never raises."""
        protocol, self._transport.protocol = self._transport.protocol, None
        if not isinstance(protocol, _Protocol):
            return
        try:
            if self._activated and protocol.is_usable:
                async with asyncio.timeout(_FAREWELL_S):
                    await protocol.send_request(ua.CloseSessionRequest(DeleteSubscriptions=True))
                    await protocol.close_secure_channel()
        except (OSError, *_MALFORMED):
            pass  # the session then ends by its time-out on the server
        finally:
            self._activated = False
            await protocol.cut()

    def _open_protocol(self) -> _Protocol:
        protocol = self._transport.protocol
        if not self._activated or not isinstance(protocol, _Protocol) or not protocol.is_usable:
            raise LinkLost("the connection to the server is closed")
        if self._renewing:
            raise LinkLost("the renewal of the secure channel was not answered in time", reason="timeout")
        return protocol

    async def _renew_channel(self) -> None:
        if asyncio.get_running_loop().time() < self._renew_at_s:
            return
        self._renewing = True  # stays so if cancelled: the library cannot ask twice
        await self._client.open_secure_channel(renew=True)
        self._renewing = False
        self._plan_renewal()

    def _plan_renewal(self) -> None:
        life_s = self._client.secure_channel_timeout / 1000
        self._renew_at_s = asyncio.get_running_loop().time() + _RENEW_AT * life_s


class _Transport(UaClient):
    """asyncua's client with our protocol and a plain connect."""

    async def connect_socket(self, host: str, port: int) -> None:
        self._set_state(UaClientState.CONNECTING)
        await asyncio.get_running_loop().create_connection(self._make_protocol, host, port)
        self._set_state(UaClientState.SOCKET_OPEN)

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = _Protocol(self._timeout, security_policy=self.security_policy, limits=_Caps())
        return self.protocol


@dataclass
class _Caps(TransportLimits):
    """Ours for what is received, the lesser of ours and the server's for what is sent."""

    max_recv_buffer: int = _CHUNK_MAX
    max_send_buffer: int = _CHUNK_MAX
    max_chunk_count: int = _CHUNKS_MAX
    max_message_size: int = _MESSAGE_MAX

    def update_client_limits(self, msg: Any) -> None:
        if msg.ReceiveBufferSize:
            self.max_send_buffer = min(self.max_send_buffer, msg.ReceiveBufferSize)


class _Protocol(UASocketProtocol):
    """asyncua's protocol behind a gate: it is handed whole chunks of an allowed size only."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
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
        self._pending += data
        while len(self._pending) >= _HEADER and self.is_usable:
            (size,) = struct.unpack_from("<I", self._pending, 4)
            if not _HEADER < size <= _CHUNK_MAX:
                self._abort()
                return
            if len(self._pending) < size:
                return
            chunk = bytes(self._pending[:size])
            del self._pending[:size]
            super().data_received(chunk)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> Any:
        """As the library's, but with our buffer size instead of 2 GB."""
        hello = ua.Hello(
            ReceiveBufferSize=_CHUNK_MAX,
            SendBufferSize=_CHUNK_MAX,
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

    async def cut(self) -> None:
        """Ends the connection without waiting for the peer."""
        if self.state is UASocketState.OPEN:
            self._abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_S):
                    await self._gone.wait()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _node_id(node: NodeAddress) -> Any:
    if node.uri is not None:
        raise Refused(f"{node} was planned before the server's namespaces were known")
    return ua.NodeId(node.identifier, node.index, _KIND[node.kind])


def _check_identity(request: Any, response: Any) -> None:
    if response.TypeId.Identifier != ua.ObjectIds.ReadResponse_Encoding_DefaultBinary:
        raise BadReply(f"the server answered with message {response.TypeId.Identifier} instead of a read")
    if response.ResponseHeader.RequestHandle != request.RequestHeader.RequestHandle:
        raise BadReply("the server's answer belongs to another request")


def _service_fault(error: Any) -> DriverError:
    """What a failed call asks of the caller. Whatever is not known to spare the session has ended it."""
    if error.code in _REFUSED:
        return Refused(f"the server refuses the read: {error}")
    if error.code in _BUSY:
        return Busy(f"the server has no resources free: {error}")
    if error.code in _ANSWERED_BADLY:
        return BadReply(f"the server failed to read: {error}")
    return LinkLost(f"the session is over: {error}")
