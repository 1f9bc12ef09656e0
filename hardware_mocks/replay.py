"""A device played from a recording of its answers: Modbus (over TCP, whatever it was) and S7.

A request that was recorded gets its recorded answers in their order, then from the first again; one that had
no answer gets none. Another request is answered from what the recording tells of the device's memory: from
all values read, the newest; what nobody read does not exist. Writes change that memory and are confirmed, but
recorded answers stay what they are.

The file is JSON Lines; its first line names format 1 and driver, each other one has "ask", "answer" (bytes in
hexadecimal, without transaction ids; null: none came) and "after_s".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware_mocks.connections import FramedConnection, Malformed, Port

_FORMAT = 1
_LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """``data`` None: silence."""

    data: bytes | None
    after_s: float


@dataclass(slots=True)
class Script:
    """Replies by request, each list played round and round. ``fallbacks`` counts requests it did not have."""

    replies: dict[bytes, list[Reply]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    played: int = 0
    fallbacks: int = 0
    _next: dict[bytes, int] = field(default_factory=dict)

    def reply(self, request: bytes) -> Reply | None:
        known = self.replies.get(request)
        if not known:
            self.fallbacks += 1
            return None
        at = self._next.get(request, 0)
        self._next[request] = (at + 1) % len(known)
        self.played += 1
        return known[at]

    def answered(self) -> Iterable[tuple[bytes, bytes]]:
        for request, replies in self.replies.items():
            for reply in replies:
                if reply.data is not None:
                    yield request, reply.data


def replayed(file: Path, port: int = 0, *, fast: bool = False) -> ReplayServer:
    """Raises ValueError for what is no recording of a device that can be played."""
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        head, *rows = [json.loads(line) for line in lines if line.strip()]
        driver = head["driver"] if head["lineside_recording"] == _FORMAT else None
        script = Script(limits=head.get("limits") or {})
        for row in rows:
            answer = None if row["answer"] is None else bytes.fromhex(row["answer"])
            after_s = 0.0 if fast else min(float(row.get("after_s", 0.0)), _LONGEST_S)
            script.replies.setdefault(bytes.fromhex(row["ask"]), []).append(Reply(answer, after_s))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"that is not a recording ({type(error).__name__}: {error})") from error
    if driver == "modbus":
        return ReplayServer("modbus", script, _ModbusPlayer, port)
    if driver == "s7":
        return ReplayServer("s7", script, _S7Player, port)
    raise ValueError(f"a recording of {driver!r} cannot be played; modbus and s7 can")


class ReplayServer:
    """``port`` is the real one after ``start``."""

    def __init__(self, name: str, script: Script, player: Any, port: int = 0) -> None:
        self.name = name
        self.script = script
        memory = player.memory(script)
        self._port = Port("127.0.0.1", port, lambda peers: player(peers, script, memory))

    @property
    def port(self) -> int:
        return self._port.number

    async def start(self) -> None:
        await self._port.open()

    async def close(self) -> None:
        await self._port.shut()


_MBAP = struct.Struct(">HHHB")


class _ModbusPlayer(FramedConnection):
    """Memory: (unit, function that reads, place) -> register or bit."""

    def __init__(
        self, peers: set[FramedConnection], script: Script, memory: dict[tuple[int, int, int], int]
    ) -> None:
        super().__init__(peers)
        self._script = script
        self._memory = memory

    @staticmethod
    def memory(script: Script) -> dict[tuple[int, int, int], int]:
        found: dict[tuple[int, int, int], int] = {}
        for request, answer in script.answered():
            if len(request) == 6 and request[1] in (1, 2, 3, 4) and answer[:2] == request[:2]:
                start, count = struct.unpack(">HH", request[2:])
                data = answer[3:]
                for n in range(count):
                    if request[1] <= 2 and n // 8 < len(data):
                        found[request[0], request[1], start + n] = data[n // 8] >> n % 8 & 1
                    elif request[1] > 2 and 2 * n + 1 < len(data):
                        found[request[0], request[1], start + n] = int.from_bytes(data[2 * n : 2 * n + 2])
        return found

    def frame_size(self, buffer: bytearray) -> int:
        if len(buffer) < _MBAP.size:
            return 0
        _, protocol, length, _ = _MBAP.unpack_from(buffer)
        if protocol != 0 or not 2 <= length <= 254:
            raise Malformed
        return int(length) + 6

    def handle(self, frame: bytes) -> None:
        request = frame[6:]
        reply = self._script.reply(request) or self._other(request)
        if reply.data is not None:
            head = frame[:4] + len(reply.data).to_bytes(2)
            self.send(head + reply.data, reply.after_s)

    def _other(self, request: bytes) -> Reply:
        unit, function = request[0], request[1]
        if unit not in {known[0] for known in self._memory}:
            return Reply(None, 0.0)
        if len(request) >= 6 and function in (5, 6, 15, 16):
            return Reply(self._write(unit, function, request), 0.0)
        if len(request) != 6 or function not in (1, 2, 3, 4):
            return Reply(bytes((unit, function | 0x80, 1)), 0.0)
        start, count = struct.unpack(">HH", request[2:])
        values = [self._memory.get((unit, function, start + n)) for n in range(count)]
        if not 1 <= count <= (2000 if function <= 2 else 125):
            return Reply(bytes((unit, function | 0x80, 3)), 0.0)
        if None in values:
            return Reply(bytes((unit, function | 0x80, 2)), 0.0)
        known = [value for value in values if value is not None]
        data = _bits(known) if function <= 2 else b"".join(value.to_bytes(2) for value in known)
        return Reply(bytes((unit, function, len(data))) + data, 0.0)

    def _write(self, unit: int, function: int, request: bytes) -> bytes:
        start, number = struct.unpack(">HH", request[2:6])
        table = 1 if function in (5, 15) else 3
        if function in (5, 6):
            values = [int(number == 0xFF00) if function == 5 else number]
        elif function == 15:
            values = [request[7 + n // 8] >> n % 8 & 1 for n in range(number) if 7 + n // 8 < len(request)]
        else:
            values = [int.from_bytes(request[7 + 2 * n : 9 + 2 * n]) for n in range(number)]
        if any((unit, table, start + n) not in self._memory for n in range(len(values))):
            return bytes((unit, function | 0x80, 2))
        self._memory.update({(unit, table, start + n): value for n, value in enumerate(values)})
        return request[:6]


def _bits(values: list[int]) -> bytes:
    data = bytearray((len(values) + 7) // 8)
    for n, value in enumerate(values):
        data[n // 8] |= value << n % 8
    return bytes(data)


_NUMBERED = (0x1C, 0x1D)


class _S7Player(FramedConnection):
    """Memory: (area, block, byte) -> byte; a timer or counter is two bytes."""

    def __init__(
        self, peers: set[FramedConnection], script: Script, memory: dict[tuple[int, int, int], int]
    ) -> None:
        super().__init__(peers)
        self._script = script
        self._memory = memory
        self._pdu = bytearray()

    @staticmethod
    def memory(script: Script) -> dict[tuple[int, int, int], int]:
        found: dict[tuple[int, int, int], int] = {}
        for request, answer in script.answered():
            if len(request) > 12 and request[0:2] == b"\x32\x01" and request[10] == 4 and len(answer) > 14:
                places = _places(request[10:])
                for place, data in zip(places, _data(answer[14:], len(places)), strict=False):
                    area, block, start, length = place
                    if data is not None and len(data) == length:
                        found.update({(area, block, start + n): byte for n, byte in enumerate(data)})
        return found

    def frame_size(self, buffer: bytearray) -> int:
        if len(buffer) < 4:
            return 0
        if buffer[0] != 3 or (size := int.from_bytes(buffer[2:4])) < 7:
            raise Malformed
        return size

    def handle(self, frame: bytes) -> None:
        if frame[5] & 0xF0 == 0xE0:  # connect: the confirm repeats the parameters
            body = b"\xd0" + frame[8:10] + b"\0\x01\0" + frame[11:]
            self._packet(bytes((len(body),)) + body)
            return
        if frame[5] & 0xF0 != 0xF0:
            raise Malformed
        self._pdu += frame[7:]
        if frame[6] & 0x80:
            pdu = bytes(self._pdu)
            self._pdu.clear()
            if len(pdu) < 11 or pdu[0] != 0x32:
                raise Malformed
            self._answer(pdu)

    def _answer(self, pdu: bytes) -> None:
        reference, bare = pdu[4:6], pdu[:4] + b"\0\0" + pdu[6:]
        reply = self._script.reply(bare)
        data = self._other(pdu) if reply is None else reply.data
        if data is not None:
            cotp = b"\x02\xf0\x80" + data[:4] + reference + data[6:]
            self._packet(cotp, 0.0 if reply is None else reply.after_s)

    def _other(self, pdu: bytes) -> bytes:
        parameter = pdu[10 : 10 + int.from_bytes(pdu[6:8])]
        if pdu[1] == 1 and parameter[0] == 0xF0 and len(parameter) == 8:
            wanted = int.from_bytes(parameter[6:8])
            granted = min(wanted, int(self._script.limits.get("pdu", wanted)))
            return _acknowledge(b"\xf0\0\0\x01\0\x01" + granted.to_bytes(2), b"")
        if pdu[1] == 1 and parameter[0] == 4:
            return self._read(_places(parameter))
        return struct.pack(">BBHHHHH", 0x32, 2, 0, 0, 0, 0, 0x8104)

    def _read(self, places: list[tuple[int, int, int, int]]) -> bytes:
        data = b""
        for area, block, start, length in places:
            data += bytes(len(data) % 2)
            values = [self._memory.get((area, block, start + n)) for n in range(length)]
            if None in values or not values:
                data += b"\x0a\0\0\0"
                continue
            octets = area in _NUMBERED
            head = struct.pack(">BBH", 0xFF, 9 if octets else 4, length if octets else 8 * length)
            data += head + bytes(value for value in values if value is not None)
        return _acknowledge(bytes((4, len(places))), data)

    def _packet(self, cotp: bytes, delay_s: float = 0.0) -> None:
        self.send(struct.pack(">BBH", 3, 0, len(cotp) + 4) + cotp, delay_s)


def _acknowledge(parameter: bytes, data: bytes) -> bytes:
    return struct.pack(">BBHHHHH", 0x32, 3, 0, 0, len(parameter), len(data), 0) + parameter + data


def _places(parameter: bytes) -> list[tuple[int, int, int, int]]:
    """(area, block, first byte, bytes) of each item of a Read Var."""
    found = []
    for at in range(2, min(len(parameter), 2 + 12 * parameter[1]) - 11, 12):
        item = parameter[at : at + 12]
        count, block, area, where = (
            int.from_bytes(item[4:6]), int.from_bytes(item[6:8]), item[8], int.from_bytes(item[9:12]),
        )  # fmt: skip
        if area in _NUMBERED:
            found.append((area, block, 2 * where, 2 * count))
        else:
            found.append((area, block, where >> 3, count))
    return found


def _data(data: bytes, items: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    at = 0
    while len(found) < items and at + 4 <= len(data):
        size, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        used = 0 if data[at] != 0xFF else (length + 7) // 8 if size in (3, 4, 5) else length
        found.append(data[at + 4 : at + 4 + used] if data[at] == 0xFF else None)
        at += 4 + used + used % 2
    return found
