"""Where the device is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

DEFAULT_PORT = 4840


def url(settings: OpcuaSettings) -> str:
    """The endpoint with its port written out. Raises ValueError for what is not opc.tcp://host[:port][/path]."""
    parts = urlsplit(settings.link.strip())
    port = DEFAULT_PORT if parts.port is None else parts.port
    extra = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme != "opc.tcp" or not parts.hostname or extra or not 1 <= port <= 65_535:
        raise ValueError(f"not opc.tcp://host[:port][/path]: {settings.link!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"opc.tcp://{host}:{port}{parts.path}"


def link_key(settings: OpcuaSettings) -> str:
    """The endpoint URL: one session. A link that cannot be parsed stands for itself."""
    try:
        return url(settings)
    except ValueError:
        return settings.link.strip() or "?"
