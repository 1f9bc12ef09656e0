"""The physical model of one continuous line: furnace, press, fan, conveyor, meters, emissions.

Advanced by ``step``; no clock and no I/O of its own. Two runs with the same seed and the same steps are
equal. It leaves its windows on a schedule (``Schedule``), so that whoever watches knows when.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from hardware_mocks.supervised import Heartbeat

ZONE_SETPOINTS_C = (850.0, 870.0, 860.0)
PRESSURE_SETPOINT_MPA = 0.40
PRESSURE_EXCURSION_MPA = 0.52
FAN_SETPOINT_RPM = 1450.0
CONVEYOR_SETPOINT_M_MIN = 12.0
ZONE_DRIFT_C = 6.0
AMBIENT_C = 25.0
KG_PER_METRE = 2.5


@dataclass(frozen=True, slots=True)
class Schedule:
    """On for ``length_s`` at ``first_s`` and every ``period_s`` after it. ``period_s`` 0: never."""

    first_s: float
    period_s: float
    length_s: float

    def active(self, time_s: float) -> bool:
        return self.occurrence(time_s) is not None

    def occurrence(self, time_s: float) -> int | None:
        """Which one is under way at ``time_s`` (0, 1, 2 ...), or None between two."""
        if self.period_s <= 0 or time_s < self.first_s:
            return None
        count, since_s = divmod(time_s - self.first_s, self.period_s)
        return int(count) if since_s < self.length_s else None


PRESSURE_SCHEDULE = Schedule(first_s=6.0, period_s=20.0, length_s=4.0)
DRIFT_SCHEDULE = Schedule(first_s=25.0, period_s=45.0, length_s=12.0)


class Meter:
    """A cumulative register as real meters have it: counts of ``resolution``, back to 0 at ``modulus``."""

    def __init__(self, resolution: float, modulus: int, start: float) -> None:
        self.resolution = resolution
        self.modulus = modulus
        self.counts = round(start / resolution) % modulus
        self._part = 0.0  # of a count, not yet shown

    def add(self, amount: float) -> None:
        whole, self._part = divmod(self._part + amount / self.resolution, 1.0)
        self.counts = (self.counts + int(whole)) % self.modulus

    @property
    def value(self) -> float:
        return self.counts * self.resolution


@dataclass(slots=True)
class Zone:
    """One furnace zone, °C. ``drift_c``: how far it is off its set-point, beside the schedule's drift."""

    setpoint_c: float
    temperature_c: float
    drift_c: float = 0.0


