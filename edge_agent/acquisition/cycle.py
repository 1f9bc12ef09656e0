"""One poll group of one device: its slots on the monotonic grid and the read that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.acquisition.sentinels import compiled
from edge_agent.driver import Columns
from edge_agent.model import Quality, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.driver import Plan, Request
    from edge_agent.model import Tag
    from edge_agent.status import GroupRow

REFUSED_RETRY_NS = 60_000_000_000
MUTE = 3  # silences of one request, while the station answers others, after which it is left out


class Cycle:
    """The first slot is the start; all others stand at multiples of the period on the monotonic clock, so
    that groups of one period, of whatever device, are read at the same moment. ``due_ns`` is the slot that
    is waited for or being read.

    A read that is not complete when the next slot begins is handed out partially and the next one starts
    with the requests that were left, so that on a link that is too slow every tag still gets its turn.

    A group whose changes are reported by the device (``follow``) is read in slots that are far apart.
    """

    __slots__ = (
        "_asked", "_learned", "_mute", "_plan", "_refused", "_replies", "_todo", "asked_ns", "due_ns",
        "flawless", "following", "not_before_ns", "own_period_ns", "period_ns", "row", "schema", "started",
        "started_ns", "strike", "tags",
    )  # fmt: skip

    def __init__(self, schema: Schema, tags: Sequence[Tag], row: GroupRow, *, start_ns: int) -> None:
        self.schema = schema
        self.tags = tuple(tags)
        self.strike = compiled(self.tags)
        self.row = row
        self.period_ns = self.own_period_ns = round(row.period_s * 1e9)
        self.due_ns = start_ns
        self.asked_ns = 0  # when last
        self.not_before_ns = 0
        self.following = False
        self.started = False
        self.started_ns = 0
        self.flawless = True  # no request of this read was met with silence
        self._plan: Plan | None = None
        self._learned: Any = None
        self._replies: list[Any] = []
        self._todo: list[int] = []  # not asked yet in this read, the longest waiting first
        self._asked: list[int] = []
        self._refused: dict[int, tuple[Quality, int]] = {}
        self._mute: dict[int, int] = {}  # silences in a row, by request

    @property
    def deadline_ns(self) -> int:
        """When the next slot begins, and this read is over."""
        return self.due_ns + self.period_ns

    @property
    def urgent_ns(self) -> int:
        """By which exchanges are ordered: a group that is followed has long slots, but its read is as urgent
        as any of its own period."""
        return self.due_ns + self.own_period_ns

    @property
    def learned(self) -> Any:
        return self._learned

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError(f"{self.schema.device}/{self.schema.group} was never planned")
        return self._plan

    def adopt(self, plan: Plan, learned: Any = None) -> None:
        """Takes a new plan; a read under way starts over within its slot."""
        self._plan, self._learned = plan, learned
        self._refused.clear()
        self._mute.clear()
        self._todo, self._asked = [], []
        self.started = False

    def follow(self, reread_s: float, now_ns: int) -> None:
        """Changes are reported from now on: one read at once, later ones at long intervals."""
        self.following, self.period_ns = True, round(reread_s * 1e9)
        self.restart(now_ns)

    def poll(self, now_ns: int) -> None:
        """Not all changes are reported, or not any more: read in every slot."""
        if self.following:
            self.following, self.period_ns = False, self.own_period_ns
            self.due_ns = now_ns // self.period_ns * self.period_ns
        self.restart(now_ns)

    def wake_ns(self) -> int:
        return max(self.due_ns, self.not_before_ns) if self.started else self.due_ns

    def align(self, now_ns: int) -> int:
        """Moves to the newest slot that has begun, or stays before the next; returns how many it passed."""
        skipped = max(0, (now_ns - self.due_ns) // self.period_ns)
        self.due_ns += skipped * self.period_ns
        return skipped

    def new_connection(self, now_ns: int) -> None:
        """Nobody reports changes yet, and what was met with silence gets its chance."""
        self._mute.clear()
        self._refused = {i: held for i, held in self._refused.items() if held[0] != Quality.BAD_COMM}
        self.poll(now_ns)

    def restart(self, now_ns: int) -> None:
        """On a new connection, or when the station is found alive: nothing of the old replies is kept."""
        self.started, self._todo, self._asked = False, [], []
        if self.following:
            self.due_ns = now_ns
        else:
            self.align(now_ns)

    def begin(self, now_ns: int) -> None:
        """Starts the read of the newest slot; slots that went by are counted, never caught up."""
        self.row.overruns += self.align(now_ns)
        self.row.late.observe((now_ns - self.due_ns) / 1e9)
        requests = self.plan.requests
        self._replies = [Quality.NOT_REPORTED] * len(requests)
        self._todo = self._todo + self._asked if self._todo or self._asked else list(range(len(requests)))
        if self._mute:  # what was met with silence comes last, so that it costs the others nothing
            self._todo.sort(key=lambda index: self._mute.get(index, 0))
        self._asked = []
        for index in [i for i, (_, until) in self._refused.items() if until > now_ns]:
            self._replies[index] = self._refused[index][0]
            self._todo.remove(index)
            self._asked.append(index)
        self.started, self.started_ns, self.not_before_ns, self.flawless = True, now_ns, 0, True

    def next_request(self) -> Request | None:
        """The next one to send in this read; None when there is nothing left to ask."""
        return self.plan.requests[self._todo[0]] if self._todo else None

    def left(self) -> list[Request]:
        """All that is still to be asked in this read, in order."""
        requests = self.plan.requests
        return [requests[index] for index in self._todo]

    def cheapest(self) -> Request | None:
        """For probes: the request that costs the link least, of those that used to be answered."""
        requests = self._plan.requests if self._plan else ()
        wanted = [r for i, r in enumerate(requests) if i not in self._mute and i not in self._refused]
        return min(wanted or requests, key=lambda r: r.cost_s, default=None)

    def answered(self, reply: Any) -> None:
        index = self._todo.pop(0)
        self._replies[index] = reply
        self._asked.append(index)
        if self._mute:
            self._mute.pop(index, None)

    def silent(self, *, others_answer: bool) -> bool:
        """The next request was met with silence. True when that is what always happens to it, although the
        station is not dead; ``others_answer``: it has answered another request since its last silence."""
        index = self._todo[0]
        silences = self._mute.get(index, 0) + 1
        others_answer = others_answer or any(not isinstance(r, Quality) for r in self._replies)
        self.answered(Quality.BAD_COMM)
        self._mute[index] = silences
        self.flawless = False
        return silences >= (MUTE if others_answer else 2 * MUTE)

    def leave_out(self, now_ns: int) -> None:
        """The request that was asked last is not asked for a minute."""
        index = self._asked[-1]
        self._refused[index] = (Quality.BAD_COMM, now_ns + REFUSED_RETRY_NS)

    def refuse(self, quality: Quality, now_ns: int) -> None:
        """As ``answered``, and this request is left out for a minute."""
        self._refused[self._todo[0]] = (quality, now_ns + REFUSED_RETRY_NS)
        self.answered(quality)

    def finish(self) -> Columns:
        """Ends the read, complete or partial, and moves to the next slot."""
        columns = self.plan.decode(self._replies)
        self.started = False
        self.due_ns = (self.due_ns // self.period_ns + 1) * self.period_ns
        return columns

    def all_bad(self, quality: Quality) -> Columns:
        """What to report while nothing can be read. Runs no code of the driver, which may be what failed."""
        self.started, self._todo, self._asked = False, [], []
        return Columns((None,) * len(self.tags), bytes([quality]) * len(self.tags))
