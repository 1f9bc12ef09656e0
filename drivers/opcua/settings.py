"""What a technician may write in the device file of an OPC UA server."""

from __future__ import annotations

from pydantic import Field

from edge_agent.driver import DeviceSettings
from edge_agent.settings import Duration, Secret


class OpcuaSettings(DeviceSettings):
    """Keys of a device with ``driver: opcua``."""

    link: str = Field(
        description="The server's endpoint: opc.tcp://host:port/path (port 4840 if left out).",
        examples=["opc.tcp://10.0.0.41:4840"],
    )
    max_nodes_per_read: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Read at most so many nodes per call, where the server's own limit is too high for it.",
    )
    user: str | None = Field(default=None, description="Not usable yet: needs a security policy.")
    password: Secret | None = Field(default=None, description="Not usable yet: needs a security policy.")
    session_timeout: Duration = Field(
        default=60.0,
        description="After so long without a request the server may drop the session.",
    )
