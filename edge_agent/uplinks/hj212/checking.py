"""The tags that the settings name, held against the tags there are. Offline, for ``edge-agent check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from edge_agent.config.suggest import hint
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings

Tags = Mapping[str, Mapping[str, Tag]]
Path = tuple[str | int, ...]


def check(settings: Hj212Settings, tags: Tags) -> list[Problem]:
    """A tag that does not exist would simply never be sent, and the platform would ask where it is."""
    known = [f"{device}.{name}" for device, own in tags.items() for name in own]
    found: list[Problem] = []
    for path, reference in _named(settings):
        if reference not in known:
            found.append(_unknown(path, reference, known))
    for index, factor in enumerate(settings.factors):
        tag = tags.get(factor.tag.partition(".")[0], {}).get(factor.tag.partition(".")[2])
        if tag is not None and factor.unit and tag.unit != factor.unit:
            found.append(_other_unit(("factors", index, "unit"), factor.tag, tag.unit, factor.unit))
    return found


def _named(settings: Hj212Settings) -> Iterator[tuple[Path, str]]:
    for index, factor in enumerate(settings.factors):
        yield ("factors", index, "tag"), factor.tag
        if factor.total:
            yield ("factors", index, "total"), factor.total
    for index, facility in enumerate(settings.running_hours):
        yield ("running_hours", index, "tag"), facility.tag
    for index, info in enumerate(settings.infos):
        yield ("infos", index, "tag"), info.tag


def _unknown(path: Path, reference: str, known: list[str]) -> Problem:
    near = hint(reference, known)
    return Problem(
        "E-212-001",
        path,
        Text(f"there is no tag '{reference}'", f"没有名为 '{reference}' 的点"),
        Text(
            f"{near.en}Write DEVICE.TAG as the device files and tag tables name them.",
            f"{near.zh}请按设备文件和点表写作 设备.点名。",
        ),
    )


def _other_unit(path: Path, reference: str, unit: str, wanted: str) -> Problem:
    return Problem(
        "E-212-002",
        path,
        Text(
            f"'{reference}' is in {unit or 'no unit'}, not in {wanted}: nothing would be sent of it",
            f"'{reference}' 的单位是 {unit or '（空）'}，不是 {wanted}：不会发送",
        ),
        Text(
            "Correct the unit here or in the tag table, or derive a tag in that unit.",
            "请更正此处或点表中的单位，或用计算点换算成该单位。",
        ),
    )
