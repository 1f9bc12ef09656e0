"""What windows read: one ``Input`` per tag that a window names. ``group.py`` holds what they share.

A batch is not taken apart when it arrives. The group keeps the newest batch, and an input takes its own
statement out of it only when a window is looked at (``pull``). So a batch in which nothing happens is cheap.
There may be thousands of inputs: what several have in common (``Meaning``) is one object.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from edge_agent.config.model import TagRef
from edge_agent.model import Batch, Quality, Scaling, Value, ValueType, engineering

if TYPE_CHECKING:
    from edge_agent.control.group import Group

NO_STATEMENT = 0xC0
UNCHANGED = int(Quality.UNCHANGED)
_SOURCE_TIME = int(Quality.UNCERTAIN_SOURCE_TIME)
NOT_A_NUMBER = "not_a_number"
NOT_A_STATE = "not_a_boolean"


class Meaning(NamedTuple):
    """What the raw values of a tag are."""

    type: ValueType = ValueType.FLOAT64
    scaling: Scaling | None = None


_UNKNOWN_YET = Meaning()


class Input:
    """The last statement about one tag. ``mono_ns`` is None until there was one; ``said`` is the batch that
    made it or vouched for it. ``risen_ns``: since when it is on, as a condition."""

    __slots__ = (
        "group", "index", "meaning", "mono_ns", "quality", "raw", "ref", "risen_ns", "said", "unit", "value",
    )  # fmt: skip

    def __init__(self, ref: TagRef) -> None:
        self.ref = ref
        self.group: Group | None = None
        self.index = 0
        self.meaning = _UNKNOWN_YET
        self.unit = ""
        self.raw: Value = None
        self.value: Value = None  # engineering units
        self.quality: int = Quality.WAITING
        self.mono_ns: int | None = None
        self.said: Batch | None = None
        self.risen_ns: int | None = None

    def pull(self) -> None:
        """Takes the statement of the group's newest batch, if that makes one. UNCHANGED makes none about a
        value, but vouches that the last one still holds."""
        batch = self.group.batch if self.group is not None else None
        if batch is None or batch is self.said:
            return
        quality = batch.quality[self.index]
        if quality >= NO_STATEMENT:
            if quality == UNCHANGED and self.mono_ns is not None:
                self.mono_ns, self.said = batch.mono_ns, batch
            return
        self.quality, self.said = quality, batch
        self.raw = batch.values[self.index] if quality < 0x80 else None
        self.value = engineering(self.raw, self.meaning.scaling)
        self.mono_ns = batch.mono_ns
        if (not self.value) is (self.risen_ns is not None) and self.usable:
            self._turn(batch.mono_ns)

    def _turn(self, mono_ns: int) -> None:
        """What is not on/off at all makes a condition neither true nor false."""
        state = self.state()
        if state is not None:
            self.risen_ns = mono_ns if state else None

    def mean(self, meaning: Meaning) -> None:
        """What raw values mean from now on, the last one included."""
        if meaning != self.meaning:
            self.meaning = meaning
            self.value = engineering(self.raw, meaning.scaling)

    @property
    def usable(self) -> bool:
        """Whether windows may judge by it. A source whose own clock is wrong still tells its value: windows
        judge by the time of arrival."""
        return self.quality < 0x40 or self.quality == _SOURCE_TIME

    def trouble(self, now_ns: int, max_age_ns: int) -> str:
        """Why this input says nothing usable at that moment; "" when it does."""
        if self.mono_ns is None:
            return "waiting"
        if not self.usable:
            return quality_name(self.quality)
        if now_ns - self.mono_ns > max_age_ns:
            return "stale"
        return ""

    def number(self) -> float | int | None:
        """The value as a finite number, else None."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if isinstance(value, int) or math.isfinite(value) else None

    def state(self) -> bool | None:
        """The value as on/off (a number is on unless it is 0), else None."""
        if isinstance(self.value, bool):
            return self.value
        number = self.number()
        return None if number is None else number != 0


def quality_name(quality: int) -> str:
    try:
        return Quality(quality).name.lower()
    except ValueError:  # a plug-in's own reason; its severity is in the high bits
        return f"{'bad' if quality >= 0x80 else 'uncertain'}_0x{quality:02x}"
