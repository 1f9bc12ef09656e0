"""The recording of a device's wire in the running agent, fetched frame by frame with its meaning."""

from __future__ import annotations

import binascii
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli import console_client
from edge_agent.errors import LinesideError

if TYPE_CHECKING:
    from edge_agent.driver import Meaning

FETCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Frame:
    """``way``: ``>`` sent, ``<`` received, ``!`` something happened. ``own``: of the device itself or of the
    connection as a whole, not of another station on it."""

    time_ns: int
    way: str
    data: bytes
    remark: str
    meaning: Meaning
    own: bool

    def as_dict(self) -> dict[str, Any]:
        text = self.meaning.text
        row: dict[str, Any] = {"time_ns": self.time_ns, "way": self.way, "hex": self.data.hex()}
        if text.en:
            row |= {"means": text.en, "means_zh": text.zh}
        if self.meaning.station is not None:
            row["station"] = self.meaning.station
        if self.meaning.failed or self.way == "!":
            row["failed"] = True
        return row | ({"remark": self.remark} if self.remark else {})


@dataclass(slots=True)
class Watching:
    """One recording of the running agent. ``about``: what it said of the device. ``ended`` and ``dropped``:
    how it came out."""

    place: Path
    device: str
    minutes: float
    about: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    dropped: int = 0

    def begin(self) -> None:
        """Raises as ``console_client.ask``."""
        args = {"device": self.device, "minutes": self.minutes}
        self.about = dict(console_client.ask(self.place, "debug.start", args))

    def frames(self) -> Iterator[Frame]:
        """Until it is over."""
        meaning_of, last = _interpreter(self.about), 0
        while True:
            args = {"device": self.device, "after": last}
            answer = console_client.ask(self.place, "debug.take", args)
            self.dropped, self.ended = answer["dropped"], answer["ended"]
            for row in answer["frames"]:
                last = row["n"]
                yield self._frame(row, meaning_of)
            if self.ended and last >= answer["entries"]:
                return
            if not answer["frames"]:
                time.sleep(FETCH_S)

    def end(self) -> None:
        """Where it has not ended by itself; never raises."""
        if self.ended:
            return
        self.ended = "stopped"
        with contextlib.suppress(LinesideError):
            console_client.ask(self.place, "debug.stop", {"device": self.device})

    def _frame(self, row: Mapping[str, Any], meaning_of: Callable[[str, bytes], Meaning]) -> Frame:
        data, remark = binascii.unhexlify(row["hex"]), row.get("remark", "")
        meaning = meaning_of(row["way"], data)
        station = self.about.get("station")
        own = meaning.station is None or station is None or meaning.station == station
        if row["way"] == "!":
            own = not any(remark.startswith(f"{name}: ") for name in self.about.get("shared_with", ()))
        return Frame(row["time_ns"], row["way"], data, remark, meaning, own)


def _interpreter(about: Mapping[str, Any]) -> Callable[[str, bytes], Meaning]:
    from edge_agent.driver import Meaning
    from edge_agent.registry import load_driver
    from edge_agent.settings import Text

    plugin = load_driver(about["driver"])
    if plugin.interpret is not None:
        return plugin.interpret(about["link"])
    return lambda way, data: Meaning(Text("", ""))
