"""Files -> frozen settings, or one list of every mistake with file, line and column.

    load(directory)                 -> Configuration; ConfigurationError.problems are Located
    load_with_warnings(directory)   -> the same and the warnings of a usable configuration
    save_last_good, load_last_good  -> what the agent starts from when the files have become unusable
    describe_changes(old, new)      -> what a reload has to touch
    json_schema()                   -> for editors

``docs/configuration.md`` is the same for those who write the files. Names are imported when they are first
used: the daemon needs ``model`` only and leaves the loader to a child process (``apart``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.config.difference import Difference, Names, describe_changes
    from edge_agent.config.lastgood import Marker, last_good_marker, load_last_good, save_last_good
    from edge_agent.config.loader import load, load_with_warnings
    from edge_agent.config.located import Located, places_of
    from edge_agent.config.model import (
        BufferConfig,
        Configuration,
        Device,
        TagRef,
        UplinkConfig,
        WebConfig,
        Window,
    )
    from edge_agent.config.plugins import InstalledPlugins, Plugins
    from edge_agent.config.schema import json_schema, write_schemas
    from edge_agent.errors import ConfigurationError

__all__ = [
    "BufferConfig",
    "Configuration",
    "ConfigurationError",
    "Device",
    "Difference",
    "InstalledPlugins",
    "Located",
    "Marker",
    "Names",
    "Plugins",
    "TagRef",
    "UplinkConfig",
    "WebConfig",
    "Window",
    "describe_changes",
    "json_schema",
    "last_good_marker",
    "load",
    "load_last_good",
    "load_with_warnings",
    "places_of",
    "save_last_good",
    "write_schemas",
]

_HOMES = {
    "BufferConfig": "edge_agent.config.model",
    "Configuration": "edge_agent.config.model",
    "ConfigurationError": "edge_agent.errors",
    "Device": "edge_agent.config.model",
    "Difference": "edge_agent.config.difference",
    "InstalledPlugins": "edge_agent.config.plugins",
    "Located": "edge_agent.config.located",
    "Marker": "edge_agent.config.lastgood",
    "Names": "edge_agent.config.difference",
    "Plugins": "edge_agent.config.plugins",
    "TagRef": "edge_agent.config.model",
    "UplinkConfig": "edge_agent.config.model",
    "WebConfig": "edge_agent.config.model",
    "Window": "edge_agent.config.model",
    "describe_changes": "edge_agent.config.difference",
    "json_schema": "edge_agent.config.schema",
    "last_good_marker": "edge_agent.config.lastgood",
    "load": "edge_agent.config.loader",
    "load_last_good": "edge_agent.config.lastgood",
    "load_with_warnings": "edge_agent.config.loader",
    "places_of": "edge_agent.config.located",
    "save_last_good": "edge_agent.config.lastgood",
    "write_schemas": "edge_agent.config.schema",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
