"""The keys of a device with ``driver: modbus``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from drivers.modbus.codec import ByteOrder
from drivers.modbus.endpoint import endpoint
from edge_agent.driver import DeviceSettings


def _normal(link: str) -> str:
    host, port = endpoint(link)
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


class ModbusSettings(DeviceSettings):
    """A Modbus TCP device: a PLC, or a station behind a gateway. ``link`` is kept as ``tcp://host:port``."""

    link: Annotated[str, AfterValidator(_normal)] = Field(
        description="tcp://HOST[:PORT], port 502 if left out. Devices with equal links share one connection.",
        examples=["tcp://10.0.0.21:502"],
    )
    station: int = Field(
        default=1, ge=0, le=255, description="Unit id: 1 to 247, or 255 for the device itself."
    )
    byte_order: Annotated[ByteOrder, BeforeValidator(_upper)] = Field(
        default=ByteOrder.ABCD,
        description="Order of bytes in values of two registers and more; a tag can have its own.",
    )
    max_registers: int = Field(default=125, ge=1, le=125, description="Registers in one request, at most.")
    max_bits: int = Field(default=2000, ge=1, le=2000, description="Coils or inputs in one request, at most.")
    max_gap: int | None = Field(
        default=None,
        ge=0,
        le=2000,
        description="Unused places to read over so as to save a request. Default: where that is faster.",
    )
