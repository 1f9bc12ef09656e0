"""Where the socket is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAME = "console.sock"


def console_path(configured: Path | None, state_dir: Path, environment: Mapping[str, str]) -> Path:
    """As configured; else in the runtime directory that systemd gives, else in the state directory."""
    if configured is not None:
        return configured
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime or state_dir) / NAME
