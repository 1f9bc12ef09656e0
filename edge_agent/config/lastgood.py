"""The last good configuration: what the agent starts from when the files have become unusable.

One file, ``<state_dir>/last-good.json``, holds every file that was read, its time and version. Secrets are
not in it: they are read from their place again. It is written beside the old one, synced, and renamed over
it, so that there is always a whole one; a digest tells a damaged one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.clock import Clock, SystemClock
from edge_agent.config import catalogue as c
from edge_agent.config.loader import load_files
from edge_agent.config.located import Collector, Source
from edge_agent.config.model import Configuration
from edge_agent.config.plugins import Plugins
from edge_agent.config.sources import ReadFiles, SnapshotFiles
from edge_agent.errors import ConfigurationError

FILE = "last-good.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Marker:
    """When (wall time) which version was saved, and from which directory."""

    saved_ns: int
    version: str
    directory: Path


def save_last_good(configuration: Configuration, state_dir: Path, *, clock: Clock | None = None) -> Path:
    """Writes the snapshot and returns its path. OSError when the disk does not take it; the former snapshot
    is then untouched. Blocks for two syncs: call it in a thread."""
    files = configuration.files
    directory = files.directory if isinstance(files, ReadFiles) else Path.cwd()
    content = {
        "format": _FORMAT,
        "saved_ns": (clock or SystemClock()).time_ns(),
        "version": configuration.version,
        "directory": str(directory),
        "files": {name: base64.b64encode(data).decode("ascii") for name, data in sorted(files.items())},
    }
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / FILE
    text = json.dumps({"digest": _digest(content), "content": content}, ensure_ascii=False, indent=1)
    _replace(path, text.encode("utf-8"))
    return path


def load_last_good(
    state_dir: Path, *, plugins: Plugins | None = None, environ: Mapping[str, str] | None = None
) -> Configuration:
    """The configuration of the snapshot. ``ConfigurationError`` when there is none, when it is damaged, or
    when it cannot be used any more (a secret is gone, a driver was removed)."""
    marker, files = _read(state_dir / FILE)
    return load_files(SnapshotFiles(marker.directory, files), plugins=plugins, environ=environ)[0]


def last_good_marker(state_dir: Path) -> Marker | None:
    """What is saved there; None when nothing usable is."""
    try:
        return _read(state_dir / FILE)[0]
    except ConfigurationError:
        return None


def _read(path: Path) -> tuple[Marker, dict[str, bytes]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _error(path, c.NO_LAST_GOOD) from None
    except OSError as error:
        raise _error(path, c.BAD_LAST_GOOD, reason=error.strerror or str(error)) from error
    try:
        whole = json.loads(data)
        content: dict[str, Any] = whole["content"]
        if whole["digest"] != _digest(content) or content["format"] != _FORMAT:
            raise ValueError("digest or format")
        files = {name: base64.b64decode(text, validate=True) for name, text in content["files"].items()}
        marker = Marker(int(content["saved_ns"]), str(content["version"]), Path(content["directory"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise _error(path, c.BAD_LAST_GOOD, reason=f"{type(error).__name__}: {error}") from error
    return marker, files


def _error(path: Path, entry: c.Entry, /, **values: object) -> ConfigurationError:
    collector = Collector()
    collector.add(Source(path.name, ""), (1, 1), entry, path=path.parent, **values)
    return ConfigurationError(collector.all())


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Atomically: another reader, or a power failure, sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
