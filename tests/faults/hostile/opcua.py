"""OPC UA as a hostile server speaks it, without security. Node ``ns=1;i=n`` is slot ``n``.

Chunks and their headers are written here; the bodies of messages by asyncua's types, which is what a message
is, not how an exchange is held: of its client and server nothing is used.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from asyncua import ua as typed_ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary

from tests.faults.hostile import stamps
from tests.faults.hostile.behaviours import Behaviour
from tests.faults.hostile.frames import Nonsense, Question, Stream, noise

ua: Any = typed_ua

URI = "urn:lineside:hostile"
_CHANNEL, _TOKEN = 7, 11
_NONE = "http://opcfoundation.org/UA/SecurityPolicy#None"
_NAMESPACES = 2255


class OpcuaTalk(Stream):
    in_order = False

    def __init__(self, link: int) -> None:
        super().__init__(link)
        self._sequence = itertools.count(1)
        self._url = ""
        self._services: dict[str, Callable[[Any], Any]] = {
            "GetEndpointsRequest": self._get_endpoints,
            "CreateSessionRequest": self._create_session,
            "ActivateSessionRequest": self._activate_session,
            "WriteRequest": self._write,
            "CloseSessionRequest": lambda request: ua.CloseSessionResponse(),
        }

    def feed(self, data: bytes) -> Iterator[bytes | Question]:
        self._buffer += data
        while len(self._buffer) >= 8:
            (size,) = struct.unpack_from("<I", self._buffer, 4)
            if not 8 < size <= 65_536:
                raise Nonsense
            if len(self._buffer) < size:
                return
            chunk, self._buffer = self._buffer[:size], self._buffer[size:]
            reply = self._take(chunk[:3], chunk[8:])
            if reply is not None:
                yield reply

    def next_number(self) -> int:
        """Of the next chunk's sequence header."""
        return next(self._sequence)

    def chunk(
        self, response: Any, request_id: int, *, kind: bytes = b"MSG", channel: int = _CHANNEL
    ) -> bytes:
        """One message in one chunk."""
        head = struct.pack("<I", channel)
        head += _asymmetric() if kind == b"OPN" else struct.pack("<I", _TOKEN)
        head += struct.pack("<II", self.next_number(), request_id & 0xFFFF_FFFF)
        body = head + struct_to_binary(response)
        return kind + b"F" + struct.pack("<I", 8 + len(body)) + body

    def _take(self, kind: bytes, body: bytes) -> bytes | Question | None:
        if kind == b"HEL":
            (length,) = struct.unpack_from("<i", body, 20)
            self._url = body[24 : 24 + length].decode()
            return b"ACKF" + struct.pack("<IIIIII", 28, 0, 65_535, 65_535, 4_194_304, 64)
        if kind == b"OPN":
            at = 4
            for _ in range(3):
                (length,) = struct.unpack_from("<i", body, at)
                at += 4 + max(0, length)
            return self._open_channel(body[at:])
        if kind == b"CLO":
            return None
        if kind != b"MSG":
            raise Nonsense
        return self._message(body[8:])

    def _open_channel(self, body: bytes) -> bytes:
        request = struct_from_binary(ua.OpenSecureChannelRequest, Buffer(body[8:]))
        token = ua.ChannelSecurityToken()
        token.ChannelId, token.TokenId, token.RevisedLifetime = _CHANNEL, _TOKEN, 3_600_000
        response = ua.OpenSecureChannelResponse()
        response.Parameters.SecurityToken = token
        response.Parameters.ServerNonce = b"\0"
        return self.chunk(_to(request, response), *struct.unpack_from("<I", body, 4), kind=b"OPN")

    def _message(self, body: bytes) -> bytes | Question:
        (request_id,) = struct.unpack_from("<I", body, 4)
        type_id = nodeid_from_binary(Buffer(body[8:]))
        kind = ua.extension_objects_by_typeid.get(type_id)
        name = "" if kind is None else kind.__name__
        request = None if kind is None else struct_from_binary(kind, Buffer(body[8:]))
        if request is not None and name == "ReadRequest":
            nodes = request.Parameters.NodesToRead
            if all(node.NodeId.NamespaceIndex == 1 for node in nodes):
                return _Question(self, self._link, request_id, request)
            return self.chunk(_to(request, read_response([_server_node(node) for node in nodes])), request_id)
        if name in self._services:
            return self.chunk(_to(request, self._services[name](request)), request_id)
        fault = ua.ServiceFault()
        fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadServiceUnsupported)
        return self.chunk(_to(request, fault), request_id)

    def _endpoints(self) -> list[Any]:
        anonymous = ua.UserTokenPolicy()
        anonymous.PolicyId, anonymous.TokenType = "anonymous", ua.UserTokenType.Anonymous
        endpoint = ua.EndpointDescription()
        endpoint.EndpointUrl = self._url
        endpoint.SecurityMode = ua.MessageSecurityMode.None_
        endpoint.SecurityPolicyUri = _NONE
        endpoint.UserIdentityTokens = [anonymous]
        endpoint.TransportProfileUri = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
        return [endpoint]

    def _get_endpoints(self, request: Any) -> Any:
        response = ua.GetEndpointsResponse()
        response.Endpoints = self._endpoints()
        return response

    def _create_session(self, request: Any) -> Any:
        response = ua.CreateSessionResponse()
        result = response.Parameters
        result.SessionId, result.AuthenticationToken = ua.NodeId(1, 1), ua.NodeId(2, 1)
        result.RevisedSessionTimeout = request.Parameters.RequestedSessionTimeout
        result.ServerNonce = bytes(32)
        result.ServerEndpoints = self._endpoints()
        return response

    def _write(self, request: Any) -> Any:
        """Says that it took effect."""
        response = ua.WriteResponse()
        response.Results = [ua.StatusCode(0) for _ in request.Parameters.NodesToWrite]
        return response

    def _activate_session(self, request: Any) -> Any:
        response = ua.ActivateSessionResponse()
        response.Parameters.ServerNonce = bytes(32)
        return response


