"""What platforms ask of devices rather than of factors: running hours of facilities (2041), states, logs and
parameters (3020), serial numbers (3019). Each must be configured; nothing is guessed from the tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from edge_agent.model import Batch, Level, Value, engineering
from edge_agent.uplinks.hj212 import flags
from edge_agent.uplinks.hj212.fields import group_text
from edge_agent.uplinks.hj212.number import Format

RUNNING_HOURS = "2041"
_HOURS = Format(2, 2)
_MOST_H = 24.0
_BREAKING = re.compile(r"[;,&\r\n]|//")
_LONGEST_TEXT = 200  # characters, of up to three bytes


@dataclass(frozen=True, slots=True)
class Facility:
    """``code``: such as SB1. ``tag``: ``device.tag`` with the hours it ran; ``figure``: which figure of its
    day value tells them."""

    code: str
    tag: str
    figure: str = "sum"


@dataclass(frozen=True, slots=True)
class Info:
    """A tag that says something of a device: ``code`` such as i12001, about the factor ``pol_id``."""

    pol_id: str
    code: str
    tag: str


@dataclass(frozen=True, slots=True)
class Facilities:
    """``serials``: factor code -> serial number of its instrument."""

    running: Sequence[Facility] = ()
    infos: Sequence[Info] = ()
    serials: dict[str, str] = field(default_factory=dict)

    def running_texts(self, batch: Batch) -> list[str]:
        """``SB1-RT=1.10`` for what this day value tells; nothing for hours that are not known."""
        if batch.schema.group != Level.DAY:
            return []
        found = []
        for facility in self.running:
            hours = _of(batch, f"{facility.tag}.{facility.figure}")
            if isinstance(hours, (int, float)) and not isinstance(hours, bool) and 0 <= hours <= _MOST_H:
                found.append(group_text(((f"{facility.code}-RT", _HOURS.write(hours)),)))
        return found

    def asked(self, pol_id: str, code: str) -> list[Info]:
        """Those a request means; "" asks for all."""
        return [i for i in self.infos if pol_id in ("", i.pol_id) and code in ("", i.code)]


def info_value(batch: Batch, info: Info) -> str:
    """What the tag says, as 3020 writes it: a number, or text between ``//``. "" while it is not known."""
    value = _of(batch, info.tag)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return f"//{_BREAKING.sub(' ', value)[:_LONGEST_TEXT].strip()}//"
    if isinstance(value, (int, float)):
        number = Decimal(repr(value))
        return f"{number.normalize():f}" if number.is_finite() else ""
    return ""


def _of(batch: Batch, name: str) -> Value:
    device, _, rest = name.partition(".")
    if device != batch.schema.device or rest not in batch.schema.names:
        return None
    index = batch.schema.names.index(rest)
    if not flags.carries_value(batch.quality[index]):
        return None
    return engineering(batch.values[index], batch.schema.scaling[index])
