"""The keys of a device with ``driver: modbus``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from drivers.modbus.codec import ByteOrder
from edge_agent.driver import DeviceSettings

DEFAULT_PORT = 502
_HOST = re.compile(r"[A-Za-z0-9._:%-]+", re.ASCII)


def endpoint(link: str) -> tuple[str, int]:
    """``tcp://host[:port]`` -> (host, port). Raises PydanticCustomError ``modbus_link``; its context carries
    the sentence in Chinese and the cure in both languages, where the loader looks for them."""
    try:
        parts = urlsplit(link.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    extra = parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment
    if parts.scheme != "tcp" or host is None or not _HOST.fullmatch(host) or extra or port == 0:
        raise PydanticCustomError(
            "modbus_link",
            "'{link}' is not a Modbus TCP link (tcp://HOST or tcp://HOST:PORT)",
            {
                "link": link,
                "zh": f"“{link}”不是 Modbus TCP 连接",
                "cure_en": "write tcp://HOST or tcp://HOST:PORT, such as tcp://10.0.0.21:502",
                "cure_zh": "请写 tcp://主机 或 tcp://主机:端口，例如 tcp://10.0.0.21:502",
            },
        )
    return host, DEFAULT_PORT if port is None else port


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Modbus negotiates nothing: these are the configured numbers."""

    max_registers: int = 125
    max_bits: int = 2000


def limits_of(settings: ModbusSettings) -> Limits:
    return Limits(settings.max_registers, settings.max_bits)


def link_key(settings: ModbusSettings) -> str:
    """``host:port``: stations behind one gateway share its connection."""
    return settings.link.removeprefix("tcp://").lower()
