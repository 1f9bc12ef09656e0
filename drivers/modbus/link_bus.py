"""One bus of Modbus RTU or ASCII: a serial port of this computer, or one behind a gateway on TCP.

Frames here carry no transaction id. Four rules take its place:

- what came before a request was sent cannot be its answer: it is thrown away and counted;
- a reply is taken only if station, function, byte count and length are those of the request, and its checksum
  is right. Anything else from the station asked is ``BadReply``; an exception is told by its meaning;
- frames of other stations are not our business: another master on the bus, a late reply of a neighbour. They
  are skipped and counted, nobody is distrusted for them and the port stays open;
- after a request that got no fitting answer its station is in doubt, and nothing of it is believed until it
  has proved itself (``link_trust``). The link remembers that itself, however its exchange ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING

from drivers.modbus.cost import is_serial, silence_s
from drivers.modbus.endpoint import Limits, endpoint, limits_of
from drivers.modbus.framing import AsciiFraming, Framing, RtuFraming
from drivers.modbus.link_errors import NOT_CONNECTED, Verdicts, about
from drivers.modbus.link_trust import Probe, Trust
from drivers.modbus.link_wire import TcpWire, Wire
from drivers.modbus.serial_port import SerialWire
from drivers.modbus.write import write_request
from edge_agent.driver import Request, Reserved, Trace
from edge_agent.errors import BadReply, DriverError, LinkLost, StationSilent, Unproven
from edge_agent.model import Tag, Value
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.request import Read
    from drivers.modbus.settings import ModbusSettings
    from drivers.modbus.write import Write

QUIET_SERIAL_S = 0.05  # longer than a USB adapter keeps bytes back, and than 5 characters at 1200 baud
QUIET_TCP_S = 0.15
DRAIN_S = 0.02
DRAIN_MOST_S = 0.1
FLOOD = 65536  # bytes without a frame: whatever is connected there, it does not speak this protocol

Verdict = bytes | DriverError | None
"""The reply's data, what is wrong, or None: not an answer, wait on."""
_DAMAGED = Text("a reply with a wrong checksum", "应答的校验码错误")
_NO_GATEWAY = Text("this is not a gateway for serial frames", "这不是透传串口报文的网关")
_UNPROVEN = Text(
    "a request is without its answer: the station must prove itself first",
    "有请求尚无应答：该站须先通过验证",
)


class _Question:
    """A request on its way."""

    __slots__ = ("judge", "station", "waiter")

    def __init__(
        self, station: int, judge: Callable[[bytes], Verdict], waiter: asyncio.Future[bytes]
    ) -> None:
        self.station = station
        self.judge = judge
        self.waiter = waiter


