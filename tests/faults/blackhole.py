"""One of twenty devices, or of ten behind a gateway, becomes a black hole: it accepts, reads, never answers.
Counted by the agent and at the simulated PLCs: polls that the others missed, beside a fault-free run of the
same length.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.plant.mocks import Line
from tests.plant.processes import eventually
from tests.plant.site import Site

DEVICES, SHARING = 20, 10
DEAD = 4
PERIOD_S = 0.5
REGISTERS = 40
CACHE_S = 0.3  # how old an answer of the agent may be


@dataclass(frozen=True, slots=True)
class Outcome:
    """Missed polls, of the healthy devices in sum; ``slots``: how many there could have been.
    ``dead_requests``: what the dead device was asked; ``healed_s``: until it was up again."""

    shared: bool
    missed_healthy_run: int
    missed_faulty_run: int
    slots: int
    dead_state: str
    dead_requests: int
    healed_s: float


def run(folder: Path, *, shared: bool, seconds: float) -> Outcome:
    """``shared``: ten behind one connection, as stations of a gateway; else twenty, each with its own."""
    devices = SHARING if shared else DEVICES
    options = ["--devices", str(devices), "--registers", str(REGISTERS), *["--shared"][: int(shared)]]
    with (
        closing(Line(folder, "bench-modbus", *options)) as line,
        closing(Site(folder / f"site-{shared}", None)) as site,
    ):
        _write(site, line.ports["ports"], shared=shared)
        site.start()
        eventually("all devices are up", lambda: all(d["state"] == "up" for d in site.status()["devices"]))
        healthy = _missed(site, line, seconds)
        asked = line.state()["units"][str(DEAD)]
        line.fault("silent", unit=DEAD)
        faulty = _missed(site, line, seconds)
        state = site.row(f"d{DEAD}")["state"]
        asked = line.state()["units"][str(DEAD)] - asked
        line.fault("ok", unit=DEAD)
        begin = time.monotonic()
        eventually("the dead device is up again", lambda: site.row(f"d{DEAD}")["state"] == "up", 70)
        healed_s = round(time.monotonic() - begin, 1)
        site.stop()
    slots = (devices - 1) * int(seconds / PERIOD_S)
    return Outcome(shared, healthy, faulty, slots, state, asked, healed_s)


def _write(site: Site, ports: list[int], *, shared: bool) -> None:
    for n in range(1, (SHARING if shared else DEVICES) + 1):
        site.device(
            f"d{n}",
            [(f"r{i}", f"hr:{i}", "uint16") for i in range(REGISTERS)],
            driver="modbus",
            link=f"tcp://127.0.0.1:{ports[0] if shared else ports[n - 1]}",
            station=n if shared else 1,
            poll=f"{PERIOD_S * 1000:g}ms",
        )


def _missed(site: Site, line: Line, seconds: float) -> int:
    """Polls of the healthy devices that did not take place, over ``seconds`` from now: slots the agent says
    it skipped, and polls that the PLC did not see (one may fall outside at the ends of the interval)."""
    skipped, start = _skipped(site), time.monotonic()
    time.sleep(seconds + CACHE_S)
    arrivals = line.state()["arrivals"]
    missed = _skipped(site) - skipped
    for number, device in enumerate(arrivals, 1):
        if number != DEAD:
            seen = sum(start <= t < start + seconds for t in device)
            missed += max(0, int(seconds / PERIOD_S) - 1 - seen)
    return missed


def _skipped(site: Site) -> int:
    devices = site.status()["devices"]
    return sum(g["overruns"] for d in devices if d["name"] != f"d{DEAD}" for g in d["groups"])
