"""One channel and one session with a server, on asyncua's low level. The only way in which the rest of the
driver talks to a server. Imports asyncua.

asyncua's supervisor, stale-subscription watchdog, publish loop and renewal task are never started: the
channel is renewed by the first call after 75 % of its life, subscriptions have a loop in ``publishing``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncua.client.client import Client
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from drivers.opcua.address import NodeAddress
from drivers.opcua.faults import MALFORMED, TOO_MANY, TooMany, refused_session, service_fault, ua
from drivers.opcua.security import Credentials, Secured
from drivers.opcua.transport import CHUNKS_MAX, LIBRARY_TIMEOUT_S, MESSAGE_MAX, Protocol, Transport
from edge_agent.driver import Trace
from edge_agent.errors import BadReply, LinkDenied, LinkLost, Refused, words_of
from edge_agent.settings import Text

_FAREWELL_S = 1.0
_RENEW_AT = 0.75
_NOT_RENEWED = "the renewal of the secure channel was not answered in time"
_KIND = {
    "i": ua.NodeIdType.Numeric,
    "s": ua.NodeIdType.String,
    "g": ua.NodeIdType.Guid,
    "b": ua.NodeIdType.ByteString,
}


class Session:
    """Every method raises only what ``edge_agent.errors`` lists for drivers, and ``TooMany``."""

    def __init__(self, url: str, session_timeout_s: float, credentials: Credentials | None = None) -> None:
        self._credentials = credentials or Credentials()
        self.secured = Secured()
        self._client = self._new_client(url)
        self._client.session_timeout = round(session_timeout_s * 1000)
        self._transport: Transport = self._client.uaclient
        self._renew_at_s = 0.0
        self._renewing = False
        self._renewal = asyncio.Lock()
        self._activated = False
        self._broken: LinkLost | None = None

    def trace_to(self, trace: Trace | None) -> None:
        """Where requests and responses are told; see ``tracing``."""
        self._transport.trace = trace

    async def open(self) -> None:
        """With a security policy: asks for the endpoints on a connection of its own, without a session; then
        connects only if the one configured is offered with a certificate that is trusted here."""
        client = self._client
        try:
            if self._credentials.policy is not None:
                self.secured = await self._credentials.secure(client, await self._endpoints())
            client.application_uri = self.secured.application_uri or self._credentials.application_uri()
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            self._plan_renewal()
            await client.create_session()
            await client.activate_session(**self._credentials.identify(client))
        except UaStatusCodeError as error:
            raise refused_session(error, self.secured.own_file) from error
        except OSError as error:
            raise LinkLost(
                Text(
                    f"no connection to {client.server_url.geturl()}: {error}",
                    f"无法连接 {client.server_url.geturl()}：{words_of(error).zh}",
                )
            ) from error
        except MALFORMED as error:
            raise self._misunderstanding(error) from error
        self._activated = True

    async def offers(self) -> list[Any]:
        """The server's endpoints (EndpointDescription), asked without a session."""
        try:
            return list(await self._endpoints() or ())
        except OSError as error:
            raise LinkLost(
                Text(
                    f"no connection to {self._client.server_url.geturl()}: {error}",
                    f"无法连接 {self._client.server_url.geturl()}：{words_of(error).zh}",
                )
            ) from error
        except MALFORMED as error:
            raise self._misunderstanding(error) from error

    async def call(self, request: Any, answer: type[Any], what: str) -> Any:
        """One service call: the response, checked to be the one to this request and good as a whole. Raises
        TooMany, and the errors of ``Link.exchange``."""
        protocol = self._open_protocol()
        try:
            await self._renew_channel()
            data = await protocol.send_request(request)
            response = read_response(request, answer, data)
            response.ResponseHeader.ServiceResult.check()
        except UaStatusCodeError as error:
            if error.code in TOO_MANY:
                raise TooMany(str(error)) from error
            raise service_fault(error, what) from error
        except OSError as error:
            raise self._broken or LinkLost(
                Text(
                    f"the connection to the server broke: {error}",
                    f"与服务器的连接中断：{words_of(error).zh}",
                )
            ) from error
        except MALFORMED as error:
            raise BadReply(
                Text(f"the server's answer cannot be read: {error}", f"无法解读服务器的应答：{error}")
            ) from error
        return response

    def post(self, request: Any) -> asyncio.Future[Any]:
        """Sends now; the future gives the answer's bytes, for ``read_response``. Raises LinkLost."""
        try:
            return self._open_protocol(while_renewing=True).post(request)
        except OSError as error:
            raise LinkLost(
                Text(
                    f"the connection to the server broke: {error}",
                    f"与服务器的连接中断：{words_of(error).zh}",
                )
            ) from error

    def prepare(self, nodes: Sequence[NodeAddress], attribute: int | None = None) -> Any:
        """The nodes as ReadParameters: one attribute (Value) of each, both time stamps."""
        return ua.ReadParameters(
            MaxAge=0,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            NodesToRead=[
                ua.ReadValueId(NodeId=node_id(node), AttributeId=attribute or ua.AttributeIds.Value)
                for node in nodes
            ],
        )

    async def read(self, parameters: Any) -> Any:
        """One Read call: one DataValue per node, or None where the server finds the nodes too many."""
        try:
            response = await self.call(ua.ReadRequest(Parameters=parameters), ua.ReadResponse, "read")
        except TooMany:
            return None
        results = response.Results or []
        if len(results) != len(parameters.NodesToRead):
            raise BadReply(
                f"asked for {len(parameters.NodesToRead)} nodes, the server answered {len(results)}"
            )
        return results

    def break_off(self, error: LinkLost) -> None:
        """What waits or is asked from now on gets that error. The connection stays for ``close`` to say
        farewell on, or the server would keep the session."""
        self._broken = self._broken or error
        if isinstance(self._transport.protocol, Protocol):
            self._transport.protocol.give_up()

    async def close(self) -> None:
        """Says farewell if the server listens, for at most 1 s, then cuts the connection. Never raises."""
        protocol, self._transport.protocol = self._transport.protocol, None
        if not isinstance(protocol, Protocol):
            return
        try:
            if self._activated and protocol.is_usable:
                async with asyncio.timeout(_FAREWELL_S):
                    await protocol.send_request(ua.CloseSessionRequest(DeleteSubscriptions=True))
                    await protocol.close_secure_channel()
        except (OSError, LinkLost, *MALFORMED):
            pass  # the session then ends by its time-out on the server
        finally:
            self._activated = False
            await protocol.cut()

    @property
    def renewal_in_s(self) -> float:
        """How long until the channel is to be renewed; negative when that is due."""
        return self._renew_at_s - asyncio.get_running_loop().time()

    async def renew_if_due(self) -> None:
        """For whoever keeps a session alive without calls of its own. Raises as ``call``."""
        self._open_protocol()
        try:
            await self._renew_channel()
        except OSError as error:
            raise LinkLost(
                Text(
                    f"the connection to the server broke: {error}",
                    f"与服务器的连接中断：{words_of(error).zh}",
                )
            ) from error
        except MALFORMED as error:
            raise LinkLost(
                Text(f"the secure channel could not be renewed: {error}", f"安全通道无法续期：{error}")
            ) from error

    async def _endpoints(self) -> Any:
        """What the server offers, asked on an unsecured channel: nothing in it is believed before the
        certificate is found trusted and the secured session has said the same again."""
        client = self._new_client(self._client.server_url.geturl())
        try:
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            return await client.get_endpoints()
        finally:
            if isinstance(client.uaclient.protocol, Protocol):
                client.uaclient.protocol.abort()

    def _new_client(self, url: str) -> Any:
        client = Client(url, timeout=LIBRARY_TIMEOUT_S, auto_reconnect=False)
        client.uaclient = Transport()
        client.name = client.description = "Lineside"
        client.product_uri = "urn:lineside:edge-agent"
        client.max_messagesize = MESSAGE_MAX
        client.max_chunkcount = CHUNKS_MAX
        return client

    def _misunderstanding(self, error: Exception) -> LinkLost:
        if type(error) is UaError:  # the library's own refusal: no such endpoint, another certificate
            return LinkDenied(
                Text(
                    f"the server offers no session as configured: {error}",
                    f"服务器不提供所配置的会话：{error}",
                )
            )
        if self.secured.own_file and not isinstance(error, UaError | ValueError | TypeError | LookupError):
            return LinkDenied(
                Text(
                    f"the server cannot prove who it is: {type(error).__name__}",
                    f"服务器无法证明身份：{type(error).__name__}",
                ),
                reason="cert",
            )
        return LinkLost(
            Text(f"what the server sent is not OPC UA: {error}", f"收到的不是 OPC UA 报文：{error}"),
            reason="mismatch",
        )

    def _open_protocol(self, while_renewing: bool = False) -> Protocol:
        if self._broken is not None:
            raise LinkLost(self._broken.text, reason=self._broken.reason)
        protocol = self._transport.protocol
        if not self._activated or not isinstance(protocol, Protocol) or not protocol.is_usable:
            raise LinkLost(Text("the connection to the server is closed", "与服务器的连接已关闭"))
        if self._renewing and not self._renewal.locked() and not while_renewing:
            raise LinkLost(_NOT_RENEWED, reason="timeout")
        return protocol

    async def _renew_channel(self) -> None:
        if self.renewal_in_s > 0:
            return
        async with self._renewal:
            if self.renewal_in_s > 0:
                return
            if self._renewing:
                raise LinkLost(_NOT_RENEWED, reason="timeout")
            self._renewing = True  # stays so if cancelled: the library cannot ask twice
            await self._client.open_secure_channel(renew=True)
            self._renewing = False
            self._plan_renewal()

    def _plan_renewal(self) -> None:
        life_s = self._client.secure_channel_timeout / 1000
        self._renew_at_s = asyncio.get_running_loop().time() + _RENEW_AT * life_s


def node_id(node: NodeAddress) -> Any:
    """Raises Refused for one whose namespace was not resolved."""
    if node.uri is not None:
        raise Refused(f"{node} was planned before the server's namespaces were known")
    return ua.NodeId(node.identifier, node.index, _KIND[node.kind])


def read_response(request: Any, answer: type[Any], data: Any) -> Any:
    """The response in an answer's bytes. Raises BadReply where it is not the one to that request."""
    expected, found = answer().TypeId.Identifier, nodeid_from_binary(data.copy()).Identifier
    if found != expected:
        raise BadReply(f"the server answered with message {found!r} instead of {expected!r}")
    response = struct_from_binary(answer, data)
    if response.ResponseHeader.RequestHandle != request.RequestHeader.RequestHandle:
        raise BadReply("the server's answer belongs to another request")
    return response
