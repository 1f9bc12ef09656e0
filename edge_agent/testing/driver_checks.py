"""What the driver contract's tests share: the device they are run against, and judgements with words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from edge_agent.driver import Columns, Link, Plan, Request, Reserved
from edge_agent.errors import BadReply, DriverError, LinkLost, StationSilent
from edge_agent.model import Quality, Tag, Value
from edge_agent.settings import Problem
from edge_agent.testing.wire import deadline

if TYPE_CHECKING:
    from edge_agent.testing.plugin_contract import PluginContract

SHORT_S = 0.15
"""The deadline of an exchange that is meant to miss it."""

PROOF_S = 0.5
"""The deadline of one try to restore trust."""


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


@contextlib.asynccontextmanager
async def connected(suite: PluginContract, device: ServedDevice) -> AsyncIterator[tuple[Link, Plan]]:
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


async def restore_trust(link: Link, settings: Any, reserved: Reserved) -> None:
    """Tries until one try succeeds, each under its own deadline, as the agent does in the station's turns."""
    async with deadline("restoring trust after a cancelled exchange"):
        while True:
            try:
                async with asyncio.timeout(PROOF_S):
                    await link.prove(settings, reserved)
            except (TimeoutError, StationSilent, BadReply):
                await asyncio.sleep(0.01)
            else:
                return


async def read(link: Link, plan: Plan) -> list[Any]:
    replies = []
    for request in plan.requests:
        async with deadline(f"exchange of {request.text}"):
            replies.append(await link.exchange(request))
    return replies


async def assert_lost(link: Link, request: Request, when: str) -> None:
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


def assert_served(plan: Plan, tags: Sequence[Tag]) -> None:
    served: set[int] = set()
    for request in plan.requests:
        foreign = [position for position in request.tags if not 0 <= position < len(tags)]
        assert not foreign, f"{request.text}: positions {foreign}, but there are {len(tags)} tags"
        served.update(request.tags)
    unserved = [tag.name for position, tag in enumerate(tags) if position not in served]
    assert not unserved, f"no request serves the tags {unserved}"


def assert_shape(columns: Columns, count: int) -> None:
    assert len(columns.values) == count, f"{len(columns.values)} values for {count} tags"
    assert len(columns.quality) == count, f"{len(columns.quality)} quality bytes for {count} tags"
    assert columns.source_ns is None or len(columns.source_ns) == count, (
        "source_ns is not as long as the tags"
    )
    for position, (value, quality) in enumerate(zip(columns.values, columns.quality, strict=True)):
        assert (value is None) == (quality >= 0x80), (
            f"column {position}: value {value!r} beside quality {name(quality)}; "
            "a value is None exactly where its quality is bad"
        )


def assert_speaks(problem: Problem) -> None:
    where = f"{problem.code} at {problem.path}"
    assert problem.code, f"a problem without a code at {problem.path}"
    assert problem.path, f"{problem.code}: without a path nobody finds the line"
    assert problem.message.en and problem.message.zh, f"{where}: message is missing in one language"
    assert problem.cure.en and problem.cure.zh, f"{where}: cure is missing in one language"


def name(quality: int) -> str:
    try:
        return Quality(quality).name
    except ValueError:
        return f"0x{quality:02X}"
