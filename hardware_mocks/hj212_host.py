"""A park's HJ 212 host: takes packets by the book, acknowledges as its manner says, and asks back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from hardware_mocks.hj212_ledger import Identity, Ledger
from hardware_mocks.hj212_wire import Cutter, Packet, Violation, encipher, frame

LOOPBACK = "127.0.0.1"
NOTICES = ("9015", "1013", "1014")
ANSWERS = ("9011", "9012", "1011", "1061", "1063", "3019", "9013")


@dataclass
class Manners:
    """``lose``, ``double``: of so many packets to come the acknowledgement is not sent, or sent twice;
    ``lose_share``: of this share of all, by ``random``. ``delay_s``: each comes so much later.
    ``hang_up_after``: packets until the connection is cut, before the last one is acknowledged. ``poison``:
    packets it refuses with QnRtn=``code``."""

    answer: bool = True
    notices: bool = True
    late: bool = False
    lose: int = 0
    lose_share: float = 0.0
    double: int = 0
    delay_s: float = 0.0
    wrong_qn: bool = False
    wrong_mn: bool = False
    corrupt: int = 0
    hang_up_after: int | None = None
    refuse: int | None = None
    refuse_after_s: float = 0.0
    poison: Callable[[Packet], bool] = lambda _: False
    poison_code: int = 6
    random: Random = field(default_factory=lambda: Random(1))


@dataclass
class Exchange:
    """One question of the host and what came back for its QN."""

    qn: str
    answers: list[Packet] = field(default_factory=list)

    def code(self, cn: str, name: str) -> int | None:
        for packet in self.answers:
            if packet.cn == cn:
                return int(packet.data[name])
        return None

    @property
    def accepted(self) -> int | None:
        return self.code("9011", "QnRtn")

    @property
    def done(self) -> int | None:
        return self.code("9012", "ExeRtn")

    @property
    def noticed(self) -> bool:
        return any(packet.cn == "9013" for packet in self.answers)


class Hj212Host:
    """``port`` is the real one after ``start``. ``packets``: all that came; ``ledger``: what it knows of
    them. ``mute``: QNs whose last acknowledgement was lost. ``pending_acks``: acknowledgements under way."""

    def __init__(
        self, mn: str, pw: str, st: str, *, edition: int = 2017, sm4_key: bytes | None = None, port: int = 0
    ) -> None:
        self.mn, self.pw, self.st = mn, pw, st
        self.plain_flag = 8 if edition == 2025 else 4
        self.port = port
        self.sm4_key = sm4_key
        self.manners = Manners()
        self.ledger = Ledger()
        self.packets: list[Packet] = []
        self.arrived_s: list[float] = []
        self.heartbeats = 0
        self.notices: list[Packet] = []
        self.connections = 0
        self.violations: list[str] = []
        self.exchanges: dict[str, Exchange] = {}
        self.mute: set[str] = set()
        self.pending_acks = 0
        self.lost_acks = 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._unanswered: list[tuple[asyncio.StreamWriter, Packet]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def records(self) -> dict[Identity, Packet]:
        return self.ledger.records

    @property
    def duplicates(self) -> int:
        return self.ledger.duplicates

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def cut(self) -> None:
        """Ends all connections."""
        for writer in list(self._writers):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def freeze(self) -> None:
        """Half-open: connections stay, nothing is read or answered."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def send(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    def ask(
        self, qn: str, cn: str, data: str = "", *, st: str = "", pw: str = "", mn: str = "", ack: bool = True,
        sealed: bool = False,
    ) -> Exchange:  # fmt: skip
        """Sends a request; what comes back gathers in the result. ``sealed``: encrypted, as a new key is."""
        exchange = self.exchanges.setdefault(qn, Exchange(qn))
        made = frame(
            qn, cn, pw or self.pw, mn or self.mn, flag=self.plain_flag + ack, st=st or self.st, data=data
        )
        self.send(encipher(made, self.sm4_key) if sealed and self.sm4_key else made)
        return exchange

    def acknowledge_late(self, chosen: Callable[[Packet], bool] = lambda _: True) -> None:
        """Gives the acknowledgements that were held back."""
        kept = []
        for writer, packet in self._unanswered:
            if chosen(packet):
                writer.write(self._ack(packet))
            else:
                kept.append((writer, packet))
        self._unanswered = kept

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        cutter = Cutter(lambda: self.sm4_key)
        try:
            while data := await reader.read(4096):
                await self._thawed.wait()
                for packet in cutter.cut(data):
                    if not self._take(packet, writer):
                        return
        except Violation as violation:
            self.violations.append(str(violation))
        except (OSError, asyncio.CancelledError):
            pass  # the agent went away, or close(); 3.11's stream server logs a cancelled handler as an error
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    def _take(self, packet: Packet, writer: asyncio.StreamWriter) -> bool:
        """False: the connection is to be cut."""
        self.packets.append(packet)
        self.arrived_s.append(asyncio.get_running_loop().time())
        if packet.fields["MN"] != self.mn:
            self.violations.append(f"MN {packet.fields['MN']}")
        if packet.qn in self.exchanges and packet.cn in ANSWERS:
            self.exchanges[packet.qn].answers.append(packet)
            return True
        manners = self.manners
        if manners.hang_up_after is not None:
            manners.hang_up_after -= 1
            if manners.hang_up_after <= 0:
                manners.hang_up_after = None
                return False
        code = manners.refuse
        if code is None and manners.poison(packet):
            code = manners.poison_code
        if code is not None:
            refusal = self._frame(packet.qn, "9011", f"QnRtn={code}")
            asyncio.get_running_loop().call_later(manners.refuse_after_s, writer.write, refusal)
            return True
        self._keep(packet)
        if packet.wants_ack and manners.answer:
            self._answer(packet, writer)
        return True

    def _keep(self, packet: Packet) -> None:
        if packet.cn in NOTICES:
            self.heartbeats += packet.cn == "9015"
            self.notices.append(packet)
        else:
            self.ledger.take(packet)

    def _answer(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        manners = self.manners
        if packet.cn in NOTICES and not manners.notices:
            return
        if manners.late:
            self._unanswered.append((writer, packet))
            return
        if self._loses():
            self.mute.add(packet.qn)
            self.lost_acks += 1
            return
        self.mute.discard(packet.qn)
        ack = self._ack(packet)
        if manners.corrupt > 0:
            manners.corrupt -= 1
            ack = ack.replace(b"PW=", b"PX=")
        if manners.double > 0:
            manners.double -= 1
            ack *= 2
        if not manners.delay_s:
            writer.write(ack)
            return
        self.pending_acks += 1
        asyncio.get_running_loop().call_later(manners.delay_s, self._late, writer, ack)

    def _loses(self) -> bool:
        manners = self.manners
        if manners.lose > 0:
            manners.lose -= 1
            return True
        return bool(manners.lose_share) and manners.random.random() < manners.lose_share

    def _late(self, writer: asyncio.StreamWriter, ack: bytes) -> None:
        self.pending_acks -= 1
        writer.write(ack)

    def _ack(self, packet: Packet) -> bytes:
        cn = "9013" if packet.cn in NOTICES else "9014"
        qn = "20200101000000000" if self.manners.wrong_qn else packet.qn
        mn = "0" * 24 if self.manners.wrong_mn else ""
        return self._frame(qn, cn, mn=mn)

    def _frame(self, qn: str, cn: str, data: str = "", mn: str = "") -> bytes:
        return frame(qn, cn, self.pw, mn or self.mn, flag=self.plain_flag, data=data)
