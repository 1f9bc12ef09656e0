"""Tags of one poll group -> the cheapest requests, and the way back from their replies to columns. Pure.

Cost model
    A request costs ``REQUEST_US`` whatever it asks for (network, and the PLC answers once per scan), a
    register ``REGISTER_US`` more, a bit a sixteenth of that. So up to 100 unused registers are read over
    rather than a second request sent. The numbers are those of a small PLC on Ethernet; behind a slow serial
    gateway set ``max_gap``: then gaps up to it are read over, and the fewest requests count, not the model.

Where requests must not merge
    A device may refuse to read over addresses it does not have (exception 2) or so many at once
    (exception 3). The link answers with ``Replan``. After exception 2 ``Learned`` holds one more *cut*, an
    address that no request may reach across, in the middle of the block that failed: first at a gap, and
    where there is none between two values. Each refusal halves the suspect, until a value that is refused
    alone is the mistake itself. After exception 3 it holds half the count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.modbus.address import Address, Table, parse
from drivers.modbus.codec import BlockCodec, ByteOrder, Field, compile_bits, compile_registers, registers_of
from drivers.modbus.endpoint import Limits, limits_of
from edge_agent.driver import Columns, Plan, Request
from edge_agent.model import Quality, Tag, Value

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

REQUEST_US = 4000
REGISTER_US = 40
BIT_US = 2.5

_PDU = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}


@dataclass(frozen=True, slots=True)
class Learned:
    """What a device refused. ``cuts``: (function code, offset): no request holds places on both sides of it.
    ``max_count``: function code -> the largest count it has not refused."""

    cuts: frozenset[tuple[int, int]] = frozenset()
    max_count: frozenset[tuple[int, int]] = frozenset()

    def __or__(self, other: Learned) -> Learned:
        return Learned(self.cuts | other.cuts, self.max_count | other.max_count)

    def limit(self, function: int) -> int:
        return min((count for code, count in self.max_count if code == function), default=0xFFFF)


@dataclass(frozen=True, slots=True)
class Read:
    """The body of a request. ``tail`` is everything after the transaction id; ``head`` is what a fitting
    reply shows at the same place, up to and including its byte count. ``if_hole`` and ``if_too_many``: what
    to plan with after exception 2 or 3; None where the request cannot be made smaller."""

    station: int
    function: int
    offset: int
    count: int
    tail: bytes
    head: bytes
    if_hole: Learned | None = None
    if_too_many: Learned | None = None

    @property
    def place(self) -> str:
        table = next(table for table in Table if table.function == self.function)
        last = "" if self.count == 1 else f"..{self.offset + self.count - 1}"
        return f"FC{self.function:02d} {table.prefix}:{self.offset}{last}"


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where one tag lies in its table: offsets ``start`` up to, not including, ``end``."""

    tag: int
    start: int
    end: int
    address: Address
    content: Field


@dataclass(slots=True)
class _Block:
    """What one request reads. ``spans`` are its values without those that lie inside another, ascending."""

    table: Table
    spans: list[tuple[int, int]]
    cells: list[_Cell] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.spans[0][0]

    @property
    def end(self) -> int:
        return self.spans[-1][1]


def plan(
    settings: ModbusSettings, tags: Sequence[Tag], limits: Limits | None, learned: Learned | None
) -> Plan:
    """Requests and decoder for tags that passed ``check``."""
    limits = limits or limits_of(settings)
    learned = learned or Learned()
    blocks = []
    for table, cells in _cells(settings, tags).items():
        allowed = min(
            limits.max_bits if table.is_bits else limits.max_registers, learned.limit(table.function)
        )
        blocks += _blocks(table, cells, allowed, settings.max_gap, learned)
    requests = tuple(_request(settings.station, block, learned) for block in blocks)
    return Plan(requests, _decoder(blocks, requests, len(tags)))


def _cells(settings: ModbusSettings, tags: Sequence[Tag]) -> dict[Table, list[_Cell]]:
    found: dict[Table, list[_Cell]] = {table: [] for table in Table}
    for position, tag in enumerate(tags):
        address = parse(tag.address)
        order = ByteOrder(tag.byte_order.strip().upper() or settings.byte_order)
        width = 1 if address.table.is_bits else registers_of(tag.type)
        content = Field(address.offset, tag.type, order, address.bit)
        cell = _Cell(position, address.offset, address.offset + width, address, content)
        found[address.table].append(cell)
    return {table: cells for table, cells in found.items() if cells}


def _blocks(
    table: Table, cells: Sequence[_Cell], allowed: int, max_gap: int | None, learned: Learned
) -> list[_Block]:
    spans = _outer_spans({(cell.start, cell.end) for cell in cells})
    unit = BIT_US if table.is_bits else REGISTER_US
    gap, request_us, place_us = REQUEST_US / unit, float(REQUEST_US), float(unit)
    if max_gap is not None:  # the fewest requests; among those the fewest places
        gap, request_us, place_us = max_gap, 1e9, 1.0
    cuts = [offset for function, offset in learned.cuts if function == table.function]
    blocks: list[_Block] = []
    for run in _runs(spans, gap, cuts):
        blocks += [_Block(table, part) for part in _cheapest(run, allowed, request_us, place_us)]
    _assign(blocks, cells)
    return blocks


