"""What the address of a broker says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from edge_agent.uplinks.mqtt.settings import MqttSettings

PORTS = {"mqtt": 1883, "mqtts": 8883}


def secure(settings: MqttSettings) -> bool:
    return urlsplit(settings.url).scheme == "mqtts"


def host_name(settings: MqttSettings) -> str:
    return urlsplit(settings.url).hostname or ""


def port(settings: MqttSettings) -> int:
    parts = urlsplit(settings.url)
    return parts.port or PORTS[parts.scheme]


def endpoint(settings: MqttSettings) -> str:
    """The address for people and logs, with the port that is meant."""
    host = host_name(settings)
    shown = f"[{host}]" if ":" in host else host
    return f"{urlsplit(settings.url).scheme}://{shown}:{port(settings)}"
