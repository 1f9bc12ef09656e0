"""Which stations answer behind a link. Every station number is asked once for one holding register; whatever
it replies, a refusal included, shows that it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from drivers.modbus.address import Table
from drivers.modbus.cost import is_serial
from drivers.modbus.link_open import open_link
from drivers.modbus.request import read_of
from edge_agent.driver import Link, Request
from edge_agent.errors import LinkLost, StationError, StationSilent

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

STATIONS = range(1, 248)
ITSELF = 255  # by which a device on Ethernet is asked for itself, not for a bus behind it
TIMEOUT_S = 0.3
_CONNECT_S = 3.0


async def scan(settings: ModbusSettings) -> AsyncIterator[Mapping[str, Any]]:
    """``{"station": 7, "said": ...}`` per station, in ascending order; about 75 s on a link where nobody else
    answers. A device that closes the connection at a strange station number is connected to again."""
    link: Link | None = None
    try:
        for station in STATIONS if is_serial(settings.link) else (*STATIONS, ITSELF):
            link = link or await _connected(settings)
            try:
                said = await _ask(link, settings, station)
            except LinkLost:
                await link.close()
                link = None
                continue
            if said:
                yield {"station": station, "said": said}
    finally:
        if link is not None:
            await link.close()


async def _connected(settings: ModbusSettings) -> Link:
    link = open_link(settings)
    try:
        async with asyncio.timeout(_CONNECT_S):
            await link.connect()
    except TimeoutError:
        await link.close()
        raise LinkLost(f"no connection within {_CONNECT_S:g} s", reason="timeout") from None
    except LinkLost:
        await link.close()
        raise
    return link


async def _ask(link: Link, settings: ModbusSettings, station: int) -> str:
    """What it said; "" when nothing. Raises LinkLost."""
    read = read_of(station, Table.HOLDING, 0, 1)
    await link.enrol(settings.model_copy(update={"station": station}))
    try:
        async with asyncio.timeout(settings.timeout or TIMEOUT_S):
            await link.exchange(Request((), read, text=read.place))
    except (TimeoutError, StationSilent):
        return ""
    except StationError as error:
        return str(error)
    return f"{read.place} is readable"
