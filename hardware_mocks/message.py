"""Reads one message of docs/wire-format.md and refuses what does not keep to it. Knows no agent code."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST_MESSAGE = 256 * 1024 * 1024
NOT_REPORTED = 0xC0
_BAD = range(0x80, NOT_REPORTED)
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_TYPES = _INTEGERS | {"bool", "float32", "float64", "string"}
_KEY = re.compile(r"([a-z]+)/([0-9]+)/([0-9]+)")
_LANES = ("live", "backlog")


class Unreadable(ValueError):
    """Not a message of this format; the text says where. Answered with 400."""


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """What makes a key unique for ever: agent and ``stream/epoch/seq``."""

    agent: str
    stream: str
    epoch: int
    seq: int

    @classmethod
    def parse(cls, agent: str, key: Any) -> Identity:
        match = _KEY.fullmatch(_text(key, "key"))
        if match is None:
            raise Unreadable(f"key {key!r} is not stream/epoch/seq")
        return cls(agent, match[1], int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class Item:
    """One segment or event as it came. ``content``: its canonical text without the lane, which may change."""

    identity: Identity
    lane: str
    body: Mapping[str, Any]
    content: str

    @property
    def key(self) -> str:
        return str(self.body["key"])


@dataclass(frozen=True, slots=True)
class Message:
    agent: str
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    segments: tuple[Item, ...] = ()
    events: tuple[Item, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        return self.segments + self.events


def parse_body(body: bytes, encoding: str) -> Any:
    """Unpacks (``identity``, ``gzip``, ``deflate``) and parses. NaN and Infinity are not JSON: Unreadable."""
    if encoding in ("gzip", "deflate"):
        body = inflate(body)
    elif encoding not in ("", "identity"):
        raise Unreadable(f"unknown content encoding {encoding!r}")
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise Unreadable(str(error)) from error


def parse_message(data: Any) -> Message:
    """Raises Unreadable. Rows are checked against schemas by ``check_segment``, when the schema is known."""
    if not isinstance(data, dict) or data.get("format") != "lineside/1":
        raise Unreadable('"format" is not "lineside/1"')
    agent = _text(data.get("agent"), "agent")
    _text(data.get("line"), "line")
    _integer(data.get("sent_us"), "sent_us")
    schemas = _mapping(data.get("schemas", {}), "schemas")
    for digest, schema in schemas.items():
        _check_schema(digest, schema)
    segments = tuple(_item(agent, body) for body in _list(data.get("segments", []), "segments"))
    events = tuple(_item(agent, body) for body in _list(data.get("events", []), "events"))
    for event in events:
        for name in ("kind", "source", "config_version"):
            _text(event.body.get(name), f"{event.key}: {name}")
        _integer(event.body.get("time_us"), f"{event.key}: time_us")
        _mapping(event.body.get("detail", {}), f"{event.key}: detail")
    return Message(agent, schemas, segments, events)


def qualities(segment: Mapping[str, Any], row: int, columns: int) -> bytes:
    """One quality byte per column of a row; rows that are not listed are good."""
    text = segment.get("quality", {}).get(str(row))
    return bytes(columns) if text is None else bytes.fromhex(text)


def check_segment(segment: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    """How many samples it holds (rows x columns that were reported). Raises Unreadable where the rows do
    not fit the schema, a value is not of its type, or null does not stand exactly beside bad quality."""
    key, types = segment["key"], schema["types"]
    times, rows = (
        _list(segment.get("time_us"), f"{key}: time_us"),
        _list(segment.get("values"), f"{key}: values"),
    )
    if not rows or len(times) != len(rows):
        raise Unreadable(f"{key}: {len(times)} times for {len(rows)} rows")
    if segment.get("clock") not in (0, 1, 2):
        raise Unreadable(f"{key}: clock is {segment.get('clock')!r}")
    if any(not row.isdecimal() or int(row) >= len(rows) for row in segment.get("quality", {})):
        raise Unreadable(f"{key}: quality names a row that is not there")
    samples = 0
    for number, (time_us, row) in enumerate(zip(times, rows, strict=True)):
        _integer(time_us, f"{key}: time_us")
        quality = qualities(segment, number, len(types))
        if len(row) != len(types) or len(quality) != len(types):
            raise Unreadable(f"{key}: row {number} does not have {len(types)} columns")
        for value, code, type_name in zip(row, quality, types, strict=True):
            _check_value(f"{key}: row {number}", value, code, type_name)
        samples += sum(code < NOT_REPORTED for code in quality)
    _check_offsets(segment, len(rows), len(types))
    return samples


def rows_of(segment: Mapping[str, Any], column: int, columns: int) -> Iterator[tuple[int, Any, int]]:
    """(time_us, raw value, quality) of one column, rows in which it was not reported left out."""
    for number, (time_us, row) in enumerate(zip(segment["time_us"], segment["values"], strict=True)):
        code = qualities(segment, number, columns)[column]
        if code < NOT_REPORTED:
            yield time_us, row[column], code


def _check_value(where: str, value: Any, code: int, type_name: str) -> None:
    if code in _BAD or code >= NOT_REPORTED:
        fits = value is None
    elif type_name == "bool":
        fits = isinstance(value, bool)
    elif type_name == "string":
        fits = isinstance(value, str)
    elif type_name in _INTEGERS:
        fits = isinstance(value, int) and not isinstance(value, bool) and _in_range(value, type_name)
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits:
        raise Unreadable(f"{where}: {value!r} with quality {code:02x} does not fit {type_name}")


def _in_range(value: int, type_name: str) -> bool:
    bits = int(type_name.split("int")[1])
    if type_name.startswith("u"):
        return 0 <= value < 1 << bits
    return -(1 << bits - 1) <= value < 1 << bits - 1


def _check_offsets(segment: Mapping[str, Any], rows: int, columns: int) -> None:
    offsets = segment.get("offsets_us")
    if offsets is not None and (
        len(offsets) != rows or any(row is not None and len(row) != columns for row in offsets)
    ):
        raise Unreadable(f"{segment['key']}: offsets_us does not have {rows} rows of {columns} columns")


def _check_schema(digest: str, schema: Any) -> None:
    columns = {
        len(_list(schema.get(name), f"schema {digest}: {name}"))
        for name in ("names", "types", "units", "scaling")
    }
    if len(columns) != 1 or len(set(schema["names"])) != len(schema["names"]):
        raise Unreadable(f"schema {digest}: columns differ in number, or a name stands twice")
    if not set(schema["types"]) <= _TYPES:
        raise Unreadable(f"schema {digest}: unknown type among {schema['types']}")
    for name in ("device", "group", "config_version"):
        _text(schema.get(name), f"schema {digest}: {name}")


def _item(agent: str, body: Any) -> Item:
    body = _mapping(body, "an item")
    identity = Identity.parse(agent, body.get("key"))
    if body.get("lane") not in _LANES:
        raise Unreadable(f"{body['key']}: lane is {body.get('lane')!r}")
    content = {name: value for name, value in body.items() if name != "lane"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Item(identity, body["lane"], body, text)


def inflate(body: bytes) -> bytes:
    """gzip or deflate. Unreadable where it is neither, cut off, or too large."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, told by the header
    try:
        plain = inflater.decompress(body, LARGEST_MESSAGE)
    except zlib.error as error:
        raise Unreadable(f"not compressed as announced: {error}") from error
    if not inflater.eof:
        raise Unreadable("compressed body is cut off or too large")
    return plain


def _refuse_constant(name: str) -> None:
    raise Unreadable(f"{name} is not JSON")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{where} is {value!r}, not a text")
    return value


def _integer(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{where} is {value!r}, not an integer")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"{where} is not a list")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{where} is not an object")
    return value
