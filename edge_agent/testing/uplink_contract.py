"""The uplink contract as a test suite, for whoever writes an uplink.

    class TestMyUplink(UplinkContract):
        plugin = PLUGIN
        confirms_late = False

        def valid_settings(self) -> dict[str, Any]:
            return {"url": "http://127.0.0.1:1/"}

        @pytest_asyncio.fixture
        async def destination(self) -> AsyncIterator[ServedDestination]:
            ...

The destination is the author's own: a small server on the loopback that speaks the wire and behaves as its
``manner`` says. Its ``settings`` should carry deadlines well below five seconds. Run with pytest-asyncio in
``asyncio_mode = auto``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import pytest
from pydantic import ValidationError

from edge_agent.errors import Denied, LinesideError, Unacceptable, Unreachable, UplinkError
from edge_agent.model import Batch, ClockState, Event, Quality, Scaling, Schema, Value, ValueType
from edge_agent.testing.wire import deadline, open_sockets, until
from edge_agent.uplink import (
    API_VERSION,
    Answer,
    Command,
    Envelope,
    Key,
    Lane,
    Uplink,
    UplinkPlugin,
    UplinkSettings,
    Verdict,
)

EPOCH = 7
START_NS = 1_795_305_600_000_000_000


class Manner(StrEnum):
    """How a served destination behaves."""

    CONFIRM = "confirm"  # stores what it is sent and confirms each key
    MUTE = "mute"  # says that all went well, and names no key
    REFUSE = "refuse"  # does not accept the credentials
    POISON = "poison"  # refuses any message that holds a unit named in ``poison``, or that unit alone
    LATE = "late"  # stores; confirms only when ``confirm`` is called
    SILENT = "silent"  # takes the message and never answers


@dataclass(frozen=True, slots=True)
class Received:
    """One segment as the destination understood it: per poll a row of raw values and their quality bytes."""

    values: Sequence[Sequence[Value]]
    quality: Sequence[bytes]


class ServedDestination(Protocol):
    """``confirm`` is asked only of a suite with ``confirms_late``."""

    manner: Manner
    poison: Collection[str]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that reach it."""
        ...

    @property
    def connections(self) -> int:
        """How many have been opened to it."""
        ...

    @property
    def messages(self) -> int:
        """How many messages have reached it, answered or not."""
        ...

    @property
    def received(self) -> Mapping[str, Received]:
        """Segments it has stored, by ``str(key)``."""
        ...

    @property
    def events(self) -> Mapping[str, Mapping[str, Any]]:
        """Details of the events it has stored, by ``str(key)``."""
        ...

    async def confirm(self, keys: Sequence[str]) -> None: ...

    async def stop(self) -> None:
        """Closes its connections and its port. May be called twice."""
        ...


class RecordingHost:
    """The agent's side, for tests: keeps what an uplink reports and asks."""

    def __init__(self) -> None:
        self.agent = "0f3c" * 8
        self.name = "under-test"
        self.line = "press-line-1"
        self.confirmed: list[Key] = []
        self.asked: list[Command] = []

    def acknowledged(self, keys: Sequence[Key]) -> None:
        self.confirmed += keys

    def current(self) -> Sequence[Batch]:
        return ()

    def history(self, stream: str, start_ns: int, end_ns: int) -> AsyncIterator[Batch]:
        raise LinesideError("history is not available in this release")

    async def ask(self, command: Command) -> Verdict:
        self.asked.append(command)
        return Verdict(Answer.REJECTED, "read-only")


ROWS: tuple[tuple[Value, ...], ...] = (
    (True, -128, 65535, -(2**31), 2**63 - 1, 2**64 - 1, 0.4099999964237213, 1.7976931348623157e308, 'a"b\\c'),
    (False, 127, 0, 2**31 - 1, -(2**63), 0, -0.0, 5e-324, "压力 ✓\n第二行\t\x01"),
    (True, 0, 1, 0, 2**53 + 1, 2**53 + 1, 1.0, 2.0, ""),
    (None, None, None, None, None, None, None, None, None),
)
"""One column per kind of value: every extreme that JSON, floats or careless quoting would bend."""

