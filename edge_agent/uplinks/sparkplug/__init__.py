"""A Sparkplug B 3.0 edge node, as ``docs/uplink-sparkplug.md`` tells who runs the host application.

    settings -> node (units to messages: payloads, device, values, topics) -> uplink (one connection)
    primary (is the host application there?)  outlived (what may count as delivered)  commands (what it asks)

The connection is that of the MQTT uplink. Data goes out with QoS 0, as Sparkplug prescribes, and nothing ever
confirms it: see ``outlived``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, Stream, Uplink, UplinkPlugin
from edge_agent.uplinks.mqtt.address import endpoint

if TYPE_CHECKING:
    from edge_agent.uplinks.sparkplug.settings import SparkplugSettings


def _open(settings: SparkplugSettings, host: Host) -> Uplink:
    from edge_agent.uplinks.sparkplug.uplink import SparkplugUplink

    return SparkplugUplink(settings, host, SystemClock())


def _identity(settings: SparkplugSettings) -> list[tuple[str, str]]:
    broker = endpoint(settings)
    found = [("node", f"sparkplug {broker} {settings.group}/{settings.node}")]
    return (
        found
        if settings.client_id is None
        else [*found, ("client_id", f"mqtt {broker} {settings.client_id}")]
    )


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.sparkplug.settings:SparkplugSettings"),
    open=_open,
    endpoint=endpoint,
    streams=frozenset({Stream.SAMPLES, Stream.PERIODS}),
    confirms_on_connection=True,
    waiting=4096,  # proof of life takes some 17 s: a window of a few messages would bound the rate,
    doctor=later("edge_agent.uplinks.mqtt.doctor:MqttDoctor"),
    identity=_identity,
)
