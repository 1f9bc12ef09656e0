"""Siemens S7 controllers (S7-300, 400, 1200, 1500 and compatibles) over ISO-on-TCP: classic PUT/GET reads.

One link is one ISO connection to one CPU. What a technician must set in the controller is in ``README.md``;
``sample.yaml`` is a device file to copy.
"""

from __future__ import annotations

from drivers.s7.endpoint import check, link_key
from drivers.s7.link import S7Link
from drivers.s7.plan import plan
from edge_agent.driver import DriverPlugin
from edge_agent.settings import later

PLUGIN = DriverPlugin(
    settings=later("drivers.s7.settings:S7Settings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=S7Link,
    link_options=frozenset({"connection", "pdu"}),
    address_hint="DB1.DBX0.3 (bool), DB1.DBB1 (8 bit), DB1.DBW2 (16), DB1.DBD4 (32), DB1.DBL8 (64)",
    summary={
        "en": "Siemens S7-300/400/1200/1500 over ISO-on-TCP (PUT/GET), reading data blocks",
        "zh": "西门子 S7-300/400/1200/1500,ISO-on-TCP(PUT/GET),读取数据块",
    },
)