_TYPES = (
    ValueType.BOOL, ValueType.INT8, ValueType.UINT16, ValueType.INT32, ValueType.INT64, ValueType.UINT64,
    ValueType.FLOAT32, ValueType.FLOAT64, ValueType.STRING,
)  # fmt: skip
SCHEMA = Schema(
    "press-1",
    "fast",
    "3fa2c1d0e9b8",
    tuple(f"t_{kind}" for kind in _TYPES),
    _TYPES,
    ("", "", "MPa", "°C", "", "", "kW", "", ""),
    (None, None, Scaling(0.1, -40.0), *[None] * 6),
)
_BAD = bytes([Quality.BAD_COMM, Quality.BAD_DECODE, Quality.STALE] * 3)


def segment(seq: int, rows: Sequence[tuple[Value, ...]] = ROWS[:3], schema: Schema = SCHEMA) -> Envelope:
    """A stored unit; rows of ``None`` are bad, all others good."""
    batches = tuple(
        Batch(
            schema,
            START_NS + seq * 1_000_000_000 + index * 1_000_000,
            index,
            row,
            bytes(len(row)) if row[0] is not None else _BAD[: len(row)],
            clock=ClockState.SYNCHRONISED,
        )
        for index, row in enumerate(rows)
    )
    return Envelope(Key("samples", EPOCH, seq), Lane.LIVE, len(rows) * len(rows[0]), schema, batches)


def incident(seq: int) -> Envelope:
    """A stored event."""
    detail = {"value": 0.52, "high": 0.5, "note": '压力 "高"'}
    event = Event("excursion_begin", "press-1.pressure", START_NS, 0, "3fa2c1d0e9b8", detail)
    return Envelope(Key("event", EPOCH, seq), Lane.LIVE, event=event)


