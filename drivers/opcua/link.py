"""One session with one server. See ``edge_agent.driver`` for who calls what and when.

A reply is known by its request id and handle; one that comes after its exchange was cancelled is dropped by
the library. Nothing here has a time-out of its own but ``close``, which never takes longer than 2 s, and the
loop that subscriptions need. That loop is the only task, and ``close`` ends it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drivers.opcua.address import NodeAddress, locate
from drivers.opcua.endpoint import url
from drivers.opcua.plan import Body, Limits
from edge_agent.driver import Plan, Request, Reserved, Sink, Trace
from edge_agent.errors import BadReply, LinkLost, Refused, Replan
from edge_agent.model import Quality, Tag, Value

if TYPE_CHECKING:
    from drivers.opcua.publishing import Publishing
    from drivers.opcua.session import Session
    from drivers.opcua.settings import OpcuaSettings

_MODULES = ("session", "publishing", "writing", "browsing")
_NAMESPACE_ARRAY = NodeAddress("i", 2255)
_MAX_NODES_PER_READ = NodeAddress("i", 11705)
_MAX_NODES_PER_BROWSE = NodeAddress("i", 11710)
_MAX_ITEMS_PER_CALL = NodeAddress("i", 11714)
_PREPARED_MAX = 256
_RETRY_UNKNOWN_S = 60.0
_NAMESPACES_EVERY_S = 30.0
_UNKNOWN = (0x8034, 0x8033)  # BadNodeIdUnknown, BadNodeIdInvalid


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The library's form of a body. ``resting``: indexes of nodes that are not asked for at the moment."""

    body: Body
    resting: frozenset[int]
    parameters: Any


