"""The driver contract as a test suite, for whoever writes a driver.

    class TestMyDriver(WireDriverContract):
        plugin = PLUGIN
        tags = (Tag("pressure", "hr:0", ValueType.UINT16), ...)
        mistakes = (Tag("typo", "hr:x", ValueType.UINT16), ...)

        def valid_settings(self) -> dict[str, Any]:
            return {"link": "tcp://127.0.0.1:502"}

        @pytest_asyncio.fixture
        async def device(self) -> AsyncIterator[ServedDevice]:
            ...

``DriverContract`` needs a device that answers; ``WireDriverContract`` adds what only a driver with a real
connection can be asked: lateness, loss, refusal. What a driver may leave out is tested when the suite says
what to test it with: ``typed`` for names in ``types``, ``writes`` and ``refusals`` for a Writer,
``subscribes`` for a Subscriber. ``elements`` and ``reserve`` are tested wherever the plug-in has them.

Run with pytest-asyncio in ``asyncio_mode = auto``. A device served by a library cannot be told to answer
late: put a ``testing.wire.HoldingProxy`` before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from edge_agent.driver import Columns, DriverPlugin, Link, Plan, Request
from edge_agent.errors import BadReply, LinkLost, StationSilent
from edge_agent.model import Quality
from edge_agent.testing.ability_contract import SubscriberContract, WriterContract
from edge_agent.testing.driver_checks import (
    SHORT_S,
    ServedDevice,
    assert_lost,
    assert_served,
    assert_shape,
    connected,
    name,
    read,
    restore_trust,
)
from edge_agent.testing.wire import deadline, open_sockets, until

__all__ = ["SHORT_S", "DriverContract", "DriverPlugin", "ServedDevice", "WireDriverContract"]


class DriverContract(WriterContract):
    """What every driver is asked. ``plugin_contract.PluginContract`` says what the suite is to be given."""

    @pytest.fixture
    def device(self) -> Any:
        """To be overridden with an async fixture that yields a ``ServedDevice``."""
        raise NotImplementedError("give the suite a fixture named 'device'")

    # The link, before it is one

    def test_open_link_does_no_io(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            pytest.fail("open_link opened a socket: connecting belongs into connect()")

        settings = self.settings()
        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        self.plugin.open_link(settings)  # outside of an event loop: it must not need one either

    async def test_close_before_connect_and_twice(self) -> None:
        link = self.plugin.open_link(self.settings())
        async with deadline("close of a link that was never connected"):
            await link.close()
            await link.close()

    # The link, with a device

    async def test_values_arrive(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            columns = plan.decode(await read(link, plan))
            self._assert_expected(columns, device)

    async def test_a_failed_request_spoils_its_own_tags_only(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            replies = await read(link, plan)
            for index, request in enumerate(plan.requests):
                columns = plan.decode([*replies[:index], Quality.BAD_COMM, *replies[index + 1 :]])
                assert_shape(columns, len(self.tags))
                for position, tag in enumerate(self.tags):
                    hit = position in request.tags
                    good = columns.quality[position] == Quality.GOOD
                    assert hit or good, f"{tag.name} became bad because of {request.text}, which it is not in"

    async def test_a_plan_with_negotiated_limits_serves_every_tag(self, device: ServedDevice) -> None:
        async with connected(self, device) as (_, plan):
            assert_served(plan, self.tags)

    async def test_nothing_is_left_after_close(self, device: ServedDevice) -> None:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with connected(self, device) as (link, plan):
            await read(link, plan)
        await until(lambda: asyncio.all_tasks() <= tasks, "tasks are still running after close()")
        await until(lambda: open_sockets() <= sockets, "sockets are still open after close()")

    async def test_exchange_after_close_is_a_lost_link(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            await link.close()
            await assert_lost(link, plan.requests[0], "after close()")

    def _assert_expected(self, columns: Columns, device: ServedDevice) -> None:
        assert_shape(columns, len(self.tags))
        for tag, value, quality, expected in zip(
            self.tags, columns.values, columns.quality, device.expected, strict=True
        ):
            assert quality == Quality.GOOD, f"{tag.name} ({tag.address}): quality {name(quality)}"
            same = value == expected and type(value) is type(expected)
            assert same, (
                f"{tag.name} ({tag.address}, {tag.type}): read {value!r}, the device holds {expected!r}"
            )


class WireDriverContract(SubscriberContract, DriverContract):
    """What a driver with a connection is asked beside."""

    async def test_a_late_reply_is_dropped_before_the_next_exchange(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            await self._miss_a_deadline(link, plan.requests[0], device)
            device.change()
            device.release()
            await self._assert_reads_what_is_there_now(link, plan, device)

    async def test_a_late_reply_is_not_taken_for_the_next_one(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            await self._miss_a_deadline(link, plan.requests[0], device)
            held = device.held
            device.change()
            reading = asyncio.ensure_future(self._assert_reads_what_is_there_now(link, plan, device))
            await until(lambda: device.held > held or reading.done(), "the second request never arrived")
            device.release()
            await reading

    async def test_one_try_to_prove_is_at_most_one_round_trip(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            await self._miss_a_deadline(link, plan.requests[0], device)
            held = device.held
            try:
                async with asyncio.timeout(2 * SHORT_S):
                    await link.prove(self.settings(device.settings), self.reserved())
            except (TimeoutError, StationSilent, BadReply):
                pass  # nothing came that proves anything, as it should be
            assert device.held - held <= held, (
                f"one exchange is {held} replies; while all are held back, one try to prove asked for "
                f"{device.held - held}: it tries more than once"
            )

    async def test_close_after_a_cancelled_exchange(self, device: ServedDevice) -> None:
        tasks = asyncio.all_tasks()
        async with connected(self, device) as (link, plan):
            await self._miss_a_deadline(link, plan.requests[0], device)
        await until(lambda: asyncio.all_tasks() <= tasks, "tasks are still running after cancel and close()")

    async def test_close_after_a_cancelled_connect(self, device: ServedDevice) -> None:
        sockets = open_sockets()
        for turns in range(6):
            link = self.plugin.open_link(self.settings(device.settings))
            connecting = asyncio.ensure_future(link.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connecting
            async with deadline(f"close after connect was cancelled {turns} turns of the loop into it"):
                await link.close()
        await until(lambda: open_sockets() <= sockets, "a cancelled connect left a socket open after close()")

    async def test_a_vanished_device_is_a_lost_link(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            await read(link, plan)
            await device.stop()
            await assert_lost(link, plan.requests[0], "after the device closed the connection")

    async def test_a_device_that_vanishes_during_an_exchange_is_a_lost_link(
        self, device: ServedDevice
    ) -> None:
        async with connected(self, device) as (link, plan):
            device.hold()
            exchanging = asyncio.ensure_future(assert_lost(link, plan.requests[0], "during an exchange"))
            await until(lambda: device.held > 0, "the request never arrived")
            await device.stop()
            await exchanging

    async def test_a_refused_connection_is_a_lost_link(self, device: ServedDevice) -> None:
        await device.stop()
        link = self.plugin.open_link(self.settings(device.settings))
        try:
            async with deadline("connect to a closed port"):
                await link.connect()
        except LinkLost as error:
            assert str(error), "LinkLost without a sentence for a person"
        except Exception as error:  # noqa: BLE001 the author must see what it was
            pytest.fail(f"connect to a closed port raised {error!r}, expected LinkLost")
        else:
            pytest.fail("connect to a closed port succeeded")
        finally:
            await link.close()

    async def _miss_a_deadline(self, link: Link, request: Request, device: ServedDevice) -> None:
        """One exchange that its deadline cancels, with the reply made and held back."""
        device.hold()
        try:
            async with asyncio.timeout(SHORT_S):
                await link.exchange(request)
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 the author must see what it was
            pytest.fail(f"a cancelled exchange ended in {error!r}: the deadline is the supervisor's")
        else:
            pytest.fail(f"{request.text}: a reply came although the device holds all replies back")
        await until(lambda: device.held > 0, "the device has no reply to send late")

    async def _assert_reads_what_is_there_now(self, link: Link, plan: Plan, device: ServedDevice) -> None:
        await restore_trust(link, self.settings(device.settings), self.reserved())
        self._assert_expected(plan.decode(await read(link, plan)), device)
