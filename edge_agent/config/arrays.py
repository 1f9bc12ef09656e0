"""Arrays of a tag table: one row, N tags with the addresses the driver gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from sys import intern
from typing import Any

from edge_agent.config import catalogue as c
from edge_agent.config.located import Collector
from edge_agent.config.plugins import DRIVER
from edge_agent.config.table import Table
from edge_agent.config.tags import Made
from edge_agent.driver import DriverPlugin
from edge_agent.model import Tag
from edge_agent.settings import Text

_CURE = Text(
    "Correct the address of the first element, or the number of elements.",
    "请改正首个元素的地址，或元素个数。",
)


class Arrays:
    """Takes the arrays of one device apart. ``counts``: elements of those that could be.

    What a driver says against an array is kept until ``report``: its own check, which runs in between, has
    better words for an address that is none at all."""

    def __init__(
        self, table: Table, plugin: DriverPlugin | None, driver: str, settings: Any, collector: Collector
    ) -> None:
        self.table = table
        self.plugin = plugin
        self.driver = driver
        self.settings = settings
        self.collector = collector
        self.counts: dict[str, int] = {}
        self._refused: list[tuple[Made, Exception]] = []

    def tags(self, made: Made) -> Iterator[Tag]:
        """The tag itself, or one tag ``name[0]``, ``name[1]``, ... per element. Of an array with a mistake
        the first element only, so that the driver's check sees it."""
        if made.elements is None:
            yield made.tag
            return
        first = replace(made.tag, name=f"{made.tag.name}[0]")
        addresses = self._addresses(made, first)
        if addresses is None:
            if self._refused and self._refused[-1][0] is made:
                yield first
            return
        self.counts[made.tag.name] = made.elements
        for number, address in enumerate(addresses):
            yield replace(made.tag, name=intern(f"{made.tag.name}[{number}]"), address=intern(address))

    def report(self) -> None:
        """What was kept, of rows in which the driver's check found nothing."""
        for made, error in self._refused:
            name = made.tag.name
            at = self.table.position(name, "address")
            if self.collector.has_error_at(self.table.source.name, at):
                continue
            reason, cure = getattr(error, "message", str(error)), getattr(error, "cure", _CURE)
            values = {"tag": name, "count": made.elements, "reason": reason, "cure": cure}
            self.collector.add(self.table.source, at, c.ARRAY_PLACE, ("tags", name, "address"), **values)

    def _addresses(self, made: Made, first: Tag) -> list[str] | None:
        """None when there are none; why is reported, or kept. Without a driver nothing is said."""
        if self.plugin is None or self.settings is None or made.elements is None:
            return None
        if self.plugin.elements is None:
            self._at(made, "type", c.NO_ARRAYS, driver=self.driver)
            return None
        try:
            addresses = list(self.plugin.elements(self.settings, first, made.elements))
            if len(addresses) != made.elements:
                raise TypeError(f"{len(addresses)} addresses for {made.elements} elements")
        except ValueError as error:
            self._refused.append((made, error))
            return None
        except Exception as error:  # noqa: BLE001 - a faulty plug-in must not keep other mistakes from being shown
            reason = f"{type(error).__name__}: {error}"
            self._at(made, "type", c.BROKEN_DRIVER, kind=DRIVER, name=self.driver, reason=reason)
            return None
        return addresses

    def _at(self, made: Made, column: str, entry: c.Entry, /, **values: object) -> None:
        at = self.table.position(made.tag.name, column)
        self.collector.add(self.table.source, at, entry, ("tags", made.tag.name, column), **values)
