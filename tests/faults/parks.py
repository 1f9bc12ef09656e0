"""The receivers a scenario may have, one per kind of uplink, all asked the same questions.

A kind takes part as soon as its uplink is registered and its simulated receiver is there. To add one: a class
with the methods of ``Receiver``, and its line in ``KINDS``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol

from hardware_mocks.hj212_park import MN, PW, ST
from tests.faults.toxics import HEALTHY, Proxy, Toxic
from tests.plant.processes import Child, get, post

Reading = tuple[int, int | None, bool]
"""Time in us, value, whether it is good; in the order of the keys, where the protocol has any."""

_numbers = itertools.count(1)


class Receiver(Protocol):
    """``faults``: which of down, hang, lose_answers, poison, denied it can do. ``proxy``: what the agent
    speaks to. ``ordered``: whether ``readings`` tell the order in which the agent stored them. ``lag_s``:
    how long what was sent waits at least before it counts as delivered. ``per_second``: of each poll group it
    gets one reading of a second; ``seconds`` then tells which it has."""

    name: str
    kind: ClassVar[str]
    faults: ClassVar[frozenset[str]]
    ordered: ClassVar[bool]
    lag_s: ClassVar[float]
    per_second: ClassVar[bool]

    @property
    def proxy(self) -> Proxy: ...

    def uplink(self, units: int) -> dict[str, Any]:
        """Its entry under ``uplinks:``; ``units``: of the plant."""
        ...

    def do(self, fault: str, **more: Any) -> None:
        """One of ``faults``, or ``ok``."""
        ...

    def readings(self, device: str, tag: str) -> list[Reading]: ...

    def seconds(self) -> set[int]: ...

    def newest_us(self) -> int:
        """Time of the newest sample received."""
        ...

    def conflicts(self) -> int:
        """Units that came again with another content."""
        ...

    def repeated(self) -> int:
        """Units that came more than once, before they were sorted out."""
        ...

    def close(self) -> None: ...


class _Platform:
    """A simulated receiver in a process of its own, with a control port, behind a proxy."""

    command: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    port: ClassVar[str]  # under which name it tells the port that the agent speaks to
    lag_s: ClassVar[float] = 0.0
    per_second: ClassVar[bool] = False

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        words = ["hardware_mocks", self.command, *self.options, "--park-control-port", "0", "--with-parent"]
        self.child = Child(words, folder / f"{self.command}-{next(_numbers)}.log")
        self._proxy: Proxy | None = None

    @property
    def proxy(self) -> Proxy:
        """The first question waits until the receiver is ready; until then others start beside it."""
        if self._proxy is None:
            self._proxy = Proxy(int(self.child.ports[self.port]))
        return self._proxy

    def order(self, mode: str, **more: Any) -> None:
        post(f"{self._control}/control", {"mode": mode, **more})

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = get(f"{self._control}/report", 20)
        return found

    def samples(self, device: str, tag: str) -> list[list[Any]]:
        found: list[list[Any]] = get(f"{self._control}/samples?device={device}&tag={tag}&quality=1", 30)
        return found

    def seconds(self) -> set[int]:
        return set()

    def conflicts(self) -> int:
        return int(self.report()["conflicts"])

    def repeated(self) -> int:
        return int(self.report()["duplicates"])

    def close(self) -> None:
        if self._proxy is not None:
            self._proxy.close()
        assert self.child.stop() == 0, self.child.text()

    @property
    def _control(self) -> str:
        return f"http://127.0.0.1:{self.child.ports['park_control']}"


class HttpPark(_Platform):
    kind: ClassVar[str] = "http"
    faults: ClassVar[frozenset[str]] = frozenset({"down", "hang", "lose_answers", "poison", "denied"})
    ordered: ClassVar[bool] = True
    command = "park"
    options = ("--park-port", "0")
    port = "park"
    _modes: ClassVar[Mapping[str, str]] = {
        "ok": "ok", "down": "vanish", "hang": "hang", "lose_answers": "lose-answer", "poison": "poison",
        "denied": "401",
    }  # fmt: skip

    def uplink(self, units: int) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.proxy.port}/ingest"
        return {"name": self.name, "type": "http", "url": url, "timeout": "5s"}

    def do(self, fault: str, **more: Any) -> None:
        self.order(self._modes[fault], **({"seconds": 0} if fault == "down" else {}), **more)

    def readings(self, device: str, tag: str) -> list[Reading]:
        return [(t, value, quality < 0x40) for t, value, _, quality in self.samples(device, tag)]

    def newest_us(self) -> int:
        return int(self.report()["newest_us"])

    def sequence_numbers(self) -> set[int]:
        """Of the stored segments that arrived."""
        keys = (key for unit in range(1, 16) for *_, key, _ in self.samples(f"d{unit}", "t0"))
        return {int(key.rpartition("/")[2]) for key in keys}


class InfluxPark(HttpPark):
    """Has neither keys nor qualities: points are told apart by series and time, bad values are not sent."""

    kind: ClassVar[str] = "influx"
    faults: ClassVar[frozenset[str]] = frozenset({"down", "hang", "lose_answers", "denied"})
    ordered: ClassVar[bool] = False
    command = "influx-park"

    def uplink(self, units: int) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.proxy.port}"
        return {"name": self.name, "type": "influx", "url": url, "database": "lineside", "strings": True,
                "timeout": "5s"}  # fmt: skip

    def readings(self, device: str, tag: str) -> list[Reading]:
        return [(time_ns // 1000, int(value), True) for time_ns, value, *_ in self.samples(device, tag)]

    def newest_us(self) -> int:
        return max((time_us for time_us, _, _ in self.readings("d1", "t0")), default=0)


class _Behind(_Platform):
    """A platform whose connection suffers what the proxy does to it."""

    faults: ClassVar[frozenset[str]] = frozenset({"down", "hang", "lose_answers"})
    ordered: ClassVar[bool] = False

    def do(self, fault: str, **more: Any) -> None:
        toxics = {"down": Toxic(refuse=True), "hang": Toxic(silent=True)}
        toxics["lose_answers"] = Toxic(swallow_answers=True)
        self.proxy.use(toxics.get(fault, HEALTHY))
        if fault == "down":
            self.proxy.cut()

    def newest_us(self) -> int:
        return int(self.report()["newest_us"])


class MqttPark(_Behind):
    """A broker and a platform behind it that confirms keys on a topic of its own."""

    kind: ClassVar[str] = "mqtt"
    faults: ClassVar[frozenset[str]] = frozenset({"down", "hang", "lose_answers", "poison"})
    ordered: ClassVar[bool] = True
    command = "mqtt-park"
    options = ("--ack-topic", "lineside/{agent}/ack")
    port = "broker"

    def uplink(self, units: int) -> dict[str, Any]:
        url = f"mqtt://127.0.0.1:{self.proxy.port}"
        return {"name": self.name, "type": "mqtt", "url": url, "ack_topic": "lineside/{agent}/ack",
                "keepalive": "5s", "timeout": "5s"}  # fmt: skip

    def do(self, fault: str, **more: Any) -> None:
        super().do(fault)
        self.order("reject" if fault == "poison" else "ok", **more)

    def readings(self, device: str, tag: str) -> list[Reading]:
        return [(t, value, quality < 0x40) for t, value, _, quality in self.samples(device, tag)]


class SparkplugPark(_Behind):
    """Keeps values by metric and time, in ms. Bad ones are left out: their times would be others than those
    that a park with microseconds tells."""

    kind: ClassVar[str] = "sparkplug"
    lag_s: ClassVar[float] = 8.0  # confirm_after, and the question before and after it
    command = "sparkplug-park"
    options = ("--broker-port", "0")
    port = "broker"

    def uplink(self, units: int) -> dict[str, Any]:
        return {"name": self.name, "type": "sparkplug", "url": f"mqtt://127.0.0.1:{self.proxy.port}",
                "group": "plant", "node": "line", "primary_host": "scada", "keepalive": "4s",
                "confirm_after": "6s", "timeout": "5s"}  # fmt: skip

    def readings(self, device: str, tag: str) -> list[Reading]:
        found = self.samples(device, tag)
        return [(time_ms * 1000, value, True) for time_ms, value, quality in found if quality == 192]


class Hj212Park(_Behind):
    """One real-time record a second, with the first tag of each unit. The value says which poll it was."""

    kind: ClassVar[str] = "hj212"
    per_second: ClassVar[bool] = True
    command = "hj212-park"
    options = ("--park-port", "0")
    port = "park"

    def uplink(self, units: int) -> dict[str, Any]:
        factors = [
            {"tag": f"d{unit}.t0", "code": _code(f"d{unit}"), "format": "N10"} for unit in range(1, units + 1)
        ]
        return {"name": self.name, "type": "hj212", "address": f"tcp://127.0.0.1:{self.proxy.port}", "mn": MN,
                "pw": PW, "st": ST, "real_time": "1s", "over_time": "1500ms", "re_count": 2, "window": 8,
                "backfill_per_min": 6000, "factors": factors}  # fmt: skip

    def readings(self, device: str, tag: str) -> list[Reading]:
        if tag != "t0":
            return []
        found = get(f"{self._control}/samples?code={_code(device)}", 30)
        return [(second * 1_000_000, int(text), True) for second, text in found]

    def seconds(self) -> set[int]:
        return set(get(f"{self._control}/seconds", 30))


def _code(device: str) -> str:
    return f"p99{int(device[1:]):03}"


KINDS: dict[str, Callable[[Path, str], Receiver]] = {
    "http": HttpPark, "mqtt": MqttPark, "influx": InfluxPark, "sparkplug": SparkplugPark, "hj212": Hj212Park
}  # fmt: skip


def available() -> list[str]:
    """The kinds that the agent has an uplink for."""
    known = {point.name for point in entry_points(group="edge_agent.uplinks")}
    return [kind for kind in KINDS if kind in known]
