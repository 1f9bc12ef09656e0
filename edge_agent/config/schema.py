"""JSON schemas of the files, for completion and checking in an editor, with every plug-in's keys."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edge_agent import registry
from edge_agent.config.derived_shapes import DerivedFile
from edge_agent.config.shapes import AgentFile, DeviceCommon, UplinkCommon
from edge_agent.config.standard_shapes import StandardFile
from edge_agent.registry import BrokenPlugin

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES = {
    "edge-agent": "edge-agent.schema.json",
    "device": "device.schema.json",
    "derived": "derived.schema.json",
    "standards": "standards.schema.json",
}


def json_schema() -> dict[str, dict[str, Any]]:
    """By the names in ``FILES``: schemas of edge-agent.yaml and of the files in devices.d, derived.d and
    standards.d. Imports every installed plug-in; one that cannot be imported is left out."""
    return {
        "edge-agent": _agent(_uplinks()),
        "device": _device(_drivers()),
        "derived": _derived(),
        "standards": _standards(),
    }


def write_schemas(directory: Path) -> list[Path]:
    """Writes them as files (``config/schema`` in the project)."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in json_schema().items():
        path = directory / FILES[name]
        path.write_text(as_text(schema), encoding="utf-8")
        written.append(path)
    return written


def as_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


Choice = tuple[str, type[BaseModel]]


def _drivers() -> list[Choice]:
    found: list[Choice] = []
    for name in registry.names(registry.DRIVERS):
        try:
            found.append((name, registry.load_driver(name).settings))
        except BrokenPlugin:
            continue
    return found


def _uplinks() -> list[Choice]:
    found: list[Choice] = []
    for name in registry.names(registry.UPLINKS):
        try:
            found.append((name, registry.load_uplink(name).settings))
        except BrokenPlugin:
            continue
    return found


def _device(choices: Iterable[Choice]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    branches = _branches(DeviceCommon, "driver", choices, definitions)
    for branch in branches:
        period = branch["properties"]["poll"]
        one = next(iter(period["patternProperties"].values()))
        described = {key: period.pop(key) for key in ("description", "title") if key in period}
        branch["properties"]["poll"] = {"anyOf": [one, period], **described}
    return {
        "$schema": _DIALECT,
        "title": "Lineside device (devices.d/*.yaml)",
        "type": "object",
        "oneOf": branches,
        "$defs": definitions,
    }


def _agent(choices: Iterable[Choice]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    schema = _model(AgentFile, "agent", definitions)
    branches = _branches(UplinkCommon, "type", choices, definitions)
    schema["properties"]["uplinks"]["items"] = {"type": "object", "oneOf": branches}
    return {"$schema": _DIALECT, **schema, "title": "Lineside agent (edge-agent.yaml)", "$defs": definitions}


def _derived() -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    schema = _model(DerivedFile, "derived", definitions)
    title = "Lineside derived values (derived.d/*.yaml)"
    return {"$schema": _DIALECT, **schema, "title": title, "$defs": definitions}


def _standards() -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    schema = _model(StandardFile, "standard", definitions)
    title = "Lineside limits handed down (standards.d/*.yaml)"
    return {"$schema": _DIALECT, **schema, "title": title, "$defs": definitions}


def _branches(
    common: type[BaseModel], key: str, choices: Iterable[Choice], definitions: dict[str, Any]
) -> list[dict[str, Any]]:
    """One closed object per plug-in: the agent's keys and its own, told apart by ``key``."""
    branches = []
    for name, settings in choices:
        ours = _model(common, "common", definitions)
        own = _model(settings, name, definitions)
        properties = {**own.get("properties", {}), **ours["properties"]}
        properties[key] = {"const": name, "description": ours["properties"][key].get("description", "")}
        branches.append(
            {
                "title": name,
                "type": "object",
                "additionalProperties": False,
                "properties": properties,
                "required": sorted({*ours.get("required", ()), *own.get("required", ())}),
            }
        )
    return branches


def _model(model: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A model's schema; what it refers to moves into ``definitions`` under names that cannot collide."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = definition
    return schema
