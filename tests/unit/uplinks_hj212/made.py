"""Schemas, batches and envelopes of the tests."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model import Batch, Quality, Scaling, Schema, Value, ValueType
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


def mapped(tag: str, code: str, form: str = "N5.2", unit: str = "") -> Mapped:
    return Mapped(f"stack.{tag}", code, Format.parse(form), unit)


def minute(
    seq: int, value: float = 18.5, *, lane: Lane = Lane.LIVE, names: Sequence[str] = ("so2.avg",)
) -> Envelope:
    """One minute value; ``seq`` minutes after eight."""
    row = batch(schema(names), [value] * len(names), time_ns=EIGHT + seq * 60 * SECOND)
    return envelope("minute", seq, row, lane=lane)
