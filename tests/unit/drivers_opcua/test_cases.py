"""Walks tests/cases/opcua: what a technician wrote, what the server holds, what must come out.

``case.yaml``: ``settings``; ``nodes`` (string identifier in namespace ``urn:case:FOLDER``: [built-in type,
value], or a map with type, value, status, source, bytes (a string's real encoding)); ``tags`` (name:
[address, type, and maybe a map of other columns]); then ``expect`` (name: value, or a quality's name),
``source`` (name: UTC time stamp) and ``reads`` (nodes of each Read call), or ``problems`` (tag or key, and
code). The server is asyncua's.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from asyncua import ua

from drivers.opcua import PLUGIN
from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, Value, ValueType

from .server import UaServer, connected, read, settings_for

FORMS: dict[str, Callable[[Any], Any]] = {
    "DateTime": datetime.fromisoformat,
    "Guid": uuid.UUID,
    "ByteString": bytes.fromhex,
    "LocalizedText": ua.LocalizedText,
    "QualifiedName": ua.QualifiedName,
    "StatusCode": ua.StatusCode,
    "NodeId": ua.NodeId.from_string,
}
CASES = sorted((Path(__file__).parents[2] / "cases" / "opcua").iterdir())


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
async def test_case(folder: Path, server: UaServer) -> None:
    case: dict[str, Any] = yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))
    settings = settings_for(server.port, **case.get("settings", {}))
    tags = [tag(name, *columns) for name, columns in case["tags"].items()]
    problems = [
        f"{p.path[1] if p.path[0] == 'tags' else p.path[0]} {p.code}" for p in PLUGIN.check(settings, tags)
    ]
    assert problems == case.get("problems", [])
    if "expect" not in case:
        return
    index = server.namespace(f"urn:case:{folder.name}")
    for name, node in case["nodes"].items():
        add(server, index, name, node)
    server.limit(case.get("server", {}).get("max_nodes_per_read", 0))
    async with connected(settings) as (link, limits):
        server.reads.clear()
        columns = await read(link, settings, tags, limits)
    assert server.reads == case.get("reads", server.reads)
    assert outcome(tags, columns) == {tag.name: wanted(case["expect"][tag.name], tag) for tag in tags}
    assert times(tags, columns, case) == case.get("source", {})


def tag(name: str, address: str, kind: str, columns: dict[str, str] | None = None) -> Tag:
    wire = kind if kind in PLUGIN.types else ""
    return Tag(name, address, PLUGIN.types[kind] if wire else ValueType(kind), wire=wire, **(columns or {}))


def add(server: UaServer, index: int, name: str, node: Any) -> None:
    if isinstance(node, list):
        node = {"type": node[0], "value": node[1]}
    value = node["value"]
    if "bytes" in node:
        value = value.encode(node["bytes"]).decode("utf-8", "surrogateescape")
    elif value is not None:
        value = FORMS.get(node["type"], lambda plain: plain)(value)
    variant = ua.Variant(value, ua.VariantType[node["type"]], is_array=isinstance(value, list))
    node_id = ua.NodeId(name, index)
    server.call(server._server.nodes.objects.add_variable(node_id, name, variant))
    status = getattr(ua.StatusCodes, node.get("status", "Good"))
    stamp = datetime.fromisoformat(node["source"]) if "source" in node else None
    server.set(node_id.to_string(), variant, status, stamp)


def outcome(tags: list[Tag], columns: Columns) -> dict[str, Any]:
    return {
        tag.name: value
        if quality == Quality.GOOD
        else [Quality(quality).name, value]
        if value is not None
        else Quality(quality).name
        for tag, value, quality in zip(tags, columns.values, columns.quality, strict=True)
    }


def times(tags: list[Tag], columns: Columns, case: dict[str, Any]) -> dict[str, str | None]:
    assert columns.source_ns is not None
    found = dict(zip((tag.name for tag in tags), columns.source_ns, strict=True))
    return {
        name: None if (ns := found[name]) is None else datetime.fromtimestamp(ns / 1e9, UTC).isoformat()
        for name in case.get("source", {})
    }


def wanted(value: Any, tag: Tag) -> Value | list[Any]:
    """A decimal in the file means the nearest float32 where the tag is one."""
    if tag.type is ValueType.FLOAT32 and isinstance(value, float):
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    return value  # type: ignore[no-any-return]


def test_there_are_cases() -> None:
    assert len(CASES) >= 20
