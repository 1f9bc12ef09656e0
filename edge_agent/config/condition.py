"""A reference to the hidden tag of a condition, which people know by the condition itself."""

from __future__ import annotations

from typing import Any

from edge_agent.config.process import TagRef

_LONGEST = 80


class ConditionRef(TagRef):
    """Equal to the plain reference of the same tag, and no part of the version; ``str`` is what a person
    wrote, shortened, in place of a name that stands in no file."""

    __slots__ = ("text",)

    text: str

    def __init__(self, device: str, tag: str, text: str) -> None:
        super().__init__(device, tag)
        object.__setattr__(self, "text", text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TagRef):
            return NotImplemented
        return (self.device, self.tag) == (other.device, other.tag)

    __hash__ = TagRef.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return ConditionRef, (self.device, self.tag, self.text)

    def __str__(self) -> str:
        text = " ".join(self.text.split())
        return f"({text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'})"
