"""Configuration sets written for a test, and the agent run on them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from tests.plant.processes import ROOT, Child, eventually, get

_SAMPLE = re.compile(r"(\S+?)(\{.*\})? (\S+)")
_ORPHAN = re.compile(r"^Traceback[^{]*?^BrokenPipeError: .*\n", re.MULTILINE)
_TROUBLE = ("Traceback", "Warning: ", "was never awaited", "never retrieved", "internal error")


START_WITHIN_S = 40.0  # a start takes two seconds; other tests may share the machine


class _Ports:
    """Numbers below those that the kernel gives away by itself, a block of them for each process that runs
    tests: nobody else takes one while the agent that has it is dead or not yet there."""

    FIRST, BLOCK, BLOCKS = 20_000, 200, 50

    def __init__(self) -> None:
        self._held: int | None = None
        self._numbers: Iterator[int] = iter(())

    def next(self) -> int:
        if self._held is None:
            self._claim()
        return next(self._numbers)

    def _claim(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"lineside-test-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        for number in range(self.BLOCKS):
            held = os.open(folder / str(number), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
                continue
            self._held = held  # for as long as this process lives
            begin = self.FIRST + number * self.BLOCK
            self._numbers = itertools.cycle(range(begin, begin + self.BLOCK))
            return
        raise RuntimeError(f"{self.BLOCKS} processes run tests at once; {folder} tells their ports")


_PORTS = _Ports()


def free_port() -> int:
    """One that no other test has, nor anybody else at this moment."""
    while True:
        port = _PORTS.next()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def command(
    *arguments: str | Path, timeout_s: float = 30.0, powerless: bool = False
) -> subprocess.CompletedProcess[str]:
    """One run of ``edge-agent``; its output is captured. ``powerless``: file permissions hold for it even
    when the tests are run by root."""
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=timeout_s,
        stdin=subprocess.DEVNULL, check=False, preexec_fn=_give_up_power if powerless else None,
    )  # fmt: skip


def _give_up_power() -> None:
    """prctl(PR_CAPBSET_DROP): without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH root is like any owner."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)


