"""The placeholders: what each gives, and of what it is a property."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

from edge_agent.model import Batch, Quality, engineering
from edge_agent.uplink import Envelope

_BRACES = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_BEIJING = timezone(timedelta(hours=8))
_QUALITY = {int(quality): quality.name.lower() for quality in Quality}


class Scope(IntEnum):
    """How far down a placeholder is known; each includes those above it."""

    MESSAGE = 0
    DEVICE = 1
    BATCH = 2  # or one event
    SAMPLE = 3


class Missing:
    """Stands where there is no value; what was repeated for it is left out."""


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class About:
    """What holds for a whole message. ``sent_ns``: the moment it is made."""

    agent: str = ""
    line: str = ""
    sent_ns: int = 0
    secret: str = ""


@dataclass(slots=True)
class Place:
    """Where the filling stands: the deepest of what is set."""

    about: About
    entries: list[tuple[int, Envelope, Batch | None]]
    device: str = ""
    item: Envelope | None = None
    batch: Batch | None = None
    column: int = 0
    null: bool = False

    @property
    def time_ns(self) -> int:
        if self.batch is not None:
            return self.batch.time_ns
        return self.item.event.time_ns if self.item is not None and self.item.event is not None else 0


Word = Callable[[Place], Any]


def moment(time_ns: int, zone: timezone = UTC) -> datetime:
    """Cut, not rounded, to milliseconds."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, zone).replace(
        microsecond=time_ns // 1_000_000 % 1000 * 1000
    )


def iso(time_ns: int) -> str:
    """``2026-11-22T00:00:00.123Z``."""
    return moment(time_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(place: Place) -> Any:
    """In engineering units. There is none beside a bad quality, and none that JSON could not carry."""
    batch = place.batch
    assert batch is not None
    raw = batch.values[place.column]
    if raw is not None and batch.quality[place.column] < Quality.BAD:
        value = engineering(raw, batch.schema.scaling[place.column])
        if not isinstance(value, float) or math.isfinite(value):
            return value
    return None if place.null else MISSING


def _value_text(place: Place) -> Any:
    value = _value(place)
    return value if value is None or value is MISSING else text_of(value)


def _column(name: str) -> Word:
    return lambda place: getattr(_schema(place), name)[place.column]


def _schema(place: Place) -> Any:
    assert place.batch is not None
    return place.batch.schema


def _event(name: str) -> Word:
    return lambda place: getattr(place.item.event, name)  # type: ignore[union-attr]


def _code(place: Place) -> int:
    assert place.batch is not None
    return place.batch.quality[place.column]


def text_of(value: Any) -> str:
    """A value inside of other text, as JSON writes it; text itself without quotation marks."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


_MESSAGE: dict[str, Word] = {
    "agent": lambda place: place.about.agent,
    "line": lambda place: place.about.line,
    "sent_ms": lambda place: place.about.sent_ns // 1_000_000,
    "sent_iso": lambda place: iso(place.about.sent_ns),
    "secret": lambda place: place.about.secret,
}
_TIMES: dict[str, Word] = {
    "time_s": lambda place: place.time_ns // 1_000_000_000,
    "time_ms": lambda place: place.time_ns // 1_000_000,
    "time_us": lambda place: place.time_ns // 1_000,
    "time_ns": lambda place: place.time_ns,
    "time_iso": lambda place: iso(place.time_ns),
    "time_iso_cn": lambda place: moment(place.time_ns, _BEIJING).isoformat(timespec="milliseconds"),
    "time_cn": lambda place: moment(place.time_ns, _BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
    "key": lambda place: str(place.item.key),  # type: ignore[union-attr]
}
_SAMPLE: dict[str, Word] = {
    "tag": _column("names"),
    "value": _value,
    "value_text": _value_text,
    "unit": _column("units"),
    "type": lambda place: str(_schema(place).types[place.column]),
    "quality": lambda place: _QUALITY.get(_code(place), f"{_code(place):02x}"),
    "quality_code": _code,
}

SAMPLES: dict[str, tuple[Scope, Word]] = {
    **{name: (Scope.MESSAGE, word) for name, word in _MESSAGE.items()},
    "device": (Scope.DEVICE, lambda place: place.device),
    **{name: (Scope.BATCH, word) for name, word in _TIMES.items()},
    "group": (Scope.BATCH, lambda place: _schema(place).group),
    "config_version": (Scope.BATCH, lambda place: _schema(place).config_version),
    **{name: (Scope.SAMPLE, word) for name, word in _SAMPLE.items()},
}
"""Of samples and period values; of these ``group`` is minute, hour or day, ``tag`` TAG.avg and such."""

EVENTS: dict[str, tuple[Scope, Word]] = {
    **{name: (Scope.MESSAGE, word) for name, word in _MESSAGE.items()},
    **{name: (Scope.BATCH, word) for name, word in _TIMES.items()},
    "kind": (Scope.BATCH, _event("kind")),
    "source": (Scope.BATCH, _event("source")),
    "config_version": (Scope.BATCH, _event("config_version")),
    "detail": (Scope.BATCH, lambda place: dict(place.item.event.detail)),  # type: ignore[union-attr]
    "detail_text": (Scope.BATCH, lambda place: text_of(dict(place.item.event.detail))),  # type: ignore[union-attr]
}


def parts(text: str) -> list[tuple[str, str]]:
    """(text, the placeholder behind it or ""), in order. ValueError where braces do not pair."""
    found: list[tuple[str, str]] = []
    end = 0
    for match in _BRACES.finditer(text):
        found.append((text[end : match.start()], match[1] or " "))
        end = match.end()
    rest = text[end:]
    if any(mark in piece for piece, _ in [*found, (rest, "")] for mark in ("{{", "}}")):
        raise ValueError("braces")
    return [*found, (rest, "")] if rest or not found else found
