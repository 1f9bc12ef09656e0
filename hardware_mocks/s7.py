"""An S7 server (ISO-on-TCP, classic protocol) for reading data blocks, written from the wire alone.

TPKT, COTP class 0, Setup Communication, Read Var with up to 20 items. Return codes per item: 0xFF data, 0x0A
no such object, 0x05 address out of range, 0x06 type not supported. A reply that would exceed the negotiated
PDU is refused as a whole (error 0x8500), any other function with 0x8104. Rack 0, slots 0 to 2.

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
from hardware_mocks.datablocks import DataBlocks
from hardware_mocks.faults import PLAIN_FAULTS, Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.process import Process

MOST_ITEMS = 20
SMALLEST_PDU, DEFAULT_PDU = 112, 240
READ_VAR, SETUP_COMMUNICATION = 0x04, 0xF0
FUNCTION_NOT_AVAILABLE, WRONG_PDU_SIZE = 0x8104, 0x8500
OK, OUT_OF_RANGE, TYPE_NOT_SUPPORTED, NO_SUCH_OBJECT = 0xFF, 0x05, 0x06, 0x0A
AREA_DB = 0x84
_COTP_REQUEST, _COTP_CONFIRM, _COTP_DISCONNECT, _COTP_DATA = 0xE0, 0xD0, 0x80, 0xF0
_BIT = 0x01
_SIZES = {_BIT: 1, 0x02: 1, 0x03: 1, 0x04: 2, 0x05: 2, 0x06: 4, 0x07: 4, 0x08: 4}
_REPLY_KIND = {_BIT: 0x03, 0x05: 0x05, 0x07: 0x05, 0x08: 0x07}  # everything else: 0x04, length in bits
_COUNTED_IN_BITS = (0x04, 0x05)
_ITEM = struct.Struct(">BBBBHHBBH")
_HEADER = struct.Struct(">BBHHHH")


class S7Server:
    """``port`` is the real one after ``start``; ``requests`` counts read requests."""

    name = "s7"

    def __init__(
        self, process: Process, port: int = 0, pdu: int = DEFAULT_PDU, host: str = "127.0.0.1"
    ) -> None:
        self.blocks = DataBlocks(process)
        self.pdu = pdu
        self.faults = FaultSwitch(PLAIN_FAULTS | {Fault.WRONG_TRANSACTION})
        self.requests = 0
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
            "faults": self.faults.describe(),
        }

    def read(self, items: bytes, count: int) -> bytes:
        """The data part of a Read Var reply; ``items`` are ``count`` item specifications."""
        specs = [_ITEM.unpack_from(items, 12 * i) for i in range(count)]
        if any(_covers_counter(spec) for spec in specs):
            self.blocks.count_poll()
        results = [self._read_item(spec) for spec in specs]
        padded = [result + b"\0" * (len(result) % 2) for result in results[:-1]]
        return b"".join([*padded, results[-1]])

    def _read_item(self, spec: tuple[int, ...]) -> bytes:
        _, _, syntax, kind, count, block, area, high, low = spec
        size = _SIZES.get(kind)
        if syntax != 0x10 or size is None or (kind == _BIT and count != 1):
            return _failed(TYPE_NOT_SUPPORTED)
        image = self.blocks.block(block) if area == AREA_DB else None
        if image is None:
            return _failed(NO_SUCH_OBJECT)
        start, bit = divmod(high << 16 | low, 8)
        if count < 1 or start + size * count > len(image):
            return _failed(OUT_OF_RANGE)
        data = image[start : start + size * count]
        if kind == _BIT:
            data = bytes((data[0] >> bit & 1,))
        reply_kind = _REPLY_KIND.get(kind, 0x04)
        length = len(data) * 8 if reply_kind in _COUNTED_IN_BITS else len(data)
        return struct.pack(">BBH", OK, reply_kind, length) + data


def _failed(code: int) -> bytes:
    return struct.pack(">BBH", code, 0, 0)


def _covers_counter(spec: tuple[int, ...]) -> bool:
    _, _, _, kind, _, block, area, high, low = spec
    return area == AREA_DB and block == 1 and (high << 16 | low) < 8 and kind in _SIZES


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
        behaviour = self._server.faults.take()
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
        if not slots or slots[0] not in (0, 1, 2):  # rack << 5 | slot
            self._reply(bytes((6, _COTP_DISCONNECT)) + reference + b"\0\x01\x80", behaviour)
            return
        self._confirmed = True
        body = bytes((_COTP_CONFIRM,)) + reference + b"\0\x01\0" + frame[11:]
        self._reply(bytes((len(body),)) + body, behaviour)

    def _handle_pdu(self, pdu: bytes, behaviour: Behaviour) -> None:
        protocol, kind, _, reference, parameter_size, _ = _HEADER.unpack_from(pdu)
        if protocol != 0x32 or len(pdu) < 10 + parameter_size or parameter_size < 1:
            raise Malformed
        parameter = pdu[10 : 10 + parameter_size]
        if behaviour.fault is Fault.WRONG_TRANSACTION and parameter[0] == READ_VAR:
            reference = (reference + 1) % 0x10000
        if kind == 0x01 and parameter[0] == SETUP_COMMUNICATION and parameter_size == 8:
            answer = self._setup(reference, parameter)
        elif kind == 0x01 and parameter[0] == READ_VAR and self._pdu and parameter_size >= 2:
            answer = self._read(reference, parameter, len(pdu))
        else:
            answer = _refusal(reference, FUNCTION_NOT_AVAILABLE)
        self._reply(b"\x02\xf0\x80" + answer, behaviour)

    def _setup(self, reference: int, parameter: bytes) -> bytes:
        calling, called, wanted = struct.unpack_from(">HHH", parameter, 2)
        self._pdu = max(SMALLEST_PDU, min(wanted, self._server.pdu))
        jobs = (min(calling, 1), min(called, 1))
        return _acknowledge(reference, struct.pack(">BBHHH", SETUP_COMMUNICATION, 0, *jobs, self._pdu), b"")

    def _read(self, reference: int, parameter: bytes, request_size: int) -> bytes:
        self._server.requests += 1
        count = parameter[1]
        if not 1 <= count <= MOST_ITEMS or len(parameter) != 2 + 12 * count or request_size > self._pdu:
            return _refusal(reference, WRONG_PDU_SIZE)
        data = self._server.read(parameter[2:], count)
        answer = _acknowledge(reference, bytes((READ_VAR, count)), data)
        return answer if len(answer) <= self._pdu else _refusal(reference, WRONG_PDU_SIZE)

    def _reply(self, cotp: bytes, behaviour: Behaviour) -> None:
        if behaviour.fault not in (Fault.SILENT, Fault.REFUSE):
            frame = struct.pack(">BBH", 3, 0, len(cotp) + 4) + cotp
            self.send(frame, behaviour.delay_s if behaviour.fault is Fault.LATE else 0.0)


def _acknowledge(reference: int, parameter: bytes, data: bytes) -> bytes:
    return _HEADER.pack(0x32, 3, 0, reference, len(parameter), len(data)) + b"\0\0" + parameter + data


def _refusal(reference: int, error: int) -> bytes:
    return _HEADER.pack(0x32, 2, 0, reference, 0, 0) + struct.pack(">H", error)
