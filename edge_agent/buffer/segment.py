"""The stored form of a segment: the batches of one schema of one flush, as bytes and back. Pure.

    body = head | deflate(first row, stamps, what is not ordinary) | deflate(row-to-row differences)

    head (31 bytes, little-endian):  version u8 = 1 | flags u8 | rows u32 | columns u32
                                     | length of the first deflate u32
                                     | clock u8 | time_ns i64 | mono_ns i64   of the first row

A row is packed once, columns sorted by width (8, 4, 2, 1 bytes). Each further row is stored as its difference
to the row before, modulo the column's width, zig-zag coded, split into byte planes and laid out column by
column: a constant becomes zeros, a counter a run of one byte, noise one byte per sample. Floats go the same
way by their bits, so every round trip is exact. Differences of a whole row are taken at once, as one big
integer; nothing here loops over values unless a value does not fit the type of its column.

What is not ordinary stands behind flags and costs nothing when absent: quality (all good), ``None`` values,
source time offsets, text, differing clock states, and *misfits*: values their column cannot hold exactly
(they are kept as JSON; the codec never rounds).

``decode`` either returns what ``encode`` was given or raises ``SegmentCorrupt``.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from edge_agent.errors import StorageBroken
from edge_agent.model import Batch, ClockState, Schema, Value, ValueType

CODEC = 1

_HEAD = struct.Struct("<BBIIIBqq")  # version, flags, rows, columns, length of part 1, clock, time_ns, mono_ns
_KEY = struct.Struct("<qqII")
_LENGTH = struct.Struct("<I")
_QUALITY, _NONES, _OFFSETS, _TEXT, _MISFITS, _CLOCKS = 1, 2, 4, 8, 16, 32
_LEVEL = 6
_MAX_INFLATED = 256_000_000
_LAYOUTS = 64  # a reload with another configuration makes new schemas; the old ones are soon of no use

_FORMAT = {
    ValueType.BOOL: "?",
    ValueType.INT8: "b",
    ValueType.UINT8: "B",
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT32: "f",
    ValueType.FLOAT64: "d",
}


class SegmentCorrupt(StorageBroken):
    """These bytes are not what was stored. The segment is skipped and written off; the rest is unharmed."""


def checksum(body: bytes, epoch: int, seq: int, digest: str, samples: int) -> int:
    """CRC-32 over the body *and* what names it: a sound body under a wrong key must not pass."""
    seed = zlib.crc32(digest.encode(), zlib.crc32(_KEY.pack(epoch, seq, samples, len(body))))
    return zlib.crc32(body, seed)


class Codec:
    """``encode`` and ``decode``. Remembers the layout of recent schemas: one instance per thread."""

    def __init__(self) -> None:
        self._layouts: dict[str, _Layout] = {}

    def encode(self, batches: Sequence[Batch]) -> bytes:
        """``batches``: at least one, all of one schema. Raises ValueError for what no driver may deliver:
        lengths that differ from the schema's, stamps beyond 64 bits, values that are no ``Value``."""
        schema = batches[0].schema
        for batch in batches:
            if len(batch.values) != len(schema.names) or len(batch.quality) != len(schema.names):
                raise ValueError(f"{schema.device}/{schema.group}: a batch does not fit its schema")
        try:
            return _encode(self._layout(schema), batches)
        except (struct.error, OverflowError, TypeError) as error:
            raise ValueError(f"{schema.device}/{schema.group}: {error}") from error

    def decode(self, schema: Schema, body: bytes) -> tuple[Batch, ...]:
        try:
            return _decode(self._layout(schema), schema, body)
        except SegmentCorrupt:
            raise
        except (struct.error, zlib.error, ValueError, TypeError, IndexError, OverflowError) as error:
            raise SegmentCorrupt(f"segment of {schema.device}/{schema.group}: {error}") from error

    def _layout(self, schema: Schema) -> _Layout:
        layout = self._layouts.get(schema.digest)
        if layout is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[schema.digest] = _Layout(schema.types)
        return layout


