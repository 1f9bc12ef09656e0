"""What a link knows about itself, for status and for people. Pure data; nothing here acts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked of the server for one subscription, or what it gave instead. Part 4, 5.13.2 lets it
    revise every one of these without an error."""

    publishing_s: float
    keep_alive_s: float
    lifetime_s: float
    sampling_s: float  # the slowest of its items
    queue_size: int  # the shortest of its items


@dataclass(slots=True)
class SubscriptionFacts:
    """One subscription. The counts are of this connection."""

    group: str
    asked: Terms
    given: Terms
    items: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # node -> what the server says
    notifications: int = 0
    values: int = 0
    keep_alives: int = 0
    overflows: int = 0  # values of which the server says that its queue lost samples before them
    republished: int = 0
    watches_clock: bool = False

    @property
    def revised(self) -> tuple[str, ...]:
        """Names of the terms the server changed."""
        asked, given = asdict(self.asked), asdict(self.given)
        return tuple(name for name in asked if asked[name] != given[name])

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "revised": list(self.revised)}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    subject: str
    fingerprint: str
    days_left: float
