"""Raw numbers by which a device says that it has no value (``Tag.no_value``), turned into BAD_DECODE.

In one place for all drivers and all ways of reading. Compiled once per poll group: a group in which no tag
has any costs nothing, another one look-up per tag that has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, ValueType

Strike = Callable[[Columns], Columns]

_SIGNED_BITS = {ValueType.INT8: 8, ValueType.INT16: 16, ValueType.INT32: 32, ValueType.INT64: 64}


def compiled(tags: Sequence[Tag]) -> Strike | None:
    """None where no tag has a sentinel. What it returns gives columns back untouched when nothing hits."""
    watched = tuple(
        (index, frozenset(_as_read(number, tag.type) for number in tag.no_value))
        for index, tag in enumerate(tags)
        if tag.no_value and tag.type.is_numeric
    )
    if not watched:
        return None

    def strike(columns: Columns) -> Columns:
        values = columns.values
        hits = [index for index, sentinels in watched if values[index] in sentinels]
        return _without(columns, hits) if hits else columns

    return strike


def _without(columns: Columns, hits: Sequence[int]) -> Columns:
    values, quality = list(columns.values), bytearray(columns.quality)
    for index in hits:
        values[index], quality[index] = None, Quality.BAD_DECODE
    return replace(columns, values=tuple(values), quality=bytes(quality))


def _as_read(number: int | float, type_: ValueType) -> int | float:
    """The sentinel as the driver decodes it: -9999.9 in a float32 is another number than in Python, and
    0x8000 written for an int16 means its bits."""
    if type_ is ValueType.FLOAT32:
        try:
            return float(struct.unpack("<f", struct.pack("<f", number))[0])
        except (OverflowError, struct.error):
            return number  # no float32 can be this: it never hits
    bits = _SIGNED_BITS.get(type_)
    if bits is not None and isinstance(number, int) and 1 << (bits - 1) <= number < 1 << bits:
        return number - (1 << bits)
    return number
