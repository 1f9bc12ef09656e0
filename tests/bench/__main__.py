"""Five interleaved pairs of 60 s (QUICK: one of 20 s): the agent sending per flush, and the bare client; in
the first and the last round also the agent sending one message per poll. Simulator and receiver are processes
of their own, the same for all.

Then the control check alone, by kind of window, and the time from a register's change to its alarm.

Then S7 and OPC UA the same way, in shorter rounds, each beside the plain library client; to mosquitto, beside
a bare client that publishes; the highest rate one core holds; what catching up costs; what a card writes.
``--only way,wear,card,windows,latency,s7,opcua,mqtt,rate,drain`` runs some of these.

CPU counts from the end of a warm-up to the end of the round, all threads and children. The last line of
standard output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.bench.card import card_section
from tests.bench.latency import latency_section
from tests.bench.measure import fetch, p99, rss_mb, samples_read, watch
from tests.bench.mqtt import mqtt_section
from tests.bench.protocols import protocol_section
from tests.bench.rate import apart, drain_section, on_core, rate_section
from tests.bench.windows import windows_section
from tests.plant.processes import ROOT, Child, eventually, get
from tests.plant.site import Site

DEVICES = 10
REGISTERS = 500
WARM_UP_S = 10.0
WEAR_S = 3600
SECTIONS = ("wear", "card", "way", "windows", "latency", "s7", "opcua", "mqtt", "rate", "drain")


class Scene:
    """Simulator and receiver, and the folder of a run on the disk of this checkout (not on tmpfs)."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.registers = REGISTERS
        self.plc = Child(
            ["hardware_mocks", "bench-modbus", "--devices", str(DEVICES), "--registers", str(REGISTERS),
             "--port", "0", "--control-port", "0", "--with-parent"], folder / "plc.log",
        )  # fmt: skip
        self.park = Child(
            [
                "hardware_mocks",
                "park",
                "--park-port",
                "0",
                "--park-control-port",
                "0",
                "--discard",
                "--with-parent",
            ],
            folder / "park.log",
        )

    def close(self) -> None:
        for child in (self.plc, self.park):
            child.stop()

    def report(self) -> Any:
        return get(f"http://127.0.0.1:{self.park.ports['park_control']}/report")

    def arrivals(self) -> list[list[float]]:
        state = get(f"http://127.0.0.1:{self.plc.ports['control']}/state")
        return [list(map(float, a)) for a in state["servers"]["modbus"]["arrivals"]]

    def mood(self, **mood: Any) -> None:
        body = json.dumps(mood).encode()
        url = f"http://127.0.0.1:{self.park.ports['park_control']}/control"
        urlopen(Request(url, body, {"Content-Type": "application/json"})).read()

    def site(self, name: str, *, flush: str, poll_s: float = 1.0, **uplink: Any) -> Site:
        site = Site(
            self.folder / name,
            f"http://127.0.0.1:{self.park.ports['park']}/ingest",
            flush=flush,
            uplink=uplink,
        )
        poll = f"{poll_s * 1000:g}ms"
        for n, port in enumerate(self.plc.ports["ports"], 1):
            rows = [(f"r{i}", f"hr:{i}", "uint16") for i in range(REGISTERS)]
            site.device(f"d{n}", rows, driver="modbus", link=f"tcp://127.0.0.1:{port}", poll=poll)
            table = ["name,address,type,low,high", *(f"{','.join(row)},-1,70000" for row in rows)]
            (site.config / "tags.d" / f"d{n}.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
        return site


def lateness(arrivals: list[list[float]], since: float, until: float) -> list[float]:
    """How far each poll arrived from its device's grid of whole seconds, seconds. The grid is placed so that
    the earliest poll of the device is on it: what is measured is everything after that."""
    late = []
    for device in arrivals:
        times = [t for t in device if since <= t < until]
        phases = [t - round(t - times[0]) for t in times]
        late += [phase - min(phases) for phase in phases]
    return late


def run_agent(scene: Scene, name: str, *, flush: str, **uplink: Any) -> dict[str, float]:
    site = scene.site(name, flush=flush, **uplink)
    agent = site.start()
    ticker = Child(["tests.bench.ticker"], scene.folder / "ticker.log")
    try:
        time.sleep(WARM_UP_S)
        metrics = f"http://127.0.0.1:{site.web_port}/metrics"
        read, since = samples_read(metrics), time.monotonic()
        cpu = watch(agent.pid, scene.seconds, lambda: fetch(metrics))
        until, rss = time.monotonic(), rss_mb(agent.pid)
        samples = samples_read(metrics) - read
        late = lateness(scene.arrivals(), since, until)
        assert len(late) >= 0.9 * DEVICES * scene.seconds, "polls are missing"
        windows = site.status()["windows"]
        assert len(windows) == DEVICES * REGISTERS
        assert all(w["state"] == "in" for w in windows)
    finally:
        idle = stop_ticker(ticker)
        agent.stop()
    shutil.rmtree(site.root)
    return {
        "cpu_ms_per_1000": cpu * 1e6 / samples,
        "rss_mb": rss,
        "late_ms": p99(late) * 1000,
        "idle_ms": p99(idle) * 1000,
    }


def stop_ticker(ticker: Child) -> list[float]:
    process = ticker._process
    process.terminate()
    text, _ = process.communicate(timeout=10)
    return [float(x) for x in json.loads(text.splitlines()[-1])]


def run_reference(scene: Scene) -> float:
    devices = [
        {"name": f"d{n}", "host": "127.0.0.1", "port": port, "unit": 1}
        for n, port in enumerate(scene.plc.ports["ports"], 1)
    ]
    spec = {
        "park_host": "127.0.0.1", "park_port": scene.park.ports["park"], "devices": devices,
        "registers": REGISTERS, "period_s": 1.0,
    }  # fmt: skip
    reference = Child(
        ["tests.bench.reference", json.dumps(spec)], scene.folder / "reference.log", ready=False
    )
    try:
        time.sleep(WARM_UP_S)
        before = scene.report()["plain"]
        cpu = watch(reference.pid, scene.seconds, None)
        samples: int = (scene.report()["plain"] - before) * REGISTERS
    finally:
        reference.kill()
    return cpu * 1e6 / samples


def run_wear(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.wear", str(folder), str(WEAR_S)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["checkpoints"] >= 2, report
    return report


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="one short round")
    options.add_argument("--only", default=",".join(SECTIONS), help="some sections, with commas between")
    chosen = options.parse_args()
    wanted = set(chosen.only.split(","))
    assert wanted <= set(SECTIONS), f"sections: {', '.join(SECTIONS)}"
    quick = chosen.quick
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as name:
        folder = Path(name)
        for section in SECTIONS:
            if section in wanted:
                found = run_section(section, folder / section, quick=quick)
                print(f"{section}: {found}", flush=True)
                report |= found
    print(json.dumps(report))


def run_section(section: str, folder: Path, *, quick: bool) -> dict[str, Any]:
    folder.mkdir()
    if section == "wear":
        return run_wear(folder)
    if section == "card":
        return card_section()
    if section == "windows":
        return windows_section()
    if section == "latency":
        return latency_section(folder, quick=quick)
    if section in ("s7", "opcua"):
        return protocol_section(folder, section, quick=quick)
    with on_core(apart()[1] if section == "rate" else apart()[0] | apart()[1]):
        scene = Scene(folder, 20.0 if quick else 60.0)
    try:
        eventually("the park answers", scene.report)
        return _with_scene(section, scene, quick=quick)
    finally:
        scene.close()


def _with_scene(section: str, scene: Scene, *, quick: bool) -> dict[str, Any]:
    rounds = 1 if quick else 5
    if section == "way":
        return summary([one_round(scene, n, per_poll=n in (1, rounds)) for n in range(1, rounds + 1)])
    if section == "mqtt":
        return mqtt_section(scene, run_agent, rounds=rounds)
    if section == "rate":
        return rate_section(
            lambda name, period_s: scene.site(name, flush="2s", poll_s=period_s),
            DEVICES * REGISTERS,
            steps=3 if quick else None,
        )
    site = scene.site("drain", flush="1s", poll_s=0.5)
    seconds = 15.0 if quick else 60.0
    return drain_section(
        site,
        lambda: scene.mood(mode="503"),
        lambda: scene.mood(mode="ok"),
        lambda: int(scene.report()["samples"]),
        seconds,
    )


def one_round(scene: Scene, number: int, *, per_poll: bool) -> dict[str, float]:
    flush = run_agent(scene, f"flush-{number}", flush="5s")
    reference = run_reference(scene)
    row = {"cpu_ratio": flush["cpu_ms_per_1000"] / reference, "reference_cpu_ms_per_1000": reference, **flush}
    if per_poll:
        poll = run_agent(scene, f"poll-{number}", flush="1s", max_segments=1)
        row["cpu_ratio_per_poll"] = poll["cpu_ms_per_1000"] / reference
        row["cpu_ms_per_1000_per_poll"] = poll["cpu_ms_per_1000"]
    print(f"round {number}: " + "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    return row


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    def middle(key: str) -> float:
        return round(statistics.median(row[key] for row in rows if key in row), 3)

    return {
        "cpu_ratio": middle("cpu_ratio"),
        "cpu_ms_per_1000": middle("cpu_ms_per_1000"),
        "reference_cpu_ms_per_1000": middle("reference_cpu_ms_per_1000"),
        "rss_mb": round(max(row["rss_mb"] for row in rows), 1),
        "poll_late_p99_ms": middle("late_ms"),
        "poll_late_p99_ms_idle": middle("idle_ms"),
        "cpu_ratio_per_poll": middle("cpu_ratio_per_poll"),
        "cpu_ms_per_1000_per_poll": middle("cpu_ms_per_1000_per_poll"),
        "rounds": len(rows),
    }


if __name__ == "__main__":
    main()
