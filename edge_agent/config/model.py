"""The resolved configuration: what the files mean once every mistake is out. A reload makes a new one.

``load`` (in this package) makes it; agent, acquisition, control and forwarding read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.config.derivation import Counter, Derivation, DerivedTag, PeriodFigure
from edge_agent.config.period_values import PeriodTag, PeriodValues
from edge_agent.config.process import (
    Alarming,
    Early,
    Limit,
    LimitKind,
    Origin,
    Plausible,
    Priority,
    TagRef,
    Window,
)
from edge_agent.config.selection import Selection
from edge_agent.config.writing import Heartbeat, Output, Writable, WriteLevel, Writing
from edge_agent.driver import DriverPlugin
from edge_agent.model import Tag
from edge_agent.uplink import Stream, UplinkPlugin

if TYPE_CHECKING:
    from edge_agent.driver import DeviceSettings
    from edge_agent.uplink import UplinkSettings

__all__ = [
    "Alarming",
    "BufferConfig",
    "Configuration",
    "ConsoleConfig",
    "Counter",
    "Derivation",
    "DerivedTag",
    "Device",
    "Early",
    "Heartbeat",
    "Limit",
    "LimitKind",
    "Origin",
    "Output",
    "PeriodFigure",
    "PeriodTag",
    "PeriodValues",
    "Plausible",
    "Priority",
    "Selection",
    "Shifts",
    "TagRef",
    "UplinkConfig",
    "WebConfig",
    "Window",
    "Writable",
    "WriteLevel",
    "Writing",
]


@dataclass(frozen=True, slots=True)
class Shifts:
    """Shifts by their begin, seconds after local midnight, ascending, with names; empty: days only."""

    begins: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """``periods_s``: poll group -> seconds; every group that a tag names is in it."""

    name: str
    driver: str
    plugin: DriverPlugin
    settings: DeviceSettings
    tags: tuple[Tag, ...]
    periods_s: Mapping[str, float]
    windows: tuple[Window, ...] = ()
    description: str = ""
    equipment: str = ""  # kind of equipment, for limits handed down

    @property
    def link_key(self) -> str:
        return f"{self.driver}:{self.plugin.link_key(self.settings)}"


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """``max_segments``: at most so many stored segments in one message. ``selection``: what it is sent;
    ``compress`` and the like are the plug-in's own settings."""

    name: str
    type: str
    plugin: UplinkPlugin
    settings: UplinkSettings
    max_segments: int = 64
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """``free_bytes``: so much of the disk is left free; None: a twentieth of it, at most 200 MB.
    ``hold_s``: so long after boot samples wait for a clock that has never been synchronised."""

    flush_s: float = 5.0
    quota_bytes: int = 4_000_000_000
    memory_bytes: int = 16_000_000
    free_bytes: int | None = None
    events_bytes: int = 200_000_000
    periods_bytes: int = 500_000_000
    hold_s: float = 120.0
    daily_writes_bytes: int = 1_500_000_000


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Prometheus metrics and JSON status. ``tags``: which tag values become series: off, selected, all."""

    host: str = "127.0.0.1"
    port: int = 9713
    tags: str = "selected"
    max_series: int = 2000


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The local socket of ``edge-agent alarms`` and ``writes``. ``socket``: None takes ``console.sock`` in
    the
    runtime directory systemd gives, else in the state directory. ``group``: whose members may connect."""

    socket: Path | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """``version``: 12 hex digits over everything that has a meaning, secrets excluded. ``files``: every file
    that was read, as bytes, for the last good snapshot (secrets excluded)."""

    line: str
    version: str
    state_dir: Path
    language: str = "en"
    devices: tuple[Device, ...] = ()
    uplinks: tuple[UplinkConfig, ...] = ()
    buffer: BufferConfig = field(default_factory=BufferConfig)
    web: WebConfig = field(default_factory=WebConfig)
    files: Mapping[str, bytes] = field(default_factory=dict)
    derivation: Derivation | None = None
    derived_windows: tuple[Window, ...] = ()  # of the virtual device
    writing: Writing = field(default_factory=Writing)
    shifts: Shifts = Shifts()
    console: ConsoleConfig = ConsoleConfig()
    periods: PeriodValues = field(default_factory=PeriodValues)

    def taking(self, stream: Stream) -> dict[str, Selection]:
        """The uplinks that a store of this stream must keep units for, with what they select."""
        return {u.name: u.selection for u in self.uplinks if stream in u.selection.streams}

    @property
    def windows(self) -> tuple[Window, ...]:
        own = tuple(window for device in self.devices for window in device.windows)
        return own + self.derived_windows
