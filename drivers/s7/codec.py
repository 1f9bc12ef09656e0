"""The bytes of Read Var items -> columns. One precompiled struct per item; big-endian; by address only."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple

from drivers.s7.address import Place
from drivers.s7.cpu_state import CpuState
from edge_agent.driver import Columns
from edge_agent.model import Quality, Value

_Field = tuple[int, str]  # offset in the item, struct code


class Reply(NamedTuple):
    """What ``S7Link.exchange`` returns. ``items``: per item its bytes, exactly as long as asked, or a
    quality; none for the question after the CPU's state. ``cpu``: what the link knew of it then."""

    items: tuple[bytes | Quality, ...]
    cpu: CpuState = CpuState.UNKNOWN


class Span(NamedTuple):
    """One item as the decoder needs it: its first byte, its bytes, the positions of the tags in it."""

    start: int
    length: int
    tags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ItemCodec:
    """``layers`` unpack the item's bytes one after another into ``width`` fields. There is one layer, unless
    values overlap (a word and one of its bytes): a struct can only walk forward."""

    tags: tuple[int, ...]
    layers: tuple[struct.Struct, ...]
    width: int


class Decoder:
    """Replies of one plan -> columns in tag order. See ``Plan.decode``.

    When any reply of the read says that the CPU is in STOP, the good values are UNCERTAIN_STOPPED: they are
    what the controller holds, but they no longer follow the process.
    """

    def __init__(self, places: Sequence[Place], requests: Sequence[Sequence[Span]]) -> None:
        """``requests``: per request its items; a request without items brings no values."""
        column: dict[int, int] = {}
        at = 0
        compiled = []
        for items in requests:
            codecs = []
            for start, length, tags in items:
                codec, columns = _compile(start, length, tags, places)
                column.update((tag, at + offset) for tag, offset in columns.items())
                at += codec.width
                codecs.append(codec)
            compiled.append(tuple(codecs))
        self._requests = tuple(compiled)
        self._tags = len(places)
        self._order = _in_order([column[tag] for tag in range(len(places))])
        self._bits = tuple((tag, 1 << place.bit) for tag, place in enumerate(places) if place.bit is not None)
        self._floats = tuple(tag for tag, place in enumerate(places) if place.is_float)
        self._converted = tuple(
            (tag, place.convert) for tag, place in enumerate(places) if place.convert is not None
        )

    def __call__(self, replies: Sequence[Any]) -> Columns:
        fields: list[Any] = []
        quality = bytearray(self._tags)
        stopped = False
        for reply, codecs in zip(replies, self._requests, strict=True):
            failed = isinstance(reply, Quality)
            stopped = stopped or (not failed and reply.cpu is CpuState.STOP)
            for number, codec in enumerate(codecs):
                data = reply if failed else reply.items[number]
                if isinstance(data, Quality):
                    fields.extend([None] * codec.width)
                    for tag in codec.tags:
                        quality[tag] = data
                else:
                    for layer in codec.layers:
                        fields.extend(layer.unpack(data))
        values = self._order(fields)
        self._pick_bits(values)
        self._convert(values, quality)
        self._drop_not_numbers(values, quality)
        if stopped:
            quality = quality.replace(bytes((Quality.GOOD,)), bytes((Quality.UNCERTAIN_STOPPED,)))
        return Columns(tuple(values), bytes(quality))

    def _pick_bits(self, values: list[Value]) -> None:
        for tag, mask in self._bits:
            byte = values[tag]
            if isinstance(byte, int):
                values[tag] = bool(byte & mask)

    def _convert(self, values: list[Any], quality: bytearray) -> None:
        for tag, convert in self._converted:
            if values[tag] is None:
                continue
            try:
                values[tag] = convert(values[tag])
            except (ValueError, OverflowError):  # OverflowError: a date beyond the calendar
                values[tag] = None
                quality[tag] = Quality.BAD_DECODE

    def _drop_not_numbers(self, values: list[Value], quality: bytearray) -> None:
        for tag in self._floats:
            value = values[tag]
            if isinstance(value, float) and not isfinite(value):
                values[tag] = None
                quality[tag] = Quality.BAD_DECODE


def _compile(
    start: int, length: int, tags: Sequence[int], places: Sequence[Place]
) -> tuple[ItemCodec, dict[int, int]]:
    """A codec for one item, and for each tag the number of its field in the codec's output."""
    wanted = {tag: (places[tag].start - start, places[tag].code) for tag in tags}
    layers = _layers(sorted(set(wanted.values())))
    number = {field: index for index, field in enumerate(field for layer in layers for field in layer)}
    structs = tuple(_struct(layer, length) for layer in layers)
    return ItemCodec(tuple(tags), structs, len(number)), {tag: number[field] for tag, field in wanted.items()}


def _layers(fields: Sequence[_Field]) -> list[list[_Field]]:
    """Distributes fields so that none overlaps its predecessor in the same layer."""
    layers: list[list[_Field]] = []
    for field in fields:
        for layer in layers:
            offset, code = layer[-1]
            if offset + struct.calcsize(">" + code) <= field[0]:
                layer.append(field)
                break
        else:
            layers.append([field])
    return layers


def _struct(fields: Sequence[_Field], length: int) -> struct.Struct:
    parts = [">"]
    at = 0
    for offset, code in fields:
        parts.append(f"{offset - at}x{code}")
        at = offset + struct.calcsize(">" + code)
    parts.append(f"{length - at}x")
    return struct.Struct("".join(parts))


def _in_order(columns: Sequence[int]) -> Callable[[Sequence[Any]], list[Any]]:
    if len(columns) < 2:  # itemgetter of one index gives the item, of none does not exist
        return lambda fields: [fields[column] for column in columns]
    getter = itemgetter(*columns)
    return lambda fields: list(getter(fields))
