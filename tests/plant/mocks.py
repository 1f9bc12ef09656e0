"""The simulated controllers and the simulated park, each a process of its own, as a test speaks to them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.plant.processes import Child, get, post

CALM = ("--excursion-period-s", "0", "--drift-period-s", "0")
"""Options of a line that leaves its windows only when a test says so (``Line.process``)."""

_numbers = itertools.count(1)


class Line:
    """``python -m hardware_mocks`` with one of its line commands, on free ports. The first question waits
    until it is ready; until then others can be started beside it."""

    def __init__(self, folder: Path, command: str = "modbus", *options: str) -> None:
        ports = ["--control-port", "0", "--with-parent"]
        if command in ("line", "all"):
            ports += [part for name in ("modbus", "s7", "opcua") for part in (f"--{name}-port", "0")]
        else:
            ports += ["--port", "0"]
        if command == "all":
            ports += ["--park-port", "0", "--park-control-port", "0"]
        self.child = Child(
            ["hardware_mocks", command, *ports, *options], folder / f"{command}-{next(_numbers)}.log"
        )

    @property
    def ports(self) -> dict[str, Any]:
        return self.child.ports

    @property
    def control(self) -> str:
        return f"http://127.0.0.1:{self.ports['control']}"

    def link(self, server: str = "modbus") -> str:
        scheme = "opc.tcp" if server == "opcua" else "tcp"
        return f"{scheme}://127.0.0.1:{self.ports[server]}"

    def fault(self, fault: str, server: str = "modbus", **more: Any) -> None:
        post(f"{self.control}/control", {"server": server, "fault": fault, **more})

    def process(self, **changes: Any) -> None:
        """Such as ``pressure_setpoint_mpa=0.52``, which takes the press out of its window."""
        post(f"{self.control}/control", {"process": changes})

    def state(self, server: str = "modbus") -> dict[str, Any]:
        found: dict[str, Any] = get(f"{self.control}/state")["servers"][server]
        return found

    def close(self) -> None:
        assert self.child.stop() == 0, self.child.text()


class Park:
    """What the park has received, and how it answers."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.child = Child(
            ["hardware_mocks", "park", "--park-port", "0", "--park-control-port", "0", "--with-parent",
             *options], folder / f"park-{next(_numbers)}.log",
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.child.ports['park']}/ingest"

    @property
    def _control(self) -> str:
        return f"http://127.0.0.1:{self.child.ports['park_control']}"

    @classmethod
    def beside(cls, line: Line) -> Park:
        """The one that ``hardware_mocks all`` holds; it ends with the line."""
        park = cls.__new__(cls)
        park.child = line.child
        return park

    def mood(self, mode: str, **more: Any) -> None:
        post(f"{self._control}/control", {"mode": mode, **more})

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = get(f"{self._control}/report")
        return found

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """In order of their keys; all, or those of the given kinds."""
        found = get(f"{self._control}/events")
        return [event for event in found if not kinds or event["kind"] in kinds]

    def samples(self, device: str, tag: str) -> list[tuple[int, Any, str, int]]:
        """(time_us, raw value, key, quality) in order of their keys."""
        rows = get(f"{self._control}/samples?device={device}&tag={tag}&quality=1")
        return [tuple(row) for row in rows]

    def numbers(self, device: str, tag: str) -> list[Any]:
        """The good values, in order of their keys."""
        return [value for _, value, _, quality in self.samples(device, tag) if quality == 0]

    def missing(self, device: str, counter: str, *others: Park) -> int:
        """How many polls of a controller that counts them arrived nowhere. A poll that the agent reports as
        failed was counted by the controller, but is not missing: on a busy machine an answer may be late."""
        parks = (self, *others)
        rows = {(t, n, q) for park in parks for t, n, _, q in park.samples(device, counter)}
        good = {n for _, n, quality in rows if quality == 0}
        failed = sum(quality != 0 for _, _, quality in rows)
        missing: int = max(good) - min(good) + 1 - len(good) - failed
        return max(0, missing)

    def close(self) -> None:
        assert self.child.stop() == 0, self.child.text()
