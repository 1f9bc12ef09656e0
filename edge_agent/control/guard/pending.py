"""Requests kept for a second person, and recommendations. In memory only: a restart forgets them."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.control.excursion import Moment
from edge_agent.control.guard.request import WriteRequest

APPROVAL_S = 600.0
RECOMMENDATION_S = 86_400.0
_MOST = 100


@dataclass(slots=True)
class Kept:
    """``session``: the arming under which it was made. ``approved_by``: empty until somebody did."""

    id: str
    request: WriteRequest
    recommendation: bool
    session: int
    until_mono_ns: int
    asked_ns: int
    approved_by: str = ""


class Pending:
    """At most a hundred; the oldest give way, so that nobody can fill the memory with requests."""

    __slots__ = ("_kept", "_last")

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._last = 0

    def keep(self, request: WriteRequest, *, recommendation: bool, session: int, at: Moment) -> Kept:
        self._last += 1
        lasts_s = RECOMMENDATION_S if recommendation else APPROVAL_S
        kept = Kept(
            f"{'r' if recommendation else 'a'}{self._last}", request.without_token(), recommendation, session,
            at.mono_ns + int(lasts_s * 1e9), at.time_ns,
        )  # fmt: skip
        self._kept[kept.id] = kept
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return kept

    def get(self, key: str, at: Moment) -> Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and at.mono_ns < kept.until_mono_ns else None

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def expire(self, at: Moment) -> None:
        for key in [key for key, kept in self._kept.items() if at.mono_ns >= kept.until_mono_ns]:
            del self._kept[key]

    def all(self, at: Moment) -> list[Kept]:
        return [kept for kept in self._kept.values() if at.mono_ns < kept.until_mono_ns]
