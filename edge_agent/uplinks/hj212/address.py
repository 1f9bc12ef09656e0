"""What the address of a destination says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings

_ADDRESS = re.compile(r"tcp://(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/\[\]@?#]+)):(\d{1,5})/?", re.ASCII)


def parse(text: str) -> tuple[str, int]:
    """``tcp://host:port`` -> host and port. ValueError when it is something else."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError("not an address such as tcp://park.example:9001")
    return match[1] or match[2], int(match[3])


def endpoint(settings: Hj212Settings) -> str:
    """For people and logs."""
    return str(settings.address)