class ModbusBusLink:
    """Meets ``edge_agent.driver.Link`` and ``Writer``. ``foreign``: frames that were not for us, ``late``:
    frames of our stations that nobody waited for, ``stale_bytes``: what lay there before a request."""

    def __init__(self, settings: ModbusSettings) -> None:
        where = endpoint(settings.link)
        self._name = where.place
        self._serial = is_serial(settings.link)
        self._framing: Framing = RtuFraming() if where.framing == "rtu" else AsciiFraming()
        self._wire: Wire = SerialWire(where.device, settings) if self._serial else TcpWire(where)
        silence = silence_s(settings) if self._serial else 0.0
        self._pause_s = max(silence, settings.turnaround)
        self._character_s = 11 / (settings.baud or 9600) if self._serial else 0.0
        self._quiet_s = max(QUIET_SERIAL_S, 2 * silence) if self._serial else QUIET_TCP_S
        self._echoes = settings.local_echo
        self._echo = b""
        self._heard_echo = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loss: LinkLost | None = None
        self._open = False
        self._busy_until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._question: _Question | None = None
        self._trusts: dict[int, Trust] = {}
        self._verdicts = Verdicts(self._name)
        self._garbage = 0
        self.foreign = self.late = self.stale_bytes = 0
        self.trace: Trace | None = None

    @property
    def garbage(self) -> int:
        """Bytes so far that were part of no sound frame."""
        return self._framing.garbage

    # The contract

    async def connect(self) -> None:
        """LinkLost; where a serial port is held, its text says by whom."""
        self._loop = asyncio.get_running_loop()
        await self._wire.open(self._received, self._gone)
        self._open = self._loss is None

    async def enrol(self, station: ModbusSettings) -> Limits:
        """The configured limits: Modbus negotiates nothing, so there is no I/O."""
        self._trust(station.station)
        return limits_of(station)

    async def exchange(self, request: Request) -> bytes:
        """The data bytes of the reply, after its byte count: exactly as many as were asked for. Unproven at
        once, without asking, for a station in doubt."""
        read: Read = request.body
        self._require_trusted(read.station)
        identity = (read.function, read.size)
        return await self._ask(read.station, read.pdu, identity, lambda pdu: self._judge_read(read, pdu))

    async def write(self, station: ModbusSettings, tag: Tag, raw: Value) -> None:
        """Only the one reply that confirms this request is a confirmation."""
        change = write_request(station, tag, raw)
        self._require_trusted(change.station)
        identity = (change.function, len(change.reply) - 2)
        await self._ask(change.station, change.pdu, identity, lambda pdu: self._judge_write(change, pdu))

    async def prove(self, station: ModbusSettings, reserved: Reserved) -> None:
        """One try; see ``link_trust``. Late replies are skipped until the deadline. Returns without asking
        when nothing can be asked that would prove anything, but the station has been silent for so long that
        nothing of it can be under way; Unproven while it has not."""
        loop = self._require_open()
        trust = self._trust(station.station)
        await self._drain(loop)
        probe = trust.probe(reserved, loop.time())
        if probe is not None:

            def judge(pdu: bytes) -> Verdict:
                return self._judge_probe(probe, pdu)

            await self._ask(station.station, probe.pdu, probe.identity, judge, probe=True)
            return
        left_s = trust.outwaited_s(loop.time())
        if left_s > 0:
            raise Unproven(
                Text(
                    f"{self._name} station {station.station}: nothing can be asked that would prove its "
                    f"replies; it is left in silence for {left_s:.1f} s",
                    f"{self._name} station {station.station}：没有可用于验证应答的请求，静默 {left_s:.1f} s",
                ),
                reason=trust.cause,
            )
        trust.doubted = False

    async def close(self) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._settle(self._lost())
        await self._wire.close()

    # One question

    async def _ask(
        self,
        station: int,
        pdu: bytes,
        identity: tuple[int, int],
        judge: Callable[[bytes], Verdict],
        *,
        probe: bool = False,
    ) -> bytes:
        loop = self._require_open()
        frame = self._framing.encode(station, pdu)
        for _ in range(2):  # let the loop read what is there already: it is older than this request
            await asyncio.sleep(0)
        while (wait_s := self._busy_until_s + self._pause_s - loop.time()) > 0:  # noqa: ASYNC110 - of time
            await asyncio.sleep(wait_s)
        self._require_open()
        garbage = self._framing.garbage
        self._framing.clear()
        self.stale_bytes += self._framing.garbage - garbage
        self._framing.watch = (station, pdu[0])
        self._echo, self._heard_echo = frame if self._echoes else b"", b""
        self._trust(station).asked(loop.time(), identity, probe=probe)
        if self.trace is not None:
            self.trace(">", frame, "to prove its answers" if probe else "")
        self._wire.write(frame)
        self._busy_until_s = loop.time() + len(frame) * self._character_s
        question = self._question = _Question(station, judge, loop.create_future())
        try:
            return await question.waiter
        finally:
            self._question = None

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until nothing came for a moment, or it does not stop."""
        end_s = loop.time() + DRAIN_MOST_S
        await asyncio.sleep(DRAIN_S)
        while loop.time() < min(end_s, self._busy_until_s + DRAIN_S):  # noqa: ASYNC110 - of time
            await asyncio.sleep(DRAIN_S / 4)

    def _judge_read(self, read: Read, pdu: bytes) -> Verdict:
        if len(pdu) == 2 + read.size and pdu[0] == read.function and pdu[1] == read.size:
            return pdu[2:]
        return self._verdicts.of(read, pdu, self._framing.encode(read.station, pdu))

    def _judge_write(self, change: Write, pdu: bytes) -> Verdict:
        if pdu == change.reply:
            return pdu
        return self._verdicts.of(_Named(change), pdu, self._framing.encode(change.station, pdu))

    def _judge_probe(self, probe: Probe, pdu: bytes) -> Verdict:
        if probe.fits(pdu):
            return pdu
        if len(pdu) != 2 or pdu[0] != probe.function | 0x80:
            self.late += 1
            self._trust(probe.station).heard(self._now_s(), pdu)
            return None
        error = self._verdicts.of(probe, pdu, b"")
        if isinstance(error, StationSilent):
            return error
        if pdu[1] in (1, 2, 3):
            self._trust(probe.station).refused(probe)
        return BadReply(
            Text(f"{error}; an exception proves nothing", f"{error.text.zh}；异常应答不能作为验证")
        )

    # What comes in

    def _received(self, data: bytes) -> None:
        if self._loss is not None:
            return
        self._busy_until_s = self._now_s()
        data = self._without_echo(data)
        garbage = self._framing.garbage
        for station, pdu in self._framing.feed(data):
            self._take(station, pdu)
        if self.trace is not None and self._framing.garbage != garbage:
            self.trace("!", data, f"{self._framing.garbage - garbage} byte(s) that are no sound frame")
        self._after_input()

    def _after_input(self) -> None:
        if self._framing.damaged and self._question is not None:
            asked = f"{self._name} station {self._question.station}"
            self._trust(self._question.station).cause = "checksum"
            self._settle(BadReply(about(asked, _DAMAGED), reason="checksum"))
        if self._framing.waiting and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._quiet_s, self._look_again)
        if not self._serial and self._framing.garbage - self._garbage > FLOOD:
            self._gone(LinkLost(about(self._name, _NO_GATEWAY), reason="mismatch"))

    def _look_again(self) -> None:
        """Whether the line has been quiet long enough to give up what is not complete."""
        self._timer = None
        if self._loop is None:
            return
        left_s = self._busy_until_s + self._quiet_s - self._now_s()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look_again)
            return
        garbage = self._framing.garbage
        for station, pdu in self._framing.quiet():
            self._take(station, pdu)
        if self.trace is not None and self._framing.garbage != garbage:
            self.trace("!", b"", f"{self._framing.garbage - garbage} byte(s) that are no sound frame")
        self._after_input()

    def _without_echo(self, data: bytes) -> bytes:
        """Our own request, heard back, is skipped only if it is exactly that."""
        if not self._echo:
            return data
        heard, echo = self._heard_echo + data, self._echo
        if heard.startswith(echo):
            self._echo = b""
            return heard[len(echo) :]
        if echo.startswith(heard):
            self._heard_echo = heard
            return b""
        self._echo = b""
        return heard

    def _take(self, station: int, pdu: bytes) -> None:
        self._garbage = self._framing.garbage
        question = self._question
        if self.trace is not None:
            mine = question is not None and question.station == station and not question.waiter.done()
            self.trace("<", self._framing.encode(station, pdu), "" if mine else "unasked")
        if question is None or question.station != station or question.waiter.done():
            if station in self._trusts:
                self.late += 1
                self._trusts[station].heard(self._now_s(), pdu)
            else:
                self.foreign += 1
            return
        verdict = question.judge(pdu)
        if verdict is None:
            return
        if isinstance(verdict, (BadReply, StationSilent)):
            self._trust(station).heard(self._now_s(), pdu)
        else:
            self._trust(station).answered(self._now_s())
        self._settle(verdict)

    def _settle(self, verdict: bytes | DriverError) -> None:
        question = self._question
        if question is None or question.waiter.done():
            return
        if isinstance(verdict, bytes):
            question.waiter.set_result(verdict)
        else:
            question.waiter.set_exception(verdict)

    def _gone(self, loss: LinkLost) -> None:
        if self._loss is None:
            self._loss = loss
        self._settle(self._lost())

    # State

    def _now_s(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()

    def _trust(self, station: int) -> Trust:
        trust = self._trusts.get(station)
        if trust is None:
            trust = self._trusts[station] = Trust(station, self._now_s(), SystemRandom())
        return trust

    def _require_open(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or not self._open or self._loss is not None:
            raise self._lost()
        return self._loop

    def _require_trusted(self, station: int) -> None:
        trust = self._trust(station)
        if trust.doubted and trust.outwaited_s(self._require_open().time()) > 0:
            raise Unproven(about(f"{self._name} station {station}", _UNPROVEN), reason=trust.cause)

    def _lost(self) -> LinkLost:
        if self._loss is None:
            return LinkLost(about(self._name, NOT_CONNECTED))
        return type(self._loss)(self._loss.text, reason=self._loss.reason)


class _Named:
    """A write as ``Verdicts`` sees a request."""

    if_hole = if_too_many = None

    def __init__(self, change: Write) -> None:
        self.station, self.function, self.place = change.station, change.function, change.text
