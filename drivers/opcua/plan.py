"""Tags -> as few Read calls as the server allows. Pure.

A call takes as many nodes as the least of: the server's MaxNodesPerRead, the device's ``max_nodes_per_read``,
what was learned from BadTooManyOperations, and 500. Tags on one node (elements of an array) share one read of
it. Namespace URIs become indexes here, by the table that ``enrol`` read. Tags whose namespace the server does
not have share one extra request, which asks whether that table has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.opcua.address import NodeAddress, locate
from drivers.opcua.codec import Decoder, Part, Reading
from edge_agent.driver import Plan, Request
from edge_agent.model import Tag, ValueType

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

DEFAULT_NODES = 500
_ROUND_TRIP_S = 0.010
_NODE_S = 20e-6
_ENVELOPE_BYTES = 24 + 60 + 24 + 32  # chunk and request header there, chunk and response header back
_QUESTION_BYTES = 14  # attribute, no index range, default encoding
_ANSWER_BYTES = 18  # mask, type, source and server time
_TABLE_BYTES = 400  # a namespace table, about
_WIDTH = {
    ValueType.BOOL: 1,
    ValueType.INT8: 1,
    ValueType.UINT8: 1,
    ValueType.INT16: 2,
    ValueType.UINT16: 2,
    ValueType.INT32: 4,
    ValueType.UINT32: 4,
    ValueType.FLOAT32: 4,
    ValueType.STRING: 20,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server said: its namespace table, and the most nodes it takes per Read, monitored items per
    call and nodes per Browse (None: no limit)."""

    namespaces: tuple[str, ...]
    max_nodes: int | None = None
    max_items: int | None = None
    max_browse: int | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What ``OpcuaLink.exchange`` reads. Without nodes it compares the namespace table."""

    nodes: tuple[NodeAddress, ...]


Spot = tuple[NodeAddress, tuple[int, ...]]  # a node and the tags that take their value from it


def plan(settings: OpcuaSettings, tags: Sequence[Tag], limits: Limits | None, learned: int | None) -> Plan:
    """The plan for one poll group. ``learned``: the most nodes per call the server has not refused. Before a
    connection (``limits`` None) addresses keep their URIs: such a plan can be looked at, not exchanged."""
    users: dict[NodeAddress, list[int]] = {}
    absent: list[int] = []
    readings = []
    for position, tag in enumerate(tags):
        place = locate(tag.address)
        readings.append(Reading.of(tag, place.element))
        node = place.node if limits is None else place.node.resolved(limits.namespaces)
        if node is None:
            absent.append(position)
        else:
            users.setdefault(node, []).append(position)
    spots = [(node, tuple(positions)) for node, positions in users.items()]
    most = _most(settings, limits, learned)
    chunks = [spots[at : at + most] for at in range(0, len(spots), most)]
    requests = [_request(chunk, tags) for chunk in chunks]
    parts = [
        Part(request.tags, tuple(positions for _, positions in chunk))
        for request, chunk in zip(requests, chunks, strict=True)
    ]
    if absent:
        requests.append(_lookout(absent))
        parts.append(Part(tuple(absent), ()))
    return Plan(tuple(requests), Decoder(readings, parts))


def _most(settings: OpcuaSettings, limits: Limits | None, learned: int | None) -> int:
    wishes = (DEFAULT_NODES, settings.max_nodes_per_read, limits.max_nodes if limits else None, learned)
    return min(wish for wish in wishes if wish)


def _request(chunk: Sequence[Spot], tags: Sequence[Tag]) -> Request:
    nodes = tuple(node for node, _ in chunk)
    served = tuple(sorted(position for _, positions in chunk for position in positions))
    return Request(
        tags=served,
        body=Body(nodes),
        cost_s=_ROUND_TRIP_S + _NODE_S * len(nodes),
        text=f"Read {len(nodes)} nodes, {nodes[0]} to {nodes[-1]}",
        size_bytes=_ENVELOPE_BYTES
        + sum(_QUESTION_BYTES + _ANSWER_BYTES + _node_bytes(node) for node in nodes)
        + sum(_WIDTH.get(tags[position].type, 8) for position in served),
    )


def _node_bytes(node: NodeAddress) -> int:
    """Part 6, 5.2.2.9: a mask, the namespace, the identifier."""
    if isinstance(node.identifier, int):
        return 2 if node.identifier < 256 and not node.index else 4 if node.identifier < 65_536 else 7
    if isinstance(node.identifier, (str, bytes)):
        return 7 + len(node.identifier.encode() if isinstance(node.identifier, str) else node.identifier)
    return 19


def _lookout(absent: Sequence[int]) -> Request:
    return Request(
        tags=tuple(absent),
        body=Body(()),
        cost_s=_ROUND_TRIP_S,
        text=f"Read the namespace table: {len(absent)} tags are in namespaces the server does not have",
        size_bytes=_ENVELOPE_BYTES + _QUESTION_BYTES + _ANSWER_BYTES + _TABLE_BYTES,
    )
