"""What the uplink contract suite works with: a destination's manners, an agent's side, units to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from edge_agent.errors import LinesideError
from edge_agent.model import Batch, ClockState, Event, Quality, Scaling, Schema, Value, ValueType
from edge_agent.uplink import Answer, Command, Envelope, Key, Lane, Verdict

EPOCH = 7
START_NS = 1_795_305_600_000_000_000


class Manner(StrEnum):
    """How a served destination behaves."""

    CONFIRM = "confirm"  # stores what it is sent and confirms each key
    MUTE = "mute"  # says that all went well, and names no key
    REFUSE = "refuse"  # does not accept the credentials
    POISON = "poison"  # refuses any message that holds a unit named in ``poison``, or that unit alone
    LATE = "late"  # stores; confirms only when ``confirm`` is called
    SILENT = "silent"  # takes the message and never answers


@dataclass(frozen=True, slots=True)
class Received:
    """One segment as the destination understood it: per poll a row of raw values and their quality bytes."""

    values: Sequence[Sequence[Value]]
    quality: Sequence[bytes]


class ServedDestination(Protocol):
    """``confirm`` is asked only of a suite with ``confirms_late``."""

    manner: Manner
    poison: Collection[str]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that reach it."""
        ...

    @property
    def connections(self) -> int:
        """How many have been opened to it."""
        ...

    @property
    def messages(self) -> int:
        """How many messages have reached it, answered or not."""
        ...

    @property
    def received(self) -> Mapping[str, Received]:
        """Segments it has stored, by ``str(key)``."""
        ...

    @property
    def events(self) -> Mapping[str, Mapping[str, Any]]:
        """Details of the events it has stored, by ``str(key)``."""
        ...

    async def confirm(self, keys: Sequence[str]) -> None: ...

    async def stop(self) -> None:
        """Closes its connections and its port. May be called twice."""
        ...


class RecordingHost:
    """The agent's side, for tests: keeps what an uplink reports and asks."""

    def __init__(self) -> None:
        self.agent = "0f3c" * 8
        self.name = "under-test"
        self.line = "press-line-1"
        self.confirmed: list[Key] = []
        self.refused: list[tuple[Key, str]] = []
        self.losses: list[str] = []
        self.kept: dict[str, str] = {}
        self.asked: list[Command] = []
        self.recorded: list[tuple[str, Mapping[str, Any]]] = []

    def acknowledged(self, keys: Sequence[Key]) -> None:
        self.confirmed += keys

    def rejected(self, keys: Sequence[Key], reason: str) -> None:
        self.refused += [(key, reason) for key in keys]

    def lost(self, reason: str) -> None:
        self.losses.append(reason)

    async def keep(self, name: str, text: str) -> None:
        self.kept[name] = text

    async def recall(self, name: str) -> str:
        return self.kept.get(name, "")

    def current(self) -> Sequence[Batch]:
        return ()

    def history(self, stream: str, start_ns: int, end_ns: int) -> AsyncIterator[Batch]:
        raise LinesideError("history is not available in this release")

    def record(self, kind: str, detail: Mapping[str, Any]) -> None:
        self.recorded.append((kind, detail))

    async def ask(self, command: Command) -> Verdict:
        self.asked.append(command)
        return Verdict(Answer.REJECTED, "read-only")


ROWS: tuple[tuple[Value, ...], ...] = (
    (True, -128, 65535, -(2**31), 2**63 - 1, 2**64 - 1, 0.4099999964237213, 1.7976931348623157e308, 'a"b\\c'),
    (False, 127, 0, 2**31 - 1, -(2**63), 0, -0.0, 5e-324, "压力 ✓\n第二行\t\x01"),
    (True, 0, 1, 0, 2**53 + 1, 2**53 + 1, 1.0, 2.0, ""),
    (None, None, None, None, None, None, None, None, None),
)
"""One column per kind of value: every extreme that JSON, floats or careless quoting would bend."""

_TYPES = (
    ValueType.BOOL, ValueType.INT8, ValueType.UINT16, ValueType.INT32, ValueType.INT64, ValueType.UINT64,
    ValueType.FLOAT32, ValueType.FLOAT64, ValueType.STRING,
)  # fmt: skip
SCHEMA = Schema(
    "press-1",
    "fast",
    "3fa2c1d0e9b8",
    tuple(f"t_{kind}" for kind in _TYPES),
    _TYPES,
    ("", "", "MPa", "°C", "", "", "kW", "", ""),
    (None, None, Scaling(0.1, -40.0), *[None] * 6),
)
_BAD = bytes([Quality.BAD_COMM, Quality.BAD_DECODE, Quality.STALE] * 3)


def segment(seq: int, rows: Sequence[tuple[Value, ...]] = ROWS[:3], schema: Schema = SCHEMA) -> Envelope:
    """A stored unit; rows of ``None`` are bad, all others good."""
    batches = tuple(
        Batch(
            schema,
            START_NS + seq * 1_000_000_000 + index * 1_000_000,
            index,
            row,
            bytes(len(row)) if row[0] is not None else _BAD[: len(row)],
            clock=ClockState.SYNCHRONISED,
        )
        for index, row in enumerate(rows)
    )
    return Envelope(Key("samples", EPOCH, seq), Lane.LIVE, len(rows) * len(rows[0]), schema, batches)


def incident(seq: int) -> Envelope:
    """A stored event."""
    detail = {"value": 0.52, "high": 0.5, "note": '压力 "高"'}
    event = Event("excursion_begin", "press-1.pressure", START_NS, 0, "3fa2c1d0e9b8", detail)
    return Envelope(Key("event", EPOCH, seq), Lane.LIVE, event=event)
