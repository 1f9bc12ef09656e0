"""A park's HJ 212 host: takes packets by the book, acknowledges as its manner says, and asks back.

Like a real host it knows a record by MN, CN, DataTime and packet number; what comes again is acknowledged
again and counted as a duplicate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hardware_mocks.hj212_wire import Cutter, Packet, Violation, frame

LOOPBACK = "127.0.0.1"


@dataclass
class Manners:
    """``lose``, ``double``: of so many packets to come the acknowledgement is not sent, or sent twice.
    ``hang_up_after``: packets until the connection is cut, before the last one is acknowledged. ``poison``:
    packets it refuses with QnRtn=``code``."""

    answer: bool = True
    late: bool = False
    lose: int = 0
    double: int = 0
    wrong_qn: bool = False
    wrong_mn: bool = False
    corrupt: int = 0
    hang_up_after: int | None = None
    refuse: int | None = None
    refuse_after_s: float = 0.0
    poison: Callable[[Packet], bool] = lambda _: False
    poison_code: int = 6


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


class Hj212Host:
    """``port`` is the real one after ``start``. ``packets``: all; ``records``: no repetitions."""

    def __init__(
        self, mn: str, pw: str, st: str, *, edition: int = 2017, sm4_key: bytes | None = None
    ) -> None:
        self.mn, self.pw, self.st = mn, pw, st
        self.plain_flag = 8 if edition == 2025 else 4
        self.port = 0
        self.sm4_key = sm4_key
        self.manners = Manners()
        self.packets: list[Packet] = []
        self.records: dict[tuple[str, ...], Packet] = {}
        self.duplicates = 0
        self.heartbeats = 0
        self.connections = 0
        self.violations: list[str] = []
        self.exchanges: dict[str, Exchange] = {}
        self._unanswered: list[tuple[asyncio.StreamWriter, Packet]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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

    def send(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    def ask(
        self, qn: str, cn: str, data: str = "", *, st: str = "", pw: str = "", mn: str = "", ack: bool = True
    ) -> Exchange:
        """Sends a request; what comes back gathers in the result."""
        exchange = self.exchanges.setdefault(qn, Exchange(qn))
        self.send(
            frame(
                qn, cn, pw or self.pw, mn or self.mn, flag=self.plain_flag + ack, st=st or self.st, data=data
            )
        )
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
        cutter = Cutter(self.sm4_key)
        try:
            while data := await reader.read(4096):
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
        if packet.fields["MN"] != self.mn:
            self.violations.append(f"MN {packet.fields['MN']}")
        if packet.qn in self.exchanges and packet.cn in ("9011", "9012", "1011", "1061", "9013"):
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
        if packet.cn in ("9015", "1013"):
            self.heartbeats += packet.cn == "9015"
            return
        number = packet.fields.get("PNO", "")
        identity = (packet.fields["MN"], packet.cn, packet.data.get("DataTime", ""), number)
        self.duplicates += identity in self.records
        self.records[identity] = packet

    def _answer(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        manners = self.manners
        if manners.late:
            self._unanswered.append((writer, packet))
            return
        if manners.lose > 0:
            manners.lose -= 1
            return
        ack = self._ack(packet)
        if manners.corrupt > 0:
            manners.corrupt -= 1
            ack = ack.replace(b"PW=", b"PX=")
        writer.write(ack)
        if manners.double > 0:
            manners.double -= 1
            writer.write(ack)

    def _ack(self, packet: Packet) -> bytes:
        cn = "9013" if packet.cn in ("9015", "1013") else "9014"
        qn = "20200101000000000" if self.manners.wrong_qn else packet.qn
        mn = "0" * 24 if self.manners.wrong_mn else ""
        return self._frame(qn, cn, mn=mn)

    def _frame(self, qn: str, cn: str, data: str = "", mn: str = "") -> bytes:
        return frame(qn, cn, self.pw, mn or self.mn, flag=self.plain_flag, data=data)
