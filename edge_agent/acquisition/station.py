"""One device on a link: its poll groups, its breaker, and whether its replies can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.acquisition.breaker import Breaker
from edge_agent.acquisition.cycle import Cycle
from edge_agent.driver import Reserved
from edge_agent.model import Schema
from edge_agent.status import GroupRow

if TYPE_CHECKING:
    from edge_agent.config.model import Device
    from edge_agent.status import DeviceRow

DEFAULT_TIMEOUT_S = 1.0


class Station:
    """``enrolled`` and ``trusted`` are per connection; plans survive a reconnect until limits change."""

    def __init__(self, device: Device, row: DeviceRow, version: str, *, start_ns: int) -> None:
        self.device = device
        self.row = row
        self.breaker = Breaker()
        self.trusted = True
        self.enrolled = False
        self.slow = False  # a read took longer than one time-out: asked one exchange at a time
        self.limits: Any = None
        self.timeout_s = DEFAULT_TIMEOUT_S
        self.planned = False  # with the limits of a connection
        self.cycles: list[Cycle] = []
        for group, period_s in device.periods_s.items():
            tags = [tag for tag in device.tags if tag.group == group]
            if not tags:
                continue
            schema = Schema.of(device.name, group, version, tags)
            group_row = row.groups[group] = GroupRow(schema, period_s)
            cycle = Cycle(schema, tags, group_row, start_ns=start_ns)
            cycle.adopt(device.plugin.plan(device.settings, cycle.tags, None, None))
            self.cycles.append(cycle)

    @property
    def fastest_s(self) -> float:
        return min((c.row.period_s for c in self.cycles), default=60.0)

    @property
    def reserved(self) -> Reserved:
        return Reserved()

    def replan(self, limits: Any) -> None:
        """After enrolling: what the connection negotiated decides the requests."""
        self.limits, self.planned = limits, True
        for cycle in self.cycles:
            plan = self.device.plugin.plan(self.device.settings, cycle.tags, limits, cycle.learned)
            cycle.adopt(plan, cycle.learned)


def set_timeouts(stations: list[Station]) -> None:
    """Where stations share a link, one that is silent must not cost its neighbours a poll: its time-out
    is bounded by half the fastest period on the link, unless the configuration says otherwise."""
    bound_s = DEFAULT_TIMEOUT_S
    if len(stations) > 1:
        bound_s = min(bound_s, 0.5 * min(s.fastest_s for s in stations))
    for station in stations:
        station.timeout_s = station.device.settings.timeout or bound_s
