"""The running agent and a platform that speaks HJ 212, over real TCP: live data, an outage, the backlog."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edge_agent.buffer import Buffer, open_history
from edge_agent.clock import SystemClock
from edge_agent.config.model import BufferConfig, UplinkConfig
from edge_agent.forwarding import Forwarder, Hooks
from edge_agent.model import Batch, ClockState, Schema, ValueType
from edge_agent.status import UplinkRow
from edge_agent.uplinks.hj212 import PLUGIN
from hardware_mocks.hj212_host import Hj212Host
from hardware_mocks.hj212_wire import Packet
from tests.plant.mocks import Line
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

pytestmark = pytest.mark.timeout(120)

MN = "010000A8900016F000169DC0"
BEIJING = timezone(timedelta(hours=8))
ROUND_TRIP_S = 0.05
FLUSH_S = 0.5

T = TypeVar("T")


class Platform:
    """The host in a thread of its own, so that a test may wait."""

    def __init__(self) -> None:
        self.host = Hj212Host(MN, "123456", "31")
        self.host.manners.delay_s = ROUND_TRIP_S
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.do(self.host.start)

    def do(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(what(), self._loop).result(10)

    def ask(self, qn: str, cn: str, data: str = "") -> Any:
        async def asked() -> Any:
            return self.host.ask(qn, cn, data)

        return self.do(asked)

    def seconds(self) -> set[int]:
        """Which seconds it has real-time data of."""
        return {_second(p) for p in list(self.host.records.values()) if p.cn == "2011"}

    def close(self) -> None:
        self.do(self.host.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _second(packet: Packet) -> int:
    at = datetime.strptime(packet.data["DataTime"], "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    return int(at.timestamp())


@pytest.fixture
def platform() -> Iterator[Platform]:
    served = Platform()
    yield served
    served.close()
    assert served.host.violations == []


@pytest.fixture
def site(tmp_path: Path, line: Line, platform: Platform) -> Iterator[Site]:
    site = Site(tmp_path / "site", None, flush="500ms")
    site.press(line.link())
    uplink = {
        "name": "park", "type": "hj212", "address": f"tcp://127.0.0.1:{platform.host.port}",
        "mn": MN, "pw": "123456", "st": "31", "real_time": "1s", "over_time": "2s",
        "factors": [
            {"tag": "press-1.pressure", "code": "a01013"},
            {"tag": "press-1.polls", "code": "p99001", "format": "N10"},
        ],
    }  # fmt: skip
    site.write_main(uplinks=[uplink])
    yield site
    site.close()


def test_live_an_outage_and_the_backlog(site: Site, platform: Platform) -> None:
    host = platform.host
    site.start()
    eventually("real-time data arrive", lambda: len(platform.seconds()) >= 3)
    platform.do(host.close)
    eventually("the loss of the connection is shown", lambda: not site.uplink()["up"])
    time.sleep(6)  # the outage itself
    platform.do(host.start)
    begin_s = time.time()
    eventually("data arrive again", lambda: max(platform.seconds()) >= begin_s, 60)
    eventually("the backlog is gone", lambda: site.uplink()["up"] and _oldest_s(site) < 2.0, 30)
    time_asked = platform.ask("20260101080000000", "1011")
    refused = platform.ask("20260101080000001", "3021", "PolId=a21026;i13004-Info=168.0")
    eventually("the platform is answered", lambda: time_asked.done == 1 and refused.accepted == 2)
    eventually("the refusal is on record", lambda: site.events("command_refused"))
    assert_conserved(site.status())
    site.stop()
    with open_history(site.state) as history:
        stored = {batch.time_ns // 10**9 for batch in history.batches(0, 2**62) if batch.samples}
    assert platform.seconds() == stored, "each second that was read is at the platform, and no other"
    report = host.ledger.report()
    assert (report["conflicts"], report["reused_qns"], report["falling_qns"]) == (0, 0, 0)
    polls = [int(p.data["p99001-Rtd"]) for _, p in sorted(_real_time(host))]
    assert polls == sorted(polls) and polls[0] < polls[-1]
    asked_for_time = any(packet.cn == "1013" for packet in host.notices)  # where nobody sets the clock
    assert asked_for_time or report["records"]["2081"] == 1


def _oldest_s(site: Site) -> float:
    """How old the oldest unit is that the platform has not confirmed."""
    oldest_ns = site.status()["buffer"]["uplinks"]["park"]["oldest_pending_ns"]
    return time.time() - oldest_ns / 1e9 if oldest_ns else 0.0


def _real_time(host: Hj212Host) -> list[tuple[int, Packet]]:
    return [(_second(p), p) for p in host.records.values() if p.cn == "2011"]


@pytest.fixture
async def served() -> AsyncIterator[Hj212Host]:
    host = Hj212Host(MN, "123456", "31")
    host.manners.delay_s = ROUND_TRIP_S
    await host.start()
    yield host
    await host.close()
    assert host.violations == []


SCHEMA = Schema("stack", "fast", "c0", ("so2",), (ValueType.FLOAT64,), ("mg/m3",), (None,))


async def test_the_backlog_drains_ten_times_as_fast_as_live_data_come(
    served: Hj212Host, tmp_path: Path
) -> None:
    """At the fastest real-time interval, with default pace and window, 50 ms from here to there and back."""
    clock = SystemClock()
    settings = PLUGIN.settings.model_validate(
        {
            "address": f"tcp://127.0.0.1:{served.port}", "mn": MN, "pw": "123456", "st": "31",
            "real_time": "1s", "factors": [{"tag": "stack.so2", "code": "a21026"}],
        }
    )  # fmt: skip
    store = await Buffer.open(tmp_path, BufferConfig(), clock, ("park",))
    row = UplinkRow("park", "hj212", "")
    forwarder = Forwarder(
        UplinkConfig("park", "hj212", PLUGIN, settings), [store], agent=lambda: store.agent, line="l",
        clock=clock, row=row, log=_Silent(), hooks=Hooks(event=lambda *_: None),
    )  # fmt: skip
    begin_ns = clock.time_ns()
    backlog = 120
    for age in range(backlog, 0, -1):
        store.append(_reading(begin_ns - age * 10**9))
        await store.flush()
    running = asyncio.create_task(forwarder.run())
    loop = asyncio.get_running_loop()
    committed: dict[int, float] = {}
    try:
        while backlog > _old(served, begin_ns) and len(committed) < 30:
            now_ns = clock.time_ns()
            store.append(_reading(now_ns))
            await store.flush()
            committed[now_ns // 10**9] = loop.time()
            await asyncio.sleep(1 - clock.time_ns() % 10**9 / 1e9)
        await asyncio.sleep(1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()
    arrived = {
        _second(p): at for p, at in zip(served.packets, served.arrived_s, strict=True) if p.cn == "2011"
    }
    old = sorted(at for second, at in arrived.items() if second < begin_ns // 10**9)
    rate = (len(old) - 1) / (old[-1] - old[0])
    late = max(arrived[second] - at for second, at in committed.items())
    print(f"backlog: {rate:.1f} packets/s beside 1 live packet/s; live data {late:.2f} s after its commit")
    assert len(old) == backlog
    assert rate >= 10
    assert late <= 2


def _reading(time_ns: int) -> Batch:
    return Batch(SCHEMA, time_ns, 0, (1.0,), bytes(1), None, ClockState.SYNCHRONISED)


def _old(served: Hj212Host, begin_ns: int) -> int:
    return sum(_second(p) < begin_ns // 10**9 for p in served.records.values() if p.cn == "2011")


class _Silent:
    def broke(self, key: str, message: str, /, **named: object) -> None: ...

    def healed(self, key: str, message: str, /, **named: object) -> None: ...
