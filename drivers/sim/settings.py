"""What a technician writes under a device with ``driver: sim``."""

from __future__ import annotations

from pydantic import Field

from edge_agent.driver import DeviceSettings

# Every key is a field; its type, limits and default are the whole validation. The base refuses other keys.


class SimSettings(DeviceSettings):
    """``link`` is only a name: devices with the same name share one simulated connection."""

    link: str = Field(default="sim://line", pattern=r"^sim://[A-Za-z0-9._-]+$", description="sim://NAME")
    speed: float = Field(default=1.0, gt=0, le=1000, description="How fast simulated time runs.")


def link_key(settings: SimSettings) -> str:
    """Devices with equal keys share a link: for a real driver host and port, here the name."""
    return settings.link.removeprefix("sim://")
