"""What a link may be able to do beside exchanges, as tests: to write, and to report changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from edge_agent.driver import Columns, Link, Subscriber, Writer
from edge_agent.errors import Refused
from edge_agent.model import Quality, Tag, Value
from edge_agent.testing.driver_checks import ServedDevice, assert_shape, connected, read
from edge_agent.testing.plugin_contract import PluginContract
from edge_agent.testing.wire import deadline, until

PERIOD_S = 0.1
"""Asked of a subscription under test."""

STILL_S = 0.3
"""How long something is watched that should not happen."""


class WriterContract(PluginContract):
    """``writes``: (tag, raw value that it does not have yet). ``refusals``: (tag, raw value) that must be
    Refused: a tag that cannot be written alone, a value that does not fit. Left empty, writing is not
    tested."""

    writes: ClassVar[tuple[tuple[Tag, Value], ...]] = ()
    refusals: ClassVar[tuple[tuple[Tag, Value], ...]] = ()

    async def test_what_was_written_is_read_back(self, device: ServedDevice) -> None:
        if not self.writes:
            return
        settings = self.settings(device.settings)
        async with connected(self, device) as (link, _):
            for tag, value in self.writes:
                before = await self._read_one(link, settings, tag)
                assert before != value, f"{tag.name} holds {value!r} already: choose another value"
                async with deadline(f"write of {tag.name}"):
                    await _writer(link).write(settings, tag, value)
                after = await self._read_one(link, settings, tag)
                assert after == value and type(after) is type(value), (
                    f"{tag.name} ({tag.address}): wrote {value!r}, read back {after!r}"
                )

    def test_what_is_written_is_not_called_unwritable(self) -> None:
        """Of a link that cannot write at all, nothing may be called writable."""
        ask, settings = self.plugin.unwritable, self.settings()
        if ask is None:
            return
        for tag, _ in self.writes:
            reason = ask(settings, tag)
            assert reason is None, f"{tag.name} ({tag.address}) is in writes, but unwritable says: {reason}"
        if not isinstance(self.plugin.open_link(settings), Writer):
            free = [tag.name for tag in self.tags if ask(settings, tag) is None]
            assert not free, f"the link has no write(), but unwritable has nothing against {free}"

    async def test_a_write_leaves_the_other_tags_alone(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            for tag, value in self.writes:
                before = plan.decode(await read(link, plan)).values
                async with deadline(f"write of {tag.name}"):
                    await _writer(link).write(self.settings(device.settings), tag, value)
                after = plan.decode(await read(link, plan)).values
                for other, old, new in zip(self.tags, before, after, strict=True):
                    same = other.address == tag.address or old == new
                    assert same, f"writing {tag.name} turned {other.name} from {old!r} into {new!r}"

    async def test_a_write_that_cannot_be_is_refused(self, device: ServedDevice) -> None:
        async with connected(self, device) as (link, plan):
            for tag, value in self.refusals:
                before = plan.decode(await read(link, plan)).values
                try:
                    async with deadline(f"write of {tag.name}"):
                        await _writer(link).write(self.settings(device.settings), tag, value)
                except Refused as error:
                    assert str(error), "Refused without a sentence for a person"
                except Exception as error:  # noqa: BLE001 the author must see what it was
                    pytest.fail(f"writing {value!r} to {tag.name} raised {error!r}, expected Refused")
                else:
                    pytest.fail(f"writing {value!r} to {tag.name} ({tag.address}) was not refused")
                after = plan.decode(await read(link, plan)).values
                assert before == after, f"a refused write to {tag.name} changed something"

    async def _read_one(self, link: Link, settings: Any, tag: Tag) -> Value:
        async with deadline("enrol"):
            limits = await link.enrol(settings)
        plan = self.plugin.plan(settings, (tag,), limits, None)
        return plan.decode(await read(link, plan)).values[0]


class SubscriberContract(PluginContract):
    """``subscribes``: whether the device of this suite reports changes. Needs ``device.change``."""

    subscribes: ClassVar[bool] = False

    async def test_the_first_report_tells_every_value(self, device: ServedDevice) -> None:
        if not self.subscribes:
            return
        async with connected(self, device) as (link, plan):
            ear = Ear(len(self.tags))
            liveness_s = await self._subscribe(link, plan, device, ear)
            assert liveness_s > 0, f"a liveness deadline of {liveness_s!r} s"
            await until(lambda: ear.knows(device.expected), "the values were not reported after subscribing")

    async def test_a_change_is_reported_and_reading_goes_on_beside(self, device: ServedDevice) -> None:
        if not self.subscribes:
            return
        async with connected(self, device) as (link, plan):
            ear = Ear(len(self.tags))
            await self._subscribe(link, plan, device, ear)
            await until(lambda: ear.knows(device.expected), "the values were not reported after subscribing")
            old = tuple(device.expected)
            device.change()
            assert tuple(device.expected) != old, "the device under test did not change"
            await until(lambda: ear.knows(device.expected), "a change was not reported")
            columns = plan.decode(await read(link, plan))
            assert columns.values == tuple(device.expected), "a read beside the subscription is wrong"

    async def test_an_unchanged_device_gives_signs_of_life(self, device: ServedDevice) -> None:
        if not self.subscribes:
            return
        async with connected(self, device) as (link, plan):
            ear = Ear(len(self.tags))
            liveness_s = await self._subscribe(link, plan, device, ear)
            await until(lambda: ear.knows(device.expected), "the values were not reported after subscribing")
            for _ in range(2):
                ear.called.clear()
                try:
                    async with asyncio.timeout(liveness_s):
                        await ear.called.wait()
                except TimeoutError:
                    pytest.fail(f"no sign of life within the driver's own deadline of {liveness_s:g} s")

    async def test_a_silent_device_gives_none(self, device: ServedDevice) -> None:
        """Otherwise a dead subscription would pass for an unchanged process."""
        if not self.subscribes:
            return
        async with connected(self, device) as (link, plan):
            ear = Ear(len(self.tags))
            liveness_s = await self._subscribe(link, plan, device, ear)
            await until(lambda: ear.knows(device.expected), "the values were not reported after subscribing")
            device.hold()
            await asyncio.sleep(STILL_S)  # what was under way arrives
            calls = ear.calls
            await asyncio.sleep(max(STILL_S, min(liveness_s, 2.0)))
            assert ear.calls == calls, "signs of life although the device holds back everything it sends"

    async def test_no_report_comes_after_close(self, device: ServedDevice) -> None:
        if not self.subscribes:
            return
        ear = Ear(len(self.tags))
        async with connected(self, device) as (link, plan):
            await self._subscribe(link, plan, device, ear)
            await until(lambda: ear.calls > 0, "nothing was reported after subscribing")
        calls = ear.calls
        device.change()
        await asyncio.sleep(STILL_S)
        assert ear.calls == calls, "the sink was called after close()"

    async def _subscribe(self, link: Link, plan: Any, device: ServedDevice, ear: Ear) -> float:
        assert isinstance(link, Subscriber), f"{type(link).__name__} has no subscribe()"
        async with deadline("subscribe"):
            return await link.subscribe(self.settings(device.settings), self.tags, plan, PERIOD_S, ear.take)


class Ear:
    """A sink that puts reports together as the agent does."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.values: list[Value] = [None] * width
        self.calls = 0
        self.called = asyncio.Event()

    def take(self, columns: Columns | None) -> None:
        self.calls += 1
        self.called.set()
        if columns is None:
            return
        assert_shape(columns, self._width)
        for index, quality in enumerate(columns.quality):
            if quality < Quality.NOT_REPORTED:
                self.values[index] = columns.values[index]

    def knows(self, expected: Sequence[Value]) -> bool:
        return self.values == list(expected)


def _writer(link: Link) -> Writer:
    assert isinstance(link, Writer), f"{type(link).__name__} has no write()"
    return link
