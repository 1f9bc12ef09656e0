"""OPC UA servers: reads of many nodes per call, subscriptions, security, writes, browsing.

One link is one session. The library (asyncua) is imported when a link connects, not with this module: it
costs 0.6 s and 22 MB. ``README.md`` is for technicians; ``sample.yaml`` is a device file to copy.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.opcua.address import elements
from drivers.opcua.check import check, unwritable
from drivers.opcua.codec import TYPES
from drivers.opcua.endpoint import link_key
from drivers.opcua.link import OpcuaLink
from drivers.opcua.plan import plan
from drivers.opcua.scan import scan
from edge_agent.driver import DriverPlugin, Meaning
from edge_agent.settings import later


def _interpret(link: str) -> Callable[[str, bytes], Meaning]:
    from drivers.opcua.words import interpreter  # only where a person looks

    return interpreter(link)


PLUGIN = DriverPlugin(
    settings=later("drivers.opcua.settings:OpcuaSettings"),
    link_key=link_key,
    check=check,
    plan=plan,
    open_link=OpcuaLink,
    link_options=frozenset(
        {
            "session_timeout",
            "security_policy",
            "security_mode",
            "user",
            "password",
            "user_certificate",
            "user_key",
            "pki",
            "application_uri",
        }
    ),
    address_hint="nsu=http://vendor.example/press;s=Zone1.Temperature, nsu=...;i=1001, ns=2;s=..., i=2258; "
    "element=0;nsu=...;s=Temperatures for one element of an array",
    first_tag=("i=2258", "string"),
    types=TYPES,
    elements=elements,
    scan=scan,
    subscribed=lambda settings: frozenset(settings.subscribe),
    unwritable=unwritable,
    doctor=later("drivers.opcua.doctor:OpcuaDoctor"),
    interpret=_interpret,
    summary={
        "en": "OPC UA servers: polled or subscribed, with security policies and users",
        "zh": "OPC UA 服务器:轮询或订阅,支持安全策略与用户",
    },
)
