"""What a host application asks of us. Pure: a topic and a payload in, requests out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.model import Value
from edge_agent.uplinks.sparkplug.device import Device
from edge_agent.uplinks.sparkplug.payloads import REBIRTH
from edge_agent.uplinks.sparkplug.values import read

WRITE, NODE_CONTROL, UNREADABLE = "write", "node_control", "unreadable_write"

MAX_METRICS = 100
"""In one command; of a longer one the rest is not looked at."""

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Request:
    """``rebirth``, or a command for the guarded pipeline: kind and ``detail`` as ``uplink.Command`` says."""

    rebirth: bool = False
    kind: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def of_node(payload: Any) -> list[Request]:
    """NCMD. Other controls than a rebirth are passed on by name, for the record: this node has none."""
    requests = []
    for metric in payload.metrics[:MAX_METRICS]:
        if metric.name == REBIRTH:
            if metric.boolean_value:
                requests.append(Request(rebirth=True))
        else:
            requests.append(Request(kind=NODE_CONTROL, detail={"metric": metric.name[:_LONGEST]}))
    return requests


def of_device(payload: Any, device: Device | None, name: str) -> list[Request]:
    """DCMD. ``name``: of the device, as the topic has it; ``device``: None when there is no such."""
    return [_write(metric, device, name) for metric in payload.metrics[:MAX_METRICS]]


def _write(metric: Any, device: Device | None, name: str) -> Request:
    known = None
    if device is not None:
        known = device.metrics.get(metric.name) if metric.name else device.by_alias(metric.alias)
    shown = known.tag if known is not None else metric.name[:_LONGEST] or f"alias {metric.alias}"
    detail: dict[str, Any] = {"tag": f"{name[:_LONGEST]}.{shown}"}
    if known is None:
        return Request(kind=UNREADABLE, detail=detail | {"reason": "no such metric in the birth"})
    if device is not None and device.mortal and known.name != known.tag:
        return Request(kind=UNREADABLE, detail=detail | {"reason": "a metric of a former configuration"})
    try:
        value: Value = read(metric, known.kind.datatype)
    except ValueError as error:
        return Request(kind=UNREADABLE, detail=detail | {"reason": str(error)})
    return Request(kind=WRITE, detail=detail | {"value": value} | _said(metric.properties))


def _said(properties: Any) -> dict[str, str]:
    """``token`` and ``comment`` of the one who asks, as text properties of the metric."""
    pairs = zip(properties.keys, properties.values, strict=False)
    return {key: value.string_value for key, value in pairs if key in ("token", "comment")}
