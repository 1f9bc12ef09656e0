"""Where the device is, and the offline check of what a technician wrote about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drivers.s7.address import tag_problems
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

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


def check(settings: S7Settings, tags: Sequence[Tag]) -> list[Problem]:
    """Every mistake that can be found without the controller."""
    problems = [] if _link_is_sound(settings) else [_bad_link(settings)]
    for tag in tags:
        problems.extend(tag_problems(tag))
    return problems


def _link_is_sound(settings: S7Settings) -> bool:
    try:
        endpoint(settings)
    except ValueError:
        return False
    return True


def _bad_link(settings: S7Settings) -> Problem:
    return Problem(
        "E-S7-LINK",
        ("link",),
        Text(
            en=f"'{settings.link}' is not an address of an S7 controller.",
            zh=f"“{settings.link}”不是 S7 控制器的地址。",
        ),
        Text(
            en="Write tcp:// and the controller's IP address, for example tcp://10.0.0.31 (port 102).",
            zh="请写 tcp:// 加控制器 IP 地址,例如 tcp://10.0.0.31(端口 102)。",
        ),
    )
