"""One device file and its tag table -> a draft; what needs other devices comes later (windows, loader)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from edge_agent.config import catalogue as c
from edge_agent.config.arrays import Arrays
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.kinds import Kinds
from edge_agent.config.located import Collector
from edge_agent.config.plugins import DRIVER, Keys, Plugins, find, warn_inline_secrets
from edge_agent.config.shapes import DeviceCommon, WindowFile
from edge_agent.config.suggest import NOTHING, hint, listed, nearest, said
from edge_agent.config.table import Table, TagRow, array_of
from edge_agent.config.tags import TagMaker
from edge_agent.driver import DeviceSettings, DriverPlugin
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

_APART = ("windows", "writes", "heartbeat", "periods")
"""Keys whose entries are read one by one; all but the first when every device is known."""

ReadTable = Callable[[str], Table | None]
"""A tag table by its file name; None when there is no such file. Reports its own mistakes once."""


@dataclass(slots=True)
class Draft:
    """A device as far as its files are sound. ``bad``: its keys with a mistake. ``windows``: (place in the
    file, window). ``settings`` is None unless every key of the driver is right; ``salvaged``: those that are,
    for what is asked about single tags. ``rows``: of each tag in
    ``tags``. ``groups_s``: the poll groups as they are written, also those without a tag, which ``periods_s``
    loses. ``arrays``: number of elements, of the arrays that could be taken apart. ``ages_s``: by poll
    group, for how long a value holds, where that is not three periods. ``listed_in``: of a device without a
    table, the file that names every tag it has; empty while there may be others; ``unsound``: those of them
    that have a mistake. ``equipment`` and, by tag,
    ``quantities``: by which limits handed down find their tags."""

    document: Document
    name: str = ""
    driver: str = ""
    enabled: bool = True
    description: str = ""
    bad: set[str] = field(default_factory=set)
    plugin: DriverPlugin | None = None
    settings: DeviceSettings | None = None
    salvaged: DeviceSettings | None = None
    table: Table | None = None
    tags: dict[str, Tag] = field(default_factory=dict)
    rows: dict[str, TagRow] = field(default_factory=dict)
    arrays: dict[str, int] = field(default_factory=dict)
    groups_s: dict[str, float] = field(default_factory=dict)
    periods_s: dict[str, float] = field(default_factory=dict)
    windows: list[tuple[int, WindowFile]] = field(default_factory=list)
    ages_s: dict[str, float] = field(default_factory=dict)
    listed_in: str = ""
    unsound: frozenset[str] = frozenset()
    equipment: str = ""
    quantities: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return self.document.source.name


class DeviceReader:
    """Reads device files; all mistakes go to the collector."""

    def __init__(
        self, plugins: Plugins, read_table: ReadTable, table_names: list[str], collector: Collector
    ) -> None:
        self.plugins = plugins
        self.read_table = read_table
        self.table_names = table_names
        self.collector = collector

    def read(self, document: Document) -> Draft:
        draft = Draft(document)
        data = document.data
        draft.plugin = find(
            self.plugins.driver, DRIVER, document, ("driver",), data.get("driver"), self.collector
        )
        model = draft.plugin.settings if draft.plugin else None
        keys = Keys(document, (), data, DeviceCommon, model, self.collector)
        keys.report_unknown()
        common = self._common(keys, draft)
        salvaged: DeviceSettings | None = None
        if model is not None:
            salvaged, bad = keys.read(model)
            draft.settings, draft.salvaged = None if bad else salvaged, salvaged
            draft.bad |= bad
            if salvaged is not None and not bad:
                warn_inline_secrets(document, (), salvaged, self.collector)
        self._windows(draft)
        arrays = self._tags(draft, common.tags, salvaged)
        if draft.plugin and salvaged is not None and draft.table is not None:
            self._check(draft, draft.plugin, salvaged)
        if arrays is not None:
            arrays.report()
        return draft

    def _common(self, keys: Keys, draft: Draft) -> DeviceCommon:
        common, bad = keys.read(DeviceCommon, without=_APART)
        if common is None:
            sound = {k: v for k, v in keys.data.items() if k not in bad and k in DeviceCommon.model_fields}
            defaults = {"device": "unnamed", "driver": "unknown"}
            common = DeviceCommon.model_validate(
                defaults | {k: v for k, v in sound.items() if k not in _APART}
            )
        draft.bad |= bad
        draft.name = "" if "device" in bad else common.device
        draft.driver = common.driver
        draft.enabled = common.enabled
        draft.description = common.description
        draft.equipment = common.equipment or ""
        draft.groups_s = {} if "poll" in bad else {group: float(s) for group, s in common.poll.items()}
        draft.periods_s = dict(draft.groups_s)
        return common

    def _windows(self, draft: Draft) -> None:
        """Each window by itself, so that a mistake in one hides nothing in the others."""
        items = draft.document.data.get("windows")
        if items is None:
            return
        if not isinstance(items, list):
            self._wrong_type(
                draft, ("windows",), items, Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）")
            )
            return
        for number, item in enumerate(items):
            path = ("windows", number)
            if not isinstance(item, dict):
                wanted = Text("a window ('tag: ...' and its limits)", "窗口（'tag: ...' 及其限值）")
                self._wrong_type(draft, path, item, wanted)
                continue
            keys = Keys(draft.document, path, item, WindowFile, WindowFile, self.collector)
            keys.report_unknown()
            window, bad = keys.read(WindowFile)
            if window is not None and not bad and not keys.typos:
                draft.windows.append((number, window))
            else:
                draft.bad.add("windows")

    def _wrong_type(self, draft: Draft, path: tuple[str | int, ...], found: Any, wanted: Text) -> None:
        at = draft.document.value(path)
        values: dict[str, object] = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
        self.collector.add(draft.document.source, at, c.WRONG_TYPE, path, key=path[0], **values)
        draft.bad.add(str(path[0]))

    # --- tags ----------------------------------------------------------------------------------------------

    def _tags(self, draft: Draft, named: str | None, settings: DeviceSettings | None) -> Arrays | None:
        """Finds the table, makes its rows into tags with the driver's types, takes arrays apart, and puts
        every tag into a poll group that has a period."""
        if "tags" in draft.bad:
            return None
        name = named or self._usual_table(draft.file)
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or not parts:
            self._at(draft, "tags", c.BAD_PATH, name=name, folder="tags.d")
            return None
        draft.table = self.read_table(f"tags.d/{name}")
        if draft.table is None:
            guess = nearest(name, self.table_names)
            self._at(draft, "tags", c.MISSING_FILE, name=f"tags.d/{name}", hint=said(guess))
            return None
        strange: set[str] = set()
        used: set[str] = set()
        arrays = Arrays(draft.table, draft.plugin, draft.driver, settings, self.collector)
        kinds = Kinds(draft.plugin.types if draft.plugin else None)
        usual = next(iter(draft.periods_s)) if len(draft.periods_s) == 1 else "default"
        for made in TagMaker(draft.table, kinds, self.collector, usual).made():
            group = self._group(draft, draft.table, made.row, strange)
            used.add(group)
            for tag in arrays.tags(made):
                draft.tags[tag.name] = tag if tag.group == group else replace(tag, group=group)
                draft.rows[tag.name] = made.row
                if made.row.quantity:
                    draft.quantities[tag.name] = made.row.quantity
        draft.arrays = arrays.counts
        if draft.table.usable:
            self._unused_groups(draft, used, strange)
        return arrays

    def _usual_table(self, file: str) -> str:
        """The table called like the device's file: CSV, or where there is none, a workbook."""
        stem = PurePosixPath(file).stem
        workbook = f"{stem}.xlsx"
        return (
            workbook
            if f"{stem}.csv" not in self.table_names and workbook in self.table_names
            else f"{stem}.csv"
        )

    def _group(self, draft: Draft, table: Table, row: TagRow, strange: set[str]) -> str:
        """The poll group of a tag. A group without a period is reported at the first tag that names it."""
        known, group = draft.periods_s, row.group
        if not known:  # poll itself has a mistake
            return group or "default"
        if not group:
            if len(known) == 1:
                return next(iter(known))
            group = "default"
        if group in known or group in strange:
            return group
        strange.add(group)
        tag = row.name
        at = table.position(tag, "group")
        path = ("tags", tag, "group")
        if row.group:
            values = {"hint": hint(group, known), "known": listed(known), "file": draft.file}
            self.collector.add(table.source, at, c.UNKNOWN_GROUP, path, tag=tag, group=group, **values)
        else:
            self.collector.add(table.source, at, c.NO_GROUP, path, tag=tag, known=listed(known))
        return group

    def _unused_groups(self, draft: Draft, used: set[str], strange: set[str]) -> None:
        """Groups without tags are dropped, so that nothing is scheduled for them."""
        table = draft.table
        for group in [g for g in draft.periods_s if g not in used]:
            complete = table is not None and not self.collector.has_errors(table.source.name)
            if complete and draft.tags and not strange:
                at = draft.document.key(("poll", group))
                file = table.source.name if table else ""
                self.collector.add(
                    draft.document.source, at, c.W_EMPTY_GROUP, ("poll", group), group=group, file=file
                )
            del draft.periods_s[group]

    def _at(self, draft: Draft, key: str, entry: c.Entry, /, **values: object) -> None:
        draft.bad.add(key)
        self.collector.add(draft.document.source, draft.document.value((key,)), entry, (key,), **values)

    # --- the driver's own rules ----------------------------------------------------------------------------

    def _check(self, draft: Draft, plugin: DriverPlugin, settings: DeviceSettings) -> None:
        """Asks the driver. With salvaged settings only what it says of tags is taken."""
        try:
            problems = plugin.check(settings, tuple(draft.tags.values()))
        except Exception as error:  # noqa: BLE001 - a faulty plug-in must not keep other mistakes from being shown
            reason = f"{type(error).__name__}: {error}"
            self._at(draft, "driver", c.BROKEN_DRIVER, kind=DRIVER, name=draft.driver, reason=reason)
            return
        for problem in problems:
            self._place(draft, problem, sound=draft.settings is not None)

    def _place(self, draft: Draft, problem: Problem, *, sound: bool) -> None:
        if problem.path[:1] == ("tags",) and len(problem.path) > 1 and draft.table is not None:
            column = problem.path[2] if len(problem.path) > 2 else "name"
            tag = str(problem.path[1])
            if array_of(tag) != tag and tag in draft.tags:  # one mistake in the row, not one per element
                problem = replace(problem, path=("tags", array_of(tag), *problem.path[2:]))
            self.collector.take(draft.table.source, draft.table.position(tag, column), problem)
        elif sound:
            self.collector.take(draft.document.source, draft.document.holds(problem), problem)
