"""Where a device is, and what one request to it may ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

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
        from pydantic_core import PydanticCustomError  # only where files are read

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
