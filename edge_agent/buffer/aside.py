"""Units that a destination refused for good: seen, tried again, or given up, by a person's word."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from edge_agent.buffer.positions import Unit
from edge_agent.buffer.vault import Vault
from edge_agent.uplink import Key


@dataclass(frozen=True, slots=True)
class Refused:
    """One unit set aside for one uplink. ``reason``: as the destination said it; ``at_ns``: when."""

    uplink: str
    key: Key
    reason: str
    at_ns: int
    samples: int
    t0_ns: int
    t1_ns: int
    schema: str = ""  # its digest, of a segment


class Aside:
    """Of one store. ``outline`` is its SELECT of units; ``save`` commits what has changed; ``pending_again``
    is told when units are to be given out once more."""

    def __init__(
        self,
        vault: Vault,
        outline: str,
        stream: str,
        save: Callable[[], Awaitable[None]],
        pending_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._vault = vault
        self._outline = outline
        self._stream = stream
        self._save = save
        self._pending_again = pending_again

    async def units(self, uplink: str | None = None) -> list[Refused]:
        """Oldest refusal first. Raises StorageError."""
        await self._save()  # what was refused a moment ago is in the file then
        rows = await self._vault.ask(lambda connection: read_refused(connection, self._outline, self._stream))
        return [row for row in rows if uplink in (None, row.uplink)]

    async def retry(self, uplink: str, seqs: Collection[int] | None = None) -> list[Refused]:
        """These (None: all) are pending again, durably on return; those that were. What the uplink no longer
        selects is written off instead. Raises StorageError."""
        units = await self._settle(uplink, seqs, self._vault.accounts.retry)
        self._pending_again()
        return units

    async def drop(self, uplink: str, seqs: Collection[int] | None = None) -> list[Refused]:
        """These (None: all) are written off in the ledger, durably on return. Raises StorageError."""
        return await self._settle(uplink, seqs, self._vault.accounts.drop)

    async def _settle(
        self, uplink: str, seqs: Collection[int] | None, settle: Callable[[str, Unit], bool]
    ) -> list[Refused]:
        done = []
        for row in await self.units(uplink):
            if seqs is not None and row.key.seq not in seqs:
                continue
            unit = Unit(row.key.seq, row.key.epoch, row.samples, row.t0_ns, row.t1_ns, row.schema)
            if settle(uplink, unit):
                done.append(row)
        await self._save()
        return done


def read_refused(connection: sqlite3.Connection, outline: str, stream: str) -> list[Refused]:
    """From the file alone. ``outline`` gives seq, epoch, samples, t0, t1 and maybe more."""
    sql = "SELECT uplink, seq, reason, at_ns, n_samples FROM quarantine ORDER BY at_ns, seq"
    rows = connection.execute(sql)
    found = []
    for uplink, seq, reason, at_ns, samples in rows.fetchall():
        row = connection.execute(f"{outline} WHERE seq = ?", (seq,)).fetchone()
        if row is not None:
            _, epoch, _, t0_ns, t1_ns, *schema = row
            key = Key(stream, epoch, seq)
            found.append(Refused(uplink, key, reason, at_ns, samples, t0_ns, t1_ns, *schema))
    return found
