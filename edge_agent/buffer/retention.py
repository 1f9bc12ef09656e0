"""What is deleted, and in which order: the oldest history first; then what no uplink that is behind selects;
then, with a ledger row for every uplink it concerns, the oldest of all. The newest units are never deleted.

Units are *doomed* in memory first (from then on nobody is given them) and deleted by the next commit.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from edge_agent.buffer.positions import Unit
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.vault import Vault

_OF_SCHEMAS = " AND schema IN (SELECT value FROM json_each(?))"


class Retention:
    """``outline``: SELECT of (seq, epoch, samples, t0, t1) that ends in a condition on ``seq BETWEEN ? AND
    ?``."""

    def __init__(self, vault: Vault, outline: str) -> None:
        self.undelivered = 0  # units that somebody had not settled, since start
        self._vault = vault
        self._outline = outline
        self._doomed: dict[int, Unit] = {}

    @property
    def doomed(self) -> list[Unit]:
        return list(self._doomed.values())

    async def choose(self, wanted: int, last: int, *, unsettled: bool) -> None:
        """Dooms up to ``wanted`` units up to the number ``last``. While an earlier choice still waits for
        its commit nothing is added. Raises StorageError."""
        if self._doomed or wanted <= 0:
            return
        accounts = self._vault.accounts
        units = await self._find(accounts.history(last), wanted)
        if len(units) < wanted and unsettled:
            units += await self._unselected(last, wanted - len(units))
        if len(units) < wanted and unsettled:
            oldest = await self._find(list(accounts.store.settled.gaps(1, last)), wanted)
            units += [unit for unit in oldest if unit not in units][: wanted - len(units)]
        self.doom(units, "quota")

    def doom(self, units: Iterable[Unit], reason: str, *, counted: bool = True) -> None:
        """They go with the next commit, and are lost for whoever waits for them. ``counted``: how many
        samples they hold is known."""
        accounts = self._vault.accounts
        for unit in units:
            self.undelivered += accounts.lose(unit, reason, counted=counted)  # also what is gone already
            if unit.seq not in accounts.store.settled:
                accounts.delete(unit)
                self._doomed[unit.seq] = unit

    def deleted(self, units: Iterable[Unit]) -> None:
        for unit in units:
            self._doomed.pop(unit.seq, None)

    def forget(self) -> None:
        """Another file: they are gone with the old one."""
        self._doomed.clear()

    async def _unselected(self, last: int, limit: int) -> list[Unit]:
        """What nobody is waiting for: of schemas that every uplink which is behind leaves out."""
        accounts = self._vault.accounts
        digests = json.dumps(sorted(accounts.left_out(last)))
        if digests == "[]":
            return []

        def select(connection: sqlite3.Connection) -> list[Unit]:
            ranges = accounts.store.settled.gaps(1, last)
            return self._select(connection, list(ranges), limit, _OF_SCHEMAS, (digests,))

        found = await self._vault.ask(select)
        return [unit for unit in found if not accounts.is_aside(unit.seq)]

    async def _find(self, ranges: Sequence[Range], limit: int) -> list[Unit]:
        return await self._vault.ask(lambda connection: self._select(connection, ranges, limit))

    def _select(
        self,
        connection: sqlite3.Connection,
        ranges: Sequence[Range],
        limit: int,
        condition: str = "",
        values: tuple[str, ...] = (),
    ) -> list[Unit]:
        out: list[Unit] = []
        sql = f"{self._outline}{condition} ORDER BY seq LIMIT ?"
        for first, last in ranges:
            rows = connection.execute(sql, (first, last, *values, limit - len(out)))
            out += [Unit.of_row(row) for row in rows]
            if len(out) >= limit:
                break
        return out


def limited(sizes: Iterable[int], max_items: int, max_samples: int) -> int:
    """How many from the front fit into both limits, but at least one if there is any."""
    count = total = 0
    for size in sizes:
        total += size
        if count >= max_items or (count and total > max_samples):
            break
        count += 1
    return count
