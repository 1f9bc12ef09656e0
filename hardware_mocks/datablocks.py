"""The data blocks of the simulated furnace controller, as `s7` serves them; the table stands there."""

from __future__ import annotations

import struct

from hardware_mocks.process import Process

DB1_SIZE = 128
DB2_SIZE = 512
PLANTED_INT = -1234


class DataBlocks:
    """DB1 and DB4 over the model, DB2 constant."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._image_of_step = -1
        self._db1 = b""
        self._db2 = bytes(offset % 256 for offset in range(DB2_SIZE))
        self.polls = 0

    def block(self, number: int) -> bytes | None:
        """The whole data block, or None if there is none of that number."""
        if number == 2:
            return self._db2
        if number == 4:
            return _commands(self._process)
        if number != 1:
            return None
        if self._image_of_step != self._process.steps:
            self._db1 = _furnace(self._process)
            self._image_of_step = self._process.steps
        return struct.pack(">i", self.polls) + self._db1[4:]

    def count_poll(self) -> None:
        self.polls = (self.polls + 1) % 2**31


def _furnace(process: Process) -> bytes:
    image = bytearray(DB1_SIZE)
    zones = process.zones
    struct.pack_into(">3f", image, 4, *(zone.temperature_c for zone in zones))
    struct.pack_into(">3f", image, 16, *(zone.setpoint_c for zone in zones))
    struct.pack_into(">hh", image, 28, round(process.conveyor_m_min * 100), round(process.fan_rpm))
    struct.pack_into(">ii", image, 32, process.mass_g // 100, round(process.power_kw * 1000))
    struct.pack_into(">f", image, 40, process.pressure_mpa)
    image[44] = process.running | process.fan_running << 1 | process.running << 2 | 1 << 3
    image[45] = process.steps % 256
    struct.pack_into(">h", image, 46, PLANTED_INT)
    struct.pack_into(">d", image, 48, process.gas.value)
    struct.pack_into(">I", image, 56, process.electricity.counts)
    struct.pack_into(">Q", image, 60, process.mass_g)
    return bytes(image)


def _commands(process: Process) -> bytes:
    bits = process.horn | process.lamp << 1
    status = process.remote | process.heartbeat.lost << 1
    setpoints = (process.pressure_setpoint_mpa, process.fan_setpoint_rpm)
    return struct.pack(">HBBff", process.heartbeat.value, bits, status, *setpoints)
