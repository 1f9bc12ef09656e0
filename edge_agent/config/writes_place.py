"""Where an entry of ``writes`` stands, what is reported there, and the tags it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.located import Collector, Path, Source
from edge_agent.config.process import TagRef
from edge_agent.config.suggest import hint
from edge_agent.config.table import array_of
from edge_agent.model import Tag, ValueType

Key = str | tuple[str | int, ...]
"""A key of the entry, or the way to one inside a block or list."""

Fits = Callable[["WritePlace", tuple[str | int, ...], Tag], bool]


@dataclass(slots=True)
class WritePlace:
    """``drafts``, ``complete``: as of the reader."""

    collector: Collector
    drafts: Mapping[str, Draft]
    complete: bool
    draft: Draft
    path: Path

    @property
    def source(self) -> Source:
        return self.draft.document.source

    def add(self, key: Key, entry: c.Entry, /, **values: object) -> None:
        """At the value of the key; where it is absent, at its block."""
        full = self._full(key)
        self.collector.add(self.source, self.draft.document.value(full), entry, full, **values)

    def line(self, key: Key) -> str:
        return f"{self.source.name}:{self.draft.document.value(self._full(key))[0]}"

    def _full(self, key: Key) -> Path:
        return (*self.path, key) if isinstance(key, str) else (*self.path, *key)

    # --- tags ----------------------------------------------------------------------------------------------

    def own(self, name: str) -> Tag | None:
        """A tag of this device; an absent one is reported."""
        tag = self.draft.tags.get(name)
        if tag is None:
            self._absent("tag", self.draft, name)
        return tag

    def writable(self, tag: Tag) -> bool:
        """Whether type and driver let it be written alone."""
        if tag.type is ValueType.STRING:
            self.add("tag", c.WRITE_TYPE, tag=tag.name, type=tag.type)
            return False
        plugin, settings = self.draft.plugin, self.draft.salvaged
        if plugin is None or plugin.unwritable is None or settings is None:
            return True
        reason = plugin.unwritable(settings, tag)
        if reason is not None:
            self.add("tag", c.WRITE_DRIVER, tag=tag.name, reason=reason)
        return reason is None

    def references(self, key: str, names: Sequence[str], fits: Fits) -> tuple[TagRef, ...]:
        """Those of the named tags that are there and fit."""
        found = []
        for number, text in enumerate(names):
            one = self._any((key, number), text)
            if one is not None and fits(self, (key, number), one[1]):
                found.append(one[0])
        return tuple(found)

    def period_s(self, text: str) -> float | None:
        """Of the poll group of a tag; None where that is not known."""
        draft, name = self.draft, text
        if text not in draft.tags:
            device, _, name = text.partition(".")
            other = self.drafts.get(device)
            if other is None or name not in other.tags:
                return None
            draft = other
        return draft.periods_s.get(draft.tags[name].group)

    def _any(self, key: tuple[str | int, ...], text: str) -> tuple[TagRef, Tag] | None:
        """A tag of this device, or ``DEVICE.TAG``."""
        if text in self.draft.tags:
            return TagRef(self.draft.name, text), self.draft.tags[text]
        device, dot, name = text.partition(".")
        table = self.draft.table
        if not dot or (table is not None and table.named(text)):
            self._absent(key, self.draft, text)
            return None
        other = self.drafts.get(device)
        if other is None:
            if self.complete:
                self.add(key, c.UNKNOWN_DEVICE, device=device, hint=hint(device, self.drafts))
            return None
        if not other.enabled and other is not self.draft:
            self.add(key, c.DEVICE_OFF, name=text, device=device)
            return None
        if name in other.tags:
            return TagRef(device, name), other.tags[name]
        self._absent(key, other, name)
        return None

    def _absent(self, key: Key, draft: Draft, name: str) -> None:
        """Nothing is said where the tag's row has a mistake that is reported anyway."""
        if name in draft.arrays:
            last = draft.arrays[name] - 1
            self.add(key, c.WHOLE_ARRAY, tag=name, count=last + 1, last=last)
            return
        table = draft.table
        file = table.source.name if table is not None and table.usable else draft.listed_in
        row = table.named(name) if table is not None else None
        whole = array_of(name) != name and (array_of(name) in draft.arrays or array_of(name) in draft.tags)
        if file and (row is None or whole) and name not in draft.unsound:
            self.add(key, c.UNKNOWN_TAG, device=draft.name, tag=name, file=file, hint=hint(name, draft.tags))
