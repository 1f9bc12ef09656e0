"""Stored units -> the messages of one ``send``: one per topic, of as many units as there are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import Unacceptable
from edge_agent.model import Schema
from edge_agent.uplink import NOTHING_TO_SEND, Answer, Envelope, Verdict
from edge_agent.uplinks.http import message
from edge_agent.uplinks.mqtt import topics
from edge_agent.uplinks.templates import About, Template


@dataclass(frozen=True, slots=True)
class Letter:
    """One PUBLISH. ``units``: their places in what was to be sent. ``name``: equal for equal content."""

    topic: str
    payload: bytes
    units: tuple[int, ...]
    name: str


@dataclass(slots=True)
class Draft:
    """``settled``: units that need no message, or cannot be written. ``schemas``: those the letters use."""

    letters: list[Letter] = field(default_factory=list)
    settled: dict[int, Verdict] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. ``topic`` has everything filled in but what differs from unit to unit."""

    agent: str
    line: str
    topic: str

    def name(self, keys: Iterable[str]) -> str:
        digest = hashlib.blake2b("\n".join(keys).encode(), digest_size=16).hexdigest()
        return f"{self.agent}-{digest}"

    def sorted(self, numbers: Iterable[int], items: Sequence[Envelope]) -> dict[str, list[int]]:
        """Topic -> units, in their order."""
        if not topics.names_units(self.topic):
            return {self.topic: list(numbers)}
        found: dict[str, list[int]] = {}
        for number in numbers:
            found.setdefault(topics.unit_topic(self.topic, items[number]), []).append(number)
        return found


class Form(Protocol):
    """How units are written."""

    async def draft(self, items: Sequence[Envelope], known: Collection[str]) -> Draft:
        """``known``: digests of schemas that need not go with the message."""
        ...


class OwnForm:
    """``docs/wire-format.md``."""

    def __init__(self, sender: Sender, clock: Clock, texts: message.SchemaTexts) -> None:
        self._sender = sender
        self._clock = clock
        self._texts = texts
        self._head = message.encode_head(sender.agent, sender.line)

    async def draft(self, items: Sequence[Envelope], known: Collection[str]) -> Draft:
        draft = Draft()
        written: dict[int, bytes] = {}
        for number, item in enumerate(items):
            if _is_empty(item):
                draft.settled[number] = NOTHING_TO_SEND
                continue
            try:
                written[number] = message.encode_item(item, self._texts)
                if item.schema is not None:
                    self._texts.of(item.schema)
            except (ValueError, TypeError) as error:
                draft.settled[number] = _unwritable(error)
            await asyncio.sleep(0)  # a large message must not hold up the polls
        groups = self._sender.sorted(written, items) if written else {}
        for topic, numbers in groups.items():
            used = {s.digest: s for n in numbers if (s := items[n].schema) is not None}
            draft.schemas.update(used)
            payload = message.encode_message(
                self._head,
                self._clock.time_ns() // 1000,
                [self._texts.of(schema) for digest, schema in used.items() if digest not in known],
                [written[n] for n in numbers if items[n].event is None],
                [written[n] for n in numbers if items[n].event is not None],
            )
            keys = [str(items[n].key) for n in numbers]
            draft.letters.append(Letter(topic, payload, tuple(numbers), self._sender.name(keys)))
        return draft


class Templated:
    """A foreign platform's form. A unit of which nothing can be said (values that are all bad) is settled
    without a message; an event without a template of its own is refused."""

    def __init__(self, sender: Sender, clock: Clock, samples: Template, events: Template | None) -> None:
        self._sender = sender
        self._clock = clock
        self._templates = [template for template in (samples, events) if template is not None]
        self._takes_events = events is not None

    async def draft(self, items: Sequence[Envelope], known: Collection[str]) -> Draft:
        """Raises Unacceptable when one of several units cannot be written."""
        try:
            letters = await asyncio.to_thread(self._letters, items)
        except (ValueError, TypeError) as error:
            if len(items) > 1:
                raise Unacceptable(_unwritable(error).reason) from error
            return Draft(settled={0: _unwritable(error)})
        said = {number for letter in letters for number in letter.units}
        return Draft(letters, {n: self._unsaid(item) for n, item in enumerate(items) if n not in said})

    def _letters(self, items: Sequence[Envelope]) -> list[Letter]:
        """In a thread: templates walk every sample."""
        letters = []
        about = About(self._sender.agent, self._sender.line, self._clock.time_ns())
        for topic, numbers in self._sender.sorted(range(len(items)), items).items():
            for template in self._templates:
                for filled in template.fill([items[number] for number in numbers], about):
                    units = tuple(numbers[place] for place in filled.items)
                    name = self._sender.name([filled.name])
                    letters.append(Letter(topic, filled.encoded(), units, name))
        return letters

    def _unsaid(self, item: Envelope) -> Verdict:
        return NOTHING_TO_SEND if item.event is None or self._takes_events else _NO_TEMPLATE


_NO_TEMPLATE = Verdict(Answer.REJECTED, "there is no `event_body`: this destination takes no events")


def _is_empty(item: Envelope) -> bool:
    """Nothing of it is selected for this destination."""
    return item.event is None and not item.batches


def _unwritable(error: Exception) -> Verdict:
    return Verdict(Answer.REJECTED, f"cannot be written as JSON: {error}")
