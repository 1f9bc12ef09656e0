"""A template and the units to send -> the bodies of the messages.

The structure is compiled once into nested functions; filling walks no template. Repeating narrows ``Place``
and sets it back. A value that is missing makes what was repeated for it disappear: the entry of a tag, the
row of a sample, and in turn the reading, device or message that has nothing left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.model import Batch, Quality
from edge_agent.uplink import Envelope
from edge_agent.uplinks.templates.checking import EACH, Words, key_scope, reach, repetitions, words_of
from edge_agent.uplinks.templates.words import MISSING, About, Place, Scope, parts, text_of

__all__ = ["About", "Filled", "Template"]

_Fill = Callable[[Place], Any]
_Entry = tuple[_Fill, _Fill, Scope | None]  # key, value, repeated for each

_TO_TEXT = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True)
class Filled:
    """One body. ``items``: the numbers of the units that are in it. ``name``: the same text whenever the same
    units are filled in: their keys, and which part of them this is."""

    data: Any
    items: tuple[int, ...]
    name: str

    def encoded(self) -> bytes:
        """UTF-8 JSON. ValueError or TypeError where something in it is no JSON (an event's detail, half a
        surrogate pair)."""
        return _TO_TEXT(self.data).encode()


class Template:
    """Of samples and period values, or with ``events`` of events. The structure must be free of faults
    (``faults``). ``missing``: ``omit`` leaves out what has no value, ``null`` says so."""

    def __init__(self, structure: Any, *, events: bool = False, missing: str = "omit") -> None:
        self._events = events
        self._null = missing == "null"
        self.scope = reach(structure, events=events)
        self._fill = _Compiler(words_of(events=events), repetitions(events=events)).node(
            structure, self.scope
        )

    def fill(self, items: Sequence[Envelope], about: About) -> Iterator[Filled]:
        """The messages, in order of the units. Units of the other kind are passed over, and so is what has
        nothing left to say: such a unit is in none of them. ValueError where a tag's name is also a key of
        the template."""
        entries = [entry for entry in _entries(items) if (entry[2] is None) == self._events]
        for part, place in self._places(Place(about, entries, null=self._null)):
            data = self._fill(place)
            if data is not MISSING:
                numbers = tuple(dict.fromkeys(number for number, _, _ in place.entries))
                name = "\n".join([*(str(items[number].key) for number in numbers), part])
                yield Filled(data, numbers, name)

    def _places(self, place: Place) -> Iterator[tuple[str, Place]]:
        if self.scope is Scope.MESSAGE:
            if place.entries:
                yield "", place
        else:
            for _ in _narrowed(place, self.scope):
                yield f"{place.device}/{place.time_ns}/{place.column}", place


class _Compiler:
    def __init__(self, words: Words, each: dict[str, Scope]) -> None:
        self._words = words
        self._each = each

    def node(self, node: Any, bound: Scope) -> _Fill:
        """``bound``: what is already narrowed down to around it."""
        if isinstance(node, dict):
            return self._mapping(node, bound)
        if isinstance(node, list):
            return self._list(node, bound)
        if isinstance(node, str):
            return self._text(node)
        return lambda place: node

    def _text(self, text: str) -> _Fill:
        pieces = parts(text)
        if len(pieces) == 1:
            before, name = pieces[0]
            if not name:
                return lambda place: text
            if not before:
                return self._words[name][1]
        filled = [(before, self._words[name][1] if name else None) for before, name in pieces]

        def fill(place: Place) -> Any:
            out = []
            for before, word in filled:
                out.append(before)
                if word is None:
                    continue
                value = word(place)
                if value is None or value is MISSING:
                    return value
                out.append(text_of(value))
            return "".join(out)

        return fill

    def _list(self, node: list[Any], bound: Scope) -> _Fill:
        items: list[tuple[_Fill, Scope | None]] = []
        for item in node:
            if isinstance(item, dict) and EACH in item:
                scope = self._each[item[EACH]]
                items.append((self._mapping({k: v for k, v in item.items() if k != EACH}, scope), scope))
            else:
                items.append((self.node(item, bound), None))
        only_repeated = bool(items) and all(scope is not None for _, scope in items)

        def fill(place: Place) -> Any:
            out: list[Any] = []
            for one, scope in items:
                if scope is not None:
                    out += [found for _ in _narrowed(place, scope) if (found := one(place)) is not MISSING]
                elif (found := one(place)) is MISSING:
                    return MISSING
                else:
                    out.append(found)
            return out if out or not only_repeated else MISSING

        return fill

    def _mapping(self, node: dict[str, Any], bound: Scope) -> _Fill:
        entries: list[_Entry] = []
        for key, value in node.items():
            by = key_scope(key, self._words)
            repeated = by if by > bound and by in (Scope.DEVICE, Scope.SAMPLE) else None
            entries.append((self._text(key), self.node(value, by if repeated else bound), repeated))
        only_repeated = bool(entries) and all(entry[2] is not None for entry in entries)

        def fill(place: Place) -> Any:
            out: dict[str, Any] = {}
            for name, one, repeated in entries:
                for _ in (0,) if repeated is None else _narrowed(place, repeated):
                    found = one(place)
                    if found is MISSING:
                        if repeated is None:
                            return MISSING
                        continue
                    key = text_of(name(place))
                    if key in out:
                        raise ValueError(f"'{key}' stands twice in one block: a tag has the name of a key")
                    out[key] = found
            return out if out or not only_repeated else MISSING

        return fill


def _entries(items: Sequence[Envelope]) -> Iterator[tuple[int, Envelope, Batch | None]]:
    for number, item in enumerate(items):
        if item.event is not None:
            yield number, item, None
        for batch in item.batches:
            yield number, item, batch


def _narrowed(place: Place, scope: Scope) -> Iterator[None]:
    """Lets the place stand at one device, reading (or event) or sample after the other."""
    if place.batch is not None or (place.item is not None and place.item.event is not None):
        assert place.batch is not None, "an event has no samples"
        yield from _columns(place, place.batch)
        return
    before = place.entries, place.device
    try:
        if scope is Scope.DEVICE:
            yield from _devices(place)
            return
        for entry in before[0]:
            _, place.item, place.batch = entry
            place.entries = [entry]
            if place.batch is None:
                yield
                continue
            place.device = place.batch.schema.device
            if scope is Scope.BATCH:
                yield
            else:
                yield from _columns(place, place.batch)
    finally:
        (place.entries, place.device), place.item, place.batch = before, None, None


def _devices(place: Place) -> Iterator[None]:
    groups: dict[str, list[tuple[int, Envelope, Batch | None]]] = {}
    for entry in place.entries:
        if entry[2] is not None:
            groups.setdefault(entry[2].schema.device, []).append(entry)
    for place.device, place.entries in groups.items():
        yield


def _columns(place: Place, batch: Batch) -> Iterator[None]:
    """What was not part of this report is no sample."""
    for place.column, code in enumerate(batch.quality):
        if code < Quality.NOT_REPORTED:
            yield
