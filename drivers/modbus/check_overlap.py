"""W-MB-107: values that share registers though they are not the same value, such as a float32 at 40001 and an
int16 at 40002. One of the two addresses, or types, is nearly always wrong; a bit or byte of a register beside
the register itself is usual and not meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.modbus.address import Address, notations, parse
from drivers.modbus.kinds import kind_name, registers_of
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem, Text

_MOST = 20  # at one place; where more share it, one warning each is enough


def check_overlaps(tags: Sequence[Tag]) -> Iterator[Problem]:
    """Of tags that passed the other checks. Reported at the later of the two, once for each tag."""
    found: dict[int, int] = {}  # later -> the first that it overlaps
    open_: dict[str, list[tuple[int, int, int]]] = {}  # table -> (end, start, whose) of what reaches here
    for start, position, width, address in sorted(_places(tags), key=lambda place: place[:2]):
        here = [place for place in open_.get(address.table.prefix, ()) if place[0] > start][-_MOST:]
        for end, begin, other in here:
            inside = start + width <= end or (begin == start and end <= start + width)
            if not _same(tags[position], tags[other]) and not (
                inside and _whole(tags[position], tags[other])
            ):
                later, earlier = max(position, other), min(position, other)
                found[later] = min(earlier, found.get(later, earlier))
        open_[address.table.prefix] = [*here, (start + width, start, position)]
    for later in sorted(found):
        yield _problem(tags, later, found[later])


def _places(tags: Sequence[Tag]) -> Iterator[tuple[int, int, int, Address]]:
    for position, tag in enumerate(tags):
        address = parse(tag.address)
        if not address.table.is_bits and not address.is_part:
            yield address.offset, position, registers_of(kind_name(tag), tag.length), address


def _whole(tag: Tag, other: Tag) -> bool:
    """A word of a long number, a long number over its words: a view taken on purpose. Of a floating-point
    number no part means anything."""
    return not any(one.type.is_float or one.type is ValueType.STRING for one in (tag, other))


def _same(tag: Tag, other: Tag) -> bool:
    """Read twice on purpose (another byte order, another scale) or by mistake, which is told elsewhere."""
    return kind_name(tag) == kind_name(other) and parse(tag.address) == parse(other.address)


def _problem(tags: Sequence[Tag], at: int, first: int) -> Problem:
    tag, other = tags[at], tags[first]
    here, there = _said(tag), _said(other)
    return Problem(
        "W-MB-107",
        ("tags", tag.name, "address"),
        Text(
            f"'{tag.name}' ({here}) and '{other.name}' ({there}) share registers",
            f"“{tag.name}”（{here}）与“{other.name}”（{there}）占用了相同的寄存器",
        ),
        Text(
            "two 16-bit registers make one 32-bit value: correct the address or the type of one of them",
            "一个 32 位数值占两个 16 位寄存器：请更正其中一个的地址或类型",
        ),
        warning=True,
    )


def _said(tag: Tag) -> str:
    kind = f"string[{tag.length}]" if kind_name(tag) == "string" else kind_name(tag)
    return f"{kind}, {notations(parse(tag.address))}"
