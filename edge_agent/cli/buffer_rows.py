"""Stored units as rows for a spreadsheet (CSV) or a program (JSON Lines)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TextIO

from edge_agent.cli.moments import BEIJING
from edge_agent.model import Batch, Event, Quality, engineering

COLUMNS = ("time", "device", "tag", "value", "unit", "quality", "raw")
EVENT_COLUMNS = ("time", "kind", "source", "detail")
_BOM = "\ufeff"  # Excel and WPS take UTF-8 for what it is only with it


def sample_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """What the batch states; a tag that was not part of the report has no row. ``value``: in engineering
    units, None beside a quality that is not good where there is none."""
    schema = batch.schema
    for index, name in enumerate(schema.names):
        quality = batch.quality[index]
        if quality >= Quality.NOT_REPORTED:
            continue
        raw = batch.values[index]
        yield {
            "time": _time(batch.time_ns + _offset(batch, index)),
            "device": schema.device,
            "tag": name,
            "value": engineering(raw, schema.scaling[index]),
            "unit": schema.units[index],
            "quality": _word(quality),
            "raw": raw,
        }


def event_row(event: Event) -> dict[str, Any]:
    return {
        "time": _time(event.time_ns),
        "kind": event.kind,
        "source": event.source,
        "detail": dict(event.detail),
    }


def write_csv(rows: Iterable[dict[str, Any]], columns: Iterable[str], out: TextIO) -> int:
    """Returns how many. Nested values as JSON in their cell; text that a spreadsheet would take for a formula
    gets an apostrophe."""
    out.write(_BOM)
    writer = csv.writer(out)
    names = list(columns)
    writer.writerow(names)
    count = 0
    for row in rows:
        writer.writerow([_cell(row[name]) for name in names])
        count += 1
    return count


def write_jsonl(rows: Iterable[dict[str, Any]], out: TextIO) -> int:
    count = 0
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")
        count += 1
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _time(time_ns: int) -> str:
    """Beijing time to the millisecond."""
    return datetime.fromtimestamp(time_ns // 1_000_000 / 1000, BEIJING).isoformat(timespec="milliseconds")


def _offset(batch: Batch, index: int) -> int:
    offset = batch.offsets_ns[index] if batch.offsets_ns is not None else None
    return offset or 0


def _word(quality: int) -> str:
    try:
        return Quality(quality).name.lower()
    except ValueError:
        return f"0x{quality:02x}"