class Site:
    """A configuration directory, a state directory and, when started, an agent."""

    def __init__(
        self, root: Path, park_url: str | None, *, flush: str = "1s", uplink: Mapping[str, Any] = {}
    ) -> None:
        self.root = root
        self.config = root / "config"
        self.state = root / "state"
        self.log = root / "agent.log"
        self.web_port = free_port()
        self._short = tempfile.TemporaryDirectory(prefix="ls-")  # a socket's path has 107 bytes at most
        self.socket = Path(self._short.name) / "console.sock"
        for folder in ("devices.d", "tags.d"):
            (self.config / folder).mkdir(parents=True, exist_ok=True)
        self.main: dict[str, Any] = {
            "line": "test-line",
            "state_dir": str(self.state),
            "web": {"port": self.web_port},
            "buffer": {"flush": flush},
            "console": {"socket": str(self.socket)},
            "uplinks": [{"name": "park", "type": "http", "url": park_url, **uplink}] if park_url else [],
        }
        self.write_main()
        self.agent: Child | None = None
        self._killed = False

    # -- files

    def write_main(self, **changes: Any) -> None:
        self.main |= changes
        text = yaml.safe_dump(self.main, allow_unicode=True, sort_keys=False)
        (self.config / "edge-agent.yaml").write_text(text, encoding="utf-8")

    def device(
        self,
        name: str,
        tags: Sequence[tuple[str, ...]],
        *,
        columns: str = "name,address,type",
        **settings: Any,
    ) -> None:
        """``tags``: one tuple per row, in the order of ``columns``; ungrouped ones are in ``default``."""
        document = {"device": name, "tags": f"{name}.csv", **settings}
        path = self.config / "devices.d" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        rows = [columns, *(",".join(tag) for tag in tags)]
        (self.config / "tags.d" / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def press(self, link: str, *, name: str = "press-1", poll: str = "200ms", **settings: Any) -> None:
        """The simulated press, with its poll counter and one window on its pressure (0.3 to 0.5 MPa)."""
        self.device(
            name,
            [("polls", "hr:0", "uint32", ""), ("pressure", "hr:2", "float32", "yes"),
             ("fan", "hr:10", "uint16", "yes")],
            columns="name,address,type,metric",
            driver="modbus",
            link=link,
            poll=poll,
            windows=[{"tag": "pressure", "low": 0.3, "high": 0.5, "deadband": 0.01, "on_delay": "400ms"}],
            **settings,
        )  # fmt: skip

    def remove(self, name: str) -> None:
        (self.config / "devices.d" / f"{name}.yaml").unlink()
        (self.config / "tags.d" / f"{name}.csv").unlink()

    # -- the process

    def start(self, *, wait: bool = True, piped: bool = False, **environment: str) -> Child:
        """``wait``: until its page answers. ``piped`` and ``environment``: see ``Child``."""
        self.agent = Child(
            ["edge_agent", "run", "--config", str(self.config), "--log-format", "json"],
            self.log,
            ready=False,
            piped=piped,
            **environment,
        )
        if wait:
            eventually("the agent is ready", self._ready, START_WITHIN_S)
        return self.agent

    def children(self) -> list[int]:
        """Processes that the agent has started and that have not ended."""
        assert self.agent is not None
        path = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children")
        return [int(pid) for pid in path.read_text(encoding="ascii").split()]

    def _ready(self) -> bool:
        assert self.agent is not None
        assert self.agent.running, f"the agent ended: {self.agent.text()}"
        return bool(self.status()["agent"]["started_ns"])

    def stop(self, deadline_s: float = 15.0) -> None:
        assert self.agent is not None
        code = self.agent.stop(deadline_s)
        assert code == 0, f"exit code {code}: {self.agent.text()[-2000:]}"

    def kill(self) -> None:
        assert self.agent is not None
        self._killed = True
        self.agent.kill()

    def reload(self, *, accepted: bool = True) -> None:
        """SIGHUP, and wait until the agent says what became of it."""
        assert self.agent is not None
        words = ("reloaded", "reload refused: the running configuration stays")
        before = [len(self.said(word)) for word in words]
        self.agent.signal(signal.SIGHUP)
        eventually("the reload is over", lambda: [len(self.said(word)) for word in words] != before)
        now = [len(self.said(word)) for word in words]
        assert now == [before[0] + accepted, before[1] + (not accepted)], self.agent.text()[-2000:]

    def close(self) -> None:
        """Ends what is left, and fails if the agent's log holds a stack or a warning of the interpreter."""
        if self.agent is not None and self.agent.running:
            self.agent.stop()
        self._short.cleanup()
        if self.log.exists():
            text = self.log.read_text(encoding="utf-8", errors="replace")
            if self._killed:  # what it had started found nobody to answer to
                text = _ORPHAN.sub("", text)
            found = [word for word in _TROUBLE if word in text]
            assert not found, f"{found} in the log: {text[-4000:]}"

    # -- over its console

    def console(self, *words: str, code: int = 0) -> Any:
        """``edge-agent WORDS --json`` against this agent's socket; its answer."""
        done = command(*words, "--socket", self.socket, "--json")
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 and done.stdout else done.stderr

    # -- what it says

    def get(self, path: str) -> Any:
        return get(f"http://127.0.0.1:{self.web_port}{path}")

    def status(self) -> Any:
        return self.get("/api/v1/status")

    def row(self, device: str) -> Any:
        return next(d for d in self.status()["devices"] if d["name"] == device)

    def uplink(self) -> Any:
        return self.status()["uplinks"][0]

    def window(self, name: str = "press-1.pressure") -> Any:
        return next(w for w in self.status()["windows"] if w["name"] == name)

    def tags(self, device: str) -> dict[str, Any]:
        """Each tag's row of /api/v1/tags by name."""
        found = next(d for d in self.get("/api/v1/tags")["devices"] if d["name"] == device)
        return {value["tag"]: value for group in found["groups"] for value in group["values"]}

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """As the agent itself shows them, oldest first."""
        found = reversed(self.get("/api/v1/events?limit=200")["events"])
        return [event for event in found if not kinds or event["kind"] in kinds]

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: ``name{labels}`` -> value."""
        with urlopen(f"http://127.0.0.1:{self.web_port}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
        found = (_SAMPLE.fullmatch(line) for line in lines if not line.startswith("#"))
        return {match[1] + (match[2] or ""): float(match[3]) for match in found if match}

    def said(self, message: str) -> list[dict[str, Any]]:
        """The log's records with that message."""
        return [record for record in self.records() if record["msg"] == message]

    def records(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def connections(self, port: int) -> set[int]:
        """Our ends of the agent's established connections to ``port``: the same number is the same one."""
        assert self.agent is not None
        own = _sockets(self.agent.pid)
        found = set()
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if state == "01" and int(remote.split(":")[1], 16) == port and rest[5] in own:
                found.add(int(local.split(":")[1], 16))
        return found


def _sockets(pid: int) -> set[str]:
    """Inode numbers of a process's sockets."""
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(handle.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def assert_conserved(status: Mapping[str, Any]) -> None:
    """The law, on one snapshot of a running agent: nothing that was read is unaccounted for."""
    buffer = status["buffer"]
    read = status["totals"]["samples_read"] + status["totals"]["samples_derived"]
    assert read == buffer["appended_samples"]
    assert read == buffer["committed_samples"] + buffer["in_memory_samples"] + buffer["lost_samples"]
    for name, uplink in buffer["uplinks"].items():
        parts = [uplink[f"{kind}_samples"] for kind in ("acknowledged", "pending", "quarantined", "lost")]
        assert uplink["committed_samples"] == sum(parts), (name, uplink)
        assert min(parts) >= 0, (name, uplink)
