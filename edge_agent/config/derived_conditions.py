"""Conditions that are more than one tag: ``when: line.running and not door.open``.

Each becomes a hidden derived tag of the virtual device, so that windows (and writes) read one bool tag
however the condition is made up.
"""

from __future__ import annotations

import re

from edge_agent.config import catalogue as c
from edge_agent.config.condition import ConditionRef
from edge_agent.config.derivation import DerivedTag
from edge_agent.config.derived_operands import Operands
from edge_agent.config.located import Path, Position, Source
from edge_agent.config.process import TagRef
from edge_agent.expression import Formula, compile_formula
from edge_agent.expression import mistakes as m
from edge_agent.expression.mistakes import Mistakes
from edge_agent.model import ValueType

_ONE_NAME = re.compile(r"\w[\w.-]*(\[\d+\])?")


class Conditions:
    """``device``: the virtual device. The loader makes one for a whole configuration, after the derived tags
    are known and before windows are read, and takes ``tags`` into ``Configuration.derivation``.

    For whoever reads a key that takes a condition::

        reference = TagRef(...) if conditions.is_tag(text) else conditions.add(owner, text, source, at, path)
    """

    def __init__(self, device: str, operands: Operands, *, taken: str = "") -> None:
        self.device = device
        self.tags: list[DerivedTag] = []
        self._operands = operands
        self._taken = taken  # where a device of that name is, which is told once
        self._known: dict[tuple[str, str], TagRef | None] = {}

    @staticmethod
    def is_tag(text: str) -> bool:
        """Whether it is one name, ``TAG`` or ``DEVICE.TAG``, known or not: that is looked up as any tag is.
        Everything else is an expression."""
        return _ONE_NAME.fullmatch(text.strip()) is not None

    def add(self, owner: str, text: str, source: Source, at: Position, path: Path) -> TagRef | None:
        """The bool tag that stands for a condition: ``when.OWNER`` of the virtual device. None where it has a
        mistake, which has then been reported.

        ``owner``: full name of what the condition is for, ``DEVICE.WINDOW``; tags of DEVICE may be named
        alone, those of others as ``DEVICE.TAG``. Equal conditions of one device share a tag. ``at``: where
        the value begins in ``source``, ``path``: its keys.
        """
        device = owner.partition(".")[0]
        key = (device, text)
        if key not in self._known:
            formula = self._compiled(device, text, source, at, path)
            self._known[key] = None if formula is None else self._tag(owner, formula)
        return self._known[key]

    def _tag(self, owner: str, formula: Formula) -> TagRef:
        name, number = f"when.{owner}", 2
        taken = {tag.name for tag in self.tags}
        while name in taken:
            name, number = f"when.{owner}.{number}", number + 1
        self.tags.append(DerivedTag(name, formula, hidden=True))
        return ConditionRef(self.device, name, formula.text)

    def _compiled(self, device: str, text: str, source: Source, at: Position, path: Path) -> Formula | None:
        made = compile_formula(text, self._operands.of(device))
        if isinstance(made, Formula) and made.type is not ValueType.BOOL:
            told = Mistakes()
            told.add(m.NOT_BOOL, 0, len(text), part=text, user=f"'{path[-1]}'")
            made = told
        if not isinstance(made, Formula):
            self._operands.tell(made, source, at, path, text)
            return None
        self._operands.off(made, source, at, path)
        if self._taken:
            self._operands.collector.add(
                source, at, c.VIRTUAL_TAKEN, path, name=self.device, other=self._taken
            )
            self._taken = ""
        return made
