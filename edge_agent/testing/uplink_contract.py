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
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from edge_agent.errors import Denied, Unacceptable, Unreachable, UplinkError
from edge_agent.testing.destination import (
    ROWS,
    SCHEMA,
    Manner,
    RecordingHost,
    ServedDestination,
    incident,
    segment,
)
from edge_agent.testing.wire import deadline, open_sockets, until
from edge_agent.uplink import (
    ACKNOWLEDGED,
    API_VERSION,
    Answer,
    Envelope,
    Lane,
    Uplink,
    UplinkPlugin,
    UplinkSettings,
    Verdict,
)


class UplinkContract:
    """What every uplink is asked. ``confirms_late``: units are answered PENDING and confirmed through the
    host. ``sends_events``: whether this destination takes events at all. ``exact_values``: False where the
    protocol's own number format rounds; the destination then gives what it read as it wrote it, and the
    author's own tests hold the rounding."""

    plugin: ClassVar[UplinkPlugin]
    confirms_late: ClassVar[bool] = False
    sends_events: ClassVar[bool] = True
    exact_values: ClassVar[bool] = True

    def valid_settings(self) -> Mapping[str, Any]:
        """Keys of an uplink as a technician writes them, without the loader's. Nothing is connected."""
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
        if not self.exact_values:
            return
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
                assert verdict == ACKNOWLEDGED, f"{item.key} was confirmed, yet {verdict}"


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
