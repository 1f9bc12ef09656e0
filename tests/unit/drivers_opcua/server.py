"""A real OPC UA server (asyncua's) in a thread of its own, and a silent one.

The thread keeps the server's tasks out of the test's loop, and lets many tests share one server: building its
address space takes two seconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

from asyncua import Server, ua

from drivers.opcua import PLUGIN
from drivers.opcua.link import OpcuaLink
from drivers.opcua.plan import Limits
from drivers.opcua.settings import OpcuaSettings
from edge_agent.driver import Columns
from edge_agent.errors import Replan
from edge_agent.model import Tag

URI = "urn:lineside:test"


class UaServer:
    """``reads``: how many nodes each Read call of a client asked for; ``monitored``: how many items each
    CreateMonitoredItems call did. ``refuse_above``: more than this in one call are BadTooManyOperations.
    ``fault``: status every Read call fails with. ``poison``: identifiers whose value cannot be read without
    the whole call failing. ``sessions``: how many were created. ``written``: the
    DataValues clients wrote. ``revise``: changes a CreateSubscription answer before it is sent."""

    def __init__(self, configure: Callable[[Server], Coroutine[Any, Any, None]] | None = None) -> None:
        self._configure = configure
        self.sessions = 0
        self.monitored: list[int] = []
        self.written: list[Any] = []
        self.acknowledged: list[int] = []
        self.reads: list[int] = []
        self.refuse_above = 0
        self.fault = 0
        self.poison: set[Any] = set()
        self.spoil: Callable[[list[Any]], list[Any]] = lambda results: results
        self.revise: Callable[[Any], None] = lambda result: None
        self.port = 0
        self.index = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua-server", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.call(self._start())

    def stop(self) -> None:
        if self._thread.is_alive():
            self.call(self._server.stop())
            self.call(_end_what_is_left())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def behave(self) -> None:
        """Forgets what an earlier test wanted of it."""
        self.reads.clear()
        self.monitored.clear()
        self.written.clear()
        self.acknowledged.clear()
        self.refuse_above = self.fault = 0
        self.poison.clear()
        self.revise = lambda result: None
        self.spoil = lambda results: results
        self.limit(0)

    def limit(self, nodes_per_read: int) -> None:
        """What it says its limit is; it does not enforce it."""
        self.set("i=11705", ua.Variant(nodes_per_read, ua.VariantType.UInt32))

    def add(self, node: str, variant: Any) -> None:
        """A variable with that text as string identifier, in the test's namespace."""
        node_id = ua.NodeId(node, self.index)
        self.call(self._server.nodes.objects.add_variable(node_id, node, variant))

    def remove(self, node: str) -> None:
        self.call(self._server.delete_nodes([self._server.get_node(ua.NodeId(node, self.index))]))

    def clock(self, running: bool) -> None:
        """The server's own time, as clients see it."""
        self._server.iserver.disabled_clock = not running
        if not running and self._server.iserver.time_task is not None:
            self.call(self._stop_clock())
        elif running and self._server.iserver.time_task is None:
            self.call(self._start_clock())

    @property
    def subscriptions(self) -> list[Any]:
        """The server's own objects. Change them through ``run``."""
        return list(self._server.iserver.subscription_service.subscriptions.values())

    def run(self, change: Callable[[], Any]) -> Any:
        """In the server's thread."""

        async def changed() -> Any:
            return change()

        return self.call(changed())

    def namespace(self, uri: str) -> int:
        return int(self.call(self._server.register_namespace(uri)))

    def set(
        self,
        node_id: str,
        variant: Any,
        status: int = 0,
        source: datetime | None = None,
        picoseconds: int = 0,
    ) -> None:
        value = ua.DataValue(
            variant, ua.StatusCode(status), SourceTimestamp=source, SourcePicoseconds=picoseconds or None
        )
        self.call(self._server.write_attribute_value(ua.NodeId.from_string(node_id), value))

    async def _start(self) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
        self._server = Server()
        await self._server.init()
        self._server.set_endpoint("opc.tcp://127.0.0.1:0/lineside")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if self._configure is not None:
            await self._configure(self._server)
        self.index = await self._server.register_namespace(URI)
        await self._server.start()
        self.port = self._server.bserver._server.sockets[0].getsockname()[1]
        self._watch_reads()

    def _watch_reads(self) -> None:
        create = self._server.iserver.create_session

        def create_session(*args: Any, **keys: Any) -> Any:
            session = create(*args, **keys)
            plain = session.read

            async def read(parameters: Any) -> Any:
                asked = len(parameters.NodesToRead)
                self.reads.append(asked)
                if self.fault:
                    raise ua.UaStatusCodeError(self.fault)
                if self.refuse_above and asked > self.refuse_above:
                    raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations)
                if self.poison & {
                    node.NodeId.Identifier
                    for node in parameters.NodesToRead
                    if node.AttributeId == ua.AttributeIds.Value
                }:
                    raise ua.UaStatusCodeError(ua.StatusCodes.BadInternalError)
                return self.spoil(await plain(parameters))

            session.read = read
            self._watch_subscriptions(session)
            self.sessions += bool(keys.get("external"))
            return session

        self._server.iserver.create_session = create_session

    def _watch_subscriptions(self, session: Any) -> None:
        create, monitor, write, publish = (
            session.create_subscription,
            session.create_monitored_items,
            session.write,
            session.publish,
        )

        async def create_subscription(*args: Any, **keys: Any) -> Any:
            result = await create(*args, **keys)
            self.revise(result)
            return result

        async def create_monitored_items(parameters: Any) -> Any:
            asked = len(parameters.ItemsToCreate)
            self.monitored.append(asked)
            if self.refuse_above and asked > self.refuse_above:
                raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations)
            return await monitor(parameters)

        async def write_values(parameters: Any) -> Any:
            self.written += [node.Value for node in parameters.NodesToWrite]
            return await write(parameters)

        def acknowledge(acks: Any) -> Any:
            self.acknowledged += [ack.SequenceNumber for ack in acks or ()]
            return publish(acks or ())

        session.create_subscription = create_subscription
        session.create_monitored_items = create_monitored_items
        session.write = write_values
        session.publish = acknowledge

    async def _stop_clock(self) -> None:
        task, self._server.iserver.time_task = self._server.iserver.time_task, None
        task.cancel()

    async def _start_clock(self) -> None:
        self._server.iserver._time_task_stop = False
        self._server.iserver.time_task = asyncio.create_task(self._server.iserver._set_current_time_loop())


