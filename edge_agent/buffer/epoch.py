"""Who this agent is and for the how-many-th time it runs: two tiny files, each in two copies.

``agent-id``   32 hex digits, made at the first start, for ever the same
``epoch``      a counter that rises at every start and with every new database

Both are written the same way: temporary file, fsync, rename, fsync of the directory; one copy after the
other, so that a power cut at any moment leaves at least one copy whole. A copy carries a CRC; of two sound
epochs the higher one counts. Where every copy is lost although the agent has run here before, the epoch
jumps to the wall clock's seconds, which no counter reaches: a key is never given out twice.
"""

from __future__ import annotations

import os
import re
import uuid
import zlib
from pathlib import Path

_COPIES = ("", ".2")


class Identity:
    """Agent id and epoch in ``directory``. Blocking; belongs to the writer thread. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.epoch = max(_epochs(directory), default=0)
        ids = _agents(directory)
        self.first_start = not (ids or self.epoch)
        self.agent = ids[0] if ids else uuid.uuid4().hex
        self._agent_stored = len(ids) == len(_COPIES)

    def raise_epoch(self, seen: int, now_s: int) -> int:
        """A new epoch above the last one and above ``seen`` (the highest in any database), durable on return.

        ``now_s``: wall time, used only when the files tell nothing although this is not the first start.
        """
        known = max(self.epoch, seen)
        unknown = not self.epoch and not self.first_start
        epoch = max(known + 1, now_s) if unknown else known + 1
        self._store("epoch", str(epoch))
        self.epoch = epoch
        if not self._agent_stored:  # after the epoch: a power cut in between must not look like a lost epoch
            self._store("agent-id", self.agent)
            self._agent_stored = True
        return epoch

    def _store(self, name: str, text: str) -> None:
        for copy in _COPIES:
            write_durably(self._directory / (name + copy), f"{text} {_crc(text)}\n".encode("ascii"))


def read_identity(directory: Path) -> tuple[str, int]:
    """Agent id and last epoch as they stand on the disk, without making anything; "" and 0 if unknown."""
    return next(iter(_agents(directory)), ""), max(_epochs(directory), default=0)


def _epochs(directory: Path) -> list[int]:
    return [int(text) for text in _sound(directory, "epoch") if text.isdecimal()]


def _agents(directory: Path) -> list[str]:
    return [text for text in _sound(directory, "agent-id") if re.fullmatch(r"[0-9a-f]{32}", text)]


def _sound(directory: Path, name: str) -> list[str]:
    """The texts of those copies that are whole."""
    found = []
    for copy in _COPIES:
        try:
            text, _, crc = (directory / (name + copy)).read_text("ascii").strip().partition(" ")
        except (OSError, UnicodeError):
            continue
        if crc == _crc(text):
            found.append(text)
    return found


def write_durably(path: Path, data: bytes) -> None:
    """The file holds either what it held or ``data``, whenever the power goes."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _crc(text: str) -> str:
    return f"{zlib.crc32(text.encode('ascii')):08x}"
