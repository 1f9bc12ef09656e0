"""The receivers a scenario may have, one per kind of uplink, all asked the same questions.

A kind takes part as soon as its uplink is registered. To add one: a class with the methods of ``HttpPark``,
and its line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from tests.faults.toxics import Proxy
from tests.plant.mocks import Park

Reading = tuple[int, int | None, bool]
"""Time in us, value, whether it is good; in the order of the keys."""


class Receiver(Protocol):
    """``faults``: which of down, hang, lose_answers, poison, denied it can do. ``proxy``: what the agent speaks to."""

    name: str
    kind: str
    faults: frozenset[str]
    proxy: Proxy

    def uplink(self) -> dict[str, Any]:
        """Its entry under ``uplinks:``."""
        ...

    def do(self, fault: str, **more: Any) -> None:
        """One of ``faults``, or ``ok``."""
        ...

    def readings(self, device: str, tag: str) -> list[Reading]: ...

    def newest_us(self) -> int:
        """Time of the newest sample received."""
        ...

    def conflicts(self) -> int:
        """Keys that came again with another content."""
        ...

    def repeated(self) -> int:
        """Units that came more than once, before they were sorted out by their keys."""
        ...

    def close(self) -> None: ...


class HttpPark:
    kind = "http"
    faults = frozenset({"down", "hang", "lose_answers", "poison", "denied"})
    _MOODS = {"ok": "ok", "down": "vanish", "hang": "hang", "lose_answers": "lose-answer", "poison": "poison",
              "denied": "401"}  # fmt: skip

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.park = Park(folder)
        self.proxy = Proxy(int(self.park.child.ports["park"]))

    def uplink(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.proxy.port}/ingest"
        return {"name": self.name, "type": "http", "url": url, "timeout": "5s"}

    def do(self, fault: str, **more: Any) -> None:
        if fault == "down":
            more = {"seconds": 0, **more}
        self.park.mood(self._MOODS[fault], **more)

    def readings(self, device: str, tag: str) -> list[Reading]:
        return [(t, value, quality < 0x40) for t, value, _, quality in self.park.samples(device, tag)]

    def newest_us(self) -> int:
        return int(self.park.report()["newest_us"])

    def conflicts(self) -> int:
        return int(self.park.report()["conflicts"])

    def repeated(self) -> int:
        return int(self.park.report()["duplicates"])

    def sequence_numbers(self) -> set[int]:
        """Of the stored segments that arrived."""
        keys = (key for unit in range(1, 16) for *_, key, _ in self.park.samples(f"d{unit}", "t0"))
        return {int(key.rpartition("/")[2]) for key in keys}

    def close(self) -> None:
        self.proxy.close()
        self.park.close()


KINDS: dict[str, Callable[[Path, str], Receiver]] = {"http": HttpPark}


def available() -> list[str]:
    """The kinds that the agent has an uplink for."""
    known = {point.name for point in entry_points(group="edge_agent.uplinks")}
    return [kind for kind in KINDS if kind in known]
