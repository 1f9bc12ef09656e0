"""The virtual device as poll groups and tags: what a ``Derivation`` looks like from outside.

The loader's windows, the status page and the metrics see derived values as tags of a device like any other.
``DEVICE.GROUP`` follows that poll group; ``total.hour``, ``total.day`` and ``total.month`` hold the totals
and figures of a period, each tag with the period in its name: ``electricity.day``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge_agent.model import Tag, ValueType

if TYPE_CHECKING:
    from edge_agent.config.derivation import Derivation
    from edge_agent.expression import Formula

Feed = tuple[str, str, float, float]
"""Device, poll group, period and age limit of a tag, in seconds."""

PERIODS_S: Final = {"hour": 3600.0, "day": 86_400.0, "month": 31 * 86_400.0}
_LATE_S: Final = 150.0  # a period is told of 90 s after its end; and a minute to spare


@dataclass(slots=True)
class VirtualGroup:
    """``period_s``: how often it comes. ``max_age_s``: after that, what it said is out of date."""

    period_s: float
    max_age_s: float
    tags: list[Tag] = field(default_factory=list)


def groups_of(derivation: Derivation) -> dict[str, VirtualGroup]:
    """Every poll group of the virtual device, by name."""
    feeds = dict(derivation.sources)
    groups: dict[str, VirtualGroup] = {}
    for item in derivation.derived:
        feed = followed(item.formula, feeds)
        feeds[f"{derivation.device}.{item.name}"] = feed
        name = f"{feed[0]}.{feed[1]}"
        group = groups.setdefault(name, VirtualGroup(feed[2], default_age_s(feed[2])))
        made = item.formula
        group.tags.append(
            Tag(item.name, made.text, made.type, name, made.unit, item.description, metric=item.metric)
        )
    for period, length_s in PERIODS_S.items() if derivation.counters else ():
        tags = [
            Tag(total_name(name, period), "", ValueType.FLOAT64, f"total.{period}", unit, description)
            for name, unit, description in _columns(derivation)
        ]
        groups[f"total.{period}"] = VirtualGroup(length_s, length_s + _LATE_S, tags)
    return groups


def followed(formula: Formula, feeds: Mapping[str, Feed]) -> Feed:
    """The poll group with which a formula is calculated: the fastest that it reads."""
    return min((feeds[slot.name] for slot in formula.slots), key=lambda feed: feed[2])


def total_name(name: str, period: str) -> str:
    """The tag of a counter's or figure's value in a period; ``coverage`` stands behind the period."""
    stem, dot, rest = name.partition(".")
    return f"{stem}.{period}{dot}{rest}"


def default_age_s(period_s: float) -> float:
    """For how long a tag's last value is taken for its present one where nothing else is said."""
    return max(3 * period_s, 1.0)


def _columns(derivation: Derivation) -> Iterable[tuple[str, str, str]]:
    for counter in derivation.counters:
        yield counter.name, counter.unit, ""
        yield f"{counter.name}.coverage", "%", ""
    for figure in derivation.figures:
        yield figure.name, figure.formula.unit, figure.description
