"""The agent itself, recorded: the simulated press, a park that remembers when it received what.

A unit that the park has received must have been committed before, and a key that the park has answered for
may be settled from then on: this is how the agent's promises are known without asking it.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from tests.crash.disk import Operation, Said
from tests.crash.record import ROOT, Recording, checked, strace
from tests.crash.told import wire_digest, wire_digest_of_event
from tests.crash.trace import read
from tests.plant.mocks import Line
from tests.plant.processes import eventually
from tests.plant.site import Site

RUNS_S = (5.0, 4.0, 3.0)


class Witness:
    """An ingest endpoint. ``said``: (wall time, promise). One answer in ten gets lost."""

    def __init__(self, random: Random) -> None:
        self.said: list[tuple[float, dict[str, Any]]] = []
        self.received = 0
        self._epoch = 0
        self._random = random
        self._lock = threading.Lock()
        witness = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = json.dumps(witness.hear(json.loads(body))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its name there

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/ingest"

    def say(self, **promise: object) -> None:
        self.said.append((time.time(), promise))

    def hear(self, message: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.say(time=time.time_ns())
            keys = [*self._kept(message, "segments"), *self._kept(message, "events")]
            self.received += len(keys)
            epoch = max(int(key.split("/")[1]) for key in keys)
            if epoch > self._epoch:
                self._epoch = epoch
                self.say(opened={"agent": message["agent"], "epoch": epoch})
            if self._random.random() < 0.1:
                return {"acknowledged": []}
            for key in keys:
                stream, *unit = key.split("/")
                units = [[int(number) for number in unit]]
                self.say(settles={"stream": stream, "uplink": "park", "keys": units})
            return {"acknowledged": keys}

    def _kept(self, message: dict[str, Any], what: str) -> Iterator[str]:
        for item in message.get(what, ()):
            stream, epoch, seq = item["key"].split("/")
            if what == "segments":
                times = item["time_us"]
                digest = wire_digest(item["schema"], times, item["values"])
            else:
                times = [item["time_us"]]
                digest = wire_digest_of_event(item)
            unit = (int(epoch), int(seq), digest, "", max(times) * 1000)
            self.say(kept={"stream": stream, "units": [unit]})
            yield item["key"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def record_agent(folder: Path, seed: str) -> Recording:
    """Three runs: one ends by SIGKILL, one by SIGTERM, one by SIGKILL."""
    folder.mkdir(parents=True)
    witness = Witness(Random(seed))
    line = Line(folder, "modbus")
    site = Site(folder / "site", witness.url, flush="500ms", uplink={"name": "park"})
    site.press(line.link())
    site.state.mkdir()
    logs = []
    try:
        for number, seconds in enumerate(RUNS_S):
            log = folder / f"trace-{number}"
            logs.append(log)
            with _running(site, log) as tracer:
                _one_run(site, witness, seconds, tracer, clean=number == 1)
    finally:
        line.close()
        witness.close()
    operations = [entry for log in logs for entry in read(log, str(site.state))]
    recording = Recording("agent", str(site.state), tuple(_merged(operations, witness.said)))
    site.close()
    return checked(recording)


@contextmanager
def _running(site: Site, log: Path) -> Iterator[int]:
    """Yields the tracer's process id; ends the agent at the end, if it has not ended."""
    arguments = [
        *strace(log), sys.executable, "-m", "edge_agent", "run", "--config", str(site.config),
        "--log-format", "json",
    ]  # fmt: skip
    with site.log.open("ab") as out, subprocess.Popen(arguments, cwd=ROOT, stdout=out, stderr=out) as tracer:
        try:
            yield tracer.pid
        finally:
            for pid in _traced(tracer.pid):
                os.kill(pid, signal.SIGKILL)
            tracer.wait(30)


def _traced(tracer: int) -> list[int]:
    """The agent; not what strace starts for itself."""
    children = Path(f"/proc/{tracer}/task/{tracer}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children if b"edge_agent" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _one_run(site: Site, witness: Witness, seconds: float, tracer: int, *, clean: bool) -> None:
    witness.say(time=time.time_ns(), wants={"park": []})
    for stream in ("samples", "periods", "event"):
        witness.say(registered={"stream": stream, "uplinks": ["park"], "head": 0})
    before = witness.received
    eventually("the park has something", lambda: witness.received > before, 40.0)
    time.sleep(seconds)  # the record's length, nothing is waited for
    if clean:
        witness.say(closing=0)
        os.kill(_traced(tracer)[0], signal.SIGTERM)
        eventually("it has ended", lambda: not _traced(tracer), 30.0)
        witness.say(closed=0)


def _merged(
    operations: list[tuple[float, Operation]], said: list[tuple[float, dict[str, Any]]]
) -> Iterator[Operation]:
    """A promise counts after every call that had begun before it."""
    waiting = sorted(said, key=lambda pair: pair[0])
    for at, operation in operations:
        while waiting and waiting[0][0] < at:
            yield Said(json.dumps(waiting.pop(0)[1]))
        yield operation
    for _, promise in waiting:
        yield Said(json.dumps(promise))
