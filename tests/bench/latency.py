"""From the change of a register to the alarm: how long until the agent says it, and until it is durable.

Ten controllers with 500 registers each, polled every second by an agent that has one core to itself; every
register has a window without delay. At random moments one register after the other is written beyond its
limit. The clock starts before the write is sent, so the figure holds the write as well. It stops when the
agent's log line has arrived here, and when the event can be read from the database by another process, which
in WAL mode is after its fsync.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.measure import p99
from tests.plant.processes import ROOT, Child, eventually
from tests.plant.site import Site

DEVICES = 10
REGISTERS = 500
PERIOD_S = 1.0
TRIED = range(1, 41)  # of the registers that the simulator leaves alone
CALM, BEYOND, HIGH = 100, 65_000, 60_000


def latency_section(folder: Path, *, quick: bool, seed: int = 1) -> dict[str, float]:
    """Milliseconds: p50 and p99 of both, p99 of one fsync in the same run, and how many alarms there were."""
    trials = 60 if quick else 300
    plc = Child(
        ["hardware_mocks", "bench-modbus", "--devices", str(DEVICES), "--registers", str(REGISTERS),
         "--port", "0", "--control-port", "0", "--with-parent"], folder / "latency-plc.log",
    )  # fmt: skip
    try:
        return _measure(folder, plc.ports["ports"], trials, random.Random(seed))
    finally:
        plc.stop()


def _measure(folder: Path, ports: list[int], trials: int, rng: random.Random) -> dict[str, float]:
    site = _site(folder / "latency", ports)
    writers = [_Writer(port) for port in ports]
    for writer in writers:
        for register in TRIED:
            writer.write(register, CALM)
    with _agent(site) as log, _Journal(site.state / "events.db") as journal, _Syncs(site.state) as syncs:
        eventually("every device is read", lambda: _all_in(site), 60)
        places = [(d, r) for d in range(DEVICES) for r in TRIED]
        rng.shuffle(places)
        sent: dict[str, float] = {}
        for device, register in places[:trials]:
            name = f"d{device + 1}.r{register}.high"
            sent[name] = time.monotonic()
            writers[device].write(register, BEYOND)
            time.sleep(rng.uniform(0.05, 0.15))
        eventually("every alarm is durable", lambda: set(sent) <= set(journal.seen), 20)
        eventually("every alarm was said", lambda: set(sent) <= set(log.seen), 5)
    said = [(log.seen[name] - at_s) * 1000 for name, at_s in sent.items()]
    durable = [(journal.seen[name] - at_s) * 1000 for name, at_s in sent.items()]
    commits = [after - before for before, after in zip(said, durable, strict=True)]
    return {
        "alarm_latency_p50_ms": round(sorted(said)[len(said) // 2], 1),
        "alarm_latency_p99_ms": round(p99(said), 1),
        "alarm_durable_p99_ms": round(p99(durable), 1),
        "alarm_commit_p50_ms": round(sorted(commits)[len(commits) // 2], 1),
        "alarm_commit_p99_ms": round(p99(commits), 1),
        "fsync_p99_ms": round(p99(syncs.taken_ms), 1),
        "alarm_latency_bound_ms": PERIOD_S * 1000 + 10,
        "alarm_durable_bound_ms": round(PERIOD_S * 1000 + 10 + p99(syncs.taken_ms), 1),
        "alarms_timed": len(said),
    }


def _site(root: Path, ports: list[int]) -> Site:
    site = Site(root, None, flush="5s")
    for n, port in enumerate(ports, 1):
        rows = [
            (f"r{i}", f"hr:{i}", "uint16", "-1", str(HIGH if i in TRIED else 70_000))
            for i in range(REGISTERS)
        ]
        site.device(
            f"d{n}", rows, columns="name,address,type,low,high",
            driver="modbus", link=f"tcp://127.0.0.1:{port}", poll=f"{PERIOD_S:g}s",
        )  # fmt: skip
    return site


def _all_in(site: Site) -> bool:
    with contextlib.suppress(OSError, ValueError):
        windows = site.status()["windows"]
        return len(windows) == DEVICES * REGISTERS and all(w["state"] == "in" for w in windows)
    return False


class _Writer:
    """Writes single registers over Modbus TCP, as another master on the line would."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, register: int, value: int) -> None:
        body = bytes([1, 6]) + register.to_bytes(2, "big") + value.to_bytes(2, "big")
        self._socket.sendall(b"\0\1\0\0\0\6" + body)
        answer = b""
        while len(answer) < 12:
            piece = self._socket.recv(12 - len(answer))
            assert piece, "the simulated controller closed the connection"
            answer += piece
        assert answer[6:] == body, answer


class _Said:
    """The agent's log lines about alarms, with the moment at which each arrived."""

    def __init__(self, process: subprocess.Popen[bytes], copy: Path) -> None:
        self.seen: dict[str, float] = {}
        self._process, self._copy = process, copy
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._copy.open("wb") as copy:
            for line in self._process.stderr:
                now = time.monotonic()
                copy.write(line)
                if b"alarm_raised" in line:
                    record: dict[str, Any] = json.loads(line)
                    self.seen.setdefault(record["source"], now)

    def close(self) -> None:
        self._thread.join(5)


@contextlib.contextmanager
def _agent(site: Site) -> Iterator[_Said]:
    """The agent on the last core, everything else on the others (on one core only: all together)."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "--config", str(site.config), "--log-format", "json"],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
    finally:
        os.sched_setaffinity(0, cores[:-1] or cores)
    said = _Said(process, site.log)
    try:
        yield said
    finally:
        process.terminate()
        code = process.wait(20)
        said.close()
        os.sched_setaffinity(0, cores)
        assert code == 0, f"the agent ended with {code}; see {site.log}"


class _Watch:
    """A loop in a thread of its own, ended by ``with``."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def _loop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)


class _Journal(_Watch):
    """When an alarm could first be read from the event store, looking every millisecond."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.seen: dict[str, float] = {}
        self._path = path

    def _loop(self) -> None:
        while not self._path.exists():
            if self._end.wait(0.05):
                return
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=1)
        newest = 0
        while not self._end.wait(0.001):
            with contextlib.suppress(sqlite3.OperationalError):  # while the agent makes its tables
                rows = connection.execute(
                    "SELECT seq, kind, source FROM event WHERE seq > ? ORDER BY seq", (newest,)
                ).fetchall()
                now = time.monotonic()
                for seq, kind, source in rows:
                    newest = seq
                    if kind == "alarm_raised":
                        self.seen.setdefault(source, now)
        connection.close()


class _Syncs(_Watch):
    """How long one fsync of a page takes on the same disk, ten times a second."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.taken_ms: list[float] = []
        self._directory = directory

    def _loop(self) -> None:
        while not self._directory.exists():
            if self._end.wait(0.05):
                return
        path = self._directory / "fsync.probe"
        with path.open("wb", buffering=0) as file:
            while not self._end.wait(0.1):
                begin = time.monotonic()
                file.write(bytes(4096))
                os.fsync(file.fileno())
                self.taken_ms.append((time.monotonic() - begin) * 1000)
        path.unlink()
