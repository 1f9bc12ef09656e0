"""What the Tab key offers: devices and protocols. Fast and quiet: neither a driver nor YAML is imported, and
a file that cannot be read offers nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

_DEVICE = re.compile(r"^device\s*[:：]\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_READ_BYTES = 8192


def devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The devices of the configuration that this command line is about; none twice."""
    directory = ctx.params.get("config_dir") or os.environ.get("EDGE_AGENT_CONFIG") or "/etc/edge-agent"
    given = ctx.params.get(param.name or "")
    used = set(given) if isinstance(given, tuple) else set()
    return sorted(
        name for name in set(_devices(Path(directory))) if name.startswith(incomplete) and name not in used
    )


def devices_and_self(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return devices(ctx, param, incomplete) + [name for name in ("self",) if name.startswith(incomplete)]


def drivers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from edge_agent import registry

    return [name for name in registry.names(registry.DRIVERS) if name.startswith(incomplete)]


def _devices(directory: Path) -> Iterator[str]:
    """As each file says; by the name of the file where it does not."""
    try:
        files = [file for file in (directory / "devices.d").iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        return
    for file in files:
        try:
            with file.open("rb") as opened:
                found = _DEVICE.search(opened.read(_READ_BYTES).decode("utf-8-sig", "replace"))
        except OSError:
            continue
        yield found[1] if found else file.stem
