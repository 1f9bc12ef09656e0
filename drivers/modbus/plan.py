"""Tags of one poll group -> the cheapest requests, and the way back from their replies to columns. Pure.

``cost`` says what a request costs, ``blocks`` which values share one, ``codec`` how a reply is read and
``decode`` where each value goes. A request never splits a value, asks for at most what the device takes, and
touches no forbidden range.

The link answers a refusal with ``Replan``: ``Learned`` then holds what was refused together (exception 2),
and ``blocks`` halves it until the hole is found, or half the count (exception 3). A device that answers
exception 3 to a single value means the address, whatever the standard says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drivers.modbus.address import Range, Table, parse, parse_range
from drivers.modbus.blocks import Span, Terms, blocks_of
from drivers.modbus.codec import BlockCodec, Field, compile_bits, compile_registers
from drivers.modbus.cost import Cost, cost_of, has_identity
from drivers.modbus.decode import Decoder
from drivers.modbus.endpoint import Limits, limits_of
from drivers.modbus.kinds import encoding_of, kind_name, order_of, registers_of
from drivers.modbus.request import Learned as Learned
from drivers.modbus.request import Read as Read
from drivers.modbus.request import read_of, size_of
from edge_agent.driver import Plan, Request
from edge_agent.model import Tag

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where one tag lies in its table: offsets ``start`` up to, not including, ``end``."""

    tag: int
    start: int
    end: int
    content: Field


@dataclass(slots=True)
class _Block:
    """What one request reads. ``spans``: its values without those that lie inside another, ascending.
    ``refused``: each of them by itself, before."""

    table: Table
    spans: list[Span]
    refused: bool = False
    cells: list[_Cell] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.spans[0][0]

    @property
    def end(self) -> int:
        return self.spans[-1][1]

    @property
    def size(self) -> int:
        return size_of(self.table, self.end - self.start)


def plan(
    settings: ModbusSettings, tags: Sequence[Tag], limits: Limits | None, learned: Learned | None
) -> Plan:
    """Requests and decoder for tags that passed ``check``."""
    limits = limits or limits_of(settings)
    learned = learned or Learned()
    cost = cost_of(settings)
    forbidden = [parse_range(text) for text in settings.forbidden]
    blocks: list[_Block] = []
    for table, cells in _cells(settings, tags).items():
        allowed = limits.max_bits if table.is_bits else limits.max_registers
        terms = Terms(
            cost,
            table.is_bits,
            min(allowed, learned.limit(table.function)),
            settings.max_gap,
            [(part.start, part.end) for part in forbidden if part.table is table],
        )
        blocks += _blocks(table, cells, terms, learned)
    if not has_identity(settings.link):
        blocks = _alternating(blocks)
    requests = tuple(_request(settings.station, block, cost, learned) for block in blocks)
    return Plan(requests, _decoder(blocks, requests, len(tags)))


def _cells(settings: ModbusSettings, tags: Sequence[Tag]) -> dict[Table, list[_Cell]]:
    found: dict[Table, list[_Cell]] = {table: [] for table in Table}
    for position, tag in enumerate(tags):
        address = parse(tag.address)
        kind, order, encoding = kind_name(tag), order_of(settings, tag), encoding_of(settings, tag)
        content = Field(address.offset, kind, order, address.bit, address.high, tag.length, encoding)
        width = 1 if address.table.is_bits else registers_of(kind, tag.length)
        found[address.table].append(_Cell(position, address.offset, address.offset + width, content))
    return {table: cells for table, cells in found.items() if cells}


def _blocks(table: Table, cells: Sequence[_Cell], terms: Terms, learned: Learned) -> list[_Block]:
    spans = {(cell.start, cell.end) for cell in cells}
    refused, groups = blocks_of(spans, terms, learned.holes(table.function))
    bad = [_Block(table, group, refused=True) for group in refused]
    good = [_Block(table, group) for group in groups]
    known = {span for block in bad for span in block.spans}
    _assign(bad, [cell for cell in cells if (cell.start, cell.end) in known])
    _assign(good, [cell for cell in cells if (cell.start, cell.end) not in known])
    return sorted(bad + good, key=lambda block: (block.start, block.end))


