"""What a technician may write in the device file of an S7 controller."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_agent.driver import DeviceSettings
from edge_agent.settings import Delay


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
    max_items: int = Field(
        default=20,
        ge=1,
        le=20,
        description="Most variables in one request; 19 for servers that lose the twentieth.",
    )
    encoding: Literal["gbk", "utf-8", "latin-1"] = Field(
        default="gbk",
        description="Of STRING and CHAR texts; a tag may name its own. Plain ASCII is the same in all.",
    )
    cpu_state: Delay = Field(
        default=2.0,
        description="How often to ask whether the CPU is in RUN or STOP; 0s: never. In STOP, values are "
        "marked uncertain.",
    )
    consistent: list[list[str]] = Field(
        default=[],
        description="Sets of tags (an array by its name) that must be read in one request.",
        examples=[[["zone1_setpoint", "zone1_temperature"]]],
    )
    exclusive_bytes: list[str] = Field(
        default=[],
        description="Bytes nobody but this agent writes; only bits in them can be written.",
        examples=[["DB1.DBB44", "MB10"]],
    )
