"""Entry points -> plug-ins. A plug-in's module is imported only when the configuration names it."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from edge_agent import driver, uplink
from edge_agent.driver import DriverPlugin
from edge_agent.errors import LinesideError
from edge_agent.uplink import UplinkPlugin

DRIVERS = "edge_agent.drivers"
UPLINKS = "edge_agent.uplinks"


class UnknownPlugin(LinesideError):
    """No entry point of that name. ``known`` lists the names there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.known = known
        super().__init__(f"no plug-in named {name!r}; installed: {', '.join(known)}")


class BrokenPlugin(LinesideError):
    """The entry point exists, but what it names is not a plug-in this agent can use."""


def names(group: str) -> list[str]:
    """Installed plug-ins by name, without importing any of them."""
    return sorted({point.name for point in entry_points(group=group)})


def load_driver(name: str) -> DriverPlugin:
    plugin = _load(DRIVERS, name)
    if not isinstance(plugin, DriverPlugin) or plugin.api != driver.API_VERSION:
        raise BrokenPlugin(f"driver {name!r} does not meet driver contract {driver.API_VERSION}")
    return plugin


def load_uplink(name: str) -> UplinkPlugin:
    plugin = _load(UPLINKS, name)
    if not isinstance(plugin, UplinkPlugin) or plugin.api != uplink.API_VERSION:
        raise BrokenPlugin(f"uplink {name!r} does not meet uplink contract {uplink.API_VERSION}")
    return plugin


def _load(group: str, name: str) -> object:
    found: list[EntryPoint] = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        raise UnknownPlugin(name, names(group))
    try:
        return found[0].load()
    except ImportError as error:
        raise BrokenPlugin(f"plug-in {name!r} cannot be imported: {error}") from error
