"""The addresses of an array's elements, as STEP 7 and TIA lay arrays out in non-optimised memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.s7.address import Point, locate, parse
from edge_agent.model import Tag

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings


def elements(settings: S7Settings, tag: Tag, count: int) -> Sequence[str]:
    """Bits run on over byte boundaries; bytes and single characters lie side by side; whatever is longer
    begins at an even byte, so that a STRING with an odd length is followed by a byte that means nothing.
    Timers and counters are counted by number. Raises AddressMistake, a ValueError, where the tag's own
    address is wrong or an element lies outside what a controller has."""
    place = locate(tag, settings.encoding)
    first = parse(tag.address)
    stride = 1 if first.area in ("T", "C") else place.length + (place.length % 2 if place.length > 1 else 0)
    found = [str(_element(first, stride, index)) for index in range(count)]
    if found:
        locate(replace(tag, address=found[-1]), settings.encoding)
    return found


def _element(first: Point, stride: int, index: int) -> Point:
    if first.bit is not None:
        carry, bit = divmod(first.bit + index, 8)
        return replace(first, start=first.start + carry, bit=bit)
    return replace(first, start=first.start + stride * index)
