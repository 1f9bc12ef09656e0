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
connection can be asked: lateness, loss, refusal. Run with pytest-asyncio in ``asyncio_mode = auto``. A device
served by a library cannot be told to answer late: put a ``testing.wire.HoldingProxy`` before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import pytest
from pydantic import ValidationError

from edge_agent.driver import (
    API_VERSION,
    Columns,
    DeviceSettings,
    DriverPlugin,
    Link,
    Plan,
    Request,
    Reserved,
)
from edge_agent.errors import DriverError, LinkLost
from edge_agent.model import Quality, Tag, Value, ValueType
from edge_agent.settings import Problem
from edge_agent.testing.wire import deadline, open_sockets, until

SHORT_S = 0.15
"""The deadline of an exchange that is meant to miss it."""

_ODD_ADDRESSES = ("", " ", "?", "：１", "-1", "1e9", "\x00", "40001 40002", "9" * 400, "hr:", "DB", "ns=;s=")


class ServedDevice(Protocol):
    """A device that answers. ``hold``, ``change``, ``release``, ``held`` and ``stop`` are asked of devices on
    a wire only."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that reach it."""
        ...

    @property
    def expected(self) -> Sequence[Value]:
        """What it holds now: one raw value per tag of the suite, in order."""
        ...

    @property
    def held(self) -> int:
        """How many replies (or pieces of replies) it is holding back."""
        ...

    def hold(self) -> None:
        """From now on replies are made at once, but not sent."""
        ...

    def change(self) -> None:
        """Every value becomes another; ``expected`` follows. Replies already held keep the old ones."""
        ...

    def release(self) -> None:
        """Sends what was held, oldest first, and answers normally again."""
        ...

    async def stop(self) -> None:
        """Closes its connections and its port. May be called twice."""
        ...