async def _end_what_is_left() -> None:
    """The library leaves the tasks of sessions whose clients vanished."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def serving(configure: Callable[[Server], Coroutine[Any, Any, None]] | None = None) -> Iterator[UaServer]:
    server = UaServer(configure)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class SilentServer:
    """Accepts, and answers with prepared bytes or not at all. ``received``: bytes from clients."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.received = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        for writer in self._writers:
            writer.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.received += len(data)
                writer.write(self.answer)
        except OSError:
            pass
        writer.close()


def settings_for(port: int, **keys: Any) -> OpcuaSettings:
    return OpcuaSettings.model_validate({"link": f"opc.tcp://127.0.0.1:{port}/lineside", **keys})


@asynccontextmanager
async def connected(settings: OpcuaSettings) -> AsyncIterator[tuple[OpcuaLink, Limits]]:
    link = OpcuaLink(settings)
    try:
        async with asyncio.timeout(10):
            await link.connect()
            limits = await link.enrol(settings)
        yield link, limits
    finally:
        async with asyncio.timeout(3):
            await link.close()


async def read(link: OpcuaLink, settings: OpcuaSettings, tags: Sequence[Tag], limits: Limits) -> Columns:
    """One poll as the supervisor does it: every request of the plan, planned again after a lesson."""
    learned: int | None = None
    for _ in range(20):
        plan = PLUGIN.plan(settings, tags, limits, learned)
        try:
            async with asyncio.timeout(5):
                return plan.decode([await link.exchange(request) for request in plan.requests])
        except Replan as lesson:
            learned = lesson.learned
    raise AssertionError("the driver wanted to plan again 20 times")
