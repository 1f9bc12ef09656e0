"""``doctor`` for Modbus: which cause a person can act on stands behind silence or wrong values.

One connection, the tags' own requests once; more is asked only about what went wrong. ``doctor_line`` knows
serial ports, ``doctor_values`` wrong byte orders and addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drivers.modbus import doctor_line, doctor_values
from drivers.modbus.address import Table
from drivers.modbus.cost import is_serial
from drivers.modbus.doctor_words import CODES, finding
from drivers.modbus.endpoint import endpoint
from drivers.modbus.link_open import open_link
from drivers.modbus.reading import Reading
from drivers.modbus.request import read_of
from edge_agent.driver import Request
from edge_agent.errors import BadReply, DriverError, LinkDenied, LinkLost, StationSilent
from edge_agent.settings import Finding, Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings
    from edge_agent.model import Tag

CONNECT_S = 3.0
_NEIGHBOURS = (1, 255, 2)
"""Who else is asked behind a silent station's link, to tell a dead station from a dead link."""
_DAMAGED = ("checksum", "mismatch")


class ModbusDoctor:
    """Meets ``edge_agent.driver.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return CODES

    def place(self, settings: ModbusSettings) -> tuple[str, int] | None:
        where = endpoint(settings.link)
        return None if where.device else (where.host, where.port)

    def exclusive(self, settings: ModbusSettings) -> bool:
        """A serial port has one user; so has a bus behind a gateway, whose replies carry no identity."""
        return endpoint(settings.link).scheme not in ("tcp", "tls")

    async def diagnose(self, settings: ModbusSettings, tags: Sequence[Tag]) -> Sequence[Finding]:
        serial = is_serial(settings.link)
        if serial:
            found = await asyncio.to_thread(doctor_line.port_findings, endpoint(settings.link).device)
            if found:
                return found
        link = open_link(settings)
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await link.connect()
            except TimeoutError:
                raise LinkLost(
                    Text(f"no connection within {CONNECT_S:g} s", f"{CONNECT_S:g} s 内未能连接"),
                    reason="timeout",
                ) from None
            except LinkDenied as error:
                return [finding("modbus_tls", words=error.text)]
            except LinkLost as error:
                if serial:
                    return [doctor_line.not_opened(endpoint(settings.link).device, error)]
                raise
            limits = await link.enrol(settings)
            return await self._values(Reading(link, settings, limits), tags)
        finally:
            await link.close()

    async def _values(self, reading: Reading, tags: Sequence[Tag]) -> Sequence[Finding]:
        try:
            columns = await reading.columns(tags)
        except StationSilent as error:
            return await self._silent(reading, error.text)
        except BadReply as error:
            return await self._damaged(reading, error.text)
        return await doctor_values.findings(reading, tags, columns)

    async def _silent(self, reading: Reading, words: Text | str) -> Sequence[Finding]:
        settings = reading.settings
        if is_serial(settings.link):
            await reading.link.close()
            heard = getattr(reading.link, "garbage", 0)
            return await doctor_line.silence_findings(settings, heard)
        others = [] if self.exclusive(settings) else await _answering(reading)
        return [
            finding(
                "modbus_station_silent",
                station=settings.station,
                words=words,
                others=", ".join(map(str, others)) or "-",
            )
        ]

    async def _damaged(self, reading: Reading, words: Text | str) -> Sequence[Finding]:
        settings = reading.settings
        if is_serial(settings.link):
            await reading.link.close()
            return await doctor_line.silence_findings(settings, 1)
        return [finding("modbus_not_modbus", words=words)]

    def overheard(
        self, settings: ModbusSettings, tags: Sequence[Tag], told: Mapping[str, Any]
    ) -> Sequence[Finding]:
        found = _of_the_link(settings, told)
        values = {row["tag"]: row for row in told.get("values", ())}
        refused = [tag for tag in tags if values.get(tag.name, {}).get("quality") == "bad_address"]
        if refused:
            found.append(doctor_values.no_address(refused))
        suspicion = doctor_values.by_value(settings, tags, values)
        return found if suspicion is None else [*found, suspicion]


def _of_the_link(settings: ModbusSettings, told: Mapping[str, Any]) -> list[Finding]:
    """From the state of the link, its counters, and the words of ``serial_port`` where it has no port."""
    failures, reason, up = told["failures"], told["reason"], told["state"] == "up"
    damaged = sum(failures.get(label, 0) for label in _DAMAGED)
    if not up and is_serial(settings.link):
        port = doctor_line.by_reason(endpoint(settings.link).device, reason)
        if port is not None:
            return [port]
    silent = not up and (told["state"] in ("silent", "proving") or failures.get("timeout"))
    if damaged and (silent or is_serial(settings.link)):
        line = doctor_line.spelled(settings)
        return [finding("modbus_line_noise", words=reason or f"{damaged}", line=line)]
    if silent:
        return [finding("modbus_station_silent", station=settings.station, words=reason, others="-")]
    return []


async def _answering(reading: Reading) -> list[int]:
    """Other stations behind the same link that say anything."""
    found = []
    for station in _NEIGHBOURS:
        if station == reading.settings.station:
            continue
        read = read_of(station, Table.HOLDING, 0, 1)
        try:
            await reading.link.enrol(reading.settings.model_copy(update={"station": station}))
            async with asyncio.timeout(reading.timeout_s):
                await reading.link.exchange(Request((), read))
        except (TimeoutError, StationSilent):
            continue
        except LinkLost:
            break
        except DriverError:
            pass  # a refusal is an answer too
        found.append(station)
    return found
