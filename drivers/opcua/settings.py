"""What a technician may write in the device file of an OPC UA server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edge_agent.driver import DeviceSettings
from edge_agent.settings import ConfigPath, Duration, Secret


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
    security_policy: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = (
        Field(
            default="None",
            description="How the connection is secured. Nothing weaker than what stands here is ever tried.",
        )
    )
    security_mode: Literal["Sign", "SignAndEncrypt"] = Field(
        default="SignAndEncrypt",
        description="With a security policy: whether messages are encrypted, or signed only.",
    )
    user: str | None = Field(default=None, description="User name; needs a security policy.")
    password: Secret | None = Field(default=None, description="The user's password: !secret NAME.")
    user_certificate: ConfigPath | None = Field(
        default=None, description="Instead of user and password: a certificate (DER or PEM)."
    )
    user_key: ConfigPath | None = Field(default=None, description="The private key to user_certificate.")
    pki: ConfigPath = Field(
        default=Path("/var/lib/edge-agent/pki/opcua"),
        description="Folder with own/, trusted/ and rejected/ certificates.",
    )
    application_uri: str | None = Field(
        default=None,
        description="How the agent names itself to servers. Default: what its certificate says, or "
        "urn:HOSTNAME:lineside:edge-agent.",
    )
    session_timeout: Duration = Field(
        default=60.0,
        description="After so long without a request the server may drop the session.",
    )
    subscribe: list[str] = Field(
        default_factory=list,
        description="Poll groups that the server reports by itself when a value changes, instead of polling.",
        examples=[["fast"]],
    )
    sampling: Duration | None = Field(
        default=None,
        description="Subscribed groups: how often the server looks at its values. Default: as the group.",
    )
    queue_size: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Subscribed groups: changes of one value the server keeps between two reports.",
    )
    keep_alive: Duration = Field(
        default=5.0,
        le=60.0,
        description="Subscribed groups: how long the server may be silent. Twice that is a fault.",
    )
    reread: Duration = Field(
        default=600.0,
        le=3600.0,
        description="Subscribed groups: how often every value is read all the same.",
    )
