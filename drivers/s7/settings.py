"""What a technician may write in the device file of an S7 controller."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_agent.driver import DeviceSettings


class S7Settings(DeviceSettings):
    """Keys of a device with ``driver: s7``."""

    link: str = Field(
        description="Address of the CPU or its Ethernet module: tcp://host or tcp://host:port (102).",
        examples=["tcp://10.0.0.31"],
    )
    rack: int = Field(default=0, ge=0, le=7, description="Rack of the CPU; 0 except in large S7-400.")
    slot: int = Field(
        default=1,
        ge=0,
        le=31,
        description="Slot of the CPU: S7-1200/1500 1, S7-300 2, S7-400 often 3.",
    )
    connection: Literal["op", "pg", "basic"] = Field(
        default="op",
        description="Which kind of connection is taken. op (operator panel) leaves the PG slot free.",
    )
    pdu: int = Field(
        default=960,
        ge=240,
        le=960,
        description="PDU length to ask for; the controller may grant less.",
    )
