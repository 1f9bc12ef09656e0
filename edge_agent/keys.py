"""The pydantic half of ``settings``: base models and field types. Plug-in authors import them from
``edge_agent.settings``, ``edge_agent.driver`` and ``edge_agent.uplink``; the running agent never needs this.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\s*", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(kB|MB|GB|B)\s*", re.ASCII)
_BYTES = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def parse_duration(value: Any) -> float:
    """``"200ms"``, ``"5s"``, ``"10min"``, ``"2h"``, ``"1d"`` -> seconds. A bare number is refused: its unit
    would be a guess. Raises PydanticCustomError ``duration_unit`` or ``duration``."""
    if isinstance(value, bool):
        raise PydanticCustomError("duration", "not a duration")
    if isinstance(value, (int, float)):
        raise PydanticCustomError("duration_unit", "a duration needs a unit", {"guess": f"{value}s"})
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            raise PydanticCustomError(
                "duration_unit", "a duration needs a unit", {"guess": f"{value.strip()}s"}
            )
        raise PydanticCustomError("duration", "not a duration")
    return float(match[1]) * _SECONDS[match[2]]


def _positive_duration(value: Any) -> float:
    seconds = value if isinstance(value, _Seconds) else parse_duration(value)
    if seconds <= 0:
        raise PydanticCustomError("duration_positive", "a duration must be longer than 0")
    return _Seconds(seconds)


class _Seconds(float):
    """A parsed duration, so that a validated model validates again unchanged."""

    __slots__ = ()


def _any_duration(value: Any) -> float:
    return value if isinstance(value, _Seconds) else _Seconds(parse_duration(value))


def parse_size(value: Any) -> int:
    """``"500MB"`` -> bytes (decimal units). Raises PydanticCustomError ``size``."""
    if isinstance(value, _Bytes):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("size", "not a size")
    return _Bytes(float(match[1]) * _BYTES[match[2]])


class _Bytes(int):
    __slots__ = ()


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^\d+(\.\d+)? ?(ms|s|min|h|d)$",
    "examples": ["200ms", "5s", "10min"],
}
_SIZE_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(B|kB|MB|GB)$", "examples": ["500MB"]}

Duration = Annotated[float, BeforeValidator(_positive_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds, longer than 0; written with a unit: ``200ms``, ``5s``, ``10min``."""

Delay = Annotated[float, BeforeValidator(_any_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds, 0 allowed; written with a unit."""

Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes; written with a decimal unit: ``500MB``."""


def _in_configuration(path: Path, info: ValidationInfo) -> Path:
    directory = (info.context or {}).get("directory")
    return path if directory is None else Path(directory) / path


ConfigPath = Annotated[
    Path,
    AfterValidator(_in_configuration),
    WithJsonSchema({"type": "string", "format": "path", "examples": ["pki/plant-ca.pem"]}),
]
"""A file or folder; a relative one is meant from the configuration directory, and the loader makes it
absolute. A model made without the loader keeps the path as it is."""

Secret = SecretStr
"""Read from a file named by ``!secret NAME``; never printed, logged or hashed into a version."""


class DeviceSettings(Settings):
    """The keys every device has beside ``device``, ``driver``, ``poll``, ``tags`` and ``windows``, which
    the loader keeps. A driver's settings model derives from this one."""

    timeout: Duration | None = Field(
        default=None,
        description="How long one request may take. Default: 1s, at most half the link's fastest period; "
        "never less than three times what the request takes on the wire.",
    )


class UplinkSettings(Settings):
    """Base of every uplink's settings. ``name`` and ``type`` are the loader's."""
