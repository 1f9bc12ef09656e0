"""One bash for one page, and the comparison of what it prints with what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

_BLOCK_S = 60.0
_ALONE = Path(__file__).with_name("alone.py")
_NOTICES = re.compile(
    r"^(?:\[\d+\].*|\S*bash: line \d+: +\d+ .*|/\S+: line \d+: +\d+ (?:Killed|Terminated).*)\n", re.M
)


class Failed(AssertionError):
    """A block ended otherwise than the page says, or did not end."""


@cache
def has_a_network_of_its_own() -> bool:
    """Whether the kernel lets a page have one: pages then do not meet at the usual ports."""
    place = "/proc/self/ns/net"
    asked = [sys.executable, str(_ALONE), "readlink", place]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return told != str(Path(place).readlink())


class Shell:
    """Blocks are run in order in one session, so that `cd`, `export` and jobs (`&`, `kill %1`) carry over.
    ``close`` ends whatever the session started and left running, by its id."""

    def __init__(self, folder: Path, language: str) -> None:
        self._folder = folder
        self._log = folder.parent / "shell.log"
        self._count = 0
        home = folder.parent / "home"
        home.mkdir()
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(home),
            "LANG": language,
            "PYTHONPATH": str(folder),  # the tree the page belongs to, wherever the environment points
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "200",
        }
        with self._log.open("wb") as log:
            self._bash = subprocess.Popen(
                [sys.executable, str(_ALONE), "bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        self._order("set -m -o pipefail")  # -m: jobs have numbers, as in the terminal of a person

    def run(self, text: str, *, exit_code: int = 0, limit_s: float = _BLOCK_S) -> str:
        """What it printed, both streams. Raises Failed."""
        self._count += 1
        script = self._folder.parent / f"block-{self._count}.sh"
        script.write_text(text, encoding="utf-8")
        before = self._log.stat().st_size
        strict = "set -e; " if exit_code == 0 else ""
        self._order(
            f"{strict}. {shlex.quote(str(script))}; code=$?; set +e; echo; echo done-{self._count} $code"
        )
        end = re.compile(rf"\ndone-{self._count} (\d+)\n")
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            printed = self._log.read_bytes()[before:].decode("utf-8", "replace")
            if found := end.search(printed):
                shown = _NOTICES.sub("", printed[: found.start() + 1])
                if int(found[1]) != exit_code:
                    raise Failed(f"exit code {found[1]}, not {exit_code}; it printed:\n{shown}")
                return shown
            if self._bash.poll() is not None:
                raise Failed(f"a command failed (exit code {self._bash.returncode}); it printed:\n{printed}")
            time.sleep(0.05)
        raise Failed(f"did not end within {limit_s:g} s; it printed:\n{printed}")

    def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + 10
            left = self._left()
            for process in left:
                _send(process, number)
            while left and time.monotonic() < until:
                time.sleep(0.05)
                left = self._left()
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.kill()
        self._bash.wait(10)

    def _left(self) -> list[int]:
        """Processes of this session, but for the shell itself."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            state, _, _, session = text.rpartition(")")[2].split()[:4]
            process = int(stat.parent.name)
            if int(session) == self._bash.pid and process != self._bash.pid and state != "Z":
                found.append(process)
        return found

    def _order(self, line: str) -> None:
        assert self._bash.stdin is not None
        try:
            self._bash.stdin.write(line.encode() + b"\n")
            self._bash.stdin.flush()
        except BrokenPipeError:
            raise Failed("the shell has ended") from None


def _send(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass


_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?|\d\d:\d\d:\d\d")
_HEX = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b")
_NUMBER = re.compile(r"(?<![\w.:-])-?\d+(?:\.\d+)?(?:e[+-]\d+)?(?![\w.]|\.\d)")


_GAPS = {"...": ".*", "... ": "(?:.* )?", " ...": "(?: .*)?", " ... ": " (?:.* )?"}


def matches(shown: str, printed: str, *, about: bool) -> bool:
    """Whether the page shows what was printed. Spaces and empty lines do not count; ``...`` stands for
    anything within a line, and alone in a line for any lines."""
    pattern = "".join(_pattern(line) for line in _lines(shown, about))
    return re.fullmatch(pattern, "".join(line + "\n" for line in _lines(printed, about))) is not None


def _pattern(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*?"
    parts = re.split(r"( ?\.\.\. ?)", line)
    return "".join(_GAPS.get(part) or re.escape(part) for part in parts) + r"\n"


def _lines(text: str, about: bool) -> list[str]:
    return [
        " ".join((_masked(line) if about else line).split()) for line in text.splitlines() if line.strip()
    ]


def _masked(line: str) -> str:
    return _NUMBER.sub("0", _HEX.sub("x", _TIME.sub("T", line)))