class _Layout:
    """How the rows of one schema are packed: column order, struct format, masks for whole-row arithmetic."""

    def __init__(self, types: Sequence[ValueType]) -> None:
        self.columns = len(types)
        self.text = [i for i, t in enumerate(types) if t is ValueType.STRING]
        self.order: list[int] = []
        self.blocks: list[_Block] = []
        formats, start = "", 0
        for width in (8, 4, 2, 1):
            mine = [i for i, t in enumerate(types) if t in _FORMAT and struct.calcsize(_FORMAT[t]) == width]
            if mine:
                self.order += mine
                formats += "".join(_FORMAT[types[i]] for i in mine)
                self.blocks.append(_Block(start, width, len(mine)))
                start += width * len(mine)
        self.row = struct.Struct("<" + formats)
        self.exact = not set(formats) & set("?fd")  # whole numbers fit, or are refused: none is changed
        self.singles = [struct.Struct("<" + _FORMAT[types[i]]) for i in self.order]
        self.pick = tuple if self.order == list(range(self.columns)) else _picker(self.order)
        place = {column: index for index, column in enumerate([*self.order, *self.text])}
        self.restore = _picker([place[i] for i in range(self.columns)])


class _Block:
    """The columns of one width within a packed row, and lane-wise arithmetic over all of them at once."""

    def __init__(self, start: int, width: int, count: int) -> None:
        self.start, self.width, self.count = start, width, count
        self.size = width * count
        bits = 8 * width
        self.shift = bits - 1
        self.bits = bits
        self.low = int.from_bytes((b"\x01" + bytes(width - 1)) * count, "little")
        self.high = self.low << self.shift
        self.rest = ((1 << bits * count) - 1) ^ self.high

    def cut(self, row: bytes) -> int:
        return int.from_bytes(row[self.start : self.start + self.size], "little")

    def differ(self, new: int, old: int) -> bytes:
        """zigzag(new - old) per lane. The top bit of each lane is set aside so that no borrow crosses."""
        high, rest = self.high, self.rest
        delta = ((new | high) - (old & rest)) ^ ((new ^ ~old) & high)
        sign = (delta & high) >> self.shift
        coded = ((delta & rest) << 1) ^ ((sign << self.bits) - sign)
        return coded.to_bytes(self.size, "little")

    def add(self, old: int, coded: int) -> int:
        """The inverse: old + unzigzag(coded) per lane."""
        high, rest, low = self.high, self.rest, self.low
        sign = coded & low
        delta = ((coded ^ sign) >> 1) ^ ((sign << self.bits) - sign)
        return ((old & rest) + (delta & rest)) ^ ((old ^ delta) & high)

    def spread(self, lanes: Sequence[bytes]) -> bytes:
        """Byte planes, each laid out column by column."""
        rows = len(lanes)
        out = bytearray(rows * self.size)
        plane = rows * self.count
        for byte in range(self.width):
            start, end = byte * plane, (byte + 1) * plane
            for index, lane in enumerate(lanes):
                out[start + index : end : rows] = lane[byte :: self.width]
        return bytes(out)

    def gather(self, planes: bytes, rows: int) -> list[bytes]:
        plane = rows * self.count
        out = []
        for index in range(rows):
            lane = bytearray(self.size)
            for byte in range(self.width):
                lane[byte :: self.width] = planes[byte * plane + index : (byte + 1) * plane : rows]
            out.append(bytes(lane))
        return out


