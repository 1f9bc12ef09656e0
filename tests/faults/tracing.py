"""Faults of the storage under a running agent, by strace: an error or a delay for chosen system calls. Needs
no compiler, and the agent is as it ships."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SYNCS = "fdatasync,fsync"
WRITES = "pwrite64,write"
_CALL = re.compile(r"^(?:\[pid +)?(\d+)?\]? ?\s*(\w+)\((\d+)")


@contextmanager
def meddled(pid: int, *rules: str, log: Path, trace: str, within: Path | None = None) -> Iterator[None]:
    """While it lasts, ``rules`` (strace's ``inject=`` expressions) hold for all threads of the process.
    ``within``: a folder; calls on other files are left alone."""
    words = ["strace", "-f", "-qq", "-o", str(log), "-p", str(pid), "-e", f"trace={trace}"]
    for rule in rules:
        words += ["-e", f"inject={rule}"]
    for path in sorted(within.iterdir()) if within is not None else ():
        words += ["-P", str(path)]
    tracer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait_attached(pid, tracer)
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(20)
        if tracer.stderr is not None:
            tracer.stderr.close()


def _wait_attached(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if tracer.poll() is not None:
            said = tracer.stderr.read().decode() if tracer.stderr is not None else ""
            raise AssertionError(f"strace ended: {said}")
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        texts = [(task / "status").read_text(encoding="ascii") for task in tasks]
        if all(f"TracerPid:\t{tracer.pid}\n" in text for text in texts):
            return
        time.sleep(0.02)
    raise AssertionError("strace does not attach")


def injected(log: Path) -> int:
    """How many calls were meddled with: strace marks those that failed and those that were delayed."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return text.count("(INJECTED)") + text.count("(DELAYED)")


def synced_again_after_error(log: Path) -> int:
    """Syncs of a handle whose sync had failed before, and that was not closed in between."""
    failed: set[str] = set()
    again = 0
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        found = re.search(r"\b(fdatasync|fsync|close)\((\d+)", line)
        if found is None:
            continue
        call, handle = found.groups()
        if call == "close":
            failed.discard(handle)
            continue
        again += handle in failed
        if "EIO" in line:
            failed.add(handle)
    return again
