"""The register map of the simulated press controller: what `modbus` serves for every unit.

`hardware_mocks.modbus` documents it as a table. Offsets are 0-based.
"""

from __future__ import annotations

import struct
from typing import Protocol

from hardware_mocks.process import Process

ZONE_SETPOINT = 14  # first of three holding registers
PRESSURE_SETPOINT = 17
HEARTBEAT, STATUS, FAN_SETPOINT, CONVEYOR_SETPOINT, FALLBACKS = range(400, 405)
_SETPOINTS = {  # offset -> name, value of one count
    ZONE_SETPOINT: ("zone1", 0.1),
    ZONE_SETPOINT + 1: ("zone2", 0.1),
    ZONE_SETPOINT + 2: ("zone3", 0.1),
    PRESSURE_SETPOINT: ("pressure", 0.001),
    FAN_SETPOINT: ("fan", 1.0),
    CONVEYOR_SETPOINT: ("conveyor", 0.01),
}
HORN, LAMP = 32, 33  # coils
REMOTE = 32  # first of two discrete inputs
PATTERN = range(100, 350)
RESERVED = (18, 19, 25)  # exist, always 0
PLANTED_FLOAT = 123.456
PLANTED_INT32 = -123_456
PLANTED_UINT64 = 0x0123_4567_89AB_CDEF


class Unit(Protocol):
    """One station. Reads give packed bytes, or None where an address does not exist."""

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        """``table`` is "hr" or "ir"; two bytes per register, big-endian."""
        ...

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        """``table`` is "co" or "di"."""
        ...

    def write_registers(self, start: int, values: list[int]) -> bool:
        """False where an address is not writable; then nothing is written."""
        ...

    def write_bits(self, start: int, values: list[bool]) -> bool: ...


class LineUnit:
    """A unit over the model. The image is built once per model step, not per request."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._image_of_step = -1
        self._tables: dict[str, dict[int, bytes]] = {}
        self.polls = 0

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        image = self._image(table)
        cells = [image.get(offset) for offset in range(start, start + count)]
        if any(cell is None for cell in cells):
            return None
        if table == "hr" and start == 0:
            self.polls = (self.polls + 1) % 2**32
            cells[:2] = _cells(struct.pack(">I", self.polls))[:count]
        return b"".join(cell for cell in cells if cell is not None)

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        process = self._process
        if table == "co":
            low = [process.running, process.fan_running, process.running] + [False] * 5
            high = [process.horn, process.lamp]
        else:
            low = [process.running, process.pressure_mpa > 0.5, True, True] + [False] * 12
            high = [process.remote, process.heartbeat.lost]
        if start >= HORN:  # in both tables
            start, low = start - HORN, high
        return low[start : start + count] if start + count <= len(low) else None

    def write_registers(self, start: int, values: list[int]) -> bool:
        offsets = range(start, start + len(values))
        if any(offset != HEARTBEAT and offset not in _SETPOINTS for offset in offsets):
            return False
        for offset, value in zip(offsets, values, strict=True):
            if offset == HEARTBEAT:
                self._process.heartbeat.beat(value, self._process.time_s)
                continue
            name, step = _SETPOINTS[offset]
            signed = value - 0x10000 if value >= 0x8000 and name.startswith("zone") else value
            self._process.command(name, signed * step)
        self._image_of_step = -1
        return True

    def write_bits(self, start: int, values: list[bool]) -> bool:
        process, bits = self._process, dict(enumerate(values, start))
        if not bits.keys() <= {0} and not bits.keys() <= {HORN, LAMP}:
            return False
        process.running = bits.get(0, process.running)
        process.horn, process.lamp = bits.get(HORN, process.horn), bits.get(LAMP, process.lamp)
        return True

    def _image(self, table: str) -> dict[int, bytes]:
        if self._image_of_step != self._process.steps:
            self._tables = {"hr": _holding(self._process), "ir": _inputs(self._process)}
            self._image_of_step = self._process.steps
        return self._tables[table]


def _holding(process: Process) -> dict[int, bytes]:
    image = {offset: struct.pack(">H", 1000 + offset) for offset in PATTERN}
    put = {
        0: b"\0\0\0\0",  # the poll counter, filled in per request
        2: _float(process.pressure_mpa, "ABCD"),
        4: _float(process.pressure_mpa, "CDAB"),
        6: _float(process.pressure_mpa, "BADC"),
        8: _float(process.pressure_mpa, "DCBA"),
        10: struct.pack(">H", round(process.fan_rpm)),
        11: struct.pack(">H", round(process.conveyor_m_min * 100)),
        12: struct.pack(">i", round(process.power_kw * 1000)),
        ZONE_SETPOINT: struct.pack(">3h", *(round(zone.setpoint_c * 10) for zone in process.zones)),
        PRESSURE_SETPOINT: struct.pack(">H", round(process.pressure_setpoint_mpa * 1000)),
        20: struct.pack(">I", process.electricity.counts),
        22: struct.pack(">I", process.gas.counts),
        24: struct.pack(">H", process.water.counts),
        26: struct.pack(">Q", process.mass_g),
        40: _float(PLANTED_FLOAT, "ABCD"),
        42: _float(PLANTED_FLOAT, "CDAB"),
        44: _float(PLANTED_FLOAT, "BADC"),
        46: _float(PLANTED_FLOAT, "DCBA"),
        48: struct.pack(">i", PLANTED_INT32),
        50: struct.pack(">Q", PLANTED_UINT64),
        HEARTBEAT: struct.pack(
            ">HHHHH",
            process.heartbeat.value,
            process.remote | process.heartbeat.lost << 1 | process.heartbeat.watched << 2,
            round(process.fan_setpoint_rpm),
            round(process.conveyor_setpoint_m_min * 100),
            process.heartbeat.losses % 0x10000,
        ),
    }
    reserved = dict.fromkeys(RESERVED, b"\0\0")
    return image | reserved | _spread(put)


def _inputs(process: Process) -> dict[int, bytes]:
    return _spread(
        {
            0: struct.pack(">3h", *(round(zone.temperature_c * 10) for zone in process.zones)),
            3: struct.pack(">H", round(process.pressure_mpa * 1000)),
            4: struct.pack(">H", round(process.cod_mg_l * 10)),
            5: struct.pack(">H", round(process.so2_mg_m3 * 10)),
            6: struct.pack(">H", round(process.nox_mg_m3 * 10)),
            7: struct.pack(">H", round(process.particulate_mg_m3 * 100)),
            8: struct.pack(">d", process.mass_kg),
            12: struct.pack(">I", int(process.time_s)),
        }
    )


def _spread(put: dict[int, bytes]) -> dict[int, bytes]:
    return {start + i: cell for start, packed in put.items() for i, cell in enumerate(_cells(packed))}


def _cells(packed: bytes) -> list[bytes]:
    return [packed[i : i + 2] for i in range(0, len(packed), 2)]


def _float(value: float, order: str) -> bytes:
    """Four bytes in the order in which they travel: A is the most significant byte."""
    packed = struct.pack(">f", value)
    return bytes(packed["ABCD".index(letter)] for letter in order)
