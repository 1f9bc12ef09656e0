"""Rows of ``segment`` and ``schema`` back into batches. Blocking; one instance per thread."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from edge_agent.buffer.positions import Unit
from edge_agent.buffer.segment import Codec, SegmentCorrupt, checksum
from edge_agent.model import Batch, Schema

_SCHEMAS = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """One sound segment."""

    unit: Unit
    schema: Schema
    batches: tuple[Batch, ...]


class Decoder:
    """Remembers recent schemas: what a digest names is the same in every file."""

    def __init__(self) -> None:
        self._codec = Codec()
        self._schemas: dict[str, Schema] = {}

    def decode(
        self, connection: sqlite3.Connection, unit: Unit, digest: object, crc: object, body: object
    ) -> Stored:
        """Raises SegmentCorrupt for whatever is not exactly what was stored."""
        if not isinstance(digest, str) or not isinstance(body, bytes):
            raise SegmentCorrupt("row is damaged")
        if checksum(body, unit.epoch, unit.seq, digest, unit.samples) != crc:
            raise SegmentCorrupt("checksum does not match")
        schema = self.schema(connection, digest)
        batches = self._codec.decode(schema, body)
        if sum(batch.samples for batch in batches) != unit.samples:
            raise SegmentCorrupt("wrong number of samples")
        return Stored(unit, schema, batches)

    def schema(self, connection: sqlite3.Connection, digest: str) -> Schema:
        schema = self._schemas.get(digest)
        if schema is None:
            row = connection.execute("SELECT body FROM schema WHERE digest = ?", (digest,)).fetchone()
            try:
                schema = Schema.from_dict(json.loads(row[0]))
            except (TypeError, ValueError, KeyError) as error:
                raise SegmentCorrupt(f"schema {digest} cannot be read") from error
            if schema.digest != digest:
                raise SegmentCorrupt(f"schema {digest} is damaged")
            if len(self._schemas) >= _SCHEMAS:
                self._schemas.clear()
            self._schemas[digest] = schema
        return schema
