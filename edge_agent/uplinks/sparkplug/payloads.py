"""Metrics and payloads as protobuf. The rows of a segment are a hot path: one call per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.model import Batch, Quality, ValueType, engineering
from edge_agent.uplinks.sparkplug.values import DataType, quality_code, quality_name

if TYPE_CHECKING:
    from edge_agent.uplinks.sparkplug.device import Columns, Device, Metric
    from edge_agent.uplinks.sparkplug.protobuf import Wire

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"

MAX_METRICS = 5_000
"""In one message of data, so that it stays near 100 kB: some brokers take no more than 128 kB."""

_LETTERS_PER_METRIC = 20
_NO_STATEMENT = int(Quality.NOT_REPORTED)


class Payloads:
    """``payload`` objects are made here without ``seq``: the node numbers them when they go out."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._qualities: dict[int, Any] = {}

    def node_death(self, bd_seq: int, time_ms: int) -> bytes:
        payload = self._wire.payload(timestamp=time_ms)
        self._add_bd_seq(payload, bd_seq, time_ms)
        return self.written(payload)

    def node_birth(self, bd_seq: int, time_ms: int) -> Any:
        payload = self._wire.payload(timestamp=time_ms)
        self._add_bd_seq(payload, bd_seq, time_ms)
        payload.metrics.add(name=REBIRTH, timestamp=time_ms, datatype=DataType.BOOLEAN, boolean_value=False)
        return payload

    def device_birth(self, device: Device, time_ms: int) -> Any:
        """Every metric the device has ever had, with its newest value."""
        payload = self._wire.payload(timestamp=time_ms)
        for metric in device.metrics.values():
            self._add_born(payload, metric, time_ms)
        return payload

    def device_death(self, time_ms: int) -> Any:
        return self._wire.payload(timestamp=time_ms)

    def rows(
        self, columns: Columns, batches: Sequence[Batch], time_ms: int, *, historical: bool
    ) -> list[Any]:
        """Payloads of data. Raises TypeError, ValueError or OverflowError when a value is not of its column's
        type or cannot be written: no retry would heal that."""
        payloads = []
        payload, room = self._wire.payload(timestamp=time_ms), MAX_METRICS
        for batch in batches:
            if room < len(batch.values) and payload.metrics:
                payloads.append(payload)
                payload, room = self._wire.payload(timestamp=time_ms), MAX_METRICS
            self._add_row(payload.metrics.add, columns, batch, historical=historical)
            room -= len(batch.values)
            room -= sum(len(str(batch.values[i])) for i in columns.texts) // _LETTERS_PER_METRIC
        return [*payloads, payload] if payload.metrics else payloads

    def read(self, data: bytes) -> Any:
        """A payload that was received. ValueError when it is none."""
        try:
            return self._wire.payload.FromString(data)
        except Exception as error:  # the library has a class of its own for it, which needs an import
            raise ValueError("not a Sparkplug payload") from error

    def written(self, payload: Any) -> bytes:
        return payload.SerializeToString()  # type: ignore[no-any-return]

    def _add_row(self, add: Any, columns: Columns, batch: Batch, *, historical: bool) -> None:
        time_ms = batch.time_ns // 1_000_000
        flags = {"is_historical": True} if historical else {}
        for column, value, quality in zip(columns.metrics, batch.values, batch.quality, strict=True):
            if quality >= _NO_STATEMENT:
                continue
            if value is None:
                metric = add(alias=column.alias, timestamp=time_ms, is_null=True, **flags)
            else:
                kind = column.kind
                value = value if column.scaling is None else engineering(value, column.scaling)
                metric = add(alias=column.alias, timestamp=time_ms, **flags)
                setattr(metric, kind.field, kind.written(value))
            if quality:
                metric.properties.CopyFrom(self._quality(quality))

    def _add_bd_seq(self, payload: Any, bd_seq: int, time_ms: int) -> None:
        payload.metrics.add(name=BD_SEQ, timestamp=time_ms, datatype=DataType.INT64, long_value=bd_seq)

    def _add_born(self, payload: Any, metric: Metric, time_ms: int) -> None:
        kind = metric.kind
        born = payload.metrics.add(
            name=metric.name,
            alias=metric.alias,
            timestamp=metric.time_ms or time_ms,
            datatype=kind.datatype,
        )
        try:
            value = engineering(metric.value, metric.scaling)
            if value is not None:
                setattr(born, kind.field, kind.written(value))
        except (
            TypeError,
            ValueError,
            OverflowError,
        ):  # its data is refused for the same reason, and set aside
            value = None
        if value is None:
            born.is_null = True
        properties = born.properties
        properties.CopyFrom(self._quality(metric.quality))
        if metric.unit:
            _add_text(properties, "engUnit", metric.unit)
        scaled = metric.scaling is not None and metric.type.is_numeric
        if scaled or metric.type is ValueType.UINT32:
            _add_text(properties, "rawType", str(metric.type))
        if metric.scaling is not None and scaled:
            _add_number(properties, "scale", metric.scaling.scale)
            _add_number(properties, "offset", metric.scaling.offset)

    def _quality(self, quality: int) -> Any:
        """``Quality``, and for what is not good the agent's own ``Reason``."""
        found = self._qualities.get(quality)
        if found is None:
            found = self._qualities[quality] = self._wire.properties()
            found.keys.append("Quality")
            found.values.add(type=DataType.INT32, int_value=quality_code(quality))
            if quality:
                _add_text(found, "Reason", quality_name(quality))
        return found


def _add_text(properties: Any, key: str, text: str) -> None:
    properties.keys.append(key)
    properties.values.add(type=DataType.STRING, string_value=text)


def _add_number(properties: Any, key: str, number: float) -> None:
    properties.keys.append(key)
    properties.values.add(type=DataType.DOUBLE, double_value=number)
