"""``edge-agent.yaml``: the agent's own keys and its uplinks."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from edge_agent.config import catalogue as c
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.located import Collector, Path
from edge_agent.config.model import Selection, UplinkConfig
from edge_agent.config.plugins import UPLINK, Keys, Plugins, find, secret_paths, warn_inline_secrets
from edge_agent.config.shapes import AgentFile, UplinkCommon
from edge_agent.config.suggest import NOTHING
from edge_agent.settings import Text
from edge_agent.uplink import Stream


def read_agent(
    document: Document, plugins: Plugins, collector: Collector
) -> tuple[AgentFile | None, tuple[UplinkConfig, ...]]:
    """The agent's keys (None when they do not suffice) and the sound uplinks. Mistakes: the collector."""
    keys = Keys(document, (), document.data, AgentFile, AgentFile, collector)
    keys.report_unknown()
    model, _ = keys.read(AgentFile, without=("uplinks", "annunciation"))
    uplinks = _uplinks(document, plugins, collector)
    if model is not None and not _is_loopback(model.web.host):
        path = ("web", "host")
        collector.add(document.source, document.value(path), c.W_WEB_OPEN, path, host=model.web.host)
    return model, uplinks


def _uplinks(document: Document, plugins: Plugins, collector: Collector) -> tuple[UplinkConfig, ...]:
    items = document.data.get("uplinks")
    if items is None:
        return ()
    if not isinstance(items, list):
        _wrong_type(
            document, ("uplinks",), items, Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）"), collector
        )
        return ()
    found: dict[str, tuple[UplinkConfig, int]] = {}
    senders: dict[str, tuple[str, str]] = {}
    for number, item in enumerate(items):
        path: Path = ("uplinks", number)
        if not isinstance(item, dict):
            wanted = Text("an uplink ('name: ...' and 'type: ...')", "上行通道（'name: ...' 和 'type: ...'）")
            _wrong_type(document, path, item, wanted, collector)
            continue
        uplink = _uplink(document, path, item, plugins, collector)
        if uplink is None:
            continue
        at = document.value((*path, "name"))
        if uplink.name in found:
            other = f"{document.source.name}:{found[uplink.name][1]}"
            collector.add(
                document.source, at, c.DUPLICATE_UPLINK, (*path, "name"), name=uplink.name, other=other
            )
        else:
            found[uplink.name] = (uplink, at[0])
            _check_sender(document, path, uplink, senders, collector)
    return tuple(uplink for uplink, _ in found.values())


def _uplink(
    document: Document, path: Path, item: dict[str, Any], plugins: Plugins, collector: Collector
) -> UplinkConfig | None:
    plugin = find(plugins.uplink, UPLINK, document, (*path, "type"), item.get("type"), collector)
    keys = Keys(document, path, item, UplinkCommon, plugin.settings if plugin else None, collector)
    keys.report_unknown()
    common, bad = keys.read(UplinkCommon)
    if plugin is None:
        return None
    settings, bad_own = keys.read(plugin.settings)
    if settings is None or common is None or bad or bad_own:
        return None
    warn_inline_secrets(document, path, settings, collector)
    _warn_plain(document, path, settings, collector)
    streams = frozenset(plugin.streams if common.streams is None else map(Stream, common.streams))
    for number, stream in enumerate(common.streams or ()):
        if stream not in plugin.streams:
            at: Path = (*path, "streams", number)
            values = {"type": common.type, "stream": stream, "known": ", ".join(sorted(plugin.streams))}
            collector.add(document.source, document.value(at), c.STREAM_NOT_TAKEN, at, **values)
    _check_events(document, path, settings, streams, collector)
    selection = Selection(streams, tuple(common.select), float(common.every or 0.0))
    return UplinkConfig(common.name, common.type, plugin, settings, common.max_segments, selection)


def _check_sender(
    document: Document,
    path: Path,
    uplink: UplinkConfig,
    senders: dict[str, tuple[str, str]],
    collector: Collector,
) -> None:
    """Two uplinks that one destination takes for the same sender. ``senders``: those before this one."""
    for key, identity in uplink.plugin.identity(uplink.settings) if uplink.plugin.identity else ():
        at: Path = (*path, key)
        name, place = senders.setdefault(
            identity, (uplink.name, f"{document.source.name}:{document.value(at)[0]}")
        )
        if name != uplink.name:
            values = {"key": key, "name": name, "other": place}
            collector.add(document.source, document.value(at), c.SAME_IDENTITY, at, **values)
            return


def _check_events(
    document: Document, path: Path, settings: BaseModel, streams: frozenset[Stream], collector: Collector
) -> None:
    """Events for which there is no template; of any uplink that has these keys."""
    if Stream.EVENT not in streams or not hasattr(settings, "event_body"):
        return
    if getattr(settings, "body", None) is not None and settings.event_body is None:
        at: Path = (*path, "body")
        collector.add(document.source, document.key(at), c.NO_EVENT_BODY, at)


def _warn_plain(document: Document, path: Path, settings: BaseModel, collector: Collector) -> None:
    """Secrets beside a ``url`` that is not encrypted; of any uplink that has these keys."""
    try:
        url = urlsplit(str(getattr(settings, "url", "")))
        plain = url.scheme in ("http", "mqtt") and url.hostname is not None and not _is_loopback(url.hostname)
    except ValueError:
        return
    if not plain or getattr(settings, "allow_plain", False):
        return
    for key in secret_paths(settings):
        full = (*path, *key)
        collector.add(document.source, document.value(full), c.W_PLAIN_SECRET, full, key=str(key[-1]))


def _wrong_type(document: Document, path: Path, found: Any, wanted: Text, collector: Collector) -> None:
    values: dict[str, object] = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
    collector.add(document.source, document.value(path), c.WRONG_TYPE, path, key=path[0], **values)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
