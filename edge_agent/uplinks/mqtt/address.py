"""What the address of a broker says."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

PORTS = {"mqtt": 1883, "mqtts": 8883}


class Addressed(Protocol):
    """Settings of an uplink that speaks MQTT."""

    @property
    def url(self) -> str: ...


def secure(settings: Addressed) -> bool:
    return urlsplit(settings.url).scheme == "mqtts"


def host_name(settings: Addressed) -> str:
    return urlsplit(settings.url).hostname or ""


def port(settings: Addressed) -> int:
    parts = urlsplit(settings.url)
    return parts.port or PORTS[parts.scheme]


def endpoint(settings: Addressed) -> str:
    """The address for people and logs, with the port that is meant."""
    host = host_name(settings)
    shown = f"[{host}]" if ":" in host else host
    return f"{urlsplit(settings.url).scheme}://{shown}:{port(settings)}"