def _assign(blocks: Sequence[_Block], cells: Sequence[_Cell]) -> None:
    """Gives each cell to the first block that holds all of it."""
    index = 0
    for cell in sorted(cells, key=lambda cell: (cell.start, cell.end, cell.tag)):
        while blocks[index].end < cell.end:
            index += 1
        blocks[index].cells.append(cell)


def _alternating(blocks: Sequence[_Block]) -> list[_Block]:
    """Where replies carry no transaction id, neighbours in time should not look alike: then a reply that
    comes one request late is seen at once. The most frequent kind of reply goes first wherever it may."""
    kinds: dict[tuple[int, int], list[_Block]] = {}
    for block in blocks:
        kinds.setdefault((block.table.function, block.size), []).append(block)
    ordered: list[_Block] = []
    last = None
    while kinds:
        others = [kind for kind in kinds if kind != last] or list(kinds)
        last = max(others, key=lambda kind: len(kinds[kind]))  # of equals the first, by address
        ordered.append(kinds[last].pop(0))
        if not kinds[last]:
            del kinds[last]
    return ordered


def _request(station: int, block: _Block, cost: Cost, learned: Learned) -> Request:
    count = block.end - block.start
    read = replace(
        read_of(station, block.table, block.start, count),
        whole=_whole(block),
        if_hole=_if_hole(block, learned),
        if_too_many=_if_too_many(block, count, learned),
    )
    unit = "bit" if block.table.is_bits else "register"
    return Request(
        tags=tuple(sorted(cell.tag for cell in block.cells)),
        body=read,
        cost_s=cost.ns(read.size) / 1e9,
        text=f"{read.place} ({count} {unit if count == 1 else unit + 's'}){_lesson(block, learned)}",
        size_bytes=cost.size_bytes(read.size),
    )


def _whole(block: _Block) -> tuple[int, ...]:
    """Counts after which no value is cut in two."""
    inside = {place for cell in block.cells for place in range(cell.start + 1, cell.end)}
    return tuple(stop - block.start for stop in range(block.start + 1, block.end + 1) if stop not in inside)


def _if_hole(block: _Block, learned: Learned) -> Learned | None:
    """None where the request is one value that nothing larger hides behind."""
    if block.refused:
        return None
    function, span = block.table.function, (block.start, block.end)
    taught = learned | Learned(frozenset({(function, *span)}))
    one_value = all((cell.start, cell.end) == span for cell in block.cells)
    if one_value and not any(start <= span[0] and span[1] <= end for start, end in learned.holes(function)):
        return None
    return taught


def _if_too_many(block: _Block, count: int, learned: Learned) -> Learned | None:
    """Half as many; and when a single value is too many as well, the address is meant."""
    function = block.table.function
    if learned.means_address(function):
        return _if_hole(block, learned)
    if len(block.spans) > 1:
        widest = max(end - start for start, end in block.spans)
        return learned | Learned(max_count=frozenset({(function, max(count // 2, widest))}))
    if learned.limit(function) == 0xFFFF:
        return None
    return learned | Learned(frozenset({(function, block.start, block.end)}), frozenset({(function, 0)}))


def _lesson(block: _Block, learned: Learned) -> str:
    """Why the request is as small as it is, where the device taught that."""
    function = block.table.function
    code = 3 if learned.means_address(function) else 2
    if block.refused:
        return f"; refused by itself before (exception {code})"
    notes = [
        f"; split off: {Range(block.table, start, end)} was refused as a whole (exception {code})"
        for start, end in learned.holes(function)
        if start < block.start < end
    ]
    if (limit := learned.limit(function)) < 0xFFFF:
        notes.append(f"; at most {limit} at once (exception 3)")
    return "".join(notes)


def _decoder(blocks: Sequence[_Block], requests: Sequence[Request], count: int) -> Decoder:
    codecs = [_codec(block) for block in blocks]
    column = [0] * count
    start = 0
    for block, codec in zip(blocks, codecs, strict=True):
        for cell, index in zip(block.cells, codec.columns, strict=True):
            column[cell.tag] = start + index
        start += codec.width
    return Decoder(codecs, [request.tags for request in requests], column)


def _codec(block: _Block) -> BlockCodec:
    count = block.end - block.start
    if block.table.is_bits:
        return compile_bits([cell.start - block.start for cell in block.cells], count)
    fields = [replace(cell.content, offset=cell.start - block.start) for cell in block.cells]
    return compile_registers(fields, count)
