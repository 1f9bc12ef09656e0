"""Figures of alarm management by ISA-18.2: rates, flood, chattering, fleeting. Times are monotonic."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from edge_agent.config.model import Priority

_S = 1_000_000_000
TEN_MINUTES_NS = 600 * _S
DAY_NS = 86_400 * _S
FLOOD_BEGINS_ABOVE = 10  # annunciations in ten minutes
FLOOD_ENDS_BELOW = 5
CHATTER_COUNT, CHATTER_NS = 3, 60 * _S
FLEETING_NS = 5 * _S
STALE_NS = DAY_NS
_MOST_STAMPS = 5_000
_MOST_NAMES = 1_000


class Sliding:
    """How many there were in the last ``span_ns``. Exact; only past ``_MOST_STAMPS`` moments in one span does
    it count some as a little younger than they are, so that a storm costs no memory."""

    __slots__ = ("_grain_ns", "_span_ns", "_stamps", "count")

    def __init__(self, span_ns: int, grain_ns: int = 1) -> None:
        self._span_ns = span_ns
        self._grain_ns = grain_ns
        self._stamps: deque[list[int]] = deque()
        self.count = 0

    def add(self, now_ns: int) -> None:
        stamp = now_ns - now_ns % self._grain_ns
        self.count += 1
        if self._stamps and (self._stamps[-1][0] >= stamp or len(self._stamps) >= _MOST_STAMPS):
            self._stamps[-1][1] += 1
        else:
            self._stamps.append([stamp, 1])

    def pass_to(self, now_ns: int) -> None:
        while self._stamps and self._stamps[0][0] <= now_ns - self._span_ns:
            self.count -= self._stamps.popleft()[1]


class Figures:
    """Since the start of the agent. ``note_*`` as things happen, ``pass_to`` at every tick."""

    def __init__(self) -> None:
        self.annunciated = dict.fromkeys(Priority, 0)
        self.fleeting = 0
        self.flood = False
        self.flood_ns = 0  # time spent in floods that have ended
        self.floods = 0
        self._flood_since_ns = 0
        self._ten_minutes = Sliding(TEN_MINUTES_NS)
        self._day = Sliding(DAY_NS, TEN_MINUTES_NS)
        self._recent: dict[str, tuple[int, ...]] = {}  # when an alarm came, the last three times
        self._swept_ns = 0
        self._names: Counter[str] = Counter()

    def note_annunciation(self, name: str, priority: Priority, now_ns: int) -> None:
        self.pass_to(now_ns)
        self.annunciated[priority] += 1
        self._ten_minutes.add(now_ns)
        self._day.add(now_ns)
        self._names[name] += 1
        if len(self._names) > _MOST_NAMES:
            self._names = Counter(dict(self._names.most_common(_MOST_NAMES // 2)))
        if not self.flood and self._ten_minutes.count > FLOOD_BEGINS_ABOVE:
            self.flood, self._flood_since_ns = True, now_ns
            self.floods += 1

    def note_alarm(self, name: str, now_ns: int) -> None:
        """The condition has come, whether annunciated or not."""
        self._recent[name] = (*self._recent.get(name, ()), now_ns)[-CHATTER_COUNT:]

    def note_return(self, name: str, lasted_ns: int, now_ns: int) -> None:
        if lasted_ns < FLEETING_NS and not self._chatters(self._recent.get(name, ()), now_ns):
            self.fleeting += 1

    def pass_to(self, now_ns: int) -> None:
        self._ten_minutes.pass_to(now_ns)
        self._day.pass_to(now_ns)
        if self.flood and self._ten_minutes.count < FLOOD_ENDS_BELOW:
            self.flood = False
            self.flood_ns += now_ns - self._flood_since_ns
        if self._recent and now_ns - self._swept_ns > CHATTER_NS:
            self._swept_ns = now_ns
            oldest_ns = now_ns - CHATTER_NS
            self._recent = {name: s for name, s in self._recent.items() if s[-1] > oldest_ns}

    def chattering(self, now_ns: int) -> list[str]:
        return sorted(name for name, stamps in self._recent.items() if self._chatters(stamps, now_ns))

    @staticmethod
    def _chatters(stamps: tuple[int, ...], now_ns: int) -> bool:
        return len(stamps) == CHATTER_COUNT and now_ns - stamps[0] < CHATTER_NS

    def as_dict(self, now_ns: int) -> dict[str, Any]:
        self.pass_to(now_ns)
        running_ns = now_ns - self._flood_since_ns if self.flood else 0
        total = sum(self._names.values())
        top = self._names.most_common(10)
        return {
            "annunciated": {p.name.lower(): n for p, n in self.annunciated.items() if p},
            "per_10min": self._ten_minutes.count,
            "per_day": self._day.count,
            "flood": self.flood,
            "floods": self.floods,
            "flood_s": (self.flood_ns + running_ns) / 1e9,
            "chattering": self.chattering(now_ns),
            "fleeting": self.fleeting,
            "top": [{"name": name, "count": count} for name, count in top],
            "top_share": sum(count for _, count in top) / total if total else 0.0,
        }
