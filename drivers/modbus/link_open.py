"""The link that a device's settings ask for. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.modbus.cost import has_identity
from drivers.modbus.link import ModbusTcpLink

if TYPE_CHECKING:
    from drivers.modbus.link_bus import ModbusBusLink
    from drivers.modbus.settings import ModbusSettings


def open_link(settings: ModbusSettings) -> ModbusTcpLink | ModbusBusLink:
    if has_identity(settings.link):
        return ModbusTcpLink(settings)
    from drivers.modbus.link_bus import ModbusBusLink  # only where there is a bus

    return ModbusBusLink(settings)
