"""What a worker tells the rest: batches to the sink, states to the board, breaks and heals to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.acquisition.stamp import stamped
from edge_agent.errors import BadReply, Unproven
from edge_agent.model import Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.acquisition.cycle import Cycle
    from edge_agent.acquisition.host import WorkerHost
    from edge_agent.acquisition.station import Station
    from edge_agent.driver import Columns, Request
    from edge_agent.errors import DriverError


class Reports:
    """One per worker. Each state change is logged once; what repeats in between only counts."""

    def __init__(self, host: WorkerHost, link_key: str) -> None:
        self._host = host
        self._link_key = link_key
        self.heard: Callable[[str, str], None] | None = None  # hears of every failure while it is recorded

    def batch(self, station: Station, cycle: Cycle, columns: Columns) -> None:
        """Stamps columns and hands them out, whether they were read or reported."""
        if cycle.strike is not None:
            columns = cycle.strike(columns)
        self._host.sink(station.device.driver, stamped(cycle.schema, columns, self._host.clock))

    def failed(self, station: Station, error: DriverError) -> None:
        station.row.failures[error.reason] += 1
        if self.heard is not None:
            self.heard(station.device.name, str(error))
        if isinstance(error, BadReply) and not isinstance(error, Unproven):
            station.row.mismatches += 1

    def proof(self, station: Station, result: str) -> None:
        station.row.proofs[result] += 1

    def answered(self, station: Station) -> None:
        if station.row.turn("up", "", self._host.clock.time_ns()):
            self._host.speaker.healed(
                f"device:{station.device.name}",
                "device answers",
                device=station.device.name,
                link=self._link_key,
            )

    def proving(self, station: Station, error: DriverError) -> None:
        """Nobody knows which request the answers of this device belong to: all its tags are bad until one
        of them has proved that."""
        self._bad(station, "proving", error)

    def silent(self, station: Station, error: DriverError) -> None:
        """A breaker opened: the device counts as dead, its neighbours go on."""
        self._bad(station, "silent", error)

    def down(self, station: Station, error: DriverError) -> None:
        """The link is gone, and with it the device."""
        self._bad(station, "refused" if error.reason in ("auth", "cert") else "down", error)

    def refused(self, station: Station, request: Request, error: DriverError) -> None:
        self._host.speaker.broke(
            f"refused:{station.device.name}:{request.text}",
            "the device refuses a request; its tags are bad, retry in 60 s",
            device=station.device.name,
            request=request.text,
            error=str(error),
        )

    def mute(self, station: Station, request: Request, error: DriverError) -> None:
        self._host.speaker.broke(
            f"mute:{station.device.name}:{request.text}",
            "the device answers other requests, but never this one; its tags are bad, retry in 60 s",
            device=station.device.name,
            request=request.text,
            error=str(error),
        )

    def polled(self, cycle: Cycle, reason: str) -> None:
        schema = cycle.schema
        self._host.speaker.broke(
            f"subscription:{schema.device}:{schema.group}",
            "changes of this group are not all reported; it is polled",
            device=schema.device,
            group=schema.group,
            reason=reason,
        )

    def followed(self, cycle: Cycle) -> None:
        schema = cycle.schema
        self._host.speaker.healed(
            f"subscription:{schema.device}:{schema.group}",
            "changes of this group are reported",
            device=schema.device,
            group=schema.group,
        )

    def _bad(self, station: Station, state: str, error: DriverError) -> None:
        """Every tag of the device turns bad, once: readers and windows must not wait for staleness."""
        name = station.device.name
        was_bad = station.row.state in ("proving", "silent", "down", "refused")
        if station.row.turn(state, str(error), self._host.clock.time_ns()):
            for cycle in station.cycles:
                columns = cycle.all_bad(Quality.BAD_COMM)
                if not was_bad:
                    self.batch(station, cycle, columns)
        self._host.speaker.broke(
            f"device:{name}", "device does not answer", device=name, link=self._link_key, error=str(error)
        )
