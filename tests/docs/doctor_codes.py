"""Every code that ``edge-agent doctor`` may show, from where each is defined."""

from __future__ import annotations

from edge_agent import registry
from edge_agent.cli import doctor_network, doctor_self_words, doctor_words
from edge_agent.settings import Text


def every_code() -> dict[str, Text]:
    """Network, then drivers and destinations, then what the command itself says and this machine."""
    found = dict(doctor_network.CODES)
    for name in registry.names(registry.DRIVERS):
        driver = registry.load_driver(name)
        found |= driver.doctor().codes if driver.doctor is not None else {}
    for name in registry.names(registry.UPLINKS):
        uplink = registry.load_uplink(name)
        found |= uplink.doctor().codes if uplink.doctor is not None else {}
    return found | dict(doctor_words.CODES) | dict(doctor_self_words.CODES)
