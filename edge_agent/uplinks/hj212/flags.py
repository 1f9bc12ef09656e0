"""The agent's quality as the data flag of HJ 212. A value that is not good is left out: a platform must never
read a stale or invented number as a measurement."""

from __future__ import annotations

from edge_agent.model import Quality
from edge_agent.uplinks.hj212.profile import Version

NORMAL, FAULT, COMM, MANUAL, ABOVE = "N", "D", "B", "S", "T"


def flag_for(quality: int, version: Version) -> str:
    """Empty: nothing is to be said of this factor. Unknown codes count as faults, never as normal."""
    if quality >= Quality.NOT_REPORTED or quality in (Quality.WAITING, Quality.UNDEFINED):
        return ""
    if quality < Quality.UNCERTAIN:
        return NORMAL
    if quality == Quality.UNCERTAIN_ESTIMATED:
        return MANUAL
    if quality in (Quality.BAD_COMM, Quality.STALE):
        return in_edition(COMM, version)
    return FAULT


def in_edition(letter: str, version: Version) -> str:
    """2025 has no letter of its own for a broken connection: it is a fault there."""
    return FAULT if letter == COMM and version is Version.V2025 else letter


def carries_value(quality: int) -> bool:
    return quality < Quality.BAD
