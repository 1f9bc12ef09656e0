"""What the platform has ordered (1000, 1062, 2011, 2012), kept in the uplink's memory over restarts.

An order stands until the platform gives another or a person changes that key of the configuration: who
changed it last has the say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_agent.uplink import Host

_NAME = "orders"


@dataclass(frozen=True, slots=True)
class Orders:
    """``over_time_s``: an acknowledgement is waited for this long; ``re_count``: repetitions after that.
    ``real_time_s``: one real-time packet in this time; ``stopped``: none at all."""

    over_time_s: float
    re_count: int
    real_time_s: float
    stopped: bool = False


class Standing:
    """``now`` is what holds at this moment."""

    def __init__(self, host: Host, configured: Orders) -> None:
        self.now = configured
        self._host = host
        self._configured = configured

    async def load(self) -> None:
        """What cannot be read counts as no order."""
        try:
            kept = json.loads(await self._host.recall(_NAME) or "{}")
        except ValueError:
            return
        if isinstance(kept, dict):
            self.now = replace(self._configured, **self._valid(kept))

    async def give(self, **changes: Any) -> None:
        """Durable on return. Raises StorageError; the order then does not stand."""
        new = replace(self.now, **changes)
        own = asdict(self._configured)
        text = json.dumps(
            {name: [value, own[name]] for name, value in asdict(new).items() if value != own[name]}
        )
        await self._host.keep(_NAME, text)
        self.now = new
        self._host.record("uplink_order", {"ordered": dict(changes), "now": asdict(new)})

    def _valid(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Orders given under the same configuration, with values of the right type."""
        found = {}
        for name, value in asdict(self._configured).items():
            given = kept.get(name)
            if isinstance(given, list) and len(given) == 2 and given[1] == value:
                found[name] = type(value)(given[0]) if isinstance(given[0], (bool, int, float)) else value
        return found
