"""The worker of one link: connects, lets a session poll, says what broke, waits, starts over.

``run`` never raises except for cancellation. Library retries and reconnects are off; this loop owns both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.acquisition.breaker import ProbeBudget
from edge_agent.acquisition.gate import Backoff
from edge_agent.acquisition.jobs import Job, JobFailed
from edge_agent.acquisition.reports import Reports
from edge_agent.acquisition.session import Session
from edge_agent.acquisition.station import Station, set_timeouts
from edge_agent.driver import Reporter, Tracer
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.status import DeviceRow

if TYPE_CHECKING:
    from edge_agent.acquisition.host import WorkerHost
    from edge_agent.acquisition.jobs import Reading
    from edge_agent.config.model import Device
    from edge_agent.driver import Link
    from edge_agent.model import Value

CONNECT_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 3.0
DENIED_RETRY_S = 60.0
BUG_RETRY_S = 5.0


class Recording(Protocol):
    """Hears the wire; see ``driver.Tracer``."""

    def take(self, way: str, data: bytes, remark: str) -> None: ...
    def failed(self, device: str, words: str) -> None: ...


class LinkWorker:
    """``devices`` share one link. Their rows are put on the board at once."""

    def __init__(self, key: str, devices: Sequence[Device], version: str, host: WorkerHost) -> None:
        self.key = key
        self.devices = tuple(devices)
        self._host = host
        self._clock = host.clock
        self._reports = Reports(host, key)
        self._backoff = Backoff(host.random)
        self._budget = ProbeBudget()
        self._stations = self._make_stations(version)
        set_timeouts(self._stations)
        self._session: Session | None = None  # while there is a connection
        self._link: Link | None = None
        self._recording: Recording | None = None

    async def read(self, device: str, tag: str) -> Reading:
        """The value and quality of one tag as a poll now would say them. Raises JobFailed, at once where it
        cannot be read now."""
        reading = await self._submit(device, tag, None, writes=False)
        assert reading is not None
        return reading

    async def write(self, device: str, tag: str, raw: Value) -> None:
        """Returns when the device has confirmed it. Raises JobFailed, at once where it cannot be written
        now. Cancelled before its turn it is never written."""
        await self._submit(device, tag, raw, writes=True)

    def record(self, recording: Recording | None) -> bool:
        """Tells what passes on the wire to it from now on, on later connections too; None: to nobody. False
        where this driver's links cannot tell."""
        self._recording = recording
        self._reports.heard = None if recording is None else recording.failed
        if self._link is None:
            return True
        if isinstance(self._link, Tracer):
            self._link.trace = None if recording is None else recording.take
        return isinstance(self._link, Tracer)

    def limits_of(self, device: str) -> Any:
        """What its driver negotiated; None before there was a connection."""
        return next((s.limits for s in self._stations if s.device.name == device), None)

    @property
    def recording(self) -> Recording | None:
        return self._recording

    async def _submit(self, device: str, tag_name: str, raw: Value, *, writes: bool) -> Reading | None:
        station = next((s for s in self._stations if s.device.name == device), None)
        tag = None if station is None else next((t for t in station.device.tags if t.name == tag_name), None)
        if station is None or tag is None:
            raise JobFailed(f"there is no tag {device}.{tag_name}", reason="unknown")
        job = Job(station, tag, raw, writes=writes)
        if self._session is None:
            job.fail("down", f"there is no connection to the device ({station.row.reason or 'connecting'})")
        else:
            self._session.submit(job)
        return await job.answer

    def _make_stations(self, version: str) -> list[Station]:
        first = self.devices[0]
        endpoint = first.plugin.link_key(first.settings)
        stations = []
        for device in self.devices:
            row = self._host.board.devices[device.name] = DeviceRow(device.name, device.driver, endpoint)
            row.since_ns = self._clock.time_ns()
            stations.append(Station(device, row, version, start_ns=self._clock.mono_ns()))
        return stations

    async def run(self) -> None:
        while True:
            delay_s = await self._connection()
            self._host.attempted(self.key)
            await self._clock.sleep_until(self._clock.mono_ns() + round(delay_s * 1e9))

    async def _connection(self) -> float:
        """One connection from opening to loss; returns how long to wait before the next."""
        try:
            return await self._attempt()
        except Exception as error:  # noqa: BLE001 - outermost loop: a driver's bug must not stop other links
            driver = self.devices[0].driver
            self._host.speaker.broke(
                f"bug:{self.key}",
                "a driver has a bug; its link starts over",
                link=self.key,
                error=repr(error),
            )
            self._down(LinkLost(f"internal error in driver {driver}: {error!r}", reason="other"))
            return BUG_RETRY_S

    async def _attempt(self) -> float:
        first = self.devices[0]
        link = self._link = first.plugin.open_link(first.settings)
        if self._recording is not None and isinstance(link, Tracer):
            link.trace = self._recording.take
        session = Session(self.key, link, self._stations, self._budget, self._host, self._reports)
        self._ask_facts(link)
        try:
            await self._connect(link)
            self._session = session
            await session.run()
        except LinkLost as error:
            self._down(error)
            if isinstance(error, LinkDenied):
                return DENIED_RETRY_S
        finally:
            self._session = self._link = None
            self._ask_facts(None)
            await self._close(link)
        if session.answers:
            self._backoff.reset()
        return self._backoff.next_s()

    def _ask_facts(self, link: Link | None) -> None:
        for station in self._stations:
            station.row.facts = link.facts if isinstance(link, Reporter) else None

    async def _connect(self, link: Link) -> None:
        await self._host.gate.wait()
        self._host.attempted(self.key)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await link.connect()
        except TimeoutError:
            raise LinkLost(f"no connection within {CONNECT_TIMEOUT_S:g} s", reason="timeout") from None

    def _down(self, error: LinkLost) -> None:
        for station in self._stations:
            if station.row.up:
                station.row.disconnects += 1
            self._reports.failed(station, error)
            self._reports.down(station, error)

    async def _close(self, link: Link) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await link.close()
        except Exception as error:  # noqa: BLE001 - a driver's bug here must not hide why the link was closed
            self._host.speaker.broke(
                f"close:{self.key}", "a link did not close", link=self.key, error=str(error)
            )
