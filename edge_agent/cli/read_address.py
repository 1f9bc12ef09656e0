"""A place in a device that no tag stands for, as a tag made for one read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from edge_agent.cli.read import only as only_tags
from edge_agent.cli.say import language, say

if TYPE_CHECKING:
    from edge_agent.config.model import Device
    from edge_agent.model import Tag

GROUP = "read"


def only(
    device: Device,
    names: Sequence[str],
    address: str | None,
    type_name: str | None,
    order: str | None,
    *,
    whole: bool,
) -> Device:
    """The device with that address as its only tag, or with one of its tags, another type or order in its
    place. ``whole``: a type is needed for the address."""
    if address is None:
        return _changed(only_tags(device, names), names, type_name, order)
    if names:
        raise click.UsageError(say("give a tag or --address, not both", "变量名与 --address 只能给出其一"))
    if type_name is None and whole:
        raise click.UsageError(
            say(
                "--address needs --type, such as --type float32; --try-orders shows all types",
                "--address 需要 --type，例如 --type float32；--try-orders 列出所有类型",
            )
        )
    return asking(device, [checked(device, address, type_name, order)])


def _changed(device: Device, names: Sequence[str], type_name: str | None, order: str | None) -> Device:
    if len(names) != 1 or len(device.tags) != 1:
        raise click.UsageError(say("name one tag, or give --address", "请指定一个变量，或给出 --address"))
    tag = device.tags[0]
    name = type_name or _type_of(tag)
    made = checked(device, tag.address, name, order or tag.byte_order)
    return asking(device, [replace(made, name=tag.name, unit=tag.unit, scaling=tag.scaling)])


def _type_of(tag: Tag) -> str:
    name = tag.wire or str(tag.type)
    return f"{name}[{tag.length}]" if tag.type == "string" and tag.length else name


def asking(device: Device, tags: Sequence[Tag]) -> Device:
    """The device with these tags only, all read together."""
    return replace(
        device, tags=tuple(replace(tag, group=GROUP) for tag in tags), periods_s={GROUP: 1.0}, windows=()
    )


def checked(device: Device, address: str, type_name: str | None, order: str | None) -> Tag:
    """UsageError with the driver's own words for what it cannot read."""
    from edge_agent.config.kinds import Kind, Kinds
    from edge_agent.model import Tag, ValueType

    kind = Kinds(device.plugin.types).read(type_name) if type_name else Kind(ValueType.UINT16, "", 1, None)
    if not isinstance(kind, Kind) or kind.elements is not None:
        known = ", ".join(dict.fromkeys([*map(str, ValueType), *device.plugin.types]))
        raise click.UsageError(
            say(
                f"{type_name!r} is not a type here; there are: {known}",
                f"没有类型 {type_name!r}，可用：{known}",
            )
        )
    tag = Tag(
        address.strip(),
        address.strip(),
        kind.type,
        byte_order=order or "",
        length=kind.length,
        wire=kind.wire,
    )
    if type_name is None:
        return tag
    problems = [
        p for p in device.plugin.check(device.settings, [tag]) if not p.warning and p.path[:1] == ("tags",)
    ]
    if problems:
        said = "; ".join(f"{p.message.say(language())}: {p.cure.say(language())}" for p in problems)
        raise click.UsageError(said)
    return tag
