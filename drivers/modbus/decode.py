"""The replies of a plan -> columns in the order of the tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from operator import itemgetter
from typing import Any

from drivers.modbus.codec import BlockCodec
from edge_agent.driver import Columns
from edge_agent.model import Quality, Value


class Decoder:
    """A good reply costs one ``unpack`` and, with floats, one sum: a sum is finite only if every term is.
    Only a block whose sum is not finite is looked at value by value.

    ``codecs``: one per request. ``tags``: per request the positions it serves. ``column``: per tag the place
    of its value in all columns of all codecs, one behind the other.
    """

    def __init__(
        self, codecs: Sequence[BlockCodec], tags: Sequence[tuple[int, ...]], column: Sequence[int]
    ) -> None:
        self._blocks = tuple((c.unpack, c.has_floats, c.may_fail, (None,) * c.width) for c in codecs)
        self._tags = tuple(tags)
        self._good = bytes(len(column))
        self._order = _picker(column, sum(codec.width for codec in codecs))

    def __call__(self, replies: Sequence[Any]) -> Columns:
        flat: list[Value] = []
        spoiled = False
        for (unpack, has_floats, may_fail, nothing), reply in zip(self._blocks, replies, strict=True):
            if isinstance(reply, Quality):
                flat += nothing
                spoiled = True
                continue
            numbers = unpack(reply)
            if has_floats and not isfinite(sum(numbers)):
                numbers = [number if isfinite(number) else None for number in numbers]
                spoiled = True
            elif may_fail and None in numbers:
                spoiled = True
            flat += numbers
        values = self._order(flat)
        return Columns(values, self._qualities(values, replies) if spoiled else self._good)

    def _qualities(self, values: Sequence[Value], replies: Sequence[Any]) -> bytes:
        quality = bytearray(Quality.BAD_DECODE if value is None else Quality.GOOD for value in values)
        for tags, reply in zip(self._tags, replies, strict=True):
            if isinstance(reply, Quality):
                for tag in tags:
                    quality[tag] = reply
        return bytes(quality)


def _picker(column: Sequence[int], width: int) -> Callable[[list[Value]], tuple[Value, ...]]:
    """Brings the columns into the order of the tags; nothing to do where they already are."""
    if list(column) == list(range(width)):
        return tuple
    if len(column) == 1:
        only = column[0]
        return lambda flat: (flat[only],)
    return itemgetter(*column)
