"""The sections of `make bench` for S7 and OPC UA: the whole way as for Modbus, beside the plain library
client reading the same values, in interleaved pairs."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from tests.bench.measure import fetch, rss_mb, samples_read, watch
from tests.plant.processes import Child, eventually, get
from tests.plant.site import Site

DEVICES = {"s7": 5, "opcua": 2}
TAGS = 200
WARM_UP_S = 8.0


class Stage:
    """The controllers of one protocol, and the park; processes of their own, the same for both sides."""

    def __init__(self, folder: Path, protocol: str) -> None:
        self.folder = folder
        self.protocol = protocol
        self.devices = DEVICES[protocol]
        self.plc = Child(
            ["tests.bench.servers", protocol, str(self.devices), str(TAGS)], folder / f"{protocol}.log"
        )
        self.park = Child(
            ["hardware_mocks", "park", "--park-port", "0", "--park-control-port", "0", "--discard",
             "--with-parent"], folder / f"{protocol}-park.log",
        )  # fmt: skip

    def close(self) -> None:
        for child in (self.plc, self.park):
            child.stop()

    @property
    def park_url(self) -> str:
        return f"http://127.0.0.1:{self.park.ports['park']}"

    def messages(self) -> int:
        report = get(f"http://127.0.0.1:{self.park.ports['park_control']}/report")
        return int(report["plain"])

    def site(self, name: str) -> Site:
        site = Site(self.folder / name, f"{self.park_url}/ingest", flush="5s")
        for n, port in enumerate(self.plc.ports["ports"], 1):
            site.device(
                f"d{n}",
                [(f"r{i}", *self._place(i), "-1", "101") for i in range(TAGS)],
                columns="name,address,type,low,high",
                driver=self.protocol,
                link=f"{'tcp' if self.protocol == 's7' else 'opc.tcp'}://127.0.0.1:{port}",
                poll="1s",
            )
        return site

    def _place(self, number: int) -> tuple[str, str]:
        if self.protocol == "s7":
            return f"DB1.DBD{4 * number}", "float32"
        return f"ns=2;s=r{number}", "float64"


def protocol_section(folder: Path, protocol: str, *, quick: bool) -> dict[str, float]:
    """Medians over the rounds; every key begins with the protocol's name."""
    rounds, seconds = (1, 10.0) if quick else (3, 30.0)
    stage = Stage(folder, protocol)
    rows = []
    try:
        eventually("the park answers", lambda: stage.messages() >= 0)
        for number in range(1, rounds + 1):
            row = run_agent(stage, number, seconds)
            row["reference_cpu_ms_per_1000"] = run_reference(stage, seconds)
            row["cpu_ratio"] = row["cpu_ms_per_1000"] / row["reference_cpu_ms_per_1000"]
            rows.append(row)
            text = "  ".join(f"{k} {v:.3f}" for k, v in row.items())
            print(f"{protocol} {number}: {text}", flush=True)
    finally:
        stage.close()
    return {f"{protocol}_{key}": round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}


def run_agent(stage: Stage, number: int, seconds: float) -> dict[str, float]:
    site = stage.site(f"{stage.protocol}-{number}")
    agent = site.start()
    try:
        eventually("every device is up", lambda: _all_good(site, stage.devices))
        time.sleep(WARM_UP_S)
        metrics = f"http://127.0.0.1:{site.web_port}/metrics"
        read = samples_read(metrics)
        cpu = watch(agent.pid, seconds, lambda: fetch(metrics))
        samples, rss = samples_read(metrics) - read, rss_mb(agent.pid)
        assert samples >= 0.9 * stage.devices * TAGS * seconds, "polls are missing"
        assert _all_good(site, stage.devices), "a window is not in"
    finally:
        agent.stop()
    shutil.rmtree(site.root)
    return {"cpu_ms_per_1000": cpu * 1e6 / samples, "rss_mb": rss}


def _all_good(site: Site, devices: int) -> bool:
    windows: list[dict[str, Any]] = site.status()["windows"]
    return len(windows) == devices * TAGS and all(w["state"] == "in" for w in windows)


def run_reference(stage: Stage, seconds: float) -> float:
    ports = json.dumps(stage.plc.ports["ports"])
    reference = Child(
        ["tests.bench.libraries", stage.protocol, ports, str(TAGS), stage.park_url],
        stage.folder / f"{stage.protocol}-reference.log",
        ready=False,
    )
    try:
        before = stage.messages()
        eventually("the client polls", lambda: stage.messages() >= before + 2 * stage.devices)
        time.sleep(WARM_UP_S)
        before = stage.messages()
        cpu = watch(reference.pid, seconds, None)
        samples = (stage.messages() - before) * TAGS
    finally:
        reference.kill()
    return cpu * 1e6 / samples
