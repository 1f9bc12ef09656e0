"""Devices that share a link must agree on the link's options."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.explain import shown
from edge_agent.config.located import Collector
from edge_agent.config.plugins import DRIVER


def check_links(drafts: Sequence[Draft], collector: Collector) -> None:
    """Reports, at the later device, each link option that differs from the first device on that link."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        key = _link_key(draft, collector)
        if key is None:
            continue
        other = first.setdefault(key, draft)
        if other is not draft:
            _compare(draft, other, collector)


def _link_key(draft: Draft, collector: Collector) -> str | None:
    if draft.plugin is None or draft.settings is None:
        return None
    try:
        return f"{draft.driver}:{draft.plugin.link_key(draft.settings)}"
    except Exception as error:  # noqa: BLE001 - a faulty plug-in must not keep other mistakes from being shown
        values: dict[str, object] = {
            "kind": DRIVER,
            "name": draft.driver,
            "reason": f"{type(error).__name__}: {error}",
        }
        at = draft.document.value(("driver",))
        collector.add(draft.document.source, at, c.BROKEN_DRIVER, ("driver",), **values)
        return None


def _compare(draft: Draft, other: Draft, collector: Collector) -> None:
    for option in sorted(draft.plugin.link_options if draft.plugin else ()):
        here, there = getattr(draft.settings, option, None), getattr(other.settings, option, None)
        if here == there:
            continue
        path = (option,) if option in draft.document.data else ("driver",)
        line = other.document.value((option,) if option in other.document.data else ("driver",))[0]
        values: dict[str, object] = {
            "found": shown((option,), here),
            "wanted": shown((option,), there),
            "device": other.name,
            "other": f"{other.file}:{line}",
        }
        at = draft.document.value(path)
        collector.add(draft.document.source, at, c.LINK_OPTIONS, path, key=option, **values)
