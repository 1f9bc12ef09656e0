"""What the platform says on the acknowledgement topic. Pure.

    {"agent": "0f3c...", "acknowledged": ["samples/7/12"], "rejected": {"samples/7/13": "why"},
     "unknown_schemas": []}

The same form as the answer over HTTP, and read by the same rules; ``agent`` besides, because keys are unique
together with the agent's id only.
"""

from __future__ import annotations

import json
import re

from edge_agent.uplink import Key
from edge_agent.uplinks.http.answer import Confirmation, read_confirmation

_KEY = re.compile(r"([a-z]{1,20})/([0-9]{1,18})/([0-9]{1,18})", re.ASCII)


def read_ack(payload: bytes, agent: str, *, must_name: bool) -> Confirmation | None:
    """None where it is not an acknowledgement for this agent. ``must_name``: the topic does not say whose."""
    try:
        said = json.loads(payload)
        if not isinstance(said, dict) or said.get("agent", "" if must_name else agent) != agent:
            return None
        return read_confirmation(payload)
    except (ValueError, RecursionError):
        return None


def key_of(text: str) -> Key | None:
    match = _KEY.fullmatch(text)
    return Key(match[1], int(match[2]), int(match[3])) if match else None