class DriverContract:
    """What every driver is asked. ``tags``: good tags of the served device, three at least. ``mistakes``: one
    tag per kind of mistake; their names must differ from each other and from those of ``tags``."""

    plugin: ClassVar[DriverPlugin]
    tags: ClassVar[tuple[Tag, ...]]
    mistakes: ClassVar[tuple[Tag, ...]]

    def valid_settings(self) -> Mapping[str, Any]:
        """Keys of a device as a technician writes them, without those of the loader. Nothing is connected."""
        raise NotImplementedError("give the suite valid_settings()")

    def reserved(self) -> Reserved:
        """What ``prove`` is given on streams without transaction ids."""
        return Reserved()

    @pytest.fixture
    def device(self) -> Any:
        """To be overridden with an async fixture that yields a ``ServedDevice``."""
        raise NotImplementedError("give the suite a fixture named 'device'")

    def settings(self, keys: Mapping[str, Any] | None = None) -> DeviceSettings:
        return self.plugin.settings.model_validate(dict(self.valid_settings() if keys is None else keys))

    def planned(self, settings: DeviceSettings, limits: Any = None) -> Plan:
        return self.plugin.plan(settings, self.tags, limits, None)

    # The plug-in itself

    def test_plugin_declares_this_contract(self) -> None:
        plugin = self.plugin
        assert isinstance(plugin, DriverPlugin), f"PLUGIN is a {type(plugin).__name__}, not a DriverPlugin"
        assert plugin.api == API_VERSION, f"made for contract {plugin.api}, this agent has {API_VERSION}"
        assert issubclass(plugin.settings, DeviceSettings), "settings must derive from driver.DeviceSettings"
        missing = plugin.link_options - set(plugin.settings.model_fields)
        assert not missing, f"link_options names keys the settings do not have: {sorted(missing)}"

    def test_equal_settings_have_equal_link_keys(self) -> None:
        first, second = (self.plugin.link_key(self.settings()) for _ in range(2))
        assert isinstance(first, str) and first, f"link_key gave {first!r}, expected a non-empty string"
        assert first == second, f"equal settings gave the link keys {first!r} and {second!r}"

    def test_an_unknown_key_is_refused(self) -> None:
        try:
            self.settings({**self.valid_settings(), "no_such_key": 1})
        except ValidationError:
            return
        pytest.fail(
            "the settings model accepted a key it does not know: a typing mistake would pass silently"
        )

    # check

    def test_check_accepts_the_good_tags(self) -> None:
        found = [p for p in self.plugin.check(self.settings(), self.tags) if not p.warning]
        assert not found, f"check refused good tags: {[(p.path, p.message.en) for p in found]}"

    def test_check_finds_every_mistake_at_once(self) -> None:
        problems = self.plugin.check(self.settings(), [*self.tags, *self.mistakes])
        blamed = {p.path[1] for p in problems if len(p.path) > 1 and p.path[0] == "tags" and not p.warning}
        unseen = [tag.name for tag in self.mistakes if tag.name not in blamed]
        assert not unseen, f"check did not report the mistakes in the tags {unseen}"
        innocent = [tag.name for tag in self.tags if tag.name in blamed]
        assert not innocent, f"check blamed good tags because others are wrong: {innocent}"
        for problem in problems:
            _assert_speaks(problem)

    def test_check_never_raises(self) -> None:
        tags = [Tag(f"t{i}", text, kind) for i, text in enumerate(_ODD_ADDRESSES) for kind in ValueType]
        for tag in tags:
            try:
                self.plugin.check(self.settings(), [tag])
            except Exception as error:  # noqa: BLE001 whatever it is, the author must see the address
                pytest.fail(f"check raised {error!r} for the address {tag.address!r} as {tag.type}")

    # plan and decode, without a device

    def test_plan_is_pure(self) -> None:
        before = tuple(self.tags)
        first, second = self.planned(self.settings()), self.planned(self.settings())
        assert first.requests == second.requests, "equal inputs gave different requests"
        assert tuple(self.tags) == before, "plan changed the tags it was given"

    def test_plan_of_nothing_is_empty(self) -> None:
        plan = self.plugin.plan(self.settings(), (), None, None)
        assert plan.requests == (), f"no tags need {len(plan.requests)} requests"
        columns = plan.decode(())
        assert (columns.values, columns.quality) == ((), b""), "no tags, yet decode gave columns"

    def test_every_tag_is_served(self) -> None:
        _assert_served(self.planned(self.settings()), self.tags)

    def test_requests_can_be_read_by_people(self) -> None:
        for request in self.planned(self.settings()).requests:
            assert request.text, f"a request for tags {request.tags} has no text for explain and debug output"
            assert request.cost_s >= 0, f"{request.text}: negative cost {request.cost_s}"

    @pytest.mark.parametrize("quality", [Quality.BAD_COMM, Quality.BAD_ADDRESS, Quality.WAITING])
    def test_failed_requests_give_their_quality_and_no_value(self, quality: Quality) -> None:
        plan = self.planned(self.settings())
        columns = plan.decode([quality] * len(plan.requests))
        _assert_shape(columns, len(self.tags))
        assert set(columns.values) == {None}, f"values without any reply: {columns.values}"
        wrong = [t.name for t, q in zip(self.tags, columns.quality, strict=True) if q != quality]
        assert not wrong, f"{quality.name} was not passed on to {wrong}"

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
        async with _connected(self, device) as (link, plan):
            columns = plan.decode(await _read(link, plan))
            self._assert_expected(columns, device)

    async def test_a_failed_request_spoils_its_own_tags_only(self, device: ServedDevice) -> None:
        async with _connected(self, device) as (link, plan):
            replies = await _read(link, plan)
            for index, request in enumerate(plan.requests):
                columns = plan.decode([*replies[:index], Quality.BAD_COMM, *replies[index + 1 :]])
                _assert_shape(columns, len(self.tags))
                for position, tag in enumerate(self.tags):
                    hit = position in request.tags
                    good = columns.quality[position] == Quality.GOOD
                    assert hit or good, f"{tag.name} became bad because of {request.text}, which it is not in"

    async def test_a_plan_with_negotiated_limits_serves_every_tag(self, device: ServedDevice) -> None:
        async with _connected(self, device) as (_, plan):
            _assert_served(plan, self.tags)

    async def test_nothing_is_left_after_close(self, device: ServedDevice) -> None:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        async with _connected(self, device) as (link, plan):
            await _read(link, plan)
        await until(lambda: asyncio.all_tasks() <= tasks, "tasks are still running after close()")
        await until(lambda: open_sockets() <= sockets, "sockets are still open after close()")

    async def test_exchange_after_close_is_a_lost_link(self, device: ServedDevice) -> None:
        async with _connected(self, device) as (link, plan):
            await link.close()
            await _assert_lost(link, plan.requests[0], "after close()")

    def _assert_expected(self, columns: Columns, device: ServedDevice) -> None:
        _assert_shape(columns, len(self.tags))
        for tag, value, quality, expected in zip(
            self.tags, columns.values, columns.quality, device.expected, strict=True
        ):
            assert quality == Quality.GOOD, f"{tag.name} ({tag.address}): quality {_name(quality)}"
            same = value == expected and type(value) is type(expected)
            assert same, (
                f"{tag.name} ({tag.address}, {tag.type}): read {value!r}, the device holds {expected!r}"
            )


