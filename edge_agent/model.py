"""What flows through the agent: tags, schemas, batches, events. Data only, no behaviour with a lifetime.

A *tag* is one named value of one device. The tags that one poll group of one device reads together share a
*schema*; each poll of that group is one *batch*: parallel columns in the schema's order. A batch carries the
raw typed values as the PLC said them; scaling stands in the schema, and ``engineering`` is the only function
that applies it (control, page and uplinks all call it), so that no two readers can disagree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any

Value = bool | int | float | str | None
"""One raw value. ``None`` only beside a quality that is not good. 64-bit integers stay exact ``int``."""


class Quality(IntEnum):
    """One byte per value. The two high bits follow OPC UA's severity: 00 good, 01 uncertain, 10 bad.

    0xC0 and above make no statement about the tag: it was simply not part of that report.
    """

    GOOD = 0x00
    UNCERTAIN = 0x40
    UNCERTAIN_STOPPED = 0x41  # the controller is in STOP: its values no longer follow the process
    UNCERTAIN_SOURCE_TIME = 0x42  # the source's own time stamp is not plausible
    UNCERTAIN_ESTIMATED = 0x43  # calculated from what was partly unknown
    BAD = 0x80
    BAD_COMM = 0x81  # the device did not answer, or the link to it is down
    BAD_ADDRESS = 0x82  # the device says that it has no such address
    BAD_DECODE = 0x83  # an answer came, but no number: NaN, infinity, a sentinel, an invalid string
    BAD_DEVICE = 0x84  # the device or its sensor reports a fault of its own
    BAD_CONFIG = 0x85  # cannot be read as configured (access denied, type does not fit)
    STALE = 0x86  # too old to be shown as live
    WAITING = 0x87  # nothing has been read since start
    UNDEFINED = 0x88  # a formula has no value here: divided by nothing, or by nothing produced
    NOT_REPORTED = 0xC0  # not part of this report: nothing is known of it since the last one
    UNCHANGED = 0xC1  # a live subscription vouches that the value is still the one it last reported

    @property
    def is_good(self) -> bool:
        return self < 0x40

    @property
    def is_bad(self) -> bool:
        return 0x80 <= self < 0xC0


class ValueType(StrEnum):
    """The type of a raw value, named as in IEC 61131 tools but with the width in the name."""

    BOOL = "bool"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"

    @property
    def is_float(self) -> bool:
        return self in (ValueType.FLOAT32, ValueType.FLOAT64)

    @property
    def is_numeric(self) -> bool:
        return self not in (ValueType.BOOL, ValueType.STRING)


@dataclass(frozen=True, slots=True)
class Scaling:
    """engineering = raw * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Tag:
    """One line of a tag table, as the technician wrote it; of an array, one element.

    ``type`` is what the value is once decoded, ``wire`` how the device codes it where that is not the plain
    form of ``type``: one of the names in ``DriverPlugin.types`` (``bcd16``, ``s5time``). ``no_value``: raw
    numbers by which the device says that it has none; acquisition turns them into BAD_DECODE, for every
    driver alike. ``labels``: (number, meaning) of an enumeration, for people; the value stays the number.
    """

    name: str
    address: str
    type: ValueType
    group: str = "default"
    unit: str = ""
    description: str = ""
    scaling: Scaling | None = None
    byte_order: str = ""  # "" means the protocol's own order
    length: int = 1  # characters of a string
    metric: bool = False  # shown to Prometheus
    wire: str = ""
    encoding: str = ""  # of a string; "" means the device's
    no_value: tuple[int | float, ...] = ()
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Schema:
    """The columns of one poll group of one device. Depends on the configuration only, never on what a
    connection negotiated, so that a stored segment can be decoded years later. Compared by ``digest``."""

    device: str
    group: str
    config_version: str
    names: tuple[str, ...]
    types: tuple[ValueType, ...]
    units: tuple[str, ...]
    scaling: tuple[Scaling | None, ...]

    @classmethod
    def of(cls, device: str, group: str, config_version: str, tags: Sequence[Tag]) -> Schema:
        return cls(
            device,
            group,
            config_version,
            tuple(t.name for t in tags),
            tuple(t.type for t in tags),
            tuple(t.unit for t in tags),
            tuple(t.scaling for t in tags),
        )

    @cached_property
    def digest(self) -> str:
        """16 hex digits over everything in the schema; the name under which it is stored and sent."""
        text = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, the inverse of ``from_dict``; also the form in which a park receives it."""
        return {
            "device": self.device,
            "group": self.group,
            "config_version": self.config_version,
            "names": list(self.names),
            "types": [str(t) for t in self.types],
            "units": list(self.units),
            "scaling": [None if s is None else [s.scale, s.offset] for s in self.scaling],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        return cls(
            data["device"],
            data["group"],
            data["config_version"],
            tuple(data["names"]),
            tuple(ValueType(t) for t in data["types"]),
            tuple(data["units"]),
            tuple(None if s is None else Scaling(*s) for s in data["scaling"]),
        )


class Level(StrEnum):
    """How long the periods of a stored period value are; the ``group`` of its schema."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


PERIOD_FIGURES = ("avg", "min", "max", "sum", "last", "count", "coverage", "flag")
"""The columns of a period value, named TAG.avg and so on, in a schema of the device and ``group`` = level.
One batch is one period; its ``time_ns`` is the START of the period. ``count``: valid samples (int64);
``coverage``: percent of the period in which the value was known; ``flag``: a letter of HJ 212 (string, N:
normal, D: not enough valid data or a fault). A figure that does not exist is None with a bad quality, never
0 and never a substitute."""


class ClockState(IntEnum):
    """What the operating system says of the wall clock at the moment of a stamp."""

    UNKNOWN = 0
    UNSYNCHRONISED = 1
    SYNCHRONISED = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """One read of one poll group of one device. ``values`` and ``quality`` stand in the schema's order.

    ``time_ns``: UTC wall time at which the last reply of the read arrived, nanoseconds since 1970.
    ``mono_ns``: monotonic time of the same moment; schedules, delays and ages use this one only.
    ``offsets_ns``: per tag, the source's own time stamp minus ``time_ns`` (None where it gave none); the
    whole field is None for protocols without source time.
    """

    schema: Schema
    time_ns: int
    mono_ns: int
    values: tuple[Value, ...]
    quality: bytes
    offsets_ns: tuple[int | None, ...] | None = None
    clock: ClockState = ClockState.UNKNOWN

    @property
    def samples(self) -> int:
        """How many tags this batch speaks of, good or bad; the unit of every count in the agent."""
        silent = self.quality.count(Quality.NOT_REPORTED) + self.quality.count(Quality.UNCHANGED)
        return len(self.values) - silent


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as one record: an excursion, a gap, a clock step, a refused request.

    ``kind`` is one of a small fixed set in lower_snake_case (``docs/wire-format.md`` lists them); ``source``
    is the window, device or uplink it is about; ``detail`` is JSON-able plain data.
    """

    kind: str
    source: str
    time_ns: int
    mono_ns: int
    config_version: str
    detail: Mapping[str, Any] = dataclass_field(default_factory=dict)


def engineering(raw: Value, scaling: Scaling | None) -> Value:
    """The value in its unit. The only place where scaling is applied.

    Text, booleans and ``None`` pass unchanged; without scaling the raw value passes with its type.
    """
    if scaling is None or raw is None or isinstance(raw, (bool, str)):
        return raw
    return raw * scaling.scale + scaling.offset
