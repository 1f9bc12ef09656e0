"""Where the device is: its host and port, and what makes two devices share one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

DEFAULT_PORT = 102


def endpoint(settings: S7Settings) -> tuple[str, int]:
    """(host, port). Raises ValueError for a link that is not tcp://host[:port]."""
    parts = urlsplit(settings.link.strip())
    port = DEFAULT_PORT if parts.port is None else parts.port
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme != "tcp" or not parts.hostname or extra or not 1 <= port <= 65_535:
        raise ValueError(f"not tcp://host[:port]: {settings.link!r}")
    return parts.hostname, port


def link_key(settings: S7Settings) -> str:
    """``host:port/rack/slot``: one ISO connection. A link that cannot be parsed stands for itself."""
    try:
        host, port = endpoint(settings)
    except ValueError:
        return f"{settings.link}/{settings.rack}/{settings.slot}"
    return f"{host}:{port}/{settings.rack}/{settings.slot}"
