"""Where the device is, and the offline check of what a technician wrote about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drivers.opcua.address import tag_problems
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

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


def check(settings: OpcuaSettings, tags: Sequence[Tag]) -> list[Problem]:
    """Every mistake that can be found without the server."""
    problems = []
    try:
        url(settings)
    except ValueError:
        problems.append(_bad_link(settings))
    given = [key for key in ("user", "password") if getattr(settings, key) is not None]
    problems.extend(_no_security_yet(key) for key in given)
    for tag in tags:
        problems.extend(tag_problems(tag))
    return problems


def _bad_link(settings: OpcuaSettings) -> Problem:
    return Problem(
        "E-OPCUA-LINK",
        ("link",),
        Text(
            en=f"'{settings.link.rpartition('@')[2]}' is not the address of an OPC UA server.",
            zh=f"“{settings.link.rpartition('@')[2]}”不是 OPC UA 服务器地址。",
        ),
        Text(
            en="Write opc.tcp:// with host and port, for example opc.tcp://10.0.0.41:4840. No user in it.",
            zh="请写 opc.tcp:// 加主机和端口,例如 opc.tcp://10.0.0.41:4840,其中不能含用户名。",
        ),
    )


def _no_security_yet(key: str) -> Problem:
    return Problem(
        "E-OPCUA-SECURITY",
        (key,),
        Text(
            en=f"'{key}' would cross the network readable: it needs a security policy, which comes later.",
            zh=f"“{key}”会以明文经过网络:需要安全策略,该功能稍后提供。",
        ),
        Text(
            en=f"Remove '{key}' and allow anonymous reading on the server.",
            zh=f"请删除“{key}”,并在服务器上允许匿名读取。",
        ),
    )
