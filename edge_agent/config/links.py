"""Devices on one link agree on its options, are different stations, and fit into its time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edge_agent.config import catalogue as c
from edge_agent.config.demand import Demand, demands, share
from edge_agent.config.devices import Draft
from edge_agent.config.explain import shown
from edge_agent.config.located import Collector
from edge_agent.config.model import Device
from edge_agent.config.plugins import DRIVER


def check_links(drafts: Sequence[Draft], collector: Collector) -> None:
    """Reports, at the later device, each link option that differs from the first device on that link, and a
    station that is another device already."""
    first: dict[str, Draft] = {}
    stations: dict[tuple[str, object], Draft] = {}
    for draft in drafts:
        key = _link_key(draft, collector)
        if key is None:
            continue
        other = first.setdefault(key, draft)
        if other is not draft:
            _compare(draft, other, collector)
        station = getattr(draft.settings, "station", None)  # protocols without one have several clients
        if station is not None and stations.setdefault((key, station), draft) is not draft:
            _same_station(draft, stations[key, station], collector)


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


def _same_station(draft: Draft, other: Draft, collector: Collector) -> None:
    path = ("station",) if "station" in draft.document.data else ("link",)
    line = other.document.value(path if path[0] in other.document.data else ("link",))[0]
    values: dict[str, object] = {
        "station": getattr(draft.settings, "station", None),
        "link": getattr(draft.settings, "link", ""),
        "device": other.name,
        "other": f"{other.file}:{line}",
    }
    collector.add(draft.document.source, draft.document.value(path), c.W_SAME_STATION, path, **values)


def warn_of_load(devices: Sequence[Device], drafts: Mapping[str, Draft], collector: Collector) -> None:
    """A warning, at the group that needs most, for each link that would be asked for more time than there is.
    A driver that cannot plan what it has checked is reported as broken."""
    links: dict[str, list[Demand]] = {}
    for device in devices:
        try:
            links.setdefault(device.link_key, []).extend(demands(device))
        except Exception as error:  # noqa: BLE001 - a faulty plug-in must not end the check with a traceback
            document = drafts[device.name].document
            reason = f"{type(error).__name__}: {error}"
            values: dict[str, object] = {"kind": DRIVER, "name": device.driver, "reason": reason}
            collector.add(
                document.source, document.value(("driver",)), c.BROKEN_DRIVER, ("driver",), **values
            )
    for link, found in links.items():
        if share(found) > 1:
            _too_much(link, found, drafts, collector)


def _too_much(link: str, found: Sequence[Demand], drafts: Mapping[str, Draft], collector: Collector) -> None:
    most = max(found, key=lambda demand: demand.share)
    document = drafts[most.device].document
    path = ("poll", most.group)
    values: dict[str, object] = {
        "link": link.partition(":")[2],
        "share": f"{share(found) * 100:.0f}",
        "factor": f"{math.ceil(share(found) * 10) / 10:g}",
        "device": most.device,
        "group": most.group,
    }
    collector.add(document.source, document.value(path), c.W_LINK_LOAD, path, **values)
