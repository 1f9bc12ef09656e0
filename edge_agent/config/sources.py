"""Where the files come from: a directory, or the snapshot of the last good configuration."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MAX_BYTES = 8_000_000


class ReadFiles(dict[str, bytes]):
    """Every file that was read, by its name relative to the directory (secrets excluded), and which directory
    that was: relative paths and secrets are found there again."""

    def __init__(self, directory: Path, files: Mapping[str, bytes] | None = None) -> None:
        super().__init__(files or {})
        self.directory = directory


class Files(Protocol):
    """``read`` raises OSError. Names are relative to ``directory``, with ``/``."""

    @property
    def directory(self) -> Path: ...

    def names(self, folder: str) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


class DirectoryFiles:
    """The files on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self, folder: str) -> list[str]:
        """Files of one folder in lexical order; hidden files and editor backups are not among them."""
        try:
            entries = [entry.name for entry in (self.directory / folder).iterdir() if not entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [f"{folder}/{name}" for name in sorted(entries) if name[0] not in ".~#" and name[-1] != "~"]

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()


class SnapshotFiles:
    """Files kept in memory; ``directory`` is where they once stood."""

    def __init__(self, directory: Path, files: Mapping[str, bytes]) -> None:
        self.directory = directory
        self._files = files

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in self._files if name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        if name not in self._files:
            raise FileNotFoundError(name)
        return self._files[name]


@dataclass(frozen=True, slots=True)
class Decoded:
    """``encoding`` is ``UTF-8`` or the one it was read as instead; then ``bad_at`` is the byte that was not
    UTF-8. ``text`` is None where the file is no text at all."""

    text: str | None
    encoding: str = "UTF-8"
    bad_at: int = 0


def decode(data: bytes) -> Decoded:
    """UTF-8 with or without BOM, else UTF-16 with BOM, else GB18030 (what Chinese Windows writes)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _decode_as(data, "utf-16", "UTF-16", 0)
    try:
        return Decoded(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _decode_as(data, "gb18030", "GBK", error.start)


def _decode_as(data: bytes, codec: str, name: str, bad_at: int) -> Decoded:
    try:
        return Decoded(data.decode(codec), name, bad_at)
    except UnicodeDecodeError:
        return Decoded(None, name, bad_at)


def user_name() -> str:
    """Who must be able to read the files: the user this process runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user id without a name
        return str(os.geteuid())