class Process:
    """``step`` moves it on; everything else is plain reading. Units stand in the names.

    ``running`` and the set-points may be written from outside (a Modbus master, the control port); what a
    master writes goes through ``command`` and ``heartbeat`` (`supervised`). ``remote`` is the key switch.
    """

    def __init__(
        self,
        seed: int = 1,
        pressure_schedule: Schedule = PRESSURE_SCHEDULE,
        drift_schedule: Schedule = DRIFT_SCHEDULE,
    ) -> None:
        self._random = random.Random(seed)
        self._pressure_schedule = pressure_schedule
        self._drift_schedule = drift_schedule
        self.time_s = 0.0
        self.steps = 0
        self.running = True
        self.zones = tuple(Zone(setpoint, setpoint) for setpoint in ZONE_SETPOINTS_C)
        self.pressure_setpoint_mpa = PRESSURE_SETPOINT_MPA
        self._pressure_true_mpa = PRESSURE_SETPOINT_MPA
        self._zone_true_c = [zone.setpoint_c for zone in self.zones]
        self.pressure_mpa = PRESSURE_SETPOINT_MPA
        self.fan_setpoint_rpm = FAN_SETPOINT_RPM
        self.conveyor_setpoint_m_min = CONVEYOR_SETPOINT_M_MIN
        self.remote = True
        self.heartbeat = Heartbeat()
        self.horn = self.lamp = False
        self.fan_rpm = FAN_SETPOINT_RPM
        self.conveyor_m_min = CONVEYOR_SETPOINT_M_MIN
        self.power_kw = 120.0
        self.electricity = Meter(0.01, 2**32, 123_456.78)  # kWh; uint32 counts
        self.gas = Meter(0.01, 10**8, 54_321.00)  # m³; eight digits, as on a mechanical index
        self.water = Meter(0.01, 2**16, 432.10)  # m³; a uint16 pulse counter, round every 655.36 m³
        self.mass_g = 1_234_567_000
        self._mass_part_g = 0.0
        self.cod_mg_l = 38.0
        self.so2_mg_m3 = 12.0
        self.nox_mg_m3 = 45.0
        self.particulate_mg_m3 = 4.5

    @property
    def fan_running(self) -> bool:
        return self.fan_rpm > 100.0

    @property
    def mass_kg(self) -> float:
        return self.mass_g / 1000.0

    @property
    def pressure_excursion(self) -> bool:
        return self.running and self._pressure_schedule.active(self.time_s)

    @property
    def drifting_zone(self) -> int | None:
        """Index of the zone that is drifting now; the zones take turns."""
        turn = self._drift_schedule.occurrence(self.time_s) if self.running else None
        return None if turn is None else turn % len(self.zones)

    @property
    def obeys(self) -> bool:
        """Whether a set-point from outside is taken."""
        return self.remote and not self.heartbeat.lost

    def command(self, name: str, value: float) -> None:
        """A set-point from outside: ``zone1`` to ``zone3``, ``pressure``, ``fan``, ``conveyor``."""
        if not self.obeys:
            return
        if name.startswith("zone"):
            self.zones[int(name[4:]) - 1].setpoint_c = value
        elif name == "pressure":
            self.pressure_setpoint_mpa = value
        elif name == "fan":
            self.fan_setpoint_rpm = value
        else:
            self.conveyor_setpoint_m_min = value

    def fall_back(self) -> None:
        """The controller's own set-points, horn and lamp off."""
        for zone, setpoint_c in zip(self.zones, ZONE_SETPOINTS_C, strict=True):
            zone.setpoint_c = setpoint_c
        self.pressure_setpoint_mpa = PRESSURE_SETPOINT_MPA
        self.fan_setpoint_rpm, self.conveyor_setpoint_m_min = FAN_SETPOINT_RPM, CONVEYOR_SETPOINT_M_MIN
        self.horn = self.lamp = False

    def step(self, dt_s: float) -> None:
        """Moves the line on by ``dt_s`` seconds, at most 1 s at a time for the lags to stay smooth."""
        self.time_s += dt_s
        self.steps += 1
        if self.heartbeat.look(self.time_s):
            self.fall_back()
        self._step_furnace(dt_s)
        self._step_press(dt_s)
        self._step_drives(dt_s)
        self._step_meters(dt_s)
        self._step_emissions(dt_s)

    def _step_furnace(self, dt_s: float) -> None:
        drifting = self.drifting_zone
        for index, zone in enumerate(self.zones):
            if self.running:
                off_c = zone.drift_c + (ZONE_DRIFT_C if index == drifting else 0.0)
                target_c, lag_s = zone.setpoint_c + off_c, 2.0
            else:
                target_c, lag_s = AMBIENT_C, 600.0
            self._zone_true_c[index] = _approach(self._zone_true_c[index], target_c, dt_s, lag_s)
            zone.temperature_c = self._zone_true_c[index] + self._noise(0.15)

    def _step_press(self, dt_s: float) -> None:
        target = self.pressure_setpoint_mpa if self.running else 0.0
        if self.pressure_excursion:
            target = PRESSURE_EXCURSION_MPA
        self._pressure_true_mpa = _approach(self._pressure_true_mpa, target, dt_s, 0.1)
        self.pressure_mpa = max(0.0, self._pressure_true_mpa + self._noise(0.0015))

    def _step_drives(self, dt_s: float) -> None:
        fan, conveyor, power = 0.0, 0.0, 8.0
        if self.running:
            fan, conveyor, power = self.fan_setpoint_rpm, self.conveyor_setpoint_m_min, 120.0
        self.fan_rpm = max(0.0, _approach(self.fan_rpm, fan, dt_s, 1.5) + self._noise(0.8))
        self.conveyor_m_min = max(
            0.0, _approach(self.conveyor_m_min, conveyor, dt_s, 1.0) + self._noise(0.01)
        )
        self.power_kw = max(0.0, _approach(self.power_kw, power, dt_s, 2.0) + self._noise(0.3))

    def _step_meters(self, dt_s: float) -> None:
        load = self.power_kw / 120.0
        self.electricity.add(self.power_kw * dt_s / 3600)
        self.gas.add(42.0 * load * dt_s / 3600)
        self.water.add(3.0 * load * dt_s / 3600)
        grams = self._mass_part_g + self.conveyor_m_min * dt_s / 60 * KG_PER_METRE * 1000
        whole, self._mass_part_g = divmod(grams, 1.0)
        self.mass_g += int(whole)

    def _step_emissions(self, dt_s: float) -> None:
        self.cod_mg_l = max(0.0, _approach(self.cod_mg_l, 38.0, dt_s, 30.0) + self._noise(0.2))
        self.so2_mg_m3 = max(0.0, _approach(self.so2_mg_m3, 12.0, dt_s, 10.0) + self._noise(0.1))
        self.nox_mg_m3 = max(0.0, _approach(self.nox_mg_m3, 45.0, dt_s, 10.0) + self._noise(0.3))
        self.particulate_mg_m3 = max(
            0.0, _approach(self.particulate_mg_m3, 4.5, dt_s, 10.0) + self._noise(0.05)
        )

    def _noise(self, deviation: float) -> float:
        return self._random.gauss(0.0, deviation)

    def state(self) -> dict[str, object]:
        """What the model says now, as plain data for the control port."""
        return {
            "time_s": round(self.time_s, 3),
            "running": self.running,
            "pressure_mpa": self.pressure_mpa,
            "pressure_excursion": self.pressure_excursion,
            "pressure_setpoint_mpa": self.pressure_setpoint_mpa,
            "zone_temperature_c": [zone.temperature_c for zone in self.zones],
            "zone_setpoint_c": [zone.setpoint_c for zone in self.zones],
            "drifting_zone": self.drifting_zone,
            "remote": self.remote,
            "fallen_back": self.heartbeat.lost,
            "fallbacks": self.heartbeat.losses,
            "heartbeats": self.heartbeat.beats,
            "horn": self.horn,
            "lamp": self.lamp,
            "fan_rpm": self.fan_rpm,
            "conveyor_m_min": self.conveyor_m_min,
            "power_kw": self.power_kw,
            "electricity_kwh": self.electricity.value,
            "gas_m3": self.gas.value,
            "water_m3": self.water.value,
            "mass_kg": self.mass_kg,
            "cod_mg_l": self.cod_mg_l,
            "so2_mg_m3": self.so2_mg_m3,
            "nox_mg_m3": self.nox_mg_m3,
            "particulate_mg_m3": self.particulate_mg_m3,
        }


def _approach(value: float, target: float, dt_s: float, lag_s: float) -> float:
    """First-order lag with time constant ``lag_s``."""
    return target + (value - target) * math.exp(-dt_s / lag_s)
