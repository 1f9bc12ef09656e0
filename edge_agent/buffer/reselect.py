"""What changes in the books when an uplink selects other tags than before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from edge_agent.buffer.positions import Outline, load_selected
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.vault import Vault
from edge_agent.model import Schema

_EVERYTHING = "[]"
_SUMS = (
    "SELECT schema, count(*), sum(n_samples), max(epoch), min(seq), max(seq), min(t0_ns), max(t1_ns)"
    " FROM segment WHERE seq BETWEEN ? AND ? GROUP BY schema"
)


async def reselect(vault: Vault) -> None:
    """After an opening or a reload: counts anew what uplinks with another selection have not settled; what
    they no longer select goes into the ledger. Raises StorageError."""
    accounts = vault.accounts
    before = await vault.ask(load_selected) | accounts.noted_selections
    if not before and not accounts.choices.any:
        return
    accounts.choices.learn(await vault.ask(_schemas))
    for name, position in accounts.uplinks.items():
        old = before.get(name, _EVERYTHING)
        if old == accounts.choices.text(name):
            accounts.booked[name] = old
            continue
        gaps = list(position.settled.gaps(1, accounts.head))
        sums = await vault.ask(lambda connection, gaps=gaps: _sums(connection, gaps))  # type: ignore[misc]
        unwanted = accounts.choices.unwanted.get(name, frozenset())
        accounts.reselect(name, sums, accounts.choices.unwanted_by(old), unwanted)


def _schemas(connection: sqlite3.Connection) -> list[Schema]:
    """A row that cannot be read belongs to segments that cannot be decoded either."""
    found = []
    for (body,) in connection.execute("SELECT body FROM schema"):
        try:
            found.append(Schema.from_dict(json.loads(body)))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _sums(connection: sqlite3.Connection, gaps: Sequence[Range]) -> dict[str, Outline]:
    found: dict[str, Outline] = {}
    for gap in gaps:
        for digest, *numbers in connection.execute(_SUMS, gap):
            sums = Outline(*numbers)
            held = found.get(digest)
            found[digest] = sums if held is None else held.joined(sums)
    return found
