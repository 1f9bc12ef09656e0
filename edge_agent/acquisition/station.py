"""One device on a link: its poll groups, its breaker, and whether its replies can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.acquisition.breaker import Breaker
from edge_agent.acquisition.cycle import Cycle
from edge_agent.driver import Reserved
from edge_agent.model import Schema
from edge_agent.status import GroupRow

if TYPE_CHECKING:
    from edge_agent.config.model import Device
    from edge_agent.driver import Plan, Request
    from edge_agent.model import Tag
    from edge_agent.status import DeviceRow

DEFAULT_TIMEOUT_S = 1.0
WIRE_TIMES = 3.0  # a deadline is never shorter than so many times what the request costs on the wire
ANSWER_S = 0.05  # and, unless configured otherwise, so much more for the device to think
PROOF_S = 0.25  # a proof has at least so long
QUIET_AFTER = 3  # tries in a row that cannot have succeeded
QUIET_NS = 10_000_000_000  # five times the longest lateness seen on a bus


class Station:
    """``enrolled`` and ``trusted`` are per connection; plans survive a reconnect until limits change. A new
    connection knows nothing of what an older one (or an older process) has left under way, so trust is to be
    proved there too; where replies carry an identity that costs nothing.

    A station that refuses whatever ``prove`` asks (its reserved range may be a hole) would never be trusted.
    After ``QUIET_AFTER`` such tries it is left in silence for ``QUIET_NS`` instead: what was under way has
    come by then and was thrown away. The same holds for one that has never yet answered a proof: it may be
    one that says nothing to what it does not know.
    """

    def __init__(self, device: Device, row: DeviceRow, version: str, *, start_ns: int) -> None:
        self.device = device
        self.row = row
        self.breaker = Breaker()
        self.trusted = False
        self.enrolled = False
        self.slow = False  # a read took longer than one time-out: asked one exchange at a time
        self.limits: Any = None
        self.timeout_s = DEFAULT_TIMEOUT_S
        self.shared = False  # others are on the link
        self.planned = False  # with the limits of a connection
        self.subscribed = device.plugin.subscribed(device.settings)
        self.silent_ns = 0  # when it last was
        self.quiet_until_ns = 0  # not asked anything before
        self._provable = False  # it has answered a proof
        self._refusals = 0  # tries to prove in a row that were answered with something else, or never will be
        self._misses = 0  # tries to prove in a row that failed
        self._reserved: tuple[list[Plan], Reserved] = ([], Reserved())
        self._singles: dict[str, tuple[Any, Plan]] = {}  # of one tag each, with what they were made with
        self.cycles: list[Cycle] = []
        for group, period_s in device.periods_s.items():
            tags = [tag for tag in device.tags if tag.group == group]
            if not tags:
                continue
            schema = Schema.of(device.name, group, version, tags)
            group_row = row.groups[group] = GroupRow(schema, period_s)
            group_row.labels = {number: dict(tag.labels) for number, tag in enumerate(tags) if tag.labels}
            cycle = Cycle(schema, tags, group_row, start_ns=start_ns)
            cycle.adopt(device.plugin.plan(device.settings, cycle.tags, None, None))
            self.cycles.append(cycle)

    @property
    def fastest_s(self) -> float:
        return min((c.row.period_s for c in self.cycles), default=60.0)

    @property
    def reserved(self) -> Reserved:
        """Identities that no plan in use has; made anew when one of them has changed."""
        plugin = self.device.plugin
        if plugin.reserve is None:
            return Reserved()
        plans = [cycle.plan for cycle in self.cycles] + [plan for _, plan in self._singles.values()]
        known = self._reserved[0]
        if len(known) != len(plans) or any(a is not b for a, b in zip(known, plans, strict=True)):
            self._reserved = (plans, plugin.reserve(self.device.settings, plans))
        return self._reserved[1]

    def deadline_s(self, request: Request) -> float:
        """How long this request may take. What is configured holds unless not even the wire can do it."""
        margin_s = 0.0 if self.device.settings.timeout else ANSWER_S
        return max(self.timeout_s, WIRE_TIMES * request.cost_s + margin_s)

    def proof_deadline_s(self) -> float:
        """As for a short request, but long enough for the quiet that a driver waits for on a bus before it
        asks; after a try that failed twice as long, up to that of the longest request: others who share the
        link never wait longer for a proof than for a poll."""
        deadlines = [self.deadline_s(r) for c in self.cycles for r in c.plan.requests]
        shortest = max(min(deadlines, default=self.timeout_s), PROOF_S)
        longest = max(deadlines, default=self.timeout_s)
        most = max(longest, shortest if self.shared else 2 * shortest)
        return float(min(most, shortest * 2 ** min(self._misses, 10)))

    def new_connection(self, now_ns: int) -> None:
        self.enrolled = self.trusted = False
        self.breaker.anew()
        for cycle in self.cycles:
            cycle.row.liveness_s = 0.0
            cycle.new_connection(now_ns)

    def replan(self, limits: Any) -> None:
        """After enrolling: what the connection negotiated decides the requests."""
        self.limits, self.planned = limits, True
        for cycle in self.cycles:
            plan = self.device.plugin.plan(self.device.settings, cycle.tags, limits, cycle.learned)
            cycle.adopt(plan, cycle.learned)

    def single(self, tag: Tag, learned: Any = None) -> Plan:
        """The plan for one tag alone, with the limits of the present connection. Kept, so that what proves a
        station differs from it too."""
        made_with = (self.limits, learned)
        known = self._singles.get(tag.name)
        if known is None or known[0] != made_with:
            plan = self.device.plugin.plan(self.device.settings, (tag,), *made_with)
            known = self._singles[tag.name] = (made_with, plan)
        return known[1]

    # Trust

    def proved(self, *, by_reply: bool = False) -> None:
        self.trusted = True
        self._provable = self._provable or by_reply
        self._refusals = self._misses = self.quiet_until_ns = 0

    def not_proved(self, now_ns: int, *, answered: bool) -> None:
        """``answered``: something came, but nothing that can belong to this try only."""
        self._misses += 1
        self._refusals = self._refusals + 1 if answered or not self._provable else 0
        if self._refusals >= QUIET_AFTER:
            self._refusals = 0
            self.quiet_until_ns = now_ns + QUIET_NS

    def outwaited(self, now_ns: int) -> bool:
        """Whether silence has proved what no reply could."""
        return 0 < self.quiet_until_ns <= now_ns


def set_timeouts(stations: list[Station]) -> None:
    """Where stations share a link, one that is silent must not cost its neighbours a poll: its time-out
    is bounded by half the fastest period on the link, unless the configuration says otherwise or the wire is
    too slow for that (``Station.deadline_s``)."""
    bound_s = DEFAULT_TIMEOUT_S
    if len(stations) > 1:
        bound_s = min(bound_s, 0.5 * min(s.fastest_s for s in stations))
    for station in stations:
        station.shared = len(stations) > 1
        station.timeout_s = station.device.settings.timeout or bound_s
