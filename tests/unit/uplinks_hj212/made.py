"""Schemas, batches and envelopes of the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_agent.model import Batch, ClockState, Level, Quality, Scaling, Schema, Value, ValueType
from edge_agent.uplink import Envelope, Key, Lane
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.moment import read_stamp
from edge_agent.uplinks.hj212.number import Format
from edge_agent.uplinks.hj212.profile import Version
from edge_agent.uplinks.hj212.record import Mapped

from .vectors import MN

EIGHT = read_stamp("20260101080000")
SECOND = 1_000_000_000
IDENTITY = Identity(MN, "123456", "31", Version.V2017)
IDENTITY_2025 = Identity(MN, "123456", "31", Version.V2025)


def schema(
    names: Sequence[str],
    *,
    units: Sequence[str] | None = None,
    scaling: Scaling | None = None,
    group: str = "fast",
) -> Schema:
    count = len(names)
    return Schema(
        "stack", group, "c0", tuple(names), (ValueType.FLOAT64,) * count,
        tuple(units or ("mg/m3",) * count), (scaling,) * count,
    )  # fmt: skip


def batch(
    of: Schema, values: Sequence[Value], *, time_ns: int = EIGHT, quality: Sequence[int] | None = None
) -> Batch:
    marks = bytes(quality) if quality is not None else bytes(Quality.GOOD for _ in values)
    return Batch(of, time_ns, 0, tuple(values), marks)


def envelope(stream: str, seq: int, *batches: Batch, lane: Lane = Lane.LIVE) -> Envelope:
    return Envelope(Key(stream, 7, seq), lane, len(batches), batches[0].schema, batches)


def mapped(tag: str, code: str, form: str = "N5.2", unit: str = "", total: str = "") -> Mapped:
    form_of_it = Format.parse(form)
    return Mapped(f"stack.{tag}", code, form_of_it, unit, f"stack.{total}" if total else "", form_of_it)


def period(
    level: str, figures: Mapping[str, Value], *, time_ns: int = EIGHT, device: str = "stack",
    clock: ClockState = ClockState.UNKNOWN, mono_ns: int = 0,
) -> Batch:  # fmt: skip
    """A period value as the agent stores it: figures by name (``so2.avg``), None where there is none."""
    names = tuple(figures)
    of = Schema(
        device, level, "c0", names,
        tuple(ValueType.STRING if n.endswith(".flag") else ValueType.FLOAT64 for n in names),
        tuple("" if n.rpartition(".")[2] in ("flag", "count") else "mg/m3" for n in names),
        (None,) * len(names),
    )  # fmt: skip
    marks = bytes(Quality.BAD if value is None else Quality.GOOD for value in figures.values())
    return Batch(of, time_ns, mono_ns, tuple(figures.values()), marks, None, clock)


def minute(
    seq: int, value: float = 18.5, *, lane: Lane = Lane.LIVE, tags: Sequence[str] = ("so2",),
    device: str = "stack",
) -> Envelope:  # fmt: skip
    """One minute value; ``seq`` minutes after eight."""
    figures: dict[str, Value] = {}
    for tag in tags:
        figures |= {f"{tag}.avg": value, f"{tag}.flag": "N"}
    row = period(Level.MINUTE, figures, time_ns=EIGHT + seq * 60 * SECOND, device=device)
    return envelope("periods", seq, row, lane=lane)
