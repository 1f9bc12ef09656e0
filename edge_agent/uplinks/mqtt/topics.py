"""Topics and client ids with placeholders. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_agent.uplink import Envelope

OWN = ("agent", "line", "uplink")
"""What every template may name: fixed for the life of a connection."""

PER_UNIT = ("stream", "device", "group")
"""What the topic of the data may name beside: one message per combination."""

OF_EVENTS = "events"
"""Stands for device and group of an event, which belongs to a source and to no poll group."""

_PLACE = re.compile(r"\{([^{}]*)\}")
_NOT_IN_A_LEVEL = re.compile(r"[/+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
LONGEST = 65_535


def unknown_places(template: str, known: tuple[str, ...]) -> list[str]:
    return [name for name in _PLACE.findall(template) if name not in known]


def names_units(template: str) -> bool:
    """Whether one message cannot hold every unit."""
    return any(name in PER_UNIT for name in _PLACE.findall(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """Values become one level each: what cannot stand in a level is written as ``_``. Names that ``values``
    lacks stay as they are, for a second filling."""
    return _PLACE.sub(lambda m: _level(values[m[1]]) if m[1] in values else m[0], template)


def unit_topic(template: str, item: Envelope) -> str:
    """The topic of one unit; ``template`` has its own names filled in already."""
    schema = item.schema
    device, group = (OF_EVENTS, OF_EVENTS) if schema is None else (schema.device, schema.group)
    return filled(template, {"stream": item.key.stream, "device": device, "group": group})


def _level(value: str) -> str:
    return _NOT_IN_A_LEVEL.sub("_", value) or "_"