def _picker(indices: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda row: [row[i] for i in indices]


# -- encoding


def _encode(layout: _Layout, batches: Sequence[Batch]) -> bytes:
    first = batches[0]
    nones: list[bytes] = []
    misfits: list[tuple[int, int, Value]] = []
    rows: list[bytes] = []
    for index, batch in enumerate(batches):
        before = rows[-1] if rows else b""
        rows.append(_pack(layout, layout.pick(batch.values), index, before, nones, misfits))
    flags, extras = _extras(layout, batches, nones, misfits)
    firsts, deltas = [], []
    for block in layout.blocks:
        cut = [block.cut(row) for row in rows]
        firsts.append(block.spread([rows[0][block.start : block.start + block.size]]))
        deltas.append(block.spread([block.differ(b, a) for a, b in pairwise(cut)]))
    part1 = _deflate(b"".join((*firsts, _stamps(batches), *extras)))
    part2 = _deflate(b"".join(deltas)) if len(rows) > 1 else b""
    head = _HEAD.pack(
        CODEC, flags, len(rows), layout.columns, len(part1), first.clock, first.time_ns, first.mono_ns
    )
    return head + part1 + part2


def _pack(
    layout: _Layout,
    values: Sequence[Value],
    row: int,
    before: bytes,
    nones: list[bytes],
    misfits: list[tuple[int, int, Value]],
) -> bytes:
    """One row as bytes; what does not fit is noted and packed as zero, ``None`` as what stood there in the
    row ``before``: no difference, no bytes."""
    packed = _pack_exactly(layout, values)
    if packed is not None:
        nones.append(b"")
        return packed
    nones.append(bytes(v is None for v in values))
    stood = layout.row.unpack(before) if before else (0,) * len(values)
    filled: list[Any] = [old if v is None else v for v, old in zip(values, stood, strict=True)]
    packed = _pack_exactly(layout, filled)
    if packed is not None:
        return packed
    for index, value in enumerate(filled):
        if not _fits(layout.singles[index], value):
            misfits.append((row, index, value))
            filled[index] = 0
    return layout.row.pack(*filled)


def _pack_exactly(layout: _Layout, values: Sequence[Any]) -> bytes | None:
    try:
        packed = layout.row.pack(*values)
    except (struct.error, TypeError, OverflowError):
        return None
    return packed if layout.exact or layout.row.unpack(packed) == tuple(values) else None


def _fits(single: struct.Struct, value: Any) -> bool:
    try:
        (back,) = single.unpack(single.pack(value))
    except (struct.error, TypeError, OverflowError):
        return False
    return bool(back == value) or (value != value and back != back)  # NaN is itself


def _stamps(batches: Sequence[Batch]) -> bytes:
    """Per further row: wall time since the row before, and by how much monotonic time went differently."""
    out = []
    for before, batch in pairwise(batches):
        wall = batch.time_ns - before.time_ns
        out += [wall, batch.mono_ns - before.mono_ns - wall]
    return struct.pack(f"<{len(out)}q", *out)


def _extras(
    layout: _Layout,
    batches: Sequence[Batch],
    nones: Sequence[bytes],
    misfits: Sequence[tuple[int, int, Value]],
) -> tuple[int, list[bytes]]:
    flags, out = 0, []
    quality = b"".join(b.quality for b in batches)
    if quality.count(0) != len(quality):
        flags |= _QUALITY
        out.append(quality)
    if any(nones):
        flags |= _NONES
        blank = bytes(len(layout.order))
        out.append(b"".join(row or blank for row in nones))
    if any(b.clock is not batches[0].clock for b in batches):
        flags |= _CLOCKS
        out.append(bytes(b.clock for b in batches))
    if any(b.offsets_ns is not None for b in batches):
        flags |= _OFFSETS
        out.append(_pack_offsets(layout.columns, batches))
    if layout.text:
        flags |= _TEXT
        out.append(_json([[b.values[i] for b in batches] for i in layout.text]))
    if misfits:
        flags |= _MISFITS
        out.append(_json(misfits))
    return flags, out


def _pack_offsets(columns: int, batches: Sequence[Batch]) -> bytes:
    """Per row one byte: 0 none; 1 follow a mask and all offsets of the row."""
    out = []
    for batch in batches:
        if batch.offsets_ns is None:
            out.append(b"\x00")
            continue
        if len(batch.offsets_ns) != columns:
            raise ValueError("a batch's offsets do not fit its schema")
        mask = bytes(v is None for v in batch.offsets_ns)
        out += [b"\x01", mask, struct.pack(f"<{columns}q", *(v or 0 for v in batch.offsets_ns))]
    return b"".join(out)


def _json(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text


def _deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


# -- decoding


class _Source:
    """Bytes taken from the front; what is missing or left over is corruption."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, length: int) -> bytes:
        chunk = self._data[self._at : self._at + length]
        if len(chunk) != length:
            raise SegmentCorrupt("segment is too short")
        self._at += length
        return chunk

    def json(self) -> Any:
        return json.loads(self.take(_LENGTH.unpack(self.take(4))[0]))

    def end(self) -> None:
        if self._at != len(self._data):
            raise SegmentCorrupt("segment is too long")


def _decode(layout: _Layout, schema: Schema, body: bytes) -> tuple[Batch, ...]:
    version, flags, rows, columns, length1, clock, time_ns, mono_ns = _HEAD.unpack_from(body)
    if version != CODEC:
        raise SegmentCorrupt(f"segment codec {version} is unknown")
    if columns != layout.columns or not rows or flags >= 64:
        raise SegmentCorrupt("segment does not fit its schema")
    source = _Source(_inflate(body[_HEAD.size : _HEAD.size + length1]))
    packed = _unpack_rows(layout, rows, source, body[_HEAD.size + length1 :])
    stamps = _read_stamps(rows, time_ns, mono_ns, source)
    qualities = _split(source.take(rows * columns), rows) if flags & _QUALITY else [bytes(columns)] * rows
    masks = _split(source.take(rows * len(layout.order)), rows) if flags & _NONES else None
    clocks = [ClockState(c) for c in (source.take(rows) if flags & _CLOCKS else bytes([clock]) * rows)]
    offsets = [_read_offsets(columns, source) if flags & _OFFSETS else None for _ in range(rows)]
    values = [list(layout.row.unpack(row)) for row in packed]
    if masks is not None:
        values = [
            [None if m else v for v, m in zip(*pair, strict=True)] for pair in zip(values, masks, strict=True)
        ]
    text = _read_text(layout, rows, source) if flags & _TEXT else None
    if flags & _MISFITS:
        for row, index, value in source.json():
            values[row][index] = value
    source.end()
    if text is not None:
        values = [[*row, *words] for row, words in zip(values, text, strict=True)]
    elif layout.text:
        raise SegmentCorrupt("segment has no text for its text columns")
    return tuple(
        Batch(schema, *stamps[i], tuple(layout.restore(values[i])), qualities[i], offsets[i], clocks[i])
        for i in range(rows)
    )


def _unpack_rows(layout: _Layout, rows: int, source: _Source, part2: bytes) -> list[bytes]:
    firsts = [block.gather(source.take(block.size), 1)[0] for block in layout.blocks]
    if rows == 1:
        if part2:
            raise SegmentCorrupt("segment is too long")
        return [b"".join(firsts)]
    rest = _Source(_inflate(part2))
    blocks = []
    for block, lane in zip(layout.blocks, firsts, strict=True):
        value = int.from_bytes(lane, "little")
        lanes = [lane]
        for coded in block.gather(rest.take((rows - 1) * block.size), rows - 1):
            value = block.add(value, int.from_bytes(coded, "little"))
            lanes.append(value.to_bytes(block.size, "little"))
        blocks.append(lanes)
    rest.end()
    return [b"".join(parts) for parts in zip(*blocks, strict=True)] if blocks else [b""] * rows


def _read_stamps(rows: int, time_ns: int, mono_ns: int, source: _Source) -> list[tuple[int, int]]:
    steps = struct.unpack(f"<{2 * (rows - 1)}q", source.take(16 * (rows - 1)))
    stamps = [(time_ns, mono_ns)]
    for wall, skew in zip(steps[::2], steps[1::2], strict=True):
        time_ns, mono_ns = time_ns + wall, mono_ns + wall + skew
        stamps.append((time_ns, mono_ns))
    return stamps


def _read_offsets(columns: int, source: _Source) -> tuple[int | None, ...] | None:
    if source.take(1) == b"\x00":
        return None
    mask = source.take(columns)
    offsets = struct.unpack(f"<{columns}q", source.take(8 * columns))
    return tuple(None if m else v for v, m in zip(offsets, mask, strict=True))


def _read_text(layout: _Layout, rows: int, source: _Source) -> list[tuple[Value, ...]]:
    columns = source.json()
    if len(columns) != len(layout.text) or any(len(column) != rows for column in columns):
        raise SegmentCorrupt("segment has the wrong number of texts")
    return list(zip(*columns, strict=True))


def _split(data: bytes, rows: int) -> list[bytes]:
    width = len(data) // rows
    return [data[i * width : (i + 1) * width] for i in range(rows)]


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    out = inflater.decompress(data, _MAX_INFLATED)
    if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
        raise SegmentCorrupt("segment is cut off or followed by something else")
    return out
