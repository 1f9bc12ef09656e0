"""W-S7-OVERLAP and W-S7-TWICE: values that share bytes. A bit beside the byte or word it is in is usual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.s7.address import AddressMistake, Place, locate
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text


def check_overlaps(tags: Sequence[Tag], encoding: str) -> Iterator[Problem]:
    """Reported at the later of the two tags, once for each."""
    last: dict[tuple[str, int], tuple[int, int]] = {}  # memory -> end of what reaches farthest, and whose
    bits: dict[tuple[str, int, int, int], int] = {}
    for place, position in sorted(_places(tags, encoding), key=lambda found: (found[0].start, found[1])):
        if place.bit is not None:
            first = bits.setdefault((place.area, place.db, place.start, place.bit), position)
            if first != position:
                yield _twice(tags[max(first, position)], tags[min(first, position)])
            continue
        end, other = last.get((place.area, place.db), (0, 0))
        if place.start < end:
            later, earlier = tags[max(position, other)], tags[min(position, other)]
            same = locate(later, encoding) == locate(earlier, encoding)
            yield _twice(later, earlier) if same else _shared(later, earlier)
        if place.end >= end:
            last[place.area, place.db] = (place.end, position)


def _places(tags: Sequence[Tag], encoding: str) -> Iterator[tuple[Place, int]]:
    for position, tag in enumerate(tags):
        try:
            yield locate(tag, encoding), position
        except AddressMistake:
            continue  # said already


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
