"""Every mistake in a device's settings and tags that can be found without the server.

E-OPCUA-LINK endpoint   E-OPCUA-ADDRESS node id   E-OPCUA-NS-INDEX namespace by number (warning)
E-OPCUA-BYTE-ORDER byte order   E-OPCUA-SECURITY a user without security   E-OPCUA-USER half a user
E-OPCUA-SUBSCRIBE no such poll group
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.opcua.address import locate, tag_problems
from drivers.opcua.endpoint import url
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text, whole_link

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

_PAIRS = (("user", "password"), ("user_certificate", "user_key"))


def check(settings: OpcuaSettings, tags: Sequence[Tag]) -> list[Problem]:
    """All of them: the settings' first, then the tags' in their order."""
    problems = []
    try:
        url(settings)
    except ValueError:
        problems.append(_bad_link(settings))
    problems += _identity(settings)
    groups = {tag.group for tag in tags}
    for number, group in enumerate(settings.subscribe):
        if tags and group not in groups:
            problems.append(_no_such_group(number, group, sorted(groups)))
    for tag in tags:
        problems += tag_problems(tag)
    return problems


def unwritable(settings: OpcuaSettings, tag: Tag) -> Text | None:
    """See ``DriverPlugin.unwritable``. Rights, and the type a node really has, only the server can tell."""
    try:
        place = locate(tag.address)
    except ValueError:  # ``check`` tells
        return None
    if place.element:
        return Text(
            f"element {','.join(map(str, place.element))} of an array cannot be written alone; let the "
            "program offer the value as a node of its own",
            f"数组的元素 {','.join(map(str, place.element))} 不能单独写入；请让程序将该值作为独立节点提供",
        )
    if tag.wire == "statuscode":
        return Text("values of type statuscode are not written", "不写入 statuscode 类型的值")
    return None


def _identity(settings: OpcuaSettings) -> list[Problem]:
    given = [key for pair in _PAIRS for key in pair if getattr(settings, key) is not None]
    if settings.security_policy == "None":
        return [_needs_security(key) for key in given]
    problems = []
    for pair in _PAIRS:
        for key, other in (pair, pair[::-1]):
            if key in given and other not in given:
                problems.append(_half(key, other))
    if "user" in given and "user_certificate" in given:
        problems.append(_two_identities())
    return problems


def _bad_link(settings: OpcuaSettings) -> Problem:
    example = whole_link(settings.link, "opc.tcp", "opc.tcp://10.0.0.41:4840")
    return Problem(
        "E-OPCUA-LINK",
        ("link",),
        Text(
            en=f"'{settings.link.rpartition('@')[2]}' is not the address of an OPC UA server.",
            zh=f"“{settings.link.rpartition('@')[2]}”不是 OPC UA 服务器地址。",
        ),
        Text(
            en=f"Write opc.tcp:// with host and port, {example.en}. No user in it.",
            zh=f"请写 opc.tcp:// 加主机和端口，{example.zh}，其中不能含用户名。",
        ),
    )


def _needs_security(key: str) -> Problem:
    return Problem(
        "E-OPCUA-SECURITY",
        (key,),
        Text(
            en=f"'{key}' without a security policy: the password would cross the network readable.",
            zh=f"“{key}”未配安全策略:密码会以明文经过网络。",
        ),
        Text(
            en=f"Set security_policy (for example Basic256Sha256), or remove '{key}' to read anonymously.",
            zh=f"请设置 security_policy(例如 Basic256Sha256),或删除“{key}”以匿名读取。",
        ),
    )


def _half(key: str, other: str) -> Problem:
    return Problem(
        "E-OPCUA-USER",
        (key,),
        Text(en=f"'{key}' without '{other}'.", zh=f"只有“{key}”,没有“{other}”。"),
        Text(en=f"Add '{other}', or remove '{key}'.", zh=f"请补上“{other}”,或删除“{key}”。"),
    )


def _two_identities() -> Problem:
    return Problem(
        "E-OPCUA-USER",
        ("user_certificate",),
        Text(
            en="Both a user with password and a user certificate: a session has one identity.",
            zh="同时配置了用户名密码和用户证书:一个会话只能有一种身份。",
        ),
        Text(en="Remove one of the two.", zh="请删除其中之一。"),
    )


def _no_such_group(number: int, group: str, groups: Sequence[str]) -> Problem:
    return Problem(
        "E-OPCUA-SUBSCRIBE",
        ("subscribe", number),
        Text(en=f"No tag is in the poll group '{group}'.", zh=f"没有变量属于轮询组“{group}”。"),
        Text(
            en=f"Use one of the tags' groups: {', '.join(groups)}.",
            zh=f"请使用变量已有的轮询组:{'、'.join(groups)}。",
        ),
    )
