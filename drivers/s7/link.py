"""One ISO connection to one CPU. See ``edge_agent.driver`` for who calls what and when.

Every reply is known by its PDU reference; see ``wire``. Nothing here has a time-out of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from drivers.s7 import cpu_state, frames
from drivers.s7.codec import Reply
from drivers.s7.cpu_state import CpuState
from drivers.s7.endpoint import endpoint
from drivers.s7.packing import lesson
from drivers.s7.pdu import (
    SMALLEST,
    Range,
    parse_read,
    parse_setup,
    parse_write,
    read_request,
    setup_request,
    with_reference,
)
from drivers.s7.plan import Body, Impossible, Limits, StateQuestion
from drivers.s7.wire import NOT_CONNECTED, Wire
from drivers.s7.write import write_pdu
from edge_agent.driver import Request, Reserved, Trace
from edge_agent.errors import BadReply, LinkLost, Refused, Replan, words_of
from edge_agent.model import Quality, Tag, Value
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

_MUTE_S = 60.0  # until a CPU that did not tell its state is asked for it again
_ANY_BYTE = read_request([Range("M", 0, 0, 1)])

NO_ANSWER = Text("no answer in time", "未及时应答")


class S7Link:
    """Meets ``edge_agent.driver.Link`` and ``Writer``; one object per connection attempt. ``open_link`` of
    the plug-in."""

    def __init__(self, settings: S7Settings) -> None:
        self._settings = settings
        self._wire: Wire | None = None
        self._trace: Trace | None = None
        self._limits: Limits | None = None
        self._reference = 0
        self._answered = False  # the last thing that was asked
        self._cpu = CpuState.UNKNOWN
        self._cpu_due_s = 0.0

    @property
    def trace(self) -> Trace | None:
        """See ``edge_agent.driver.Tracer``; frames are ISO-on-TCP packets."""
        return self._trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._trace = trace
        if self._wire is not None:
            self._wire.trace = trace

    async def connect(self) -> None:
        """TCP, then the COTP connection to connection type, rack and slot. Raises LinkLost."""
        settings = self._settings
        host, port = endpoint(settings)
        wire = self._wire = Wire()
        wire.trace = self._trace
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: what cannot be a host name
            raise LinkLost(
                Text(
                    f"no connection to {host}:{port}: {error}",
                    f"无法连接 {host}:{port}：{words_of(error).zh}",
                )
            ) from error
        request = frames.connect_request(settings.connection, settings.rack, settings.slot)
        try:
            confirm = await wire.ask(request, None)
        except LinkLost as error:
            asked = f"rack {settings.rack}, slot {settings.slot}, connection {settings.connection}"
            words = Text(f"{error}; asked for {asked}", f"{error.text.zh}；请求的是 {asked}")
            raise LinkLost(words, reason=error.reason) from error
        wire.tpdu_size = frames.tpdu_size(confirm)

    async def enrol(self, station: S7Settings) -> Limits:
        """Setup Communication, once per connection: its result holds for every device on it."""
        wire = self._require_wire()
        if self._limits is None:
            granted, jobs = parse_setup(await self._ask(wire, setup_request(0, self._settings.pdu)))
            if granted < SMALLEST:
                raise BadReply(
                    Text(
                        f"the controller grants PDUs of {granted} bytes; {SMALLEST} is the least",
                        f"控制器允许的 PDU 为 {granted} 字节，至少需要 {SMALLEST}",
                    )
                )
            self._limits = Limits(min(granted, self._settings.pdu), jobs)
            wire.frames.limit = self._limits.pdu
        return self._limits

    async def exchange(self, request: Request) -> Reply:
        """One Read Var, or the question after the CPU's state. Returns per item its bytes, exactly as many as
        asked, or the quality of its failure.

        Raises Replan where a merged range was refused as a whole, or where the plan was made for longer PDUs
        than this connection has; Refused where this connection cannot carry what is asked.
        """
        wire, limits, body = self._require_wire(), self._require_limits(), request.body
        if isinstance(body, StateQuestion):
            return Reply((), await self._cpu_state(wire))
        if isinstance(body, Impossible):
            raise Refused(body.why, reason="permission")
        if body.pdu_needed > limits.pdu:
            text = f"planned for PDUs of {body.pdu_needed} bytes, the controller grants {limits.pdu}"
            raise Replan(text, body.learned)
        results = parse_read(await self._ask(wire, body.pdu), body.lengths)
        _learn(body, results)
        return Reply(results, self._cpu)

    async def write(self, station: S7Settings, tag: Tag, raw: Value) -> None:
        """One Write Var. Refused as in ``edge_agent.driver.Writer``, and where the controller says so."""
        wire, limits = self._require_wire(), self._require_limits()
        pdu = write_pdu(station, tag, raw)
        if len(pdu) > limits.pdu:
            raise Refused(f"{tag.name}: longer than one request of this controller", reason="permission")
        parse_write(await self._ask(wire, pdu))

    async def ask(self, pdu: bytes) -> bytes:
        """For commissioning: one round trip of a PDU that reads; its reference is set here."""
        return await self._ask(self._require_wire(), pdu)

    async def prove(self, station: Any, reserved: Reserved) -> None:
        """Nothing to prove: replies carry the reference of their request."""

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()

    async def _cpu_state(self, wire: Wire) -> CpuState:
        """The CPU's state, at most ``cpu_state`` seconds old.

        In between it is given from memory, without a round trip; but never for a controller whose last reply
        is missing, because the caller counts every return as a sign of life: that one is asked for a byte of
        its memory, which every controller answers in some way.
        """
        if not self._answered:
            await self._ask(wire, _ANY_BYTE)
            return self._cpu
        now = asyncio.get_running_loop().time()
        if now < self._cpu_due_s:
            return self._cpu
        known = self._cpu is not CpuState.UNKNOWN
        self._cpu_due_s = now + (self._settings.cpu_state if known else _MUTE_S)  # also if no answer comes
        self._cpu = cpu_state.parse(await self._ask(wire, cpu_state.request(0)))
        if self._cpu is not CpuState.UNKNOWN:
            self._cpu_due_s = asyncio.get_running_loop().time() + self._settings.cpu_state
        return self._cpu

    async def _ask(self, wire: Wire, pdu: bytes) -> bytes:
        """One round trip: the PDU goes out under a reference of its own."""
        self._answered = False
        reference = self._next_reference()
        reply = await wire.ask(frames.wrap(with_reference(pdu, reference), wire.tpdu_size), reference)
        self._answered = True
        return reply

    def _require_wire(self) -> Wire:
        if self._wire is None:
            raise LinkLost(NOT_CONNECTED)
        return self._wire

    def _require_limits(self) -> Limits:
        if self._limits is None:
            raise LinkLost("a request before Setup Communication")
        return self._limits

    def _next_reference(self) -> int:
        self._reference = self._reference % 0xFFFF + 1
        return self._reference


def _learn(body: Body, results: tuple[bytes | Quality, ...]) -> None:
    """Raises Replan if a range of several values was refused: a bad address must not take its neighbours."""
    refused = [
        item for item, result in zip(body.items, results, strict=True) if result is Quality.BAD_ADDRESS
    ]
    cuts = lesson(refused)
    if cuts:
        names = ", ".join(str(item) for item in refused)
        raise Replan(f"the controller has no {names} as a whole", body.learned | cuts)
