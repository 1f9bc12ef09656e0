"""What windows refer to: their own tag, a target, a condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.process import TagRef
from edge_agent.config.suggest import hint, said
from edge_agent.config.table import array_of
from edge_agent.config.window_place import Place
from edge_agent.config.window_shapes import WindowFile
from edge_agent.model import Tag, ValueType

if TYPE_CHECKING:
    from edge_agent.config.derived_conditions import Conditions


class References:
    """``complete``: every device file gave a device, so that an unknown device is really one."""

    def __init__(self, drafts: Mapping[str, Draft], complete: bool, conditions: Conditions | None) -> None:
        self.drafts = drafts
        self.complete = complete
        self.conditions = conditions

    def own(self, place: Place, name: str) -> Tag | None:
        draft = place.draft
        if name in draft.tags:
            return draft.tags[name]
        _absent(place, "tag", draft, name)
        return None

    def target(self, place: Place, written: WindowFile) -> tuple[TagRef | float | None, Tag | None]:
        if written.target is None or not isinstance(written.target, str):
            return None if written.target is None else float(written.target), None
        found = self._any(place, "target", written.target)
        if found is None:
            return None, None
        reference, tag = found
        if not tag.type.is_numeric:
            place.add("target", c.NOT_NUMERIC, tag=tag.name, type=tag.type)
            return None, None
        return reference, tag

    def when(self, place: Place, written: WindowFile, name: str) -> TagRef | None:
        text = written.when
        if text is None:
            return None
        if self.conditions is not None and not self.conditions.is_tag(text):
            return self.conditions.add(name, text, place.source, place.at("when"), place.full("when"))
        found = self._any(place, "when", text)
        if found is None:
            return None
        reference, tag = found
        if tag.type is not ValueType.BOOL:
            place.add("when", c.NOT_BOOL, tag=tag.name, type=tag.type)
        return reference

    def _any(self, place: Place, key: str, text: str) -> tuple[TagRef, Tag] | None:
        """A tag of this device, or ``DEVICE.TAG``."""
        own = place.draft
        if text in own.tags:
            return TagRef(own.name, text), own.tags[text]
        device, dot, name = text.partition(".")
        if not dot or (own.table and own.table.named(text)):
            self._missing_own(place, key, text)
            return None
        other = self.drafts.get(device)
        if other is None:
            if self.complete:
                place.add(key, c.UNKNOWN_DEVICE, device=device, hint=hint(device, self.drafts))
            return None
        if not other.enabled and other is not own:
            place.add(key, c.DEVICE_OFF, name=text, device=device)
            return None
        if name in other.tags:
            return TagRef(device, name), other.tags[name]
        _absent(place, key, other, name)
        return None

    def _missing_own(self, place: Place, key: str, name: str) -> None:
        elsewhere = [device for device, draft in self.drafts.items() if name in draft.tags]
        _absent(place, key, place.draft, name, f"{elsewhere[0]}.{name}" if elsewhere else None)


def _absent(place: Place, key: str, draft: Draft, name: str, elsewhere: str | None = None) -> None:
    """A tag that is not there; nothing is said where its row has a mistake that is reported anyway."""
    if name in draft.arrays:
        last = draft.arrays[name] - 1
        place.add(key, c.WHOLE_ARRAY, tag=name, count=last + 1, last=last)
    elif _knows_all(draft) and draft.table:
        row = draft.table.named(name)
        if row is None or (array_of(name) != name and _knows_elements(draft, array_of(name))):
            guess = said(elsewhere) if elsewhere else hint(name, draft.tags)
            file = draft.table.source.name
            values = {"tag": name, "file": file, "hint": guess}
            place.add(key, c.UNKNOWN_TAG, device=draft.name or draft.file, **values)
    elif draft.table is None and draft.listed_in and name not in draft.unsound:
        guess = said(elsewhere) if elsewhere else hint(name, draft.tags)
        place.add(key, c.UNKNOWN_TAG, device=draft.name, tag=name, file=draft.listed_in, hint=guess)


def _knows_all(draft: Draft) -> bool:
    """Whether every name of the device's table could be read, so that an absent one is a mistake."""
    return draft.table is not None and draft.table.usable


def _knows_elements(draft: Draft, name: str) -> bool:
    """Whether all elements of an array are known, or the tag is none: what is in brackets is then wrong."""
    return name in draft.arrays or name in draft.tags
