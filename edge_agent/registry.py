"""Entry points -> plug-ins. A plug-in's module is imported only when the configuration names it."""

from __future__ import annotations

from importlib import import_module

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


# Reading the installed packages' metadata costs 1.5 MB: the running agent is told the place instead.


def names(group: str) -> list[str]:
    """Installed plug-ins by name, without importing any of them."""
    return sorted(_places(group))


def place_of(group: str, name: str) -> str:
    """Where an installed plug-in is: ``module:attribute``. Raises UnknownPlugin."""
    places = _places(group)
    if name not in places:
        raise UnknownPlugin(name, sorted(places))
    return places[name]


def load_driver(name: str, place: str | None = None) -> DriverPlugin:
    """``place``: as ``place_of`` told it; None: it is looked up."""
    plugin = _load(DRIVERS, name, place)
    if not isinstance(plugin, DriverPlugin) or plugin.api != driver.API_VERSION:
        raise BrokenPlugin(f"driver {name!r} does not meet driver contract {driver.API_VERSION}")
    return plugin


def load_uplink(name: str, place: str | None = None) -> UplinkPlugin:
    plugin = _load(UPLINKS, name, place)
    if not isinstance(plugin, UplinkPlugin) or plugin.api != uplink.API_VERSION:
        raise BrokenPlugin(f"uplink {name!r} does not meet uplink contract {uplink.API_VERSION}")
    return plugin


def _places(group: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=group)}


def _load(group: str, name: str, place: str | None) -> object:
    module, _, attribute = (place or place_of(group, name)).partition("[")[0].partition(":")
    try:
        found: object = import_module(module.strip())
        for part in attribute.strip().split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BrokenPlugin(f"plug-in {name!r} cannot be imported: {error}") from error
    return found
