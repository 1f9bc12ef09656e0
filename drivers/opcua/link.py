"""One session with one server. See ``edge_agent.driver`` for who calls what and when.

A reply is known by its request id and handle; one that comes after its exchange was cancelled is dropped by
the library. Nothing here has a time-out of its own but ``close``, which never takes longer than 2 s.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any

from drivers.opcua.address import NodeAddress
from drivers.opcua.endpoint import url
from drivers.opcua.plan import Body, Limits
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, LinkLost, Refused, Replan

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

if TYPE_CHECKING:
    from drivers.opcua.session import Session

_SESSION = "drivers.opcua.session"
_NAMESPACE_ARRAY = NodeAddress("i", 2255)
_MAX_NODES_PER_READ = NodeAddress("i", 11705)
_PREPARED_MAX = 256


class OpcuaLink:
    """Meets ``edge_agent.driver.Link``; one object per connection attempt. ``open_link`` of the plug-in."""

    def __init__(self, settings: OpcuaSettings) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._namespaces: tuple[str, ...] = ()
        self._prepared: dict[int, tuple[Body, Any]] = {}

    async def connect(self) -> None:
        """TCP, secure channel, session. Raises LinkLost, LinkDenied."""
        if _SESSION not in sys.modules:  # the first time only: 0.6 s, not at the expense of other links
            await asyncio.to_thread(importlib.import_module, _SESSION)
        from drivers.opcua.session import Session

        self._session = Session(url(self._settings), self._settings.session_timeout)
        await self._session.open()

    async def enrol(self, station: OpcuaSettings) -> Limits:
        """Reads the namespace table and the server's limit of nodes per read."""
        session = self._require_session()
        nodes = session.prepare((_NAMESPACE_ARRAY, _MAX_NODES_PER_READ))
        table, limit = await session.read(nodes)
        self._namespaces = _namespaces(table)
        most = limit.Value.Value if limit.StatusCode is None or limit.StatusCode.is_good() else None
        return Limits(self._namespaces, most if isinstance(most, int) and most > 0 else None)

    async def exchange(self, request: Request) -> tuple[Any, ...]:
        """One Read call. Returns one DataValue per node, in their order.

        Raises Replan with half as many nodes per call where the server finds them too many.
        """
        session, body = self._require_session(), request.body
        if not body.nodes:
            await self._compare_namespaces(session)
            return ()
        results = await session.read(self._prepare(session, body))
        if results is None:
            if len(body.nodes) == 1:
                raise Refused("the server finds a single node too many for one call")
            raise Replan(f"the server finds {len(body.nodes)} nodes too many", len(body.nodes) // 2)
        return tuple(results)

    async def prove(self, station: Any, reserved: Reserved) -> None:
        """Nothing to prove: replies carry the id and handle of their request."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _compare_namespaces(self, session: Session) -> None:
        """A namespace that was missing may have come with a download: then everything is resolved anew."""
        (table,) = await session.read(session.prepare((_NAMESPACE_ARRAY,)))
        if _namespaces(table) != self._namespaces:
            raise LinkLost("the server's namespace table has changed", reason="other")

    def _prepare(self, session: Session, body: Body) -> Any:
        """The library's form of a body, made once per plan. Bodies are kept, so their ids stay theirs."""
        known = self._prepared.get(id(body))
        if known is None:
            if len(self._prepared) >= _PREPARED_MAX:
                self._prepared.clear()
            known = self._prepared[id(body)] = (body, session.prepare(body.nodes))
        return known[1]

    def _require_session(self) -> Session:
        if self._session is None:
            raise LinkLost("the link is not connected")
        return self._session


def _namespaces(table: Any) -> tuple[str, ...]:
    value = table.Value.Value if table.Value is not None else None
    if not isinstance(value, list) or not value:
        raise BadReply("the server does not tell its namespaces")
    return tuple(str(uri) for uri in value)
