"""One ISO connection to one CPU. See ``edge_agent.driver`` for who calls what and when.

Every reply is known by its PDU reference: one that belongs to no waiting request, because that request's
deadline had passed or because nobody asked, is dropped. Nothing here has a time-out of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from drivers.s7 import frames
from drivers.s7.endpoint import endpoint
from drivers.s7.pdu import (
    SMALLEST,
    parse_read,
    parse_setup,
    reference_of,
    setup_request,
    with_reference,
)
from drivers.s7.plan import Body, Limits, lesson
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, LinkLost, Replan
from edge_agent.model import Quality

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

_STRAYS_MAX = 100  # PDUs nobody asked for, during one wait; more is a peer that babbles
_UNSENT_MAX = 65_536


class S7Link:
    """Meets ``edge_agent.driver.Link``; one object per connection attempt. ``open_link`` of the plug-in."""

    def __init__(self, settings: S7Settings) -> None:
        self._settings = settings
        self._wire: _Wire | None = None
        self._limits: Limits | None = None
        self._reference = 0

    async def connect(self) -> None:
        """TCP, then the COTP connection to connection type, rack and slot. Raises LinkLost."""
        settings = self._settings
        host, port = endpoint(settings)
        wire = self._wire = _Wire()
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
        except OSError as error:
            raise LinkLost(f"no connection to {host}:{port}: {error}") from error
        request = frames.connect_request(settings.connection, settings.rack, settings.slot)
        try:
            confirm = await wire.ask(request, None)
        except LinkLost as error:
            asked = f"rack {settings.rack}, slot {settings.slot}, connection {settings.connection}"
            raise LinkLost(f"{error}; asked for {asked}", reason=error.reason) from error
        wire.tpdu_size = frames.tpdu_size(confirm)

    async def enrol(self, station: S7Settings) -> Limits:
        """Setup Communication, once per connection: its result holds for every device on it."""
        wire = self._require_wire()
        if self._limits is None:
            reference = self._next_reference()
            pdu = setup_request(reference, self._settings.pdu)
            granted, jobs = parse_setup(await wire.ask(frames.wrap(pdu, wire.tpdu_size), reference))
            if granted < SMALLEST:
                raise BadReply(f"the controller grants PDUs of {granted} bytes; {SMALLEST} is the least")
            self._limits = Limits(min(granted, self._settings.pdu), jobs)
            wire.frames.limit = self._limits.pdu
        return self._limits

    async def exchange(self, request: Request) -> tuple[bytes | Quality, ...]:
        """One Read Var. Returns per item its bytes, exactly as many as asked, or the quality of its failure.

        Raises Replan where a merged range was refused as a whole, or where the plan was made for longer PDUs
        than this connection has.
        """
        wire, body = self._require_wire(), request.body
        if self._limits is None:
            raise LinkLost("a request before Setup Communication")
        if body.pdu_needed > self._limits.pdu:
            text = f"planned for PDUs of {body.pdu_needed} bytes, the controller grants {self._limits.pdu}"
            raise Replan(text, body.learned)
        reference = self._next_reference()
        pdu = with_reference(body.pdu, reference)
        reply = await wire.ask(frames.wrap(pdu, wire.tpdu_size), reference)
        results = parse_read(reply, body.lengths)
        _learn(body, results)
        return results

    async def prove(self, station: Any, reserved: Reserved) -> None:
        """Nothing to prove: replies carry the reference of their request."""

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()

    def _require_wire(self) -> _Wire:
        if self._wire is None:
            raise LinkLost("the link is not connected")
        return self._wire

    def _next_reference(self) -> int:
        self._reference = self._reference % 0xFFFF + 1
        return self._reference


class _Wire(asyncio.Protocol):
    """The TCP connection: at most one waiting question, and the first reason why it was lost."""

    def __init__(self) -> None:
        self.frames = frames.Reassembler()
        self.tpdu_size = 1024
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] | None = None
        self._lost: str | None = None
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
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _UNSENT_MAX:
            self._lose(LinkLost("the controller takes nothing any more"))
        try:
            return await answer
        finally:
            self._question = None
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, even if a cancellation overtook it

    async def close(self) -> None:
        self._lose(LinkLost("the link was closed"))
        if self._closed is not None:
            await asyncio.shield(self._closed)  # abort() needs one turn of the loop, no network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        try:
            for tpdu in self.frames.feed(data):
                self._take(tpdu)
                if self._lost is not None:
                    return
        except LinkLost as error:
            self._lose(error)

    def eof_received(self) -> None:
        self._lose(LinkLost("the controller closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(LinkLost(f"the connection broke: {exc}" if exc else "the connection was closed"))
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _take(self, tpdu: frames.Tpdu) -> None:
        reference = None
        if tpdu.kind == frames.DATA:
            reference = reference_of(tpdu.payload)
            if reference is None:
                raise LinkLost("what the controller sent is not S7", reason="mismatch")
        if self._question is not None and self._question[0] == reference and not self._question[1].done():
            self._question[1].set_result(tpdu.payload)
            return
        self._strays += 1
        if self._strays > _STRAYS_MAX:
            raise LinkLost("the controller keeps sending what nobody asked for", reason="mismatch")

    def _lose(self, error: LinkLost) -> None:
        if self._lost is None:
            self._lost, self._lost_reason = str(error), error.reason
        if self._transport is not None:
            self._transport.abort()
        if self._question is not None and not self._question[1].done():
            self._question[1].set_exception(error)

    def _loss(self) -> LinkLost:
        return LinkLost(self._lost or "the link is not connected", reason=self._lost_reason)


def _learn(body: Body, results: tuple[bytes | Quality, ...]) -> None:
    """Raises Replan if a range of several values was refused: a bad address must not take its neighbours."""
    refused = [
        item for item, result in zip(body.items, results, strict=True) if result is Quality.BAD_ADDRESS
    ]
    cuts = lesson(refused)
    if cuts:
        names = ", ".join(str(item) for item in refused)
        raise Replan(f"the controller has no {names} as a whole", body.learned | cuts)