def _outer_spans(spans: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without spans that lie inside another: starts and ends both strictly ascending."""
    outer: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not outer or end > outer[-1][1]:
            outer.append((start, end))
    return outer


def _runs(spans: Sequence[tuple[int, int]], gap: float, cuts: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Spans that may share a request: no gap wider than ``gap``, no cut between them."""
    runs = [[spans[0]]]
    for span in spans[1:]:
        previous = runs[-1][-1]
        if span[0] - previous[1] > gap or any(previous[0] < cut <= span[0] for cut in cuts):
            runs.append([span])
        else:
            runs[-1].append(span)
    return runs


def _cheapest(
    run: Sequence[tuple[int, int]], allowed: int, request_us: float, place_us: float
) -> list[list[tuple[int, int]]]:
    """Cuts a run into requests of at most ``allowed`` places for the least total cost, never inside a span.

    Reading spans j..i as one request costs ``request_us + place_us * (end[i] - start[j])``, so the best j for
    i is the one with the least ``total before j - place_us * start[j]`` within reach: a sliding minimum.
    """
    total = [0.0]  # total[i]: least cost of the first i spans
    first = []  # first[i]: where the request that ends with span i begins
    candidates: deque[tuple[float, int]] = deque()
    for i, (start, end) in enumerate(run):
        offer = total[i] - place_us * start
        while candidates and candidates[-1][0] > offer:
            candidates.pop()
        candidates.append((offer, i))
        while len(candidates) > 1 and end - run[candidates[0][1]][0] > allowed:
            candidates.popleft()  # out of reach; a single span stays, however wide it is
        total.append(candidates[0][0] + request_us + place_us * end)
        first.append(candidates[0][1])
    parts: list[list[tuple[int, int]]] = []
    stop = len(run)
    while stop:
        parts.append(list(run[first[stop - 1] : stop]))
        stop = first[stop - 1]
    return parts[::-1]


def _assign(blocks: Sequence[_Block], cells: Sequence[_Cell]) -> None:
    """Gives each cell to the first block that holds all of it."""
    ordered = sorted(cells, key=lambda cell: (cell.start, cell.end, cell.tag))
    index = 0
    for cell in ordered:
        while blocks[index].end < cell.end:
            index += 1
        blocks[index].cells.append(cell)


def _request(station: int, block: _Block, learned: Learned) -> Request:
    function, count = block.table.function, block.end - block.start
    pdu = bytes([function]) + _PDU[block.table](address=block.start, count=count).encode()
    size = (count + 7) // 8 if block.table.is_bits else 2 * count
    read = Read(
        station,
        function,
        block.start,
        count,
        tail=b"\0\0" + (1 + len(pdu)).to_bytes(2, "big") + bytes([station]) + pdu,
        head=b"\0\0" + (3 + size).to_bytes(2, "big") + bytes([station, function, size]),
        if_hole=_with_cut(block, learned),
        if_too_many=_with_half(block, count, learned),
    )
    unit, cost_us = ("bits", BIT_US) if block.table.is_bits else ("registers", REGISTER_US)
    return Request(
        tags=tuple(sorted(cell.tag for cell in block.cells)),
        body=read,
        cost_s=(REQUEST_US + count * cost_us) / 1e6,
        text=f"{read.place} ({count} {unit if count > 1 else unit[:-1]})",
    )


def _with_cut(block: _Block, learned: Learned) -> Learned | None:
    """One more cut, in the middle: of the gaps if there are any, of the values if not."""
    if len(block.spans) == 1:
        return None
    pairs = list(zip(block.spans, block.spans[1:], strict=False))
    gaps = [after[0] for before, after in pairs if after[0] > before[1]]
    places = gaps or [after[0] for _, after in pairs]
    cut = (block.table.function, places[len(places) // 2])
    return Learned(learned.cuts | {cut}, learned.max_count)


def _with_half(block: _Block, count: int, learned: Learned) -> Learned | None:
    widest = max(end - start for start, end in block.spans)
    if len(block.spans) == 1:
        return None
    half = (block.table.function, max(count // 2, widest))
    return Learned(learned.cuts, learned.max_count | {half})


def _decoder(
    blocks: Sequence[_Block], requests: Sequence[Request], count: int
) -> Callable[[Sequence[Any]], Columns]:
    codecs = [_codec(block) for block in blocks]
    column = [0] * count
    start = 0
    for block, codec in zip(blocks, codecs, strict=True):
        for cell, index in zip(block.cells, codec.columns, strict=True):
            column[cell.tag] = start + index
        start += codec.width
    return _Decoder(codecs, [request.tags for request in requests], column, start)


def _codec(block: _Block) -> BlockCodec:
    count = block.end - block.start
    if block.table.is_bits:
        return compile_bits([cell.start - block.start for cell in block.cells], count)
    fields = [
        Field(cell.start - block.start, cell.content.kind, cell.content.order, cell.content.bit)
        for cell in block.cells
    ]
    return compile_registers(fields, count)


class _Decoder:
    """Replies -> columns. A good reply costs one ``unpack`` and, with floats, one sum: a sum is finite only
    if every term is. Only a block whose sum is not finite is looked at value by value."""

    def __init__(
        self,
        codecs: Sequence[BlockCodec],
        tags: Sequence[tuple[int, ...]],
        column: Sequence[int],
        width: int,
    ) -> None:
        self._blocks = tuple((codec.unpack, codec.has_floats, (None,) * codec.width) for codec in codecs)
        self._tags = tuple(tags)
        self._good = bytes(len(column))
        self._order = _picker(column, width)

    def __call__(self, replies: Sequence[Any]) -> Columns:
        flat: list[Value] = []
        spoiled = False
        for (unpack, has_floats, nothing), reply in zip(self._blocks, replies, strict=True):
            if isinstance(reply, Quality):
                flat += nothing
                spoiled = True
                continue
            numbers = unpack(reply)
            if has_floats and not isfinite(sum(numbers)):
                numbers = [number if isfinite(number) else None for number in numbers]
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
