"""Minute, hour and day values of chosen tags: what each is to be made of. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge_agent.config.process import TagRef
from edge_agent.model import Scaling, ValueType

MINUTES: Final = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
"""How long a "minute" value may be: whole parts of an hour, as HJ 212 has them."""


class Mean(StrEnum):
    """How ``avg`` is made."""

    SAMPLES = "samples"  # arithmetic, of samples; of an hour: of its valid minutes
    FLOW = "flow"  # the same, weighted by another tag
    TIME = "time"  # each value by how long it held
    COUNTER = "counter"  # none: a total that only grows has an increase


@dataclass(frozen=True, slots=True)
class Beside:
    """Another tag that is looked at: the flow that weighs, or a state of the instrument. A state is on while
    its value is one of ``values``; without any, while it is not 0. After ``max_age_s`` without a word it is
    unknown, and unknown is not on."""

    tag: TagRef
    values: tuple[float, ...] = ()
    scaling: Scaling | None = None
    max_age_s: float = 3.0


@dataclass(frozen=True, slots=True)
class PeriodTag:
    """One tag and its rule.

    ``minute_s``: length of its shortest period. Normal (flag N) is a minute with at least ``min_samples``
    valid samples and ``share`` percent of all samples valid, an hour with ``valid_minutes`` and ``share``
    percent of its minutes normal, a day with ``valid_hours`` and that share of its hours; with ``Mean.TIME``
    and ``Mean.COUNTER`` the share is that of the time in which the value was known. ``uncertain``: uncertain
    samples are valid. ``integral_s``: ``sum`` is the integral over valid time, per so many seconds. ``key``:
    whose samples these are; for a counter, the register. ``max_age_s``: for how long a value holds.
    """

    tag: TagRef
    key: TagRef
    type: ValueType
    unit: str = ""
    sum_unit: str = ""
    scaling: Scaling | None = None
    mean: Mean = Mean.TIME
    minute_s: int = 60
    min_samples: int = 0
    share: float = 75.0
    valid_minutes: int = 0
    valid_hours: int = 0
    uncertain: bool = True
    weight_by: Beside | None = None
    integral_s: float | None = None
    maintenance: Beside | None = None
    calibration: Beside | None = None
    max_age_s: float = 3.0


@dataclass(frozen=True, slots=True)
class PeriodValues:
    """All of them. ``grace_s``: a period is closed so long after its end."""

    tags: tuple[PeriodTag, ...] = ()
    grace_s: float = 5.0
