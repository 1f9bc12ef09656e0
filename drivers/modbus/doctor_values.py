"""Values that do not fit: floats that only make sense in another byte order, in the other table or one
address on, and addresses the device refuses.

A float32 has an exponent of eight bits; read with its bytes in a wrong order, it is nearly always absurdly
large or small. So a value is suspected only when it is absurd as read, and an explanation is given only when
it makes sense of at least half of the suspected values. Without one, what no machine measures is told as it
is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from drivers.modbus.address import Address, Table, parse
from drivers.modbus.doctor_words import finding
from drivers.modbus.kinds import ByteOrder, order_of
from edge_agent.errors import DriverError
from edge_agent.model import Quality, Value, ValueType

if TYPE_CHECKING:
    from drivers.modbus.reading import Reading
    from drivers.modbus.settings import ModbusSettings
    from edge_agent.driver import Columns
    from edge_agent.model import Tag
    from edge_agent.settings import Finding

MOST = 8
"""Tags that are looked into; the others of a device are wrong in the same way."""
AGAIN_S = 0.3
_SHOWN = 4
_OTHER_TABLE = {Table.HOLDING: Table.INPUT, Table.INPUT: Table.HOLDING, Table.COIL: Table.DISCRETE}
_OTHER_TABLE[Table.DISCRETE] = Table.COIL
_ORDERS = (ByteOrder.CDAB, ByteOrder.ABCD, ByteOrder.DCBA, ByteOrder.BADC)  # as often as they are met


def absurd(value: Value) -> bool:
    """Whether no measurement is like that. A large positive number may be a counter."""
    if not isinstance(value, float):
        return False
    if not isfinite(value):
        return True
    return 0.0 < abs(value) < 1e-7 or value < -1e7 or value > 1e10


def sensible(value: Value) -> bool:
    return isinstance(value, float) and isfinite(value) and 1e-3 <= abs(value) <= 1e6


def impossible(value: Value) -> bool:
    """Beyond a vacuum gauge and an energy counter in joules: to be told even where nothing explains it."""
    return isinstance(value, float) and (0.0 < abs(value) < 1e-12 or 1e15 < abs(value) < inf)


async def findings(reading: Reading, tags: Sequence[Tag], columns: Columns) -> Sequence[Finding]:
    """What is wrong with these values, if anything."""
    found: list[Finding] = []
    pairs = list(zip(tags, columns.values, columns.quality, strict=True))
    refused = [tag for tag, _, quality in pairs if quality == Quality.BAD_ADDRESS]
    barred = [tag for tag, _, quality in pairs if quality == Quality.BAD_CONFIG]
    strange = {
        tag: value
        for tag, value, quality in pairs
        if tag.type.is_float and (absurd(value) or quality == Quality.BAD_DECODE)
    }
    if refused:
        found.append(await _address(reading, refused))
    if barred:
        found.append(finding("modbus_function", tags=_names(barred)))
    strange = strange or await _jumping(reading, pairs)
    if strange:
        explanation = await _explained(reading, dict(list(strange.items())[:MOST])) or _strange(strange)
        found += [] if explanation is None else [explanation]
    return found


def no_address(refused: Sequence[Tag]) -> Finding:
    return finding("modbus_no_address", tags=_places(refused))


def by_value(
    settings: ModbusSettings, tags: Sequence[Tag], values: Mapping[str, Mapping[str, Any]]
) -> Finding | None:
    """The same suspicion from float32 values that somebody else has read; only in another order can they be
    read here."""
    strange = {
        tag: value
        for tag in tags
        if tag.type is ValueType.FLOAT32 and tag.scaling is None
        if isinstance(value := values.get(tag.name, {}).get("value"), float) and absurd(value)
    }
    for order in _ORDERS:
        meant = {tag: _reordered(value, order_of(settings, tag), order) for tag, value in strange.items()}
        if strange and 2 * sum(map(sensible, meant.values())) >= len(strange):
            return _order(settings, strange, meant, order)
    return _strange(strange)


async def _jumping(reading: Reading, pairs: Sequence[tuple[Tag, Value, int]]) -> dict[Tag, Value]:
    """Floats that look sound but change beyond reason within a moment: their low bits stand in front."""
    floats = {
        tag: value for tag, value, _ in pairs if tag.type.is_float and isinstance(value, float) and value
    }
    some = dict(list(floats.items())[:MOST])
    if not some:
        return {}
    await asyncio.sleep(AGAIN_S)
    try:
        columns = await reading.again().columns(list(some))
    except DriverError:
        return {}
    return {
        tag: now
        for (tag, before), now in zip(some.items(), columns.values, strict=True)
        if absurd(now) or (isinstance(now, float) and now and not 1e-3 < abs(now / before) < 1e3)
    }


async def _explained(reading: Reading, strange: Mapping[Tag, Value]) -> Finding | None:
    """The explanation that makes sense of most values; of equals, another order before the other table, and
    that before another address."""
    settings, tags = reading.settings, list(strange)
    best: tuple[int, Finding] | None = None
    for order in _ORDERS:
        other = [replace(tag, byte_order=order) for tag in tags if order_of(settings, tag) is not order]
        meant = await _meant(reading, other)
        best = _better(best, strange, meant, lambda m, order=order: _order(settings, strange, m, order))
    meant = await _meant(reading, [_elsewhere(tag) for tag in tags])
    best = _better(best, strange, meant, lambda m: _table(strange, m))
    for step in (-1, 1):
        meant = await _meant(reading, [t for tag in tags if (t := _moved(tag, step)) is not None])
        best = _better(best, strange, meant, lambda m, step=step: _base(strange, m, step))
    return None if best is None or 2 * best[0] < len(strange) else best[1]


def _better(best: Any, strange: Mapping[Tag, Value], meant: Mapping[str, Value], say: Any) -> Any:
    score = sum(map(sensible, meant.values()))
    if not score or (best is not None and best[0] >= score):
        return best
    return score, say({tag: meant[tag.name] for tag in strange if tag.name in meant})


async def _meant(reading: Reading, tags: Sequence[Tag]) -> dict[str, Value]:
    """What tags read as, by name. What cannot be read explains nothing."""
    if not tags:
        return {}
    try:
        columns = await reading.columns(tags)
    except DriverError:
        return {}
    return dict(zip((tag.name for tag in tags), columns.values, strict=True))


async def _address(reading: Reading, refused: Sequence[Tag]) -> Finding:
    """Why the device has no such addresses: are they one off, or in the other table?"""
    asked = refused[:MOST]
    for step in (-1, 1):
        moved = [t for tag in asked if (t := _moved(tag, step)) is not None]
        there = await _readable(reading, moved)
        if 2 * len(there) >= len(asked):
            return finding("modbus_address_base", tags=_places(refused), step=f"{step:+d}", meant=_shown(
                f"{tag.name} {tag.address}" for tag in there
            ))  # fmt: skip
    others = await _readable(reading, [_elsewhere(tag) for tag in asked])
    if 2 * len(others) >= len(asked):
        return finding("modbus_table", tags=_places(refused), meant=_places(others))
    return no_address(refused)


async def _readable(reading: Reading, tags: Sequence[Tag]) -> list[Tag]:
    if not tags:
        return []
    try:
        columns = await reading.columns(tags)
    except DriverError:
        return []
    return [
        tag for tag, q in zip(tags, columns.quality, strict=True) if q in (Quality.GOOD, Quality.BAD_DECODE)
    ]


def _moved(tag: Tag, step: int) -> Tag | None:
    place = parse(tag.address)
    offset = place.offset + step
    return replace(tag, address=str(replace(place, offset=offset))) if 0 <= offset <= 0xFFFF else None


def _elsewhere(tag: Tag) -> Tag:
    place = parse(tag.address)
    return replace(tag, address=str(replace(place, table=_OTHER_TABLE[place.table])))


def _order(
    settings: ModbusSettings, strange: Mapping[Tag, Value], meant: Mapping[Tag, Value], order: ByteOrder
) -> Finding:
    now = {str(order_of(settings, tag)) for tag in strange}
    return finding(
        "modbus_byte_order", now="/".join(sorted(now)), order=str(order), tags=_compared(strange, meant),
        first=next(iter(strange)).name,
    )  # fmt: skip


def _table(strange: Mapping[Tag, Value], meant: Mapping[Tag, Value]) -> Finding:
    there = _places(_elsewhere(tag) for tag in strange if sensible(meant.get(tag)))
    return finding("modbus_table", tags=_compared(strange, meant), meant=there)


def _strange(values: Mapping[Tag, Value]) -> Finding | None:
    told = {tag: value for tag, value in values.items() if impossible(value)}
    if not told:
        return None
    shown = _shown(f"{tag.name} {_both(parse(tag.address))}: {_number(value)}" for tag, value in told.items())
    return finding("modbus_strange_value", tags=shown, first=next(iter(told)).name)


def _base(strange: Mapping[Tag, Value], meant: Mapping[Tag, Value], step: int) -> Finding:
    shown = ((tag, _moved(tag, step)) for tag in strange)
    return finding(
        "modbus_address_base", tags=_compared(strange, meant), step=f"{step:+d}",
        meant=_shown(f"{tag.name} {there.address}" for tag, there in shown if there is not None),
    )  # fmt: skip


def _reordered(value: float, now: ByteOrder, other: ByteOrder) -> Value:
    """Four bytes that read as ``value`` in one order, read in another."""
    bits = pack(">f", value) if isfinite(value) else b""
    if len(bits) != 4:
        return None
    wire = bytes(bits["ABCD".index(letter)] for letter in str(now))
    number: float = unpack(">f", bytes(wire[str(other).index(letter)] for letter in "ABCD"))[0]
    return number


def _compared(strange: Mapping[Tag, Value], meant: Mapping[Tag, Value]) -> str:
    return _shown(
        f"{tag.name} {_number(value)} -> {_number(meant[tag])}"
        for tag, value in strange.items()
        if tag in meant and sensible(meant[tag])
    )


def _number(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "NaN"


def _names(tags: Iterable[Tag]) -> str:
    return _shown(tag.name for tag in tags)


def _places(tags: Iterable[Tag]) -> str:
    return _shown(f"{tag.name} {_both(parse(tag.address))}" for tag in tags)


def _both(place: Address) -> str:
    return f"{place} = {place.reference}"


def _shown(texts: Iterable[str]) -> str:
    found = list(texts)
    more = f" (+{len(found) - _SHOWN})" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
