"""What each uplink selects, held against the tags there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.document import Document
from edge_agent.config.located import Collector, Path
from edge_agent.config.model import Selection, UplinkConfig
from edge_agent.config.suggest import hint


def resolved(
    document: Document | None,
    uplinks: Sequence[UplinkConfig],
    drafts: Mapping[str, Draft],
    collector: Collector,
    *,
    sure: bool,
) -> tuple[UplinkConfig, ...]:
    """The uplinks with the poll periods their rates need. A pattern that no tag fits is reported where every
    device file could be read (``sure``)."""
    if document is None:
        return tuple(uplinks)
    if sure:
        for uplink in uplinks:
            _check(document, uplink, drafts, collector)
    periods = {(d.name, group): s for d in drafts.values() for group, s in d.periods_s.items()}
    return tuple(
        replace(u, selection=replace(u.selection, periods_s=periods)) if u.selection.every_s else u
        for u in uplinks
    )


def _check(
    document: Document, uplink: UplinkConfig, drafts: Mapping[str, Draft], collector: Collector
) -> None:
    if any(not draft.tags for draft in drafts.values()):
        return  # a table that could not be read: its tags are unknown
    place: Path = ("uplinks", _number(document, uplink))
    names = [f"{draft.name}.{tag}" for draft in drafts.values() for tag in draft.tags]
    for index, pattern in enumerate(uplink.selection.tags):
        only = Selection(tags=(pattern,))
        if any(only.selects(*name.split(".", 1)) for name in names):
            continue
        path = (*place, "select", index)
        values: dict[str, object] = {"pattern": pattern, "hint": hint(pattern, names)}
        collector.add(document.source, document.value(path), c.SELECTS_NOTHING, path, **values)
    if uplink.plugin.check is not None:
        for problem in uplink.plugin.check(uplink.settings, {d.name: d.tags for d in drafts.values()}):
            path = (*place, *problem.path)
            collector.take(document.source, document.value(path), replace(problem, path=path))


def _number(document: Document, uplink: UplinkConfig) -> int:
    items = enumerate(document.data["uplinks"])
    return next(i for i, item in items if isinstance(item, dict) and item.get("name") == uplink.name)
