"""The resolved configuration: what the files mean once every mistake is out. A reload makes a new one.

``load`` (in this package) makes it; agent, acquisition, control and forwarding read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.driver import DriverPlugin
from edge_agent.model import Tag
from edge_agent.uplink import UplinkPlugin

if TYPE_CHECKING:
    from edge_agent.driver import DeviceSettings
    from edge_agent.uplink import UplinkSettings


@dataclass(frozen=True, slots=True)
class TagRef:
    """A tag of any device, by name."""

    device: str
    tag: str

    def __str__(self) -> str:
        return f"{self.device}.{self.tag}"


@dataclass(frozen=True, slots=True)
class Window:
    """One process window: fixed limits (``low``, ``high``, at least one) or ``target`` +- ``tolerance``.

    All in engineering units; limits are inclusive: a value on the limit is inside. ``deadband``: how far
    inside the value must come before an excursion ends. ``on_delay_s``/``off_delay_s``: how long, in
    sample time, it must be outside/inside before the state changes. ``max_age_s``: older input is stale and
    the window unknown. ``when``: a boolean tag; while it is false the window is suppressed.
    """

    name: str
    source: TagRef
    low: float | None = None
    high: float | None = None
    target: TagRef | float | None = None
    tolerance: float | None = None
    deadband: float = 0.0
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    max_age_s: float = 3.0
    when: TagRef | None = None
    unit: str = ""
    description: str = ""


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

    @property
    def link_key(self) -> str:
        return f"{self.driver}:{self.plugin.link_key(self.settings)}"


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """``max_segments``: at most so many stored segments in one message. ``compress`` and the like are the
    plug-in's own settings."""

    name: str
    type: str
    plugin: UplinkPlugin
    settings: UplinkSettings
    max_segments: int = 64


@dataclass(frozen=True, slots=True)
class BufferConfig:
    flush_s: float = 5.0
    quota_bytes: int = 4_000_000_000
    memory_bytes: int = 16_000_000


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Prometheus metrics and JSON status. ``tags``: which tag values become series: off, selected, all."""

    host: str = "127.0.0.1"
    port: int = 9713
    tags: str = "selected"
    max_series: int = 2000


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

    @property
    def windows(self) -> tuple[Window, ...]:
        return tuple(window for device in self.devices for window in device.windows)
