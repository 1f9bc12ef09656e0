"""Modbus: many devices on one connection or bus, found by their station numbers.

``settings`` what a technician writes, ``address`` and ``check`` what it means and what is wrong with it,
``plan`` tags -> requests, ``codec`` bytes -> values. ``link`` is a connection whose frames carry transaction
ids (TCP, TLS), ``link_bus`` one whose frames do not (RTU and ASCII, on a serial port or over TCP).
"""

from collections.abc import Callable

from drivers.modbus.check_link import LINK_OPTIONS, check
from drivers.modbus.elements import elements
from drivers.modbus.endpoint import link_key
from drivers.modbus.kinds import TYPES
from drivers.modbus.plan import plan
from drivers.modbus.probe import ModbusProber
from drivers.modbus.reserve import reserve
from drivers.modbus.write import unwritable
from edge_agent.driver import DriverPlugin, Meaning
from edge_agent.settings import later


def _interpret(link: str) -> Callable[[str, bytes], Meaning]:
    from drivers.modbus.words import interpreter  # only where a person looks

    return interpreter(link)


PLUGIN = DriverPlugin(
    settings=later("drivers.modbus.settings:ModbusSettings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=later("drivers.modbus.link_open:open_link"),
    link_options=frozenset(LINK_OPTIONS),
    address_hint="40001 | 400001 | hr:0 | ir:0 | co:0 | di:0 | hr:0.3 | hr:0.h",
    first_tag=("40001", "uint16"),
    types=TYPES,
    elements=elements,
    scan=later("drivers.modbus.scan:scan"),
    look=later("drivers.modbus.look:look"),
    probe=ModbusProber,
    reserve=reserve,
    doctor=later("drivers.modbus.doctor:ModbusDoctor"),
    unwritable=unwritable,
    interpret=_interpret,
    summary={
        "en": "Modbus TCP, TLS, RTU and ASCII, serial or behind a gateway",
        "zh": "Modbus TCP、TLS、RTU 和 ASCII，串口或经网关",
    },
)
