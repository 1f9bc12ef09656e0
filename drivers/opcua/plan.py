"""Tags -> as few Read calls as the server allows. Pure.

A call takes as many nodes as the least of: the server's MaxNodesPerRead, the device's ``max_nodes_per_read``,
what was learned from BadTooManyOperations, and 500. Namespace URIs become indexes here, by the table that
``enrol`` read. Tags whose namespace the server does not have share one extra request, which asks whether that
table has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.opcua.address import NodeAddress, parse
from drivers.opcua.codec import Decoder
from edge_agent.driver import Plan, Request
from edge_agent.model import Tag

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

DEFAULT_NODES = 500
_ROUND_TRIP_S = 0.010
_NODE_S = 20e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server said: its namespace table, and its MaxNodesPerRead (None: no limit)."""

    namespaces: tuple[str, ...]
    max_nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What ``OpcuaLink.exchange`` reads. Without nodes it compares the namespace table."""

    nodes: tuple[NodeAddress, ...]


def plan(settings: OpcuaSettings, tags: Sequence[Tag], limits: Limits | None, learned: int | None) -> Plan:
    """The plan for one poll group. ``learned``: the most nodes per call the server has not refused. Before a
    connection (``limits`` None) addresses keep their URIs: such a plan can be looked at, not exchanged."""
    present: list[tuple[int, NodeAddress]] = []
    absent: list[int] = []
    for position, tag in enumerate(tags):
        address = parse(tag.address)
        node = address if limits is None else address.resolved(limits.namespaces)
        if node is None:
            absent.append(position)
        else:
            present.append((position, node))
    most = _most(settings, limits, learned)
    chunks = [present[at : at + most] for at in range(0, len(present), most)]
    requests = [_request(chunk) for chunk in chunks]
    answered = [request.tags for request in requests]
    if absent:
        requests.append(_lookout(absent))
        answered.append(())
    served = [request.tags for request in requests]
    decoder = Decoder([tag.type for tag in tags], list(zip(served, answered, strict=True)))
    return Plan(tuple(requests), decoder)


def _most(settings: OpcuaSettings, limits: Limits | None, learned: int | None) -> int:
    wishes = (DEFAULT_NODES, settings.max_nodes_per_read, limits.max_nodes if limits else None, learned)
    return min(wish for wish in wishes if wish)


def _request(chunk: Sequence[tuple[int, NodeAddress]]) -> Request:
    nodes = tuple(node for _, node in chunk)
    return Request(
        tags=tuple(position for position, _ in chunk),
        body=Body(nodes),
        cost_s=_ROUND_TRIP_S + _NODE_S * len(nodes),
        text=f"Read {len(nodes)} nodes, {nodes[0]} to {nodes[-1]}",
    )


def _lookout(absent: Sequence[int]) -> Request:
    return Request(
        tags=tuple(absent),
        body=Body(()),
        cost_s=_ROUND_TRIP_S,
        text=f"Read the namespace table: {len(absent)} tags are in namespaces the server does not have",
    )
