"""What the first look of ``guess`` saw, kept for the second one in the user's own cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.cli.probing import Memory

_READABLE = 40
"""Characters of a device's name: with three or four bytes each still a file name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``values`` as they were typed."""

    values: tuple[str, ...]
    near: str | None
    memory: Memory


def keep(config_dir: Path, device: str, seen: Kept) -> None:
    """Without a place to write to there is no second look; the first one goes on."""
    place = _place(config_dir, device)
    memory = seen.memory
    data = {
        "values": seen.values,
        "near": seen.near,
        "around": memory.around,
        "tags": [asdict(tag) for tag in memory.tags],
        "read": memory.values,
    }
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(data), encoding="utf-8")
    except OSError:
        return


def kept(config_dir: Path, device: str) -> Kept | None:
    from edge_agent.cli.probing import Memory
    from edge_agent.model import Scaling, Tag, ValueType

    try:
        data = json.loads(_place(config_dir, device).read_text(encoding="utf-8"))
        tags = [
            Tag(
                **row
                | {"type": ValueType(row["type"]), "scaling": row["scaling"] and Scaling(**row["scaling"])}
            )
            for row in data["tags"]
        ]
        around = {address: (place[0], place[1]) for address, place in data["around"].items()}
        return Kept(tuple(data["values"]), data["near"], Memory(tags, data["read"], around))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _place(config_dir: Path, device: str) -> Path:
    """The digest tells devices apart, of two lines too; the name beside it is for whoever looks there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    whose = hashlib.sha256(f"{config_dir.resolve()}\0{device}".encode()).hexdigest()[:16]
    readable = re.sub(r"[^\w.-]", "_", device)[:_READABLE]
    return Path(base) / "edge-agent" / f"guess-{readable}-{whose}.json"
