"""What a host application knows of its edge nodes, and every rule that one of them broke. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hardware_mocks.sparkplug_wire import Malformed, Metric, Payload, Value, read_payload, typed

BD_SEQ, REBIRTH = "bdSeq", "Node Control/Rebirth"
BIRTHS = ("NBIRTH", "DBIRTH")


@dataclass(slots=True)
class Born:
    """A metric as its birth gave it, with its newest present value."""

    name: str
    datatype: int
    value: Value
    time_ms: int
    properties: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Sample:
    """``device`` is "" for the node's own metrics."""

    node: str
    device: str
    metric: str
    time_ms: int
    value: Value
    quality: Value
    reason: Value
    historical: bool


@dataclass(slots=True)
class NodeState:
    online: bool = False
    bd_seq: int | None = None
    next_seq: int = 0
    births: int = 0
    rebirth_wanted: bool = False
    devices: dict[str, dict[int, Born]] = field(default_factory=dict)  # those that are alive
    newest_ms: dict[tuple[str, str], int] = field(default_factory=dict)


class Ledger:
    """``samples`` by (node, device, metric, time): an upsert, as every receiver of Sparkplug needs one.
    ``broken``: rules that were broken, in words, in order."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.samples: dict[tuple[str, str, str, int], Sample] = {}
        self.broken: list[str] = []
        self.log: list[tuple[str, str]] = []  # (kind, device), births and deaths included
        self.duplicates = 0
        self.changed = 0  # the same (metric, time) with another value
        self.gaps = 0
        self.stale_deaths = 0
        self.historical = 0
        self.messages: Counter[str] = Counter()

    def take(self, topic: str, data: bytes) -> str | None:
        """One message of the namespace. The node that is to be asked for a rebirth, if one is."""
        parts = topic.split("/")
        if len(parts) not in (4, 5) or parts[0] != "spBv1.0" or parts[2].endswith("CMD"):
            return None
        kind, node, device = parts[2], f"{parts[1]}/{parts[3]}", "".join(parts[4:])
        if (kind[0] == "D") != bool(device):
            self._broke(f"{kind} with {len(parts)} levels")
            return None
        self.messages[kind] += 1
        self.log.append((kind, device))
        try:
            self._take(kind, node, device, read_payload(data))
        except Malformed as error:
            self._broke(f"{kind} of {node} {device}: {error}")
        state = self.nodes.get(node)
        if state is not None and state.rebirth_wanted:
            return node
        return None

    def values(self, device: str, metric: str) -> list[Value]:
        """In the order of their times."""
        mine = [s for s in self.samples.values() if s.device == device and s.metric == metric]
        return [s.value for s in sorted(mine, key=lambda s: s.time_ms)]

    def metric(self, device: str, name: str) -> tuple[int, Born]:
        """Its alias, and what its birth said."""
        for state in self.nodes.values():
            for alias, born in state.devices.get(device, {}).items():
                if born.name == name:
                    return alias, born
        raise KeyError(f"no metric {name} was born on {device}")

    def _take(self, kind: str, node: str, device: str, payload: Payload) -> None:
        state = self.nodes.setdefault(node, NodeState())
        if kind == "NDEATH":
            self._node_dies(state, payload)
            return
        if payload.time_ms is None:
            self._broke(f"{kind} without a time stamp")
        if kind == "NBIRTH":
            self._node_is_born(state, payload)
            return
        self._count(state, kind, payload)
        if not state.online:
            self._broke(f"{kind} of {node} {device} before its NBIRTH")
            state.rebirth_wanted = True
            return
        if kind == "DBIRTH":
            self._is_born(state, device, payload)
        elif device not in state.devices and kind != "NDATA":
            self._broke(f"{kind} of {device}, which is not alive")
            state.rebirth_wanted = kind == "DDATA" or state.rebirth_wanted
        elif kind == "DDEATH":
            del state.devices[device]
        else:
            self._data(state, node, device, payload)

    def _node_dies(self, state: NodeState, payload: Payload) -> None:
        if payload.seq is not None:
            self._broke("NDEATH with a sequence number")
        if [m.name for m in payload.metrics] != [BD_SEQ]:
            self._broke(f"NDEATH with the metrics {[m.name for m in payload.metrics]}")
            return
        if state.online and typed(payload.metrics[0], 4) != state.bd_seq:
            self.stale_deaths += (
                1  # the will of a connection before this one, or one that does not fit its birth
            )
            return
        state.online = False
        state.devices.clear()

    def _node_is_born(self, state: NodeState, payload: Payload) -> None:
        if payload.seq != 0:
            self._broke(f"NBIRTH with sequence number {payload.seq}")
        named = {m.name: m for m in payload.metrics}
        if BD_SEQ not in named or REBIRTH not in named:
            self._broke("NBIRTH without bdSeq or Node Control/Rebirth")
            return
        rebirth, bd_seq = named[REBIRTH], typed(named[BD_SEQ], 4)
        if rebirth.alias is not None or rebirth.value is not False or rebirth.datatype != 11:
            self._broke("Node Control/Rebirth is not a Boolean false without alias")
        if named[BD_SEQ].datatype != 4 or not isinstance(bd_seq, int):
            self._broke("bdSeq is not an Int64")
            return
        state.online, state.bd_seq, state.next_seq = True, bd_seq, 1
        state.rebirth_wanted = False
        state.births += 1
        state.devices = {"": {}}
        self._is_born(state, "", payload)

    def _is_born(self, state: NodeState, device: str, payload: Payload) -> None:
        metrics: dict[int, Born] = {}
        taken = {alias for id_, known in state.devices.items() if id_ != device for alias in known}
        names: set[str] = set()
        for metric in payload.metrics:
            if device == "" and metric.name in (BD_SEQ, REBIRTH):
                continue
            if not metric.name or metric.alias is None or metric.datatype is None or metric.time_ms is None:
                self._broke(f"a metric of {device} is born without name, alias, datatype or time")
                continue
            if metric.alias in taken or metric.alias in metrics or metric.name in names:
                self._broke(f"{device} {metric.name}: alias {metric.alias} or the name is there twice")
            if metric.null == (metric.kind != 0):
                self._broke(f"{device} {metric.name}: null and a value, or neither")
            names.add(metric.name)
            metrics[metric.alias] = Born(
                metric.name,
                metric.datatype,
                typed(metric, metric.datatype),
                metric.time_ms,
                metric.properties,
            )
        state.devices[device] = metrics

    def _data(self, state: NodeState, node: str, device: str, payload: Payload) -> None:
        kinds = {metric.historical for metric in payload.metrics}
        if len(kinds) > 1:
            self._broke("historical and present values in one message")
        for metric in payload.metrics:
            born = state.devices[device].get(-1 if metric.alias is None else metric.alias)
            if born is None or metric.name:
                self._broke(f"{device}: alias {metric.alias} was not born, or stands beside a name")
                state.rebirth_wanted = True
            elif metric.time_ms is None or metric.null == (metric.kind != 0):
                self._broke(f"{device} {born.name}: no time, or null and a value, or neither")
            else:
                self._sample(state, node, device, born, metric)

    def _sample(self, state: NodeState, node: str, device: str, born: Born, metric: Metric) -> None:
        assert metric.time_ms is not None
        if metric.datatype not in (None, born.datatype):
            self._broke(
                f"{device} {born.name}: datatype {metric.datatype} after a birth with {born.datatype}"
            )
        value = typed(metric, born.datatype)
        if not metric.historical:
            before = state.newest_ms.get((device, born.name), 0)
            if metric.time_ms < before:
                self._broke(f"{device} {born.name}: present value of {metric.time_ms} after {before}")
            state.newest_ms[device, born.name] = metric.time_ms
            born.value, born.time_ms = value, metric.time_ms
        key = (node, device, born.name, metric.time_ms)
        known = self.samples.get(key)
        self.duplicates += known is not None
        self.changed += known is not None and repr(known.value) != repr(value)
        self.historical += metric.historical
        quality, reason = metric.properties.get("Quality", 192), metric.properties.get("Reason")
        if quality not in (0, 192, 500):
            self._broke(f"{device} {born.name}: quality {quality!r}")
        first = metric.historical if known is None else known.historical and metric.historical
        self.samples[key] = Sample(node, device, born.name, metric.time_ms, value, quality, reason, first)

    def _count(self, state: NodeState, kind: str, payload: Payload) -> None:
        if payload.seq is None or not 0 <= payload.seq <= 255:
            self._broke(f"{kind} with sequence number {payload.seq}")
            return
        if state.online and payload.seq != state.next_seq:
            self.gaps += 1
            state.rebirth_wanted = True
        state.next_seq = (payload.seq + 1) % 256

    def _broke(self, rule: str) -> None:
        self.broken.append(rule)