class WireDriverContract(DriverContract):
    """What a driver with a connection is asked beside."""

    async def test_a_late_reply_is_dropped_before_the_next_exchange(self, device: ServedDevice) -> None:
        async with _connected(self, device) as (link, plan):
            await self._miss_adeadline(link, plan.requests[0], device)
            device.change()
            device.release()
            await self._assert_reads_what_is_there_now(link, plan, device)

    async def test_a_late_reply_is_not_taken_for_the_next_one(self, device: ServedDevice) -> None:
        async with _connected(self, device) as (link, plan):
            await self._miss_adeadline(link, plan.requests[0], device)
            held = device.held
            device.change()
            reading = asyncio.ensure_future(self._assert_reads_what_is_there_now(link, plan, device))
            await until(lambda: device.held > held or reading.done(), "the second request never arrived")
            device.release()
            await reading

    async def test_close_after_a_cancelled_exchange(self, device: ServedDevice) -> None:
        tasks = asyncio.all_tasks()
        async with _connected(self, device) as (link, plan):
            await self._miss_adeadline(link, plan.requests[0], device)
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
        async with _connected(self, device) as (link, plan):
            await _read(link, plan)
            await device.stop()
            await _assert_lost(link, plan.requests[0], "after the device closed the connection")

    async def test_a_device_that_vanishes_during_an_exchange_is_a_lost_link(
        self, device: ServedDevice
    ) -> None:
        async with _connected(self, device) as (link, plan):
            device.hold()
            exchanging = asyncio.ensure_future(_assert_lost(link, plan.requests[0], "during an exchange"))
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

    async def _miss_adeadline(self, link: Link, request: Request, device: ServedDevice) -> None:
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
        async with deadline("the read after a cancelled exchange"):
            await link.prove(self.settings(device.settings), self.reserved())
        self._assert_expected(plan.decode(await _read(link, plan)), device)


@contextlib.asynccontextmanager
async def _connected(suite: DriverContract, device: ServedDevice) -> AsyncIterator[tuple[Link, Plan]]:
    """A link to the device, enrolled and planned; closed at the end, twice."""
    settings = suite.settings(device.settings)
    link = suite.plugin.open_link(settings)
    try:
        async with deadline("connect and enrol"):
            await link.connect()
            limits = await link.enrol(settings)
        yield link, suite.planned(settings, limits)
    finally:
        async with deadline("close"):
            await link.close()
            await link.close()


async def _read(link: Link, plan: Plan) -> list[Any]:
    replies = []
    for request in plan.requests:
        async with deadline(f"exchange of {request.text}"):
            replies.append(await link.exchange(request))
    return replies


async def _assert_lost(link: Link, request: Request, when: str) -> None:
    try:
        async with deadline(f"exchange {when}"):
            await link.exchange(request)
    except LinkLost as error:
        assert str(error), "LinkLost without a sentence for a person"
    except DriverError as error:
        pytest.fail(f"exchange {when} raised {error!r}: the connection is gone, so it must be LinkLost")
    except Exception as error:  # noqa: BLE001 the author must see what it was
        pytest.fail(f"exchange {when} raised {error!r}, expected LinkLost")
    else:
        pytest.fail(f"exchange {when} returned a reply")


def _assert_served(plan: Plan, tags: Sequence[Tag]) -> None:
    served: set[int] = set()
    for request in plan.requests:
        foreign = [position for position in request.tags if not 0 <= position < len(tags)]
        assert not foreign, f"{request.text}: positions {foreign}, but there are {len(tags)} tags"
        served.update(request.tags)
    unserved = [tag.name for position, tag in enumerate(tags) if position not in served]
    assert not unserved, f"no request serves the tags {unserved}"


def _assert_shape(columns: Columns, count: int) -> None:
    assert len(columns.values) == count, f"{len(columns.values)} values for {count} tags"
    assert len(columns.quality) == count, f"{len(columns.quality)} quality bytes for {count} tags"
    assert columns.source_ns is None or len(columns.source_ns) == count, (
        "source_ns is not as long as the tags"
    )
    for position, (value, quality) in enumerate(zip(columns.values, columns.quality, strict=True)):
        assert (value is None) == (quality >= 0x80), (
            f"column {position}: value {value!r} beside quality {_name(quality)}; "
            "a value is None exactly where its quality is bad"
        )


def _assert_speaks(problem: Problem) -> None:
    where = f"{problem.code} at {problem.path}"
    assert problem.code, f"a problem without a code at {problem.path}"
    assert problem.path, f"{problem.code}: without a path nobody finds the line"
    assert problem.message.en and problem.message.zh, f"{where}: message is missing in one language"
    assert problem.cure.en and problem.cure.zh, f"{where}: cure is missing in one language"


def _name(quality: int) -> str:
    try:
        return Quality(quality).name
    except ValueError:
        return f"0x{quality:02X}"
