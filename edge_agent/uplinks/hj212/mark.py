"""How far QNs may have been used, kept over a restart. The mark runs a little ahead of what is used, so that
it is written once in a while and not for every packet; a crash costs QNs, never a repetition."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

AHEAD_MS = 2_000


class Mark(Protocol):
    """Blocking; called in a thread."""

    def load(self) -> int: ...

    def save(self, ms: int) -> None: ...


class NoMark:
    """Without a place to keep it the wall clock alone must do."""

    def load(self) -> int:
        return 0

    def save(self, ms: int) -> None:
        pass


class FileMark:
    """OSError when it cannot be kept. A file that is missing or damaged counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> int:
        try:
            text = self._path.read_text(encoding="ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return 0
        return int(text) if text.isdigit() and len(text) < 15 else 0

    def save(self, ms: int) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{ms}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
