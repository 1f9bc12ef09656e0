"""Siemens S7 controllers (S7-300, 400, 1200, 1500 and compatibles) over ISO-on-TCP: classic PUT/GET.

One link is one ISO connection to one CPU. What a technician must set in the controller is in ``README.md``;
``sample.yaml`` is a device file to copy.

``settings`` what is written; ``address``, ``kinds``, ``check`` what it means and what is wrong with it;
``packing``, ``plan`` tags -> requests; ``codec``, ``moments``, ``texts`` bytes -> values; ``frames``,
``pdu``, ``cpu_state``, ``write`` the protocol without I/O; ``wire``, ``link`` the connection.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.s7.check import check
from drivers.s7.elements import elements
from drivers.s7.endpoint import link_key
from drivers.s7.kinds import TYPES
from drivers.s7.plan import plan
from drivers.s7.probe import S7Prober
from drivers.s7.write import unwritable
from edge_agent.driver import DriverPlugin, Meaning
from edge_agent.settings import later


def _interpret(link: str) -> Callable[[str, bytes], Meaning]:
    from drivers.s7.words import interpreter  # only where a person looks

    return interpreter(link)


PLUGIN = DriverPlugin(
    settings=later("drivers.s7.settings:S7Settings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=later("drivers.s7.link:S7Link"),
    link_options=frozenset({"connection", "pdu", "cpu_state"}),
    address_hint="DB1.DBX0.3 | DB1.DBB1 | DB1.DBW2 | DB1.DBD4 | DB1.DBL8 | M10.3 | MW10 | IB0 | Q0.0 | T5",
    first_tag=("MB0", "uint8"),
    types=TYPES,
    elements=elements,
    scan=later("drivers.s7.scan:scan"),
    probe=S7Prober,
    look=later("drivers.s7.look:look"),
    doctor=later("drivers.s7.doctor:S7Doctor"),
    unwritable=unwritable,
    interpret=_interpret,
    summary={
        "en": "Siemens S7-300/400/1200/1500 over ISO-on-TCP (PUT/GET): blocks, memory, inputs, outputs, "
        "timers, counters",
        "zh": "西门子 S7-300/400/1200/1500,ISO-on-TCP(PUT/GET)：数据块、位存储区、输入、输出、定时器、计数器",
    },
)
