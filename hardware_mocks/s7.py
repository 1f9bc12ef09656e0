"""An S7 server (ISO-on-TCP, classic protocol), written from the wire alone.

TPKT, COTP class 0, Setup Communication, Read Var and Write Var with up to 20 items, system status list 0x0424
(RUN or STOP), and what `s7told` tells of the CPU and its blocks. Return codes per item: 0xFF good, 0x03
access denied, 0x05 address out of range, 0x06 type not supported, 0x0A no such object. A request or reply
that would exceed the negotiated PDU is refused as a whole (error 0x8500), any other function with 0x8104.
Rack 0, slots 0 to 2, unless `places` says otherwise. `s7areas` has the other areas.

    DB1, 128 bytes                       DB2, 512 bytes: byte i holds i mod 256
    offset  type   scale  what
    0       DINT          poll counter: +1 with every request that covers its first byte
    4,8,12  REAL          temperatures of zones 1-3, °C
    16,20,24 REAL         set-points of zones 1-3, °C
    28      INT    0.01   conveyor, m/min
    30      INT           exhaust fan, rpm
    32      DINT   0.1    product mass, kg
    36      DINT          active power, W
    40      REAL          press pressure, MPa
    44.0    BOOL          line running
    44.1    BOOL          exhaust fan running
    44.2    BOOL          burner enabled
    44.3    BOOL          furnace door closed
    45      BYTE          life counter, +1 per model step
    46      INT           -1234 (constant)
    48      LREAL         gas, m³
    56      DWORD  0.01   electricity, kWh
    60      ULINT         product mass, g
    68-127                zero
"""

from __future__ import annotations

import struct
from typing import Any

from hardware_mocks.connections import FramedConnection, Malformed, Port
from hardware_mocks.faults import PLAIN_FAULTS, Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.process import Process
from hardware_mocks.s7areas import ACCESS_DENIED, OK, Areas, Spec
from hardware_mocks.s7state import StateList
from hardware_mocks.s7told import Told

MOST_ITEMS = 20
SMALLEST_PDU, DEFAULT_PDU = 112, 240
READ_VAR, WRITE_VAR, SETUP_COMMUNICATION = 0x04, 0x05, 0xF0
FUNCTION_NOT_AVAILABLE, WRONG_PDU_SIZE, PASSWORD_NEEDED = 0x8104, 0x8500, 0xD602
NO_RESOURCES = 1
_JOB, _USER_DATA = 0x01, 0x07
_COTP_REQUEST, _COTP_CONFIRM, _COTP_DISCONNECT, _COTP_DATA = 0xE0, 0xD0, 0x80, 0xF0
_HEADER = struct.Struct(">BBHHHH")


