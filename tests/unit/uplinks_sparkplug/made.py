"""Nodes and units for these tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.model import PERIOD_FIGURES, Batch, Quality, Scaling, Schema, Value, ValueType
from edge_agent.uplink import Envelope, Key, Lane
from edge_agent.uplinks.sparkplug import protobuf
from edge_agent.uplinks.sparkplug.node import Message, Node
from edge_agent.uplinks.sparkplug.topics import Topics
from hardware_mocks.sparkplug_ledger import Ledger

T_MS = 1_732_233_600_000
WIRE = protobuf.load()


def schema(
    device: str = "press-1",
    group: str = "fast",
    tags: Sequence[tuple[str, ValueType, str, Scaling | None]] = (
        ("pressure", ValueType.FLOAT64, "MPa", None),
        ("count", ValueType.UINT32, "", None),
    ),
) -> Schema:
    return Schema(
        device, group, "c1", tuple(t[0] for t in tags), tuple(t[1] for t in tags), tuple(t[2] for t in tags),
        tuple(t[3] for t in tags),
    )  # fmt: skip


def minutes(device: str = "press-1", tag: str = "pressure") -> Schema:
    names = tuple(f"{tag}.{figure}" for figure in PERIOD_FIGURES)
    types = {"count": ValueType.INT64, "flag": ValueType.STRING}
    kinds = tuple(types.get(figure, ValueType.FLOAT64) for figure in PERIOD_FIGURES)
    width = len(names)
    return Schema(device, "minute", "c1", names, kinds, ("",) * width, (None,) * width)


def reading(
    of: Schema, second: float, values: Sequence[Value] | None = None, quality: int | bytes | None = None
) -> Batch:
    """``second``: since the test's beginning, on both clocks. Without values: the device did not answer."""
    if values is None:
        values = (None,) * len(of.names)
        quality = int(Quality.BAD_COMM) if quality is None else quality
    marks = quality if isinstance(quality, bytes) else bytes([quality or 0]) * len(of.names)
    ns = round(second * 1e9)
    return Batch(of, T_MS * 1_000_000 + ns, 10**12 + ns, tuple(values), marks)


def unit(batches: Iterable[Batch], seq: int = 1, lane: Lane = Lane.LIVE, stream: str = "samples") -> Envelope:
    rows = tuple(batches)
    return Envelope(Key(stream, 1, seq), lane, sum(b.samples for b in rows), rows[0].schema, rows)


@dataclass
class Session:
    """A node and the host application that hears all of it."""

    bd_seq: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    sent: list[Message] = field(default_factory=list)
    time_ms: int = T_MS

    def __post_init__(self) -> None:
        self.node = Node(WIRE, Topics("park", "hall-3"), self.bd_seq, lambda: self.time_ms)

    def told(self, messages: Iterable[Message]) -> list[str]:
        """The kinds of what was sent, each with its device: ``DDATA press-1``."""
        kinds = []
        for message in messages:
            self.sent.append(message)
            self.ledger.take(message.topic, message.payload)
            parts = message.topic.split("/")
            kinds.append(" ".join([parts[2], *parts[4:]]))
        return kinds

    def born(self, *current: Batch) -> list[str]:
        return self.told(self.node.birth(current))

    def data(self, *batches: Batch, lane: Lane = Lane.LIVE, stream: str = "samples") -> list[str]:
        return self.told(self.node.data(unit(batches, lane=lane, stream=stream)))
