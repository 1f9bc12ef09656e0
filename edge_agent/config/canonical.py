"""The version of a configuration: 12 hex digits over everything in it that has a meaning.

Comments, formatting, the order of keys and of files, and another way to write the same period change nothing.
Secrets are left out: a new password is no new configuration of the data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from edge_agent.config.model import Derivation, Device, PeriodTag, Selection, UplinkConfig, Window, Writing
from edge_agent.config.process import Origin
from edge_agent.config.shapes import AgentFile
from edge_agent.expression import Formula
from edge_agent.uplink import Stream

_PLAIN = frozenset({str, int, float, bool, type(None)})


def version_of(
    agent: AgentFile,
    devices: Sequence[Device],
    uplinks: Sequence[UplinkConfig],
    directory: Path,
    derivation: Derivation | None = None,
    derived_windows: Sequence[Window] = (),
    standards: Sequence[Any] = (),
    writing: Writing | None = None,
    periods: Sequence[PeriodTag] = (),
) -> str:
    """``state_dir`` counts as written and other paths as seen from ``directory``, so that a moved directory
    keeps its version. ``standards``: what is handed down and in force, also where no tag is concerned."""
    meaning: dict[str, Any] = {
        "agent": _agent(agent),
        "devices": {device.name: _device(device, directory) for device in devices},
        "uplinks": {
            uplink.name: [
                uplink.type,
                uplink.max_segments,
                canonical(uplink.settings, directory),
                *_selection(uplink.selection),
            ]
            for uplink in uplinks
        },
    }
    if derivation is not None:
        meaning["derivation"] = canonical(derivation)
        meaning["derived_windows"] = {window.name: canonical(window) for window in derived_windows}
    if standards:
        meaning["standards"] = list(standards)
    if writing is not None:
        meaning["writing"] = _writing(writing)
    if periods:
        meaning["periods"] = {str(one.tag): canonical(one) for one in periods}
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def _agent(agent: AgentFile) -> dict[str, Any]:
    """Without what nobody wrote of period values, as before there were any."""
    found: dict[str, Any] = canonical(agent)
    if agent.periods == type(agent.periods)():
        del found["periods"]
    return found


def _selection(selection: Selection) -> list[Any]:
    """Nothing for what is sent everything, as before there was a choice."""
    chosen = [sorted(selection.tags), selection.every_s, sorted(selection.streams)]
    return [chosen] if chosen[:2] != [[], 0.0] or len(selection.streams) < len(Stream) else []


def _writing(writing: Writing) -> list[Any]:
    """Without the places and the order of the entries."""
    return [
        [writing.level.name, writing.dry_run, writing.arm_s, writing.per_day, writing.lockout_failures],
        {str(writable.tag): canonical(replace(writable, place="")) for writable in writing.writables},
        {str(beat.tag): canonical(beat) for beat in writing.heartbeats},
        {str(output.tag): canonical(output) for output in writing.outputs},
    ]


def _device(device: Device, directory: Path) -> list[Any]:
    """Tags keep their order: it is the order of the columns."""
    return [
        device.driver,
        device.description,
        canonical(device.settings, directory),
        [canonical(tag) for tag in device.tags],
        canonical(device.periods_s),
        {window.name: canonical(window) for window in device.windows},
        device.equipment,
    ]


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """Of a dataclass, with their defaults: what has its default is left out. There are thousands of windows,
    each with dozens of fields, most of them never touched; and a field that a later release adds leaves the
    version as it is."""
    return tuple((field.name, field.default) for field in fields(kind))


def canonical(value: Any, directory: Path | None = None) -> Any:
    """JSON-able plain data that is equal for equal meaning; paths below ``directory`` are relative to it."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (SecretStr, SecretBytes)):
        return "secret"
    if isinstance(value, BaseModel):
        return {name: canonical(getattr(value, name), directory) for name in type(value).model_fields}
    if isinstance(value, Formula):  # its steps: blanks and another way to write a unit change nothing
        return [value.type, value.unit, canonical(value.slots), canonical(value.step)]
    if isinstance(value, Origin):  # where a limit stands in a file means nothing
        return [value.level, value.standard]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: found if type(found) in _PLAIN else canonical(found, directory)
            for name, default in _fields(type(value))
            if (found := getattr(value, name)) is not default and found != default
        }
    if isinstance(value, Enum):
        return canonical(value.value, directory)
    if isinstance(value, Mapping):
        return {str(key): canonical(inner, directory) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(inner, directory) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(canonical(inner, directory), sort_keys=True) for inner in value)
    if isinstance(value, Path) and directory is not None and value.is_relative_to(directory):
        return str(value.relative_to(directory))
    for plain in (int, float, str):  # their subclasses: durations, sizes
        if isinstance(value, plain):
            return plain(value)
    return str(value)
