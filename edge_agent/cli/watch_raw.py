"""``watch --raw``: the bytes that the agent's values stand for. The agent hands on values; the bytes are made
of them by the tag's type, order and scale, as the driver would send them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.driver import Prober
    from edge_agent.model import Tag, Value

Bytes = Callable[[str, str, Any], str]


def bytes_of(config_dir: Path) -> Bytes:
    """(device, tag, engineering value) -> the bytes in hexadecimal, "" where that cannot be told."""
    from edge_agent.config import load

    known: dict[tuple[str, str], tuple[Prober, Any, Tag]] = {}
    for device in load(config_dir).devices:
        if device.plugin.probe is not None:
            prober = device.plugin.probe()
            known |= {(device.name, tag.name): (prober, device.settings, tag) for tag in device.tags}

    def told(device: str, name: str, value: Any) -> str:
        found = known.get((device, name))
        if found is None or value is None:
            return ""
        prober, settings, tag = found
        data = prober.encoded(settings, tag, _raw(tag, value))
        return "" if data is None else data.hex(" ")

    return told


def _raw(tag: Tag, value: Any) -> Value:
    if tag.scaling is not None and not isinstance(value, bool | str):
        value = (value - tag.scaling.offset) / tag.scaling.scale
    if isinstance(value, bool | str):
        return value
    return float(value) if tag.type.is_float else round(value)
