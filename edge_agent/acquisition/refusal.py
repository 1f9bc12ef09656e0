"""What a refusal says of the tags that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.model import Quality

if TYPE_CHECKING:
    from edge_agent.errors import StationError

_QUALITIES = {"illegal_address": Quality.BAD_ADDRESS, "permission": Quality.BAD_CONFIG}


def quality_of(error: StationError) -> Quality:
    return _QUALITIES.get(error.reason, Quality.BAD_DEVICE)