class OpcuaLink:
    """Meets ``Link``, ``Writer``, ``Subscriber`` and ``Browser`` of ``edge_agent.driver``; one object per
    connection attempt. ``open_link`` of the plug-in. ``now``: a monotonic clock in seconds."""

    def __init__(self, settings: OpcuaSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._session: Session | None = None
        self._trace: Trace | None = None
        self._publishing: Publishing | None = None
        self._limits = Limits(())
        self._prepared: dict[int, _Prepared] = {}
        self._unknown: dict[NodeAddress, float] = {}  # nodes the server does not have -> when to ask again
        self._namespaces_at_s = 0.0
        self._kinds: dict[NodeAddress, Any] = {}

    @property
    def trace(self) -> Trace | None:
        """See ``edge_agent.driver.Tracer``; frames are requests and responses, as they are before encryption
        and without the token of the session."""
        return self._trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._trace = trace
        if self._session is not None:
            self._session.trace_to(trace)

    @property
    def session(self) -> Session:
        """The open one. LinkLost before ``connect``."""
        return self._require_session()

    async def connect(self) -> None:
        """TCP, secure channel, session. Raises LinkLost; LinkDenied with reason "auth" or "cert"."""
        if any(f"drivers.opcua.{name}" not in sys.modules for name in _MODULES):
            await asyncio.to_thread(_import_library)  # the first time only: 0.6 s, not at others' expense
        from drivers.opcua.security import Credentials
        from drivers.opcua.session import Session

        settings = self._settings
        self._session = Session(url(settings), settings.session_timeout, Credentials(settings))
        self._session.trace_to(self._trace)
        await self._session.open()

    async def enrol(self, station: OpcuaSettings) -> Limits:
        """Reads the namespace table and what the server takes per call."""
        session = self._require_session()
        table, *most = await _read_each(
            session, (_NAMESPACE_ARRAY, _MAX_NODES_PER_READ, _MAX_ITEMS_PER_CALL, _MAX_NODES_PER_BROWSE)
        )
        self._limits = Limits(_namespaces(table), *(_limit(result) for result in most))
        self._namespaces_at_s = self._now() + _NAMESPACES_EVERY_S
        self._unknown.clear()
        self._kinds.clear()
        return self._limits

    async def exchange(self, request: Request) -> tuple[Any, ...]:
        """One Read call. Returns per node, in their order, a DataValue; or BAD_ADDRESS for one the server did
        not know less than a minute ago, which was left out.

        Raises Replan with half as many nodes per call where the server finds them too many. Every half
        minute the namespace table is compared before: if it has changed, every index may mean another node.
        """
        session, body = self._require_session(), request.body
        if not body.nodes or self._now() >= self._namespaces_at_s:
            await self._compare_namespaces(session)
            if not body.nodes:
                return ()
        prepared = self._prepare(session, body)
        results = await session.read(prepared.parameters)
        if results is None:
            if len(body.nodes) == 1:
                raise Refused("the server finds a single node too many for one call")
            raise Replan(f"the server finds {len(body.nodes)} nodes too many", len(body.nodes) // 2)
        return self._complete(prepared, results)

    async def prove(self, station: Any, reserved: Reserved) -> None:
        """Nothing to prove: replies carry the id and handle of their request."""

    async def subscribe(
        self, station: OpcuaSettings, tags: Sequence[Tag], plan: Plan, period_s: float, sink: Sink
    ) -> float:
        """See ``edge_agent.driver.Subscriber``. A subscription that turns out to be dead ends the connection
        by itself; ``facts`` tells what the server made of it."""
        session = self._require_session()
        from drivers.opcua.publishing import Publishing
        from drivers.opcua.subscription import Wish, terms

        if self._publishing is None:
            self._publishing = Publishing(session, self._now)
        parts: Any = plan.decode
        wish = Wish(
            tags=tuple(tags),
            decoder=parts,
            nodes=tuple(node for request in plan.requests for node in request.body.nodes),
            users=tuple(users for part in parts.parts for users in part.users),
            sink=sink,
            asked=terms(period_s, station.sampling, station.queue_size, station.keep_alive),
            namespaces=self._limits.namespaces,
            items_per_call=self._limits.max_items,
        )
        return await self._publishing.subscribe(wish)

    async def write(self, station: Any, tag: Tag, raw: Value) -> None:
        """See ``edge_agent.driver.Writer``. The first write to a node reads its type before."""
        from drivers.opcua.faults import TooMany, ua
        from drivers.opcua.session import node_id
        from drivers.opcua.writing import kind_of, request_for, variant_of, verdict

        session, place = self._require_session(), locate(tag.address)
        if place.element:
            raise Refused(
                f"{tag.name} is one element of an array and cannot be written alone", reason="other"
            )
        node = place.node.resolved(self._limits.namespaces)
        if node is None:
            raise Refused(f"the server does not have the namespace of {tag.name}")
        kind = self._kinds.pop(node, None)
        if kind is None:
            kind = kind_of((await _read_each(session, (node,)))[0], tag.name)
        request = request_for(node_id(node), variant_of(raw, kind, tag.name))
        try:
            response = await session.call(request, ua.WriteResponse, "write")
        except TooMany as error:
            raise Refused(f"the server finds the value of {tag.name} too large: {error}") from error
        if len(response.Results or ()) != 1:
            raise BadReply(f"wrote one value, the server answered for {len(response.Results or ())}")
        problem = verdict(response.Results[0], tag.name)
        if problem is not None:
            raise problem
        self._kinds[node] = kind

    async def browse(self, station: Any, start: str) -> Sequence[Tag]:
        """See ``edge_agent.driver.Browser``: 5000 nodes and 12 levels at most; each array's first 100
        elements; namespaces by URI."""
        from drivers.opcua.browsing import Browser

        limits = self._limits
        per_call = min((n for n in (limits.max_browse, limits.max_nodes) if n), default=None)
        return await Browser(self._require_session(), limits.namespaces, per_call).below(start)

    def facts(self) -> dict[str, Any]:
        """For status: certificates with the days they have left, what the server takes per call, nodes it
        does not know, and its subscriptions as asked and as given. JSON-able, made anew on every call."""
        secured = None if self._session is None else self._session.secured
        return {
            "security_policy": self._settings.security_policy,
            "own_certificate": asdict(secured.own) if secured and secured.own else None,
            "server_certificate": asdict(secured.server) if secured and secured.server else None,
            "limits": {
                "nodes_per_read": self._limits.max_nodes,
                "items_per_call": self._limits.max_items,
                "nodes_per_browse": self._limits.max_browse,
            },
            "unknown_nodes": [str(node) for node in tuple(self._unknown)],
            "subscriptions": [f.as_dict() for f in self._publishing.facts] if self._publishing else [],
        }

    async def close(self) -> None:
        if self._publishing is not None:
            await self._publishing.close()
        if self._session is not None:
            await self._session.close()

    async def _compare_namespaces(self, session: Session) -> None:
        """A namespace that was missing may have come with a download: then everything is resolved anew."""
        results = await session.read(session.prepare((_NAMESPACE_ARRAY,)))
        if results is None:
            raise BadReply("the server does not tell its namespaces")
        if _namespaces(results[0]) != self._limits.namespaces:
            raise LinkLost("the server's namespace table has changed", reason="other")
        self._namespaces_at_s = self._now() + _NAMESPACES_EVERY_S

    def _prepare(self, session: Session, body: Body) -> _Prepared:
        """Made once per plan and set of resting nodes. Bodies are kept, so their ids stay theirs. Where all
        nodes rest, the first is asked: an exchange must show that the server is there."""
        resting = self._resting(body)
        known = self._prepared.get(id(body))
        if known is None or known.resting != resting:
            if len(self._prepared) >= _PREPARED_MAX:
                self._prepared.clear()
            asked = [node for index, node in enumerate(body.nodes) if index not in resting]
            known = _Prepared(body, resting, session.prepare(asked))
            self._prepared[id(body)] = known
        return known

    def _resting(self, body: Body) -> frozenset[int]:
        if not self._unknown:
            return frozenset()
        now, unknown = self._now(), self._unknown
        resting = [index for index, node in enumerate(body.nodes) if now < unknown.get(node, now)]
        return frozenset(resting[1:] if len(resting) == len(body.nodes) else resting)

    def _complete(self, prepared: _Prepared, results: Sequence[Any]) -> tuple[Any, ...]:
        """The results with those of the nodes that rest, and remembers which are to rest from now on."""
        body, answered = prepared.body, iter(results)
        complete = []
        for index, node in enumerate(body.nodes):
            if index in prepared.resting:
                complete.append(Quality.BAD_ADDRESS)
                continue
            result = next(answered)
            complete.append(result)
            if result.StatusCode is not None and result.StatusCode.value >> 16 in _UNKNOWN:
                self._unknown[node] = self._now() + _RETRY_UNKNOWN_S
            elif self._unknown:
                self._unknown.pop(node, None)
        return tuple(complete)

    def _require_session(self) -> Session:
        if self._session is None:
            raise LinkLost("the link is not connected")
        return self._session


def _import_library() -> None:
    for name in _MODULES:
        importlib.import_module(f"drivers.opcua.{name}")


async def _read_each(session: Session, nodes: Sequence[NodeAddress]) -> list[Any]:
    """In one call, or one by one for a server that takes fewer."""
    results = await session.read(session.prepare(nodes))
    if results is not None:
        return list(results)
    if len(nodes) == 1:
        raise Refused("the server finds a single node too many for one call")
    return [result for node in nodes for result in await _read_each(session, (node,))]


def _limit(result: Any) -> int | None:
    good = result.StatusCode is None or result.StatusCode.is_good()
    value = result.Value.Value if good and result.Value is not None else None
    return value if isinstance(value, int) and value > 0 else None


def _namespaces(table: Any) -> tuple[str, ...]:
    value = table.Value.Value if table.Value is not None else None
    if not isinstance(value, list) or not value:
        raise BadReply("the server does not tell its namespaces")
    return tuple(str(uri) for uri in value)
