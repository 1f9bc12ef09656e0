"""OPC UA servers: polling reads of many nodes per call, without security in this release.

One link is one session. The library (asyncua) is imported when a link connects, not with this module: it
costs 0.6 s and 22 MB. ``README.md`` is for technicians; ``sample.yaml`` is a device file to copy.
"""

from __future__ import annotations

from drivers.opcua.endpoint import check, link_key
from drivers.opcua.link import OpcuaLink
from drivers.opcua.plan import plan
from edge_agent.driver import DriverPlugin
from edge_agent.settings import later

PLUGIN = DriverPlugin(
    settings=later("drivers.opcua.settings:OpcuaSettings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=OpcuaLink,
    link_options=frozenset({"session_timeout", "user", "password"}),
    address_hint="nsu=http://vendor.example/press;s=Zone1.Temperature, nsu=...;i=1001, ns=2;s=..., i=2258",
    summary={
        "en": "OPC UA servers: polling reads, security None",
        "zh": "OPC UA 服务器:轮询读取,无安全策略",
    },
)
