"""W-S7-OVERLAP and W-S7-TWICE: values that share bytes. A bit beside the byte or word it is in is usual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.s7.address import AddressMistake, Place, locate
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem, Text

_MOST = 20  # at one place; where more share it, one warning each is enough


def check_overlaps(tags: Sequence[Tag], encoding: str) -> Iterator[Problem]:
    """Reported at the later of the two tags, once for each."""
    found: dict[int, tuple[int, Place, Place]] = {}  # later -> the first that it overlaps, and both places
    open_: dict[tuple[object, ...], list[tuple[Place, int]]] = {}  # memory -> what reaches to here
    for place, position in sorted(_places(tags, encoding), key=lambda one: (one[0].start, one[1])):
        memory = (place.area, place.db, place.bit)  # bits meet equal bits only
        here = [one for one in open_.get(memory, ()) if one[0].end > place.start][-_MOST:]
        for that, other in here:
            if place != that and _view(place, that, tags[position], tags[other]):
                continue
            later, earlier = max(position, other), min(position, other)
            if later not in found or earlier < found[later][0]:
                found[later] = (earlier, place, that)
        open_[memory] = [*here, (place, position)]
    for later, (earlier, place, that) in sorted(found.items(), key=lambda one: one[0]):
        yield (_twice if place == that else _shared)(tags[later], tags[earlier])


def _places(tags: Sequence[Tag], encoding: str) -> Iterator[tuple[Place, int]]:
    for position, tag in enumerate(tags):
        try:
            yield locate(tag, encoding), position
        except AddressMistake:
            continue  # said already


def _view(place: Place, that: Place, tag: Tag, other: Tag) -> bool:
    """A word of a double word, a double word over its words: taken on purpose. Of a floating-point number or
    a text no part means anything."""
    inside = place.end <= that.end or (that.start == place.start and that.end <= place.end)
    return inside and not any(one.type.is_float or one.type is ValueType.STRING for one in (tag, other))


def _twice(tag: Tag, other: Tag) -> Problem:
    return Problem(
        "W-S7-TWICE",
        ("tags", tag.name, "address"),
        Text(
            f"'{tag.name}' and '{other.name}' are both read from {tag.address}.",
            f"“{tag.name}”和“{other.name}”都读取 {tag.address}。",
        ),
        Text("If that is not meant, one of the two addresses is wrong.", "如非有意，其中一个地址写错了。"),
        warning=True,
    )


def _shared(tag: Tag, other: Tag) -> Problem:
    here, there = f"{tag.wire or tag.type}, {tag.address}", f"{other.wire or other.type}, {other.address}"
    return Problem(
        "W-S7-OVERLAP",
        ("tags", tag.name, "address"),
        Text(
            f"'{tag.name}' ({here}) and '{other.name}' ({there}) share bytes.",
            f"“{tag.name}”（{here}）与“{other.name}”（{there}）占用了相同的字节。",
        ),
        Text(
            "S7 counts bytes: after DBD0 (4 bytes) comes DBD4. Correct one of the two addresses or types.",
            "S7 按字节编址：DBD0 占 4 个字节，下一个是 DBD4。请更正其中一个的地址或类型。",
        ),
        warning=True,
    )
