"""What an exception reply, or an error of the operating system, means to the agent. Shared by all links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from edge_agent.errors import BadReply, Busy, DriverError, Refused, Replan, StationSilent

if TYPE_CHECKING:
    from drivers.modbus.request import Learned

EXCEPTIONS = {
    1: "illegal function: the device does not know this function code",
    2: "illegal data address: the device has no such address",
    3: "illegal data value: the device does not accept this many at once",
    4: "device failure",
    5: "acknowledge: the device needs more time",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class Asked(Protocol):
    """What a verdict needs to know of a request: a ``Read``, or a write or probe."""

    @property
    def station(self) -> int: ...
    @property
    def function(self) -> int: ...
    @property
    def place(self) -> str: ...
    @property
    def if_hole(self) -> Learned | None: ...
    @property
    def if_too_many(self) -> Learned | None: ...


class Verdicts:
    """Of one link. What a station taught is kept for the life of the link, so that two requests of one plan
    that both fail do not overwrite each other's lesson."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._learned: dict[int, Learned] = {}

    def of(self, asked: Asked, pdu: bytes, frame: bytes) -> DriverError:
        """What a sound frame of the station asked means that is not the plain answer. ``frame``: to show."""
        station = f"{self._name} station {asked.station}"
        if len(pdu) != 2 or pdu[0] != asked.function | 0x80:
            shown = f"{frame[:9].hex(' ')} ({len(frame)} bytes)"
            return BadReply(f"{station}: the reply {shown} does not fit the request {asked.place}")
        code = pdu[1]
        words = f"{station}: {asked.place}: exception {code}, {EXCEPTIONS.get(code, 'not in the standard')}"
        match code:
            case 1:
                return Refused(words, reason="illegal_function")
            case 2:
                return self._smaller(words, asked.if_hole, asked.station)
            case 3:
                return self._smaller(words, asked.if_too_many, asked.station)
            case 5 | 6:
                return Busy(words)
            case 10 | 11:
                return StationSilent(words)
            case _:
                return Refused(words, reason="other")

    def _smaller(self, words: str, learned: Learned | None, station: int) -> DriverError:
        if learned is None:
            return Refused(words)
        known = self._learned.get(station)
        learned = learned if known is None else learned | known
        self._learned[station] = learned
        return Replan(words, learned)


def words_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return str(error) or type(error).__name__


def reason_of(error: Exception | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error is None or isinstance(error, ConnectionError):
        return "reset"
    return "timeout" if isinstance(error, TimeoutError) else "other"
