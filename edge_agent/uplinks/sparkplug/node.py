"""One edge node session, from its death certificate to its last datum: messages out, commands in. No I/O.

    will -> birth -> data* (birth of devices, data, death of devices) -> death

One sequence number counts all that the node and its devices send, 0 to 255 and round again; what is numbered
must go out, in this order, or the host application sees a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_agent.model import Batch, Quality
from edge_agent.uplink import Envelope, Lane, Stream
from edge_agent.uplinks.sparkplug import commands
from edge_agent.uplinks.sparkplug.device import Columns, Device, Devices, unreachable
from edge_agent.uplinks.sparkplug.payloads import Payloads
from edge_agent.uplinks.sparkplug.topics import Topics

if TYPE_CHECKING:
    from edge_agent.uplinks.sparkplug.protobuf import Wire

_NO_STATEMENT = int(Quality.NOT_REPORTED)


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Draft:
    topic: str
    payload: Any


class Node:
    """``time_ms``: the wall clock, for the stamps of births, deaths and messages."""

    def __init__(self, wire: Wire, topics: Topics, bd_seq: int, time_ms: Callable[[], int]) -> None:
        self.devices = Devices()
        self._payloads = Payloads(wire)
        self._topics = topics
        self._bd_seq = bd_seq
        self._time_ms = time_ms
        self._seq = 0

    def death(self) -> Message:
        """The will, and what is said before going."""
        return Message(
            self._topics.of_node("NDEATH"), self._payloads.node_death(self._bd_seq, self._time_ms())
        )

    def birth(self, current: Sequence[Batch] = ()) -> list[Message]:
        """The node and every device that is not lost. ``current``: the newest readings, with which the host
        application starts; none for a rebirth, which repeats what it was told last."""
        for batch in current:
            device = self.devices.of(batch.schema, periods=False)
            _remember(self.devices.columns(device, batch.schema, present=True), [batch])
            device.told(batch)
        self._seq = 0
        drafts = [
            _Draft(self._topics.of_node("NBIRTH"), self._payloads.node_birth(self._bd_seq, self._time_ms()))
        ]
        for device in self.devices:
            device.born = False
            if not device.lost:
                drafts += self._alive(device)
        return self._numbered(drafts)

    def data(self, item: Envelope) -> list[Message]:
        """All that tells one stored unit. Raises TypeError, ValueError or OverflowError when it cannot be
        written; the host application is told nothing of it then."""
        assert item.schema is not None
        live = item.lane is Lane.LIVE
        device = self.devices.of(item.schema, periods=item.key.stream == Stream.PERIODS)
        columns = self.devices.columns(device, item.schema, present=live)
        batches = [batch for batch in item.batches if batch.samples]
        fresh = [batch for batch in batches if live and device.is_news(batch)]
        missed = self._data(device, columns, batches[: len(batches) - len(fresh)], historical=True)
        runs = [
            (run, self._data(device, columns, run.batches, historical=False))
            for run in _runs(device, item.schema.group, fresh)
        ]
        drafts = [*self._alive(device), *missed] if missed else []
        for run, data in runs:
            drafts += [*self._alive(device), *data]
            for batch in run.batches:
                device.told(batch)
            _remember(columns, run.batches)
            if run.mortal:
                drafts.append(self._dead(device))
        if fresh:
            device.told(fresh[-1])
        return self._numbered(drafts)

    def requests(self, device: str, payload: bytes) -> list[commands.Request]:
        """What a command asks of a device, or of the node itself (""). ValueError when it is no payload."""
        asked = self._payloads.read(payload)
        if not device:
            return commands.of_node(asked)
        return commands.of_device(asked, self.devices.get(device), device)

    def _data(
        self, device: Device, columns: Columns, batches: Sequence[Batch], *, historical: bool
    ) -> list[_Draft]:
        topic = self._topics.of_device("DDATA", device.id)
        payloads = self._payloads.rows(columns, batches, self._time_ms(), historical=historical)
        return [_Draft(topic, payload) for payload in payloads]

    def _alive(self, device: Device) -> list[_Draft]:
        """Its birth, unless the one that was sent still holds."""
        if device.born:
            return []
        device.born = True
        payload = self._payloads.device_birth(device, self._time_ms())
        return [_Draft(self._topics.of_device("DBIRTH", device.id), payload)]

    def _dead(self, device: Device) -> _Draft:
        device.born = False
        payload = self._payloads.device_death(self._time_ms())
        return _Draft(self._topics.of_device("DDEATH", device.id), payload)

    def _numbered(self, drafts: Iterable[_Draft]) -> list[Message]:
        messages = []
        for draft in drafts:
            draft.payload.seq = self._seq
            self._seq = (self._seq + 1) % 256
            messages.append(Message(draft.topic, self._payloads.written(draft.payload)))
        return messages


@dataclass(frozen=True, slots=True)
class _Run:
    """Readings that go out together. ``mortal``: with the last of them the device has lost its controller."""

    batches: Sequence[Batch]
    mortal: bool


def _runs(device: Device, group: str, fresh: Sequence[Batch]) -> list[_Run]:
    """While a device is dead, that it still does not answer is no news: its death says so. Those readings are
    in no run."""
    others = all(lost for name, lost in device.unreachable.items() if name != group)
    dead = device.lost and not device.born
    runs: list[_Run] = []
    run: list[Batch] = []
    for batch in fresh:
        gone = device.mortal and others and unreachable(batch)
        if gone and dead:
            continue
        run.append(batch)
        dead = gone
        if gone:
            runs.append(_Run(run, mortal=True))
            run = []
    return [*runs, _Run(run, mortal=False)] if run else runs


def _remember(columns: Columns, batches: Iterable[Batch]) -> None:
    """What a birth will say."""
    for batch in batches:
        time_ms = batch.time_ns // 1_000_000
        for metric, value, quality in zip(columns.metrics, batch.values, batch.quality, strict=True):
            if quality < _NO_STATEMENT:
                metric.value, metric.quality, metric.time_ms = value, quality, time_ms
