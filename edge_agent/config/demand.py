"""How much of a link's time its poll groups need, by what the drivers predict. Offline: plans are made as
before a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.config.model import Device
    from edge_agent.driver import Request
    from edge_agent.model import Tag

BUSY = 0.8
"""Share of a link's time above which nothing is left for retries, slow replies and reconnects."""
_REREAD_S = 600.0


@dataclass(frozen=True, slots=True)
class Demand:
    """One poll group of one device. ``every_s``: its period; of a subscribed group, how often it is read all
    the same."""

    device: str
    group: str
    every_s: float
    subscribed: bool
    tags: tuple[Tag, ...]
    requests: tuple[Request, ...]

    @property
    def cycle_s(self) -> float:
        return sum(request.cost_s for request in self.requests)

    @property
    def size_bytes(self) -> int:
        return sum(request.size_bytes for request in self.requests)

    @property
    def share(self) -> float:
        """Of the link's time; 1.0 is all of it."""
        return self.cycle_s / self.every_s


def demands(device: Device) -> list[Demand]:
    """In the order of ``poll``. Raises whatever the driver raises."""
    subscribed = device.plugin.subscribed(device.settings)
    reread_s = float(getattr(device.settings, "reread", _REREAD_S))
    found = []
    for group, period_s in device.periods_s.items():
        tags = tuple(tag for tag in device.tags if tag.group == group)
        plan = device.plugin.plan(device.settings, tags, None, None)
        quiet = group in subscribed
        found.append(Demand(device.name, group, reread_s if quiet else period_s, quiet, tags, plan.requests))
    return found


def on_link(device: Device, devices: Iterable[Device]) -> list[Demand]:
    """Of every device on the same link, in the order of the configuration."""
    return [demand for other in devices if other.link_key == device.link_key for demand in demands(other)]


def share(found: Sequence[Demand]) -> float:
    return sum(demand.share for demand in found)
