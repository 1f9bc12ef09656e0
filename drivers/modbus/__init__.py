"""Modbus TCP: many devices on one connection, found by their unit ids.

``settings`` what a technician writes, ``address`` and ``check`` what it means and what is wrong with it,
``plan`` tags -> requests, ``codec`` bytes -> values, ``link`` the connection.
"""

from drivers.modbus.check import check
from drivers.modbus.endpoint import link_key
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.plan import plan
from edge_agent.driver import DriverPlugin
from edge_agent.settings import later

PLUGIN = DriverPlugin(
    settings=later("drivers.modbus.settings:ModbusSettings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=ModbusTcpLink,
    address_hint="40001 | 400001 | hr:0 | ir:0 | co:0 | di:0 | hr:0.3",
    summary={"en": "Modbus TCP", "zh": "Modbus TCP"},
)
