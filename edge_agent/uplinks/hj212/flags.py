"""The agent's quality as the data flag of HJ 212. A value that is not good is left out: a platform must never
read a stale or invented number as a measurement."""

from __future__ import annotations

from edge_agent.model import Quality
from edge_agent.uplinks.hj212.profile import Version

NORMAL, FAULT, COMM, MANUAL, ABOVE = "N", "D", "B", "S", "T"

_ENOUGH = 0.75  # of the sub-periods of a gas factor, the limit itself included


def flag_for(quality: int, version: Version) -> str:
    """Empty: nothing is to be said of this factor. Unknown codes count as faults, never as normal."""
    if quality >= Quality.NOT_REPORTED or quality in (Quality.WAITING, Quality.UNDEFINED):
        return ""
    if quality < Quality.UNCERTAIN:
        return NORMAL
    if quality == Quality.UNCERTAIN_ESTIMATED:
        return MANUAL
    if quality in (Quality.BAD_COMM, Quality.STALE):
        return FAULT if version is Version.V2025 else COMM  # 2025 has no flag of its own for it
    return FAULT


def carries_value(quality: int) -> bool:
    return quality < Quality.BAD


def period_flag(code: str, normal: int | float, total: int | float) -> str:
    """Of a period from its sub-periods: gas needs three quarters of them, water all."""
    if total <= 0:
        return FAULT
    needed = 1.0 if code.startswith("w") else _ENOUGH
    return NORMAL if normal >= needed * total else FAULT
