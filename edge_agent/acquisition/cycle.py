"""One poll group of one device: its slots on the monotonic grid and the read that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.model import Quality, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.driver import Columns, Plan, Request
    from edge_agent.model import Tag
    from edge_agent.status import GroupRow

REFUSED_RETRY_NS = 60_000_000_000


class Cycle:
    """The first slot is the start; all others stand at multiples of the period on the monotonic clock, so
    that groups of one period, of whatever device, are read at the same moment. ``due_ns`` is the slot that
    is waited for or being read.

    A read that is not complete when the next slot begins is handed out partially and the next one starts
    with the requests that were left, so that on a link that is too slow every tag still gets its turn.
    """

    __slots__ = (
        "_asked", "_learned", "_plan", "_refused", "_replies", "_todo", "due_ns", "not_before_ns",
        "period_ns", "row", "schema", "started", "started_ns", "tags",
    )  # fmt: skip

    def __init__(self, schema: Schema, tags: Sequence[Tag], row: GroupRow, *, start_ns: int) -> None:
        self.schema = schema
        self.tags = tuple(tags)
        self.row = row
        self.period_ns = round(row.period_s * 1e9)
        self.due_ns = start_ns
        self.not_before_ns = 0
        self.started = False
        self.started_ns = 0
        self._plan: Plan | None = None
        self._learned: Any = None
        self._replies: list[Any] = []
        self._todo: list[int] = []  # not asked yet in this read, the longest waiting first
        self._asked: list[int] = []
        self._refused: dict[int, tuple[Quality, int]] = {}

    @property
    def deadline_ns(self) -> int:
        return self.due_ns + self.period_ns

    @property
    def learned(self) -> Any:
        return self._learned

    def adopt(self, plan: Plan, learned: Any = None) -> None:
        """Takes a new plan; a read under way starts over within its slot."""
        self._plan, self._learned = plan, learned
        self._refused.clear()
        self._todo, self._asked = [], []
        self.started = False

    def wake_ns(self) -> int:
        return max(self.due_ns, self.not_before_ns) if self.started else self.due_ns

    def align(self, now_ns: int) -> int:
        """Moves to the newest slot that has begun, or stays before the next; returns how many it passed."""
        skipped = max(0, (now_ns - self.due_ns) // self.period_ns)
        self.due_ns += skipped * self.period_ns
        return skipped

    def restart(self, now_ns: int) -> None:
        """On a new connection: nothing of the old one's replies is kept."""
        self.started, self._todo, self._asked = False, [], []
        self.align(now_ns)

    def begin(self, now_ns: int) -> None:
        """Starts the read of the newest slot; slots that went by are counted, never caught up."""
        self.row.overruns += self.align(now_ns)
        self.row.late.observe((now_ns - self.due_ns) / 1e9)
        plan = self._require_plan()
        self._replies = [Quality.NOT_REPORTED] * len(plan.requests)
        self._todo = (
            self._todo + self._asked if self._todo or self._asked else list(range(len(plan.requests)))
        )
        self._asked = []
        for index in [i for i, (_, until) in self._refused.items() if until > now_ns]:
            self._replies[index] = self._refused[index][0]
            self._todo.remove(index)
            self._asked.append(index)
        self.started, self.started_ns, self.not_before_ns = True, now_ns, 0

    def next_request(self) -> Request | None:
        """The next one to send in this read; None when there is nothing left to ask."""
        return self._require_plan().requests[self._todo[0]] if self._todo else None

    def left(self) -> list[Request]:
        """All that is still to be asked in this read, in order."""
        requests = self._require_plan().requests
        return [requests[index] for index in self._todo]

    def cheapest(self) -> Request | None:
        """For probes: the request that costs the link least."""
        requests = self._plan.requests if self._plan else ()
        return min(requests, key=lambda r: r.cost_s, default=None)

    def answered(self, reply: Any) -> None:
        index = self._todo.pop(0)
        self._replies[index] = reply
        self._asked.append(index)

    def refuse(self, quality: Quality, now_ns: int) -> None:
        """As ``answered``, and this request is left out for a minute."""
        self._refused[self._todo[0]] = (quality, now_ns + REFUSED_RETRY_NS)
        self.answered(quality)

    def abandon(self, quality: Quality) -> None:
        """The station fell silent: what was still to be asked in this read gets that quality."""
        while self._todo:
            self.answered(quality)

    def finish(self) -> Columns:
        """Ends the read, complete or partial, and moves to the next slot."""
        columns = self._require_plan().decode(self._replies)
        self.started = False
        self.due_ns = (self.due_ns // self.period_ns + 1) * self.period_ns
        return columns

    def all_bad(self, quality: Quality) -> Columns:
        """What to report while nothing can be read. Needs no plan that a connection would have to make."""
        plan = self._require_plan()
        self.started, self._todo, self._asked = False, [], []
        return plan.decode([quality] * len(plan.requests))

    def _require_plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError(f"{self.schema.device}/{self.schema.group} was never planned")
        return self._plan
