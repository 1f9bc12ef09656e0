"""One of ten devices becomes a black hole: it accepts, reads, and never answers. Counted by the agent and at
the simulated PLCs: polls that the other nine missed, beside a fault-free run of the same length.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.plant.processes import Child, eventually, get, post
from tests.plant.site import Site

DEVICES = 10
DEAD = 4
PERIOD_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Missed polls, of nine healthy devices in sum; ``slots``: how many there could have been."""

    shared: bool
    missed_healthy_run: int
    missed_faulty_run: int
    slots: int
    dead_state: str


def run(folder: Path, *, shared: bool, seconds: float) -> Outcome:
    plc = Child(
        ["hardware_mocks", "bench-modbus", "--devices", str(DEVICES), "--registers", "40", "--port", "0",
         "--control-port", "0", "--with-parent", *["--shared"][: shared]], folder / f"plc-{shared}.log",
    )  # fmt: skip
    site = Site(folder / f"site-{shared}", None)
    ports = plc.ports["ports"]
    for n in range(1, DEVICES + 1):
        site.device(
            f"d{n}",
            [(f"r{i}", f"hr:{i}", "uint16") for i in range(40)],
            driver="modbus",
            link=f"tcp://127.0.0.1:{ports[0] if shared else ports[n - 1]}",
            station=n if shared else 1,
            poll=f"{PERIOD_S * 1000:g}ms",
        )
    control = f"http://127.0.0.1:{plc.ports['control']}"
    try:
        agent = site.start()
        eventually("all devices are up", lambda: all(d["state"] == "up" for d in site.status()["devices"]))
        healthy = _missed(site, control, seconds)
        post(f"{control}/control", {"server": "modbus", "unit": DEAD, "fault": "silent"})
        faulty = _missed(site, control, seconds)
        state = site.row(f"d{DEAD}")["state"]
        assert agent.stop() == 0
    finally:
        if site.agent is not None and site.agent.running:
            site.agent.kill()
        plc.stop()
    slots = (DEVICES - 1) * int(seconds / PERIOD_S)
    return Outcome(shared, healthy, faulty, slots, state)


def _missed(site: Site, control: str, seconds: float) -> int:
    """Polls of the healthy devices that did not take place, over ``seconds`` from now: slots the agent says
    it skipped, and polls that the PLC did not see (one may fall outside at the ends of the interval)."""
    skipped, start = _skipped(site), time.monotonic()
    time.sleep(seconds)
    arrivals = get(f"{control}/state")["servers"]["modbus"]["arrivals"]
    missed = _skipped(site) - skipped
    for number, device in enumerate(arrivals, 1):
        if number != DEAD:
            seen = sum(start <= t < start + seconds for t in device)
            missed += max(0, int(seconds / PERIOD_S) - 1 - seen)
    return missed


def _skipped(site: Site) -> int:
    devices = site.status()["devices"]
    return sum(g["overruns"] for d in devices if d["name"] != f"d{DEAD}" for g in d["groups"])
