"""Envelopes -> the JSON text of one message. A hot path: whole rows are written at a time,
no Python runs per sample (source time stamps, which only OPC UA has, are the exception)."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence

from edge_agent.model import Batch, Schema, Value
from edge_agent.uplink import Envelope

FORMAT = "lineside/1"
MAX_CACHED_SCHEMAS = 1024

_TO_TEXT = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


class SchemaTexts:
    """Schemas as they stand in a message, encoded once per digest, and how their rows are written."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._rows: dict[str, Callable[[tuple[Value, ...]], str]] = {}

    def of(self, schema: Schema) -> bytes:
        """``"digest":{...}``."""
        digest = schema.digest
        text = self._texts.get(digest)
        if text is None:
            if len(self._texts) >= MAX_CACHED_SCHEMAS:  # a backlog across very many configurations
                self._texts.clear()
            text = f"{_TO_TEXT(digest)}:{_TO_TEXT(schema.as_dict())}".encode()
            self._texts[digest] = text
        return text

    def rows(self, schema: Schema, batches: Sequence[Batch]) -> str:
        """The values of the batches. ValueError or TypeError where JSON knows no such value."""
        write = self._rows.get(schema.digest)
        if write is None:
            if len(self._rows) >= MAX_CACHED_SCHEMAS:
                self._rows.clear()
            write = self._rows[schema.digest] = (
                _WholeRow(len(schema.types)) if _is_whole(schema) else _TO_TEXT
            )
        return f"[{','.join([write(batch.values) for batch in batches])}]"


class _WholeRow:
    """A row of whole numbers is written in one go, in half the encoder's time."""

    def __init__(self, columns: int) -> None:
        self._check = struct.Struct(f"<{columns}q").pack
        self._format = f"[{','.join(['%d'] * columns)}]"

    def __call__(self, values: tuple[Value, ...]) -> str:
        try:
            self._check(*values)  # whole numbers all of them, and all there
        except struct.error:
            return _TO_TEXT(values)
        return self._format % values


def _is_whole(schema: Schema) -> bool:
    return all(type_.is_numeric and not type_.is_float for type_ in schema.types)


def encode_item(item: Envelope, texts: SchemaTexts) -> bytes:
    """One element of ``segments`` or ``events``. ValueError or TypeError when it cannot be written as JSON
    (not a number, half a surrogate pair, an object in an event's detail): no retry would ever heal that."""
    if item.event is not None:
        return _event(item)
    if item.schema is None:
        raise ValueError("neither a segment nor an event")
    batches = item.batches
    text = (
        f'{{"key":{_TO_TEXT(str(item.key))},"lane":"{item.lane}","schema":"{item.schema.digest}",'
        f'"time_us":{_TO_TEXT([b.time_ns // 1000 for b in batches])},'
        f'"values":{texts.rows(item.schema, batches)}{_quality(batches)}{_offsets(batches)},'
        f'"clock":{int(min((b.clock for b in batches), default=0))}}}'
    )
    return text.encode()


def encode_message(
    head: bytes, sent_us: int, schemas: Iterable[bytes], segments: Iterable[bytes], events: Iterable[bytes]
) -> bytes:
    """The whole body. ``head`` is from ``encode_head``."""
    return b'%b,"sent_us":%d,"schemas":{%b},"segments":[%b],"events":[%b]}' % (
        head,
        sent_us,
        b",".join(schemas),
        b",".join(segments),
        b",".join(events),
    )


def encode_head(agent: str, line: str) -> bytes:
    return _TO_TEXT({"format": FORMAT, "agent": agent, "line": line}).removesuffix("}").encode()


def _quality(batches: Sequence[Batch]) -> str:
    rows = {
        str(index): batch.quality.hex()
        for index, batch in enumerate(batches)
        if batch.quality.count(0) != len(batch.quality)
    }
    return f',"quality":{_TO_TEXT(rows)}' if rows else ""


def _offsets(batches: Sequence[Batch]) -> str:
    if all(batch.offsets_ns is None for batch in batches):
        return ""
    return f',"offsets_us":{_TO_TEXT([_offset_row(batch) for batch in batches])}'


def _offset_row(batch: Batch) -> list[int | None] | None:
    """Rounded so that ``time_us + offset_us`` is the source's own stamp, cut to microseconds."""
    if batch.offsets_ns is None:
        return None
    below_us = batch.time_ns % 1000
    return [None if offset is None else (offset + below_us) // 1000 for offset in batch.offsets_ns]


def _event(item: Envelope) -> bytes:
    event = item.event
    assert event is not None
    return _TO_TEXT(
        {
            "key": str(item.key),
            "lane": item.lane,
            "kind": event.kind,
            "source": event.source,
            "time_us": event.time_ns // 1000,
            "config_version": event.config_version,
            "detail": dict(event.detail),
        }
    ).encode()