class UplinkContract:
    """What every uplink is asked. ``sends_events``: whether this destination takes events at all."""

    plugin: ClassVar[UplinkPlugin]
    confirms_late: ClassVar[bool] = False
    sends_events: ClassVar[bool] = True

    def valid_settings(self) -> Mapping[str, Any]:
        """Keys of an uplink as a technician writes them, without those of the loader. Nothing is connected."""
        raise NotImplementedError("give the suite valid_settings()")

    @pytest.fixture
    def destination(self) -> Any:
        """To be overridden with an async fixture that yields a ``ServedDestination``."""
        raise NotImplementedError("give the suite a fixture named 'destination'")

    def opened(self, keys: Mapping[str, Any] | None = None, host: RecordingHost | None = None) -> Uplink:
        values = dict(self.valid_settings() if keys is None else keys)
        return self.plugin.open(self.plugin.settings.model_validate(values), host or RecordingHost())

    # The plug-in itself

    def test_plugin_declares_this_contract(self) -> None:
        plugin = self.plugin
        assert isinstance(plugin, UplinkPlugin), f"PLUGIN is a {type(plugin).__name__}, not an UplinkPlugin"
        assert plugin.api == API_VERSION, f"made for contract {plugin.api}, this agent has {API_VERSION}"
        assert issubclass(plugin.settings, UplinkSettings), "settings must derive from UplinkSettings"

    def test_an_unknown_key_is_refused(self) -> None:
        try:
            self.plugin.settings.model_validate({**self.valid_settings(), "no_such_key": 1})
        except ValidationError:
            return
        pytest.fail("the settings model accepted a key it does not know: a typing mistake would pass")

    def test_endpoint_speaks_without_secrets(self) -> None:
        settings = self.plugin.settings.model_validate(dict(self.valid_settings()))
        text = self.plugin.endpoint(settings)
        assert text, "endpoint is empty: page and log would not say where data goes"
        for name in self.plugin.settings.model_fields:
            secret = getattr(settings, name)
            if hasattr(secret, "get_secret_value"):
                assert secret.get_secret_value() not in text, f"endpoint shows {name}"

    def test_open_does_no_io(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            pytest.fail("open opened a socket: connecting belongs into connect()")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        self.opened()  # outside of an event loop: it must not need one either

    async def test_close_before_connect_and_twice(self) -> None:
        uplink = self.opened()
        async with deadline("close of an uplink that was never connected"):
            await uplink.close()
            await uplink.close()

    async def test_send_before_connect_and_after_close_is_unreachable(
        self, destination: ServedDestination
    ) -> None:
        uplink = self.opened(destination.settings)
        await _raises(uplink, [segment(1)], Unreachable, "before connect()")
        await uplink.connect()
        await uplink.close()
        await _raises(uplink, [segment(1)], Unreachable, "after close()")

    # Acknowledged means: the destination said so for that key

    async def test_confirmed_units_are_acknowledged_in_order(self, destination: ServedDestination) -> None:
        items = [segment(seq) for seq in (3, 1, 2)]
        async with self._connected(destination) as (uplink, host):
            verdicts = await _sent(uplink, items)
            await self._await_acknowledged(verdicts, items, host)
        assert set(destination.received) == {str(item.key) for item in items}

    async def test_success_without_a_confirmation_acknowledges_nothing(
        self, destination: ServedDestination
    ) -> None:
        destination.manner = Manner.MUTE
        async with self._connected(destination) as (uplink, host):
            with contextlib.suppress(UplinkError):
                verdicts = await _sent(uplink, [segment(1), segment(2)])
                wrong = [v for v in verdicts if v.answer is Answer.ACKNOWLEDGED]
                assert not wrong, "the destination named no key, yet its units were acknowledged"
            assert host.confirmed == [], "the destination named no key, yet host.acknowledged was called"

    async def test_a_late_confirmation_reaches_the_host(self, destination: ServedDestination) -> None:
        if not self.confirms_late:
            return
        destination.manner = Manner.LATE
        items = [segment(1), segment(2)]
        async with self._connected(destination) as (uplink, host):
            verdicts = await _sent(uplink, items)
            assert [v.answer for v in verdicts] == [Answer.PENDING] * 2, f"unconfirmed, yet {verdicts}"
            assert host.confirmed == []
            await destination.confirm([str(items[1].key)])
            await until(lambda: bool(host.confirmed), "the late confirmation never reached the host")
            assert host.confirmed == [items[1].key]

    # Nothing is bent on the way

    async def test_every_kind_of_value_survives(self, destination: ServedDestination) -> None:
        item = segment(1, ROWS)
        async with self._connected(destination) as (uplink, host):
            await self._await_acknowledged(await _sent(uplink, [item]), [item], host)
        received = destination.received[str(item.key)]
        for batch, row, quality in zip(item.batches, received.values, received.quality, strict=True):
            assert quality == batch.quality, f"quality {quality.hex()}, sent {batch.quality.hex()}"
            for name, sent, got in zip(SCHEMA.names, batch.values, row, strict=True):
                same = type(got) is type(sent) and repr(got) == repr(sent)
                assert same, f"{name}: sent {sent!r}, the destination read {got!r}"

    async def test_events_arrive(self, destination: ServedDestination) -> None:
        if not self.sends_events:
            return
        items = [incident(1), segment(1), incident(2)]
        async with self._connected(destination) as (uplink, host):
            await self._await_acknowledged(await _sent(uplink, items), items, host)
        for item in (items[0], items[2]):
            assert item.event is not None
            assert destination.events[str(item.key)] == item.event.detail

    async def test_the_same_unit_again_is_the_same_bytes(self, destination: ServedDestination) -> None:
        item = segment(1, ROWS)
        seen = []
        for lane in (Lane.LIVE, Lane.BACKLOG):
            async with self._connected(destination) as (uplink, host):
                await self._await_acknowledged(await _sent(uplink, [replace(item, lane=lane)]), [item], host)
            seen.append(destination.received[str(item.key)])
        assert repr(seen[0]) == repr(seen[1])

    # Faults

    async def test_a_closed_port_is_unreachable(self, destination: ServedDestination) -> None:
        await destination.stop()
        uplink = self.opened(destination.settings)
        try:
            async with deadline("connect and send to a closed port"):
                with pytest.raises(Unreachable) as caught:
                    await uplink.connect()
                    await uplink.send([segment(1)])
            assert str(caught.value), "Unreachable without a sentence for a person"
        finally:
            await uplink.close()

    async def test_a_destination_that_vanishes_is_unreachable(self, destination: ServedDestination) -> None:
        async with self._connected(destination) as (uplink, _):
            await _sent(uplink, [segment(1)])
            await destination.stop()
            await _raises(uplink, [segment(2)], Unreachable, "after the destination went away")

    async def test_a_silent_destination_is_unreachable_or_pending(
        self, destination: ServedDestination
    ) -> None:
        destination.manner = Manner.SILENT
        async with self._connected(destination) as (uplink, host):
            with contextlib.suppress(Unreachable):
                verdicts = await _sent(uplink, [segment(1)])
                assert verdicts[0].answer in (Answer.PENDING, Answer.RETRY), f"no answer, yet {verdicts}"
            assert host.confirmed == []

    async def test_wrong_credentials_are_denied(self, destination: ServedDestination) -> None:
        destination.manner = Manner.REFUSE
        uplink = self.opened(destination.settings)
        try:
            async with deadline("connect and send with credentials that are refused"):
                with pytest.raises(Denied) as caught:
                    await uplink.connect()
                    await uplink.send([segment(1)])
            assert str(caught.value), "Denied without a sentence for a person"
        finally:
            await uplink.close()

    async def test_poison_spoils_itself_only(self, destination: ServedDestination) -> None:
        destination.manner = Manner.POISON
        good, bad = segment(1), segment(2)
        destination.poison = {str(bad.key)}
        async with self._connected(destination) as (uplink, host):
            try:
                verdicts = await _sent(uplink, [good, bad])
            except Unacceptable:
                await _raises(uplink, [bad], Unacceptable, "for the poison unit alone")
                verdicts = await _sent(uplink, [good])
            else:
                assert verdicts[1].answer is Answer.REJECTED, f"poison was answered {verdicts[1]}"
            await self._await_acknowledged(verdicts[:1], [good], host)
        assert bad.key not in host.confirmed

    # Nothing is left

    async def test_nothing_is_left_after_close(self, destination: ServedDestination) -> None:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with self._connected(destination) as (uplink, _):
            await _sent(uplink, [segment(1)])
            await _sent(uplink, [segment(2)])
        await _nothing_left(tasks, sockets)

    async def test_close_after_a_cancelled_send(self, destination: ServedDestination) -> None:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        destination.manner = Manner.SILENT
        async with self._connected(destination) as (uplink, _):
            before = destination.messages
            sending = asyncio.ensure_future(uplink.send([segment(1)]))
            await until(lambda: destination.messages > before or sending.done(), "the message never arrived")
            await _cancelled(sending)
        destination.manner = Manner.CONFIRM
        await _nothing_left(tasks, sockets)

    async def test_close_after_a_cancelled_connect_or_send(self, destination: ServedDestination) -> None:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        for turns in range(12):
            uplink = self.opened(destination.settings)
            going = asyncio.ensure_future(_connect_and_send(uplink))
            for _ in range(turns):
                await asyncio.sleep(0)
            await _cancelled(going)
            async with deadline(f"close after a cancel {turns} turns of the loop into connect and send"):
                await uplink.close()
        await _nothing_left(tasks, sockets)

    @contextlib.asynccontextmanager
    async def _connected(self, destination: ServedDestination) -> AsyncIterator[tuple[Uplink, RecordingHost]]:
        host = RecordingHost()
        uplink = self.opened(destination.settings, host)
        try:
            async with deadline("connect"):
                await uplink.connect()
            yield uplink, host
        finally:
            async with deadline("close"):
                await uplink.close()

    async def _await_acknowledged(
        self, verdicts: Sequence[Verdict], items: Sequence[Envelope], host: RecordingHost
    ) -> None:
        for item, verdict in zip(items, verdicts, strict=True):
            if verdict.answer is Answer.PENDING and self.confirms_late:
                key = item.key
                await until(lambda key=key: key in host.confirmed, f"{key} was never confirmed")  # type: ignore[misc]
            else:
                assert verdict.answer is Answer.ACKNOWLEDGED, f"{item.key} was confirmed, yet {verdict}"


async def _connect_and_send(uplink: Uplink) -> None:
    await uplink.connect()
    await uplink.send([segment(1)])


async def _sent(uplink: Uplink, items: Sequence[Envelope]) -> Sequence[Verdict]:
    async with deadline("send"):
        verdicts = await uplink.send(items)
    assert len(verdicts) == len(items), f"{len(verdicts)} verdicts for {len(items)} units"
    return verdicts


async def _raises(uplink: Uplink, items: Sequence[Envelope], expected: type[UplinkError], when: str) -> None:
    try:
        async with deadline(f"send {when}"):
            verdicts = await uplink.send(items)
    except expected as error:
        assert str(error), f"{expected.__name__} {when} without a sentence for a person"
    except Exception as error:  # noqa: BLE001 the author must see what it was
        pytest.fail(f"send {when} raised {error!r}, expected {expected.__name__}")
    else:
        pytest.fail(f"send {when} gave {verdicts}, expected {expected.__name__}")


async def _cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    async with deadline("ending after a cancel"):
        with contextlib.suppress(asyncio.CancelledError, UplinkError):
            await task


async def _nothing_left(tasks: set[asyncio.Task[Any]], sockets: int) -> None:
    await until(lambda: asyncio.all_tasks() <= tasks, "tasks are still running after close()")
    await until(lambda: open_sockets() <= sockets, "sockets are still open after close()")
    gc.collect()  # an object that was dropped without being closed warns now
