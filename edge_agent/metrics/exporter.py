"""The two steps of a scrape, and what is kept between scrapes."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest

from edge_agent.config.model import WebConfig
from edge_agent.metrics.families import Snapshot, snapshot
from edge_agent.metrics.selection import Selected, Selector
from edge_agent.metrics.text import Writer
from edge_agent.status import Board

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _none() -> Collection[tuple[str, str]]:
    return ()


class Exporter:
    """One per web server."""

    def __init__(self) -> None:
        self._selector = Selector()
        self._writer = Writer()

    def collect(
        self, board: Board, web: WebConfig, *, mono_ns: int, time_ns: int, selected: Selected = _none
    ) -> Snapshot:
        """Copies what a scrape needs. Call in the event loop.

        ``selected`` gives the (device, tag) pairs that become series when ``web.tags`` is ``selected``. It is
        asked again when ``board.config_version`` or a poll group has changed.
        """
        return snapshot(board, web, self._selector, mono_ns=mono_ns, time_ns=time_ns, selected=selected)

    def exposition(self, snapshot: Snapshot, *, process: bool = True) -> bytes:
        """The text, UTF-8, ``CONTENT_TYPE``. Thread-safe. ``process``: also what is known of the process and
        of Python."""
        pieces = self._writer.write(snapshot.families)
        if process:
            pieces.append(generate_latest(self._process).decode())
        return "".join(pieces).encode()

    @cached_property
    def _process(self) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        return registry
