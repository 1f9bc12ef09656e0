"""The virtual device: derived tags, counters and the figures made of period totals. Plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.config.process import TagRef

if TYPE_CHECKING:
    from edge_agent.expression import Formula


@dataclass(frozen=True, slots=True)
class DerivedTag:
    """``hidden``: made by the loader from a condition. It is stored, sent and read by windows like any tag of
    the virtual device; status, pages and metrics do not list it."""

    name: str
    formula: Formula
    description: str = ""
    metric: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """A cumulative register, as a person declares it. ``scale``: one raw count in ``unit``. ``max_rate``: by
    nameplate, ``unit`` per second. ``modulus``: raw counts at which it begins anew (of a
    float register perhaps no whole number). ``multipliers``: (valid
    from,
    UTC ns; factor). Numbers are exact decimals as text. ``name``: of its columns in period totals."""

    tag: TagRef
    name: str
    unit: str
    max_rate: str
    scale: str = "1"
    modulus: str | None = None
    step: str = "1"
    noise: str = "0"
    multipliers: tuple[tuple[int, str], ...] = ()
    lag_s: float = 60.0
    max_gap_s: float = 60.0
    confirm: int = 3


@dataclass(frozen=True, slots=True)
class PeriodFigure:
    """A ratio of totals per hour, day and month: kWh/kg. ``condition``: undefined unless it holds."""

    name: str
    formula: Formula
    condition: Formula | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Derivation:
    """The virtual device. Its poll groups: ``DEVICE.GROUP`` for derived tags that follow that group, and
    ``total.hour``, ``total.day``, ``total.month``. ``sources``: poll group, period and age limit of every tag
    that formulas read, by ``DEVICE.TAG``. Its groups and their tags:
    ``config.virtual.groups_of``."""

    device: str = "derived"
    derived: tuple[DerivedTag, ...] = ()
    counters: tuple[Counter, ...] = ()
    figures: tuple[PeriodFigure, ...] = ()
    sources: Mapping[str, tuple[str, str, float, float]] = field(default_factory=dict)
    zone_s: int = 28_800
    description: str = ""
