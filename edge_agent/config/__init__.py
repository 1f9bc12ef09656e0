"""Files -> frozen settings, or one list of every mistake with file, line and column.

    load(directory)                 -> Configuration; ConfigurationError.problems are Located
    load_with_warnings(directory)   -> the same and the warnings of a usable configuration
    save_last_good, load_last_good  -> what the agent starts from when the files have become unusable
    describe_changes(old, new)      -> what a reload has to touch
    json_schema()                   -> for editors

``docs/configuration.md`` is the same for those who write the files.
"""

from edge_agent.config.difference import Difference, Names, describe_changes
from edge_agent.config.lastgood import Marker, last_good_marker, load_last_good, save_last_good
from edge_agent.config.loader import load, load_with_warnings
from edge_agent.config.located import Located, located
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
    "located",
    "save_last_good",
    "write_schemas",
]
