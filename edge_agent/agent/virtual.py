"""The virtual device: derived tags, counters and period totals, shown and judged like those of any device."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_agent.config.model import TagRef
from edge_agent.config.virtual import groups_of, total_name
from edge_agent.log import fields
from edge_agent.status import DeviceRow, GroupRow

if TYPE_CHECKING:
    from decimal import Decimal

    from edge_agent.accounting import Accounting
    from edge_agent.accounting.accounting import Result
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration, Derivation, Window
    from edge_agent.model import Batch, Event
    from edge_agent.status import Board

log = logging.getLogger(__name__)

DERIVED = "derived"  # stands in place of a driver
SAVE_NS = 60_000_000_000


class VirtualDevice:
    """``accounting`` is None while the configuration derives nothing; the module that calculates is then not
    even imported."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self.accounting: Accounting | None = None
        self._board = board
        self._clock = clock
        self._derivation: Derivation | None = None
        self._row: DeviceRow | None = None
        self._hidden: frozenset[str] = frozenset()
        self._groups_s: dict[str, float] = {}
        self._saved_ns = 0

    def configure(self, configuration: Configuration, states: Mapping[str, Any] | None = None) -> None:
        """At the start with the ``states`` of the disk, after each reload without: what has been counted goes
        on."""
        wanted, before = configuration.derivation, self.accounting
        self._derivation, self.accounting, self._row = wanted, None, None
        if wanted is None:
            return
        from edge_agent.accounting.plan_of import accounting_of

        now = self._clock.mono_ns(), self._clock.time_ns()
        self.accounting = accounting_of(wanted, configuration.version)
        if before is not None:
            self.accounting.adopt(before, *now)
        elif states is not None:
            for name in self.accounting.restore_rows(states, *now):
                log.error("a stored state cannot be used: this part begins anew", extra=fields(state=name))
        self._hidden = frozenset(tag.name for tag in wanted.derived if tag.hidden)
        self._groups_s = {name: group.period_s for name, group in groups_of(wanted).items()}
        self._row = DeviceRow(wanted.device, DERIVED, "")
        self._row.turn("up", "", self._clock.time_ns())

    def show(self) -> None:
        """Puts the row on the board, after those of the links, which a reload arranges anew."""
        if self._row is not None:
            self._board.devices[self._row.name] = self._row

    def latest(self) -> Sequence[Batch]:
        """What is still valid of before a restart or a reload, for control: the total of last month is not
        unknown until this month is over."""
        if self.accounting is None:
            return ()
        batches = self.accounting.latest()
        for batch in batches:
            self._show(batch)
        return batches

    def take(self, batch: Batch) -> Result | None:
        if self.accounting is None:
            return None
        result = self.accounting.on_batch(batch)
        self._record(result)
        return result

    def tick(self) -> Result | None:
        if self.accounting is None:
            return None
        result = self.accounting.tick(self._clock.mono_ns(), self._clock.time_ns())
        self._record(result)
        return result

    def _record(self, result: Result) -> None:
        for batch in (*result.batches, *(batch for _, batch in result.periods)):
            self._show(batch)

    def _show(self, batch: Batch) -> None:
        assert self._row is not None
        group = self._row.groups.get(batch.schema.group)
        if group is None or group.schema is not batch.schema:
            period_s = self._groups_s.get(batch.schema.group, 1.0)
            group = self._row.groups[batch.schema.group] = GroupRow(batch.schema, period_s)
            group.hidden = frozenset(i for i, name in enumerate(batch.schema.names) if name in self._hidden)
        self._board.record_derived(group, batch)

    def changed(self) -> dict[str, Any]:
        """State rows, to be committed in one transaction with the events that led to them."""
        if self.accounting is None:
            return {}
        self._saved_ns = self._clock.mono_ns()
        return self.accounting.changed(self._saved_ns, self._clock.time_ns())

    def total_of(self, key: str) -> Decimal | None:
        """What a register (``DEVICE.TAG``) has counted; None where it is no counter or what it shows is held
        back."""
        counter = self.accounting.counters.get(key) if self.accounting is not None else None
        return None if counter is None or counter.is_held or counter.base is None else counter.total

    def due(self) -> bool:
        """Whether state should be saved although nothing has happened: so much is counted anew after an
        unclean stop."""
        return self.accounting is not None and self._clock.mono_ns() - self._saved_ns >= SAVE_NS


def judged_by(event: Event, windows: Iterable[Window]) -> Event:
    """A period's total with the standards of the windows that judge any of its columns: whoever reads the
    total sees which edition of which document it was held to. Other events pass."""
    if event.kind != "period_total":
        return event
    period = event.detail["period"]
    judged = {TagRef(event.source, total_name(name, period)) for name in event.detail["columns"]}
    names = sorted({name for window in windows if window.source in judged for name in window.standards})
    return replace(event, detail={**event.detail, "standards": names})
