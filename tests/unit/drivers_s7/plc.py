"""Two controllers to test against: python-snap7's own server, and one in asyncio that does as it is told.

Both speak S7 without a line of the driver's code.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from snap7.server import Server
from snap7.type import SrvArea

from drivers.s7 import PLUGIN
from drivers.s7.link import S7Link
from drivers.s7.packing import Learned
from drivers.s7.plan import Limits
from drivers.s7.settings import S7Settings
from edge_agent.driver import Columns
from edge_agent.errors import Replan
from edge_agent.model import Tag

SNAP7_AREAS = {"M": SrvArea.MK, "I": SrvArea.PE, "Q": SrvArea.PA, "T": SrvArea.TM, "C": SrvArea.CT}


class Snap7Plc:
    """The server of python-snap7 on a free loopback port. ``memory``: data block, or letter of another area,
    -> its bytes, live."""

    def __init__(self, memory: Mapping[int | str, bytes]) -> None:
        self.memory = {where: bytearray(data) for where, data in memory.items()}
        self._server = Server(log=False)
        self._server.host = "127.0.0.1"
        for where, data in self.memory.items():
            if isinstance(where, str):
                self._server.register_area(SNAP7_AREAS[where], 0, data)
            else:
                self._server.register_area(SrvArea.DB, where, data)

    def start(self) -> int:
        self._server.start(tcp_port=0)
        assert self._server.server_socket is not None
        return int(self._server.server_socket.getsockname()[1])

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.stop)


def packet(cotp: bytes) -> bytes:
    return struct.pack(">BBH", 3, 0, 4 + len(cotp)) + cotp


def data_packet(pdu: bytes) -> bytes:
    return packet(b"\x02\xf0\x80" + pdu)


def acknowledgement(reference: int, parameter: bytes, data: bytes, error: int = 0) -> bytes:
    return struct.pack(">BBHHHHH", 0x32, 3, 0, reference, len(parameter), len(data), error) + parameter + data


def state_reply(reference: int, mode: int | None) -> bytes:
    """SZL 0424 with one record of twenty bytes; None: no such list (0xD401)."""
    parameter = bytes.fromhex("0001120812840100 0000") + (b"\xd4\x01" if mode is None else b"\x00\x00")
    data = b"\x0a\x00\x00\x00"
    if mode is not None:
        record = bytes((0x51, 0x44, 0xFF, mode)) + bytes(16)
        data = struct.pack(">BBH4H", 0xFF, 9, 8 + len(record), 0x0424, 0, len(record), 1) + record
    return struct.pack(">BBHHHH", 0x32, 7, 0, reference, len(parameter), len(data)) + parameter + data


def good_item(data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, 0x04, 8 * len(data)) + data


class ScriptedPlc:
    """Answers correctly until told otherwise.

    ``items``: (db, start, length) -> the item's bytes in the reply. ``send``: correct reply PDU -> what goes
    over the wire instead, in pieces. ``requests``: every Read Var PDU that came. ``mode``: what it tells of
    the CPU's state, None refuses, -1 does not answer; ``asked_state`` counts.
    """

    def __init__(self, memory: dict[int, bytes] | None = None, pdu: int = 480) -> None:
        self.memory = memory or {}
        self.pdu = pdu
        self.send: Callable[[bytes], Sequence[bytes]] = lambda reply: [data_packet(reply)]
        self.send_setup: Callable[[bytes], Sequence[bytes]] = lambda reply: [data_packet(reply)]
        self.confirm = packet(bytes.fromhex("09d000010002 00 c0010a"))
        self.tpdu_size = 1024
        self.requests: list[bytes] = []
        self.mode: int | None = None
        self.asked_state = 0
        self.connect_request = b""
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        try:
            self.connect_request = await _read_packet(reader)
            writer.write(self.confirm)
            while True:
                await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._handlers.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pdu = b""
        complete = False
        while not complete:
            cotp = await _read_packet(reader)
            assert len(cotp) <= self.tpdu_size, f"a TPDU of {len(cotp)} bytes, {self.tpdu_size} were agreed"
            complete = bool(cotp[2] & 0x80)
            pdu += cotp[3:]
        reference = int.from_bytes(pdu[4:6])
        if pdu[1] == 7:
            self.asked_state += 1
            pieces = [] if self.mode == -1 else [data_packet(state_reply(reference, self.mode))]
        elif pdu[10] == 0xF0:
            (wanted,) = struct.unpack(">H", pdu[16:18])
            parameter = struct.pack(">BBHHH", 0xF0, 0, 1, 1, min(wanted, self.pdu))
            pieces = self.send_setup(acknowledgement(reference, parameter, b""))
        elif pdu[10] == 5:
            pieces = self.send(acknowledgement(reference, b"\x05\x01", b"\xff"))
        else:
            self.requests.append(pdu)
            assert len(pdu) <= self.pdu, f"a request of {len(pdu)} bytes for PDUs of {self.pdu}"
            pieces = self.send(self._read(pdu, reference))
        for piece in pieces:
            if piece == b"":
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    def _read(self, pdu: bytes, reference: int) -> bytes:
        count = pdu[11]
        items = [self._item(pdu[12 + 12 * number :][:12]) for number in range(count)]
        padded = [item + b"\x00" * (len(item) % 2) for item in items[:-1]] + items[-1:]
        reply = acknowledgement(reference, bytes((4, count)), b"".join(padded))
        assert len(reply) <= self.pdu, f"the request asks for a reply of {len(reply)} bytes"
        return reply

    def _item(self, spec: bytes) -> bytes:
        assert spec[:4] == bytes.fromhex("120a1002"), f"unexpected variable {spec.hex()}"
        length, db, where = struct.unpack(">HHI", spec[4:])
        start = (where & 0xFFFFFF) >> 3
        if db not in self.memory:
            return bytes.fromhex("0a000000")
        if start + length > len(self.memory[db]):
            return bytes.fromhex("05000000")
        return good_item(self.memory[db][start : start + length])


async def _read_packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(head[2:]) - 4)


@asynccontextmanager
async def scripted(memory: dict[int, bytes] | None = None, pdu: int = 480) -> AsyncIterator[ScriptedPlc]:
    plc = ScriptedPlc(memory, pdu)
    await plc.start()
    try:
        yield plc
    finally:
        await plc.stop()


def settings_for(port: int, **keys: object) -> S7Settings:
    return S7Settings.model_validate({"link": f"tcp://127.0.0.1:{port}", **keys})


@asynccontextmanager
async def connected(settings: S7Settings) -> AsyncIterator[tuple[S7Link, Limits]]:
    """A link, connected and enrolled; closed at the end. Nothing in it may take longer than 5 s."""
    link = S7Link(settings)
    try:
        async with asyncio.timeout(5):
            await link.connect()
            limits = await link.enrol(settings)
        yield link, limits
    finally:
        async with asyncio.timeout(5):
            await link.close()


async def read(link: S7Link, settings: S7Settings, tags: Sequence[Tag], limits: Limits) -> Columns:
    """One poll as the supervisor does it: every request of the plan, planned again after a lesson."""
    learned: Learned | None = None
    for _ in range(20):
        plan = PLUGIN.plan(settings, tags, limits, learned)
        try:
            async with asyncio.timeout(5):
                return plan.decode([await link.exchange(request) for request in plan.requests])
        except Replan as lesson:
            learned = lesson.learned
    raise AssertionError("the driver wanted to plan again 20 times")