class _Question:
    def __init__(self, talk: OpcuaTalk, link: int, request_id: int, request: Any) -> None:
        self._talk = talk
        self._link = link
        self._id = request_id
        self._request = request
        self._slots = [node.NodeId.Identifier for node in request.Parameters.NodesToRead]
        self._stamp = stamps.now()

    def answer(self, behaviour: Behaviour, chance: Random) -> bytes:
        slots = self._slots
        match behaviour:
            case Behaviour.SHORT:
                return self._frame(slots[:-1])
            case Behaviour.LONG:
                return self._frame([*slots, slots[0]])
            case Behaviour.FOREIGN:
                others = [slot + 50 for slot in slots]
                if chance.random() < 0.5:
                    wrong = self._frame(others, step=chance.choice([-1, 1, 256]))
                else:
                    wrong = self._frame(others, handle=chance.choice([-1, 1, 256]))
            case Behaviour.UNIT:
                wrong = self._frame([slot + 50 for slot in slots], channel=chance.choice([0, 8, 0xFFFF_FFFF]))
            case Behaviour.FUNCTION:
                wrong = self._frame(slots, function=True)
            case Behaviour.HUGE:
                size = chance.choice([0x7FFF_FFFF, 0xFFFF_FFFF, 65_536, 10_000_000])
                return b"MSGF" + struct.pack("<III", size, _CHANNEL, _TOKEN) + noise(chance, 200_000)
            case Behaviour.FLOOD:
                return self._flood(chance)
            case _:
                return self._frame(slots)
        return wrong + (self._frame(slots) if chance.random() < 0.5 else b"")

    def _frame(
        self,
        slots: list[int],
        *,
        step: int = 0,
        handle: int = 0,
        channel: int = _CHANNEL,
        function: bool = False,
    ) -> bytes:
        words = [stamps.word(stamps.place(self._link, 0, slot), self._stamp) for slot in slots]
        if function:
            response = ua.WriteResponse()
            response.Results = [ua.StatusCode(0) for _ in words]
        else:
            response = read_response(
                [ua.DataValue(ua.Variant(word, ua.VariantType.UInt64)) for word in words]
            )
        response.ResponseHeader.RequestHandle = (
            self._request.RequestHeader.RequestHandle + handle & 0xFFFF_FFFF
        )
        return self._talk.chunk(response, self._id + step, channel=channel)

    def _flood(self, chance: Random) -> bytes:
        """Noise; chunks of a message that never ends; or whole answers to requests that were never sent."""
        kind = chance.randrange(3)
        if kind == 0:
            return noise(chance, 262_144)
        frame = self._frame(self._slots, step=1000)
        if kind == 1:
            frame = b"MSGC" + frame[4:20] + struct.pack("<I", self._id) + frame[24:]
        return frame * (262_144 // len(frame) // chance.randrange(1, 8))


def read_response(results: list[Any]) -> Any:
    response = ua.ReadResponse()
    response.Results = results
    return response


def _server_node(node: Any) -> Any:
    if node.NodeId.Identifier == _NAMESPACES:
        table = ["http://opcfoundation.org/UA/", URI]
        return ua.DataValue(ua.Variant(table, ua.VariantType.String))
    return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))


def _to(request: Any, response: Any) -> Any:
    """``response`` marked as the answer to ``request``."""
    if request is not None:
        response.ResponseHeader.RequestHandle = request.RequestHeader.RequestHandle
    return response


def _asymmetric() -> bytes:
    policy = _NONE.encode()
    return struct.pack("<i", len(policy)) + policy + struct.pack("<ii", -1, -1)
