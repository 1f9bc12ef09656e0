"""The stores as people see them: what the disk refuses, how long an outage may last, what the card bears."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.buffer.wear import Wear

if TYPE_CHECKING:
    from edge_agent.buffer import Buffer, EventStore
    from edge_agent.clock import Clock
    from edge_agent.log import Once

_TOLD = (
    "state", "reason", "bytes", "quota_bytes", "quota_configured_bytes", "quota_used_ratio", "unsent_bytes",
    "unsent_ratio", "quota_warning", "thinning", "outage_hours_left", "disk_free_bytes", "disk_floor_bytes",
    "ballast", "events_dropped", "waits_for_clock", "salvaging", "salvaged_samples", "databases_set_aside",
)  # fmt: skip


class StorageDesk:
    """``stores``: by the name people know, at the moment of the call. ``event(kind, source, detail)`` puts
    something on record."""

    def __init__(
        self,
        directory: Path,
        daily_writes_bytes: int,
        stores: Callable[[], Mapping[str, Buffer | EventStore]],
        clock: Clock,
        speaker: Once,
        event: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        self._stores = stores
        self._speaker = speaker
        self._event = event
        self._wear = Wear(directory, daily_writes_bytes, clock.mono_ns, self._estimate)

    def refresh(self) -> None:
        """Once a second: says once what broke and what healed; the budget of the card once a day."""
        for name, store in self._stores().items():
            self._say(name, store.info())
        if self._wear.look():
            told = self._wear.info()
            named = ("own_day_bytes", "daily_budget_bytes", "own_source", "disks")
            self._event("storage_wear", "storage", {key: told[key] for key in named})

    def _say(self, name: str, info: Mapping[str, Any]) -> None:
        say = self._speaker
        if info["state"] == "ok":
            say.healed(f"store:{name}", "the disk takes data again", store=name)
        else:
            say.broke(
                f"store:{name}",
                "the disk takes no data: it waits in memory",
                store=name,
                error=info["reason"],
            )
        if info["thinning"]:
            say.broke(
                f"thinning:{name}",
                "undelivered data fills the quota: one reading in five is kept from now on",
                store=name,
                hours_left=info["outage_hours_left"],
            )
        elif info["quota_warning"]:
            say.broke(
                f"quota:{name}",
                "undelivered data fills most of the quota",
                store=name,
                hours_left=info["outage_hours_left"],
            )
        else:
            say.healed(f"thinning:{name}", "every reading is kept again", store=name)
            say.healed(f"quota:{name}", "undelivered data is well below the quota again", store=name)

    def _estimate(self) -> int:
        return sum(store.written_bytes for store in self._stores().values())

    def info(self) -> dict[str, Any]:
        """For the board: per store what is left of its room, and what has been written."""
        return {
            "stores": {name: _told(store.info()) for name, store in self._stores().items()},
            "written": self._wear.info(),
        }


def _told(info: Mapping[str, Any]) -> dict[str, Any]:
    oldest = [u["oldest_pending_ns"] for u in info["uplinks"].values() if u["oldest_pending_ns"]]
    out: dict[str, Any] = {key: info[key] for key in _TOLD if key in info}
    return out | {"oldest_unsent_ns": min(oldest, default=None)}


def declared_degraded(stores: Sequence[Buffer | EventStore]) -> bool:
    """Whether one of them says that the disk is in its way: no progress is then no reason for a restart."""
    return any(store.info()["state"] != "ok" for store in stores)
