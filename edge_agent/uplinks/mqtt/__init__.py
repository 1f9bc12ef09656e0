"""Delivery by MQTT 3.1.1 or 5, QoS 1. ``README.md`` tells the choices, ``docs/uplink-mqtt.md`` the use.

broker_settings, settings,
address, topics              what is written in the configuration
dial, wire, said, link       one connection: TCP and TLS, bytes, MQTT
drafting, delivery           units -> messages, and what the broker said to each
codes, closings, acks        what brokers and platforms say, and what it means
commands                     what a platform asks for
uplink                       the Uplink of the agent
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, UplinkPlugin
from edge_agent.uplinks.mqtt.address import endpoint
from edge_agent.uplinks.mqtt.uplink import MqttUplink

if TYPE_CHECKING:
    from edge_agent.uplinks.mqtt.settings import MqttSettings


def _open(settings: MqttSettings, host: Host) -> MqttUplink:
    return MqttUplink(settings, host, SystemClock())


def _identity(settings: MqttSettings) -> list[tuple[str, str]]:
    own = settings.client_id
    return [] if "{uplink}" in own else [("client_id", f"mqtt {endpoint(settings)} {own}")]


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.mqtt.settings:MqttSettings"),
    open=_open,
    endpoint=endpoint,
    doctor=later("edge_agent.uplinks.mqtt.doctor:MqttDoctor"),
    identity=_identity,
)
