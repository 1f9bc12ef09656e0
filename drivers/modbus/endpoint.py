"""Where a device is, and what one request to it may ask for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

PORTS = {"tcp": 502, "tls": 802}
NETWORK = ("tcp", "tls", "rtu+tcp", "ascii+tcp")
SERIAL = ("rtu", "ascii")
_HOST = re.compile(r"[A-Za-z0-9._:%-]+", re.ASCII)
_DEVICE = re.compile(r"/[^\0?#]*[^\0?#/]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``scheme`` says how frames look and what carries them: ``tcp``, ``tls``, ``rtu+tcp``, ``ascii+tcp``
    with ``host`` and ``port``, ``rtu`` and ``ascii`` with ``device``, the path of a serial port."""

    scheme: str
    host: str = ""
    port: int = 0
    device: str = ""

    @property
    def framing(self) -> str:
        """``mbap``, ``rtu`` or ``ascii``."""
        return "mbap" if self.scheme in PORTS else self.scheme.partition("+")[0]

    @property
    def place(self) -> str:
        """For people, and to tell one line from another: ``host:port`` or the path of the port."""
        if self.device:
            return self.device
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def link(self) -> str:
        """The link in its full form."""
        return f"{self.scheme}://{self.place}"


def endpoint(link: str) -> Endpoint:
    """What a link means. Raises PydanticCustomError ``modbus_link``; its context carries the sentence in
    Chinese and the cure in both languages, where the loader looks for them."""
    try:
        parts = urlsplit(link.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _not_a_link(link) from None
    scheme = parts.scheme
    if parts.username is not None or parts.query or parts.fragment:
        raise _not_a_link(link)
    if scheme in SERIAL and not parts.netloc and _DEVICE.fullmatch(parts.path):
        return Endpoint(scheme, device=parts.path)
    port = PORTS.get(scheme) if port is None else port
    if scheme not in NETWORK or host is None or not _HOST.fullmatch(host) or parts.path not in ("", "/"):
        raise _not_a_link(link)
    if not port:
        raise _not_a_link(link)
    return Endpoint(scheme, host, port)


def _not_a_link(link: str) -> Exception:
    from pydantic_core import PydanticCustomError  # only where files are read

    from edge_agent.settings import Text, whole_link

    link = link.strip()
    if link.startswith("/dev/"):
        example = Text(f"here rtu://{link}", f"此处应为 rtu://{link}")
    else:
        example = whole_link(link, "tcp", "tcp://10.0.0.21:502")
    return PydanticCustomError(
        "modbus_link",
        "'{link}' is not a Modbus link (tcp://HOST:PORT, tls://HOST:PORT, rtu+tcp://HOST:PORT, "
        "ascii+tcp://HOST:PORT, rtu:///dev/PORT, ascii:///dev/PORT)",
        {
            "link": link,
            "zh": f"“{link}”不是 Modbus 连接",
            "cure_en": f"write tcp://HOST:PORT, {example.en}; or for a serial port rtu:// and "
            "its path, such as rtu:///dev/serial/by-id/usb-FTDI_USB_Serial-if00-port0",
            "cure_zh": f"请写 tcp://主机:端口，{example.zh}；串口请写 rtu:// 加设备路径，"
            "例如 rtu:///dev/serial/by-id/usb-FTDI_USB_Serial-if00-port0",
        },
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Modbus negotiates nothing: these are the configured numbers."""

    max_registers: int = 125
    max_bits: int = 2000


def limits_of(settings: ModbusSettings) -> Limits:
    return Limits(settings.max_registers, settings.max_bits)


def link_key(settings: ModbusSettings) -> str:
    """``host:port``, or the real path of the serial port: two names of one port are one bus, and stations
    behind one gateway share its connection."""
    where = endpoint(settings.link)
    return os.path.realpath(where.device) if where.device else where.place.lower()
