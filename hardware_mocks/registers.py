"""The register map of the simulated press controller: what `modbus` serves for every unit.

`hardware_mocks.modbus` documents it as a table. Offsets are 0-based.
"""

from __future__ import annotations

import struct
from typing import Protocol

from hardware_mocks.process import Process

ZONE_SETPOINT = 14  # first of three holding registers
PRESSURE_SETPOINT = 17
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
            all_bits = [process.running, process.fan_running, process.running] + [False] * 5
        else:
            high = process.pressure_mpa > 0.5
            all_bits = [process.running, high, True, True] + [False] * 12
        return all_bits[start : start + count] if start + count <= len(all_bits) else None

    def write_registers(self, start: int, values: list[int]) -> bool:
        if not ZONE_SETPOINT <= start or start + len(values) > PRESSURE_SETPOINT + 1:
            return False
        for offset, value in enumerate(values, start):
            if offset == PRESSURE_SETPOINT:
                self._process.pressure_setpoint_mpa = value * 0.001
            else:
                signed = value - 0x10000 if value >= 0x8000 else value
                self._process.zones[offset - ZONE_SETPOINT].setpoint_c = signed * 0.1
        self._image_of_step = -1
        return True

    def write_bits(self, start: int, values: list[bool]) -> bool:
        if start != 0 or len(values) != 1:
            return False
        self._process.running = values[0]
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