class S7Server:
    """``port`` is the real one after ``start``; ``requests`` counts read requests, ``writes`` written items,
    ``write_requests`` requests to write, whatever became of them.

    ``cuts_items_at``: of a longer list only so many items are answered, as some servers do. ``state_list``:
    how the CPU's mode is told; ``state_list.running`` is the RUN/STOP switch. ``told``: what else it tells.
    ``places``: (rack, slot) where it answers.
    """

    name = "s7"

    def __init__(
        self,
        process: Process,
        port: int = 0,
        pdu: int = DEFAULT_PDU,
        host: str = "127.0.0.1",
        *,
        cuts_items_at: int = MOST_ITEMS,
    ) -> None:
        self.areas = Areas(process)
        self.state_list = StateList()
        self.told = Told()
        self.places = {(0, 0), (0, 1), (0, 2)}
        self.pdu = pdu
        self.cuts_items_at = cuts_items_at
        self.faults = FaultSwitch(
            PLAIN_FAULTS
            | {Fault.WRONG_TRANSACTION, Fault.WRITE_STUCK, Fault.PUT_GET_OFF, Fault.NO_CONNECTION}
            | {Fault.PASSWORD, Fault.PROTECTED, Fault.STOPPED}
        )
        self.requests = 0
        self.writes = 0
        self.write_requests = 0
        self._port = Port(host, port, lambda peers: _S7Connection(peers, self))

    @property
    def port(self) -> int:
        return self._port.number

    async def start(self) -> None:
        await self._port.open()

    async def close(self) -> None:
        await self._port.shut()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises faults.Unsupported."""
        if unit is not None:
            raise Unsupported("an S7 controller has no units")
        if Fault.STOPPED in (behaviour.fault, self.faults.peek().fault):
            self.state_list.running = behaviour.fault is not Fault.STOPPED
        self.faults.set(None, behaviour)
        if behaviour.fault is Fault.REFUSE:
            await self._port.shut()
        else:
            await self._port.open()

    def state(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "listening": self._port.is_open,
            "connections": len(self._port.connections),
            "requests": self.requests,
            "writes": self.write_requests,
            "cpu": "RUN" if self.state_list.running else "STOP",
            "faults": self.faults.describe(),
        }

    def read(self, items: bytes, count: int) -> bytes:
        """The data part of a Read Var reply; ``items`` are ``count`` item specifications."""
        specs = [Spec(items[12 * i : 12 * i + 12]) for i in range(count)]
        if any(spec.covers_poll_counter for spec in specs):
            self.areas.count_poll()
        protected = self.faults.peek().fault is Fault.PROTECTED
        denied = struct.pack(">BBH", ACCESS_DENIED, 0, 0)
        results = [denied if protected else self.areas.read(spec) for spec in specs]
        padded = [result + b"\0" * (len(result) % 2) for result in results[:-1]]
        return b"".join([*padded, results[-1]])

    def write(self, items: bytes, count: int, data: bytes, *, stuck: bool = False) -> bytes:
        """The return codes of a Write Var reply. Raises Malformed where ``data`` does not match the items.
        ``stuck``: acknowledged, but nothing changes."""
        codes = bytearray()
        for number in range(count):
            spec = Spec(items[12 * number : 12 * number + 12])
            if len(data) < 4:
                raise Malformed
            kind, length = data[1], int.from_bytes(data[2:4])
            size = length // 8 if kind in (0x04, 0x05) else length
            codes.append(OK if stuck else self.areas.write(spec, data[4 : 4 + size]))
            data = data[4 + size + size % 2 :]
            self.writes += 1
        return bytes(codes)


class _S7Connection(FramedConnection):
    def __init__(self, peers: set[FramedConnection], server: S7Server) -> None:
        super().__init__(peers)
        self._server = server
        self._confirmed = False
        self._pdu = 0  # not negotiated yet

    def frame_size(self, buffer: bytearray) -> int:
        if len(buffer) < 4:
            return 0
        version, _, length = struct.unpack_from(">BBH", buffer)
        if version != 3 or not 7 <= length <= 8192:
            raise Malformed
        return int(length)

    def handle(self, frame: bytes) -> None:
        writes = len(frame) > 17 and frame[8] == _JOB and frame[17] == WRITE_VAR
        behaviour = self._server.faults.take(write=writes)
        kind = frame[5]
        if kind == _COTP_DATA and self._confirmed and len(frame) >= 17 and frame[6] & 0x80:
            self._handle_pdu(frame[7:], behaviour)
        elif kind == _COTP_REQUEST and len(frame) >= 11:
            self._connect(frame, behaviour)
        else:
            raise Malformed

    def _connect(self, frame: bytes, behaviour: Behaviour) -> None:
        reference = frame[8:10]
        slots = [frame[i + 3] for i in range(11, len(frame) - 3) if frame[i : i + 2] == b"\xc2\x02"]
        if behaviour.fault is Fault.NO_CONNECTION:
            self._reply(bytes((6, _COTP_DISCONNECT)) + reference + bytes((0, 1, NO_RESOURCES)), behaviour)
            return
        if not slots or (slots[0] >> 5, slots[0] & 31) not in self._server.places:
            self._reply(bytes((6, _COTP_DISCONNECT)) + reference + b"\0\x01\x80", behaviour)
            return
        self._confirmed = True
        body = bytes((_COTP_CONFIRM,)) + reference + b"\0\x01\0" + frame[11:]
        self._reply(bytes((len(body),)) + body, behaviour)

    def _handle_pdu(self, pdu: bytes, behaviour: Behaviour) -> None:
        protocol, kind, _, reference, parameter_size, _ = _HEADER.unpack_from(pdu)
        if protocol != 0x32 or len(pdu) < 10 + parameter_size or parameter_size < 1:
            raise Malformed
        parameter, data = pdu[10 : 10 + parameter_size], pdu[10 + parameter_size :]
        if behaviour.fault is Fault.WRONG_TRANSACTION and parameter[0] == READ_VAR:
            reference = (reference + 1) % 0x10000
        answer: bytes | None
        if kind == _USER_DATA:
            server = self._server
            answer = server.told.answer(reference, parameter, data, server.areas.lengths())
            if answer is None:
                answer = server.state_list.answer(reference, parameter, data)
        elif kind == _JOB and parameter[0] == SETUP_COMMUNICATION and parameter_size == 8:
            answer = self._setup(reference, parameter)
        elif kind == _JOB and parameter[0] != SETUP_COMMUNICATION and behaviour.fault is Fault.PUT_GET_OFF:
            answer = _refusal(reference, FUNCTION_NOT_AVAILABLE)
        elif kind == _JOB and parameter[0] != SETUP_COMMUNICATION and behaviour.fault is Fault.PASSWORD:
            answer = _refusal(reference, PASSWORD_NEEDED)
        elif kind == _JOB and parameter[0] in (READ_VAR, WRITE_VAR) and self._pdu and parameter_size >= 2:
            stuck = behaviour.fault is Fault.WRITE_STUCK
            answer = self._variables(reference, parameter, data, len(pdu), stuck=stuck)
        else:
            answer = _refusal(reference, FUNCTION_NOT_AVAILABLE)
        if answer is not None:
            self._reply(b"\x02\xf0\x80" + answer, behaviour)

    def _setup(self, reference: int, parameter: bytes) -> bytes:
        calling, called, wanted = struct.unpack_from(">HHH", parameter, 2)
        self._pdu = max(SMALLEST_PDU, min(wanted, self._server.pdu))
        jobs = (min(calling, 1), min(called, 1))
        return _acknowledge(reference, struct.pack(">BBHHH", SETUP_COMMUNICATION, 0, *jobs, self._pdu), b"")

    def _variables(
        self, reference: int, parameter: bytes, data: bytes, request_size: int, *, stuck: bool
    ) -> bytes:
        server, function, count = self._server, parameter[0], parameter[1]
        server.requests += function == READ_VAR
        server.write_requests += function == WRITE_VAR
        if not 1 <= count <= MOST_ITEMS or len(parameter) != 2 + 12 * count or request_size > self._pdu:
            return _refusal(reference, WRONG_PDU_SIZE)
        count = min(count, server.cuts_items_at)
        if function == READ_VAR:
            result = server.read(parameter[2:], count)
        else:
            result = server.write(parameter[2:], count, data, stuck=stuck)
        answer = _acknowledge(reference, bytes((function, count)), result)
        return answer if len(answer) <= self._pdu else _refusal(reference, WRONG_PDU_SIZE)

    def _reply(self, cotp: bytes, behaviour: Behaviour) -> None:
        if behaviour.fault not in (Fault.SILENT, Fault.REFUSE):
            frame = struct.pack(">BBH", 3, 0, len(cotp) + 4) + cotp
            self.send(frame, behaviour.delay_s if behaviour.fault is Fault.LATE else 0.0)


def _acknowledge(reference: int, parameter: bytes, data: bytes) -> bytes:
    return _HEADER.pack(0x32, 3, 0, reference, len(parameter), len(data)) + b"\0\0" + parameter + data


def _refusal(reference: int, error: int) -> bytes:
    return _HEADER.pack(0x32, 2, 0, reference, 0, 0) + struct.pack(">H", error)
