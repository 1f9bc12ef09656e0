"""How a simulated controller misbehaves, switchable while it runs.

ok                 answers
silent             accepts, reads, never answers: a black hole
late               answers after ``delay_s``
refuse             closes the listening socket and every connection (whole server only)
exception          answers with exception ``code`` (Modbus)
wrong_transaction  the reply carries another transaction id (Modbus) or PDU reference (S7)
wrong_unit         the reply carries another unit id (Modbus)
wrong_function     the reply carries another function code (Modbus)
short, long        a well-formed reply with one register (or byte of bits) too few, too many (Modbus)
truncated          the frame breaks off in the middle (Modbus)
parity             the reply arrives as at a port that is set to another parity: damaged (serial Modbus)
put_get_off        connects, and refuses to be read and written, as with PUT/GET not permitted (S7)
no_connection      refuses every new connection, as with all of them taken (S7)
password           connects, and asks for a password to be read (S7)
protected          connects, and denies access to every variable (S7)
stopped            the CPU is in STOP (S7)
clock_stopped      the server's own clock stands still, until the program is started anew (OPC UA)
write_stuck        a write is acknowledged and changes nothing (Modbus, S7)
write_lost         a write takes effect and is not answered (Modbus)
write_clamp        a write is acknowledged and stored as ``most`` where it is more, word by word (Modbus)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    OK = "ok"
    SILENT = "silent"
    LATE = "late"
    REFUSE = "refuse"
    EXCEPTION = "exception"
    WRONG_TRANSACTION = "wrong_transaction"
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    SHORT = "short"
    LONG = "long"
    TRUNCATED = "truncated"
    PARITY = "parity"
    PUT_GET_OFF = "put_get_off"
    NO_CONNECTION = "no_connection"
    PASSWORD = "password"
    PROTECTED = "protected"
    STOPPED = "stopped"
    CLOCK_STOPPED = "clock_stopped"
    WRITE_STUCK = "write_stuck"
    WRITE_CLAMP = "write_clamp"
    WRITE_LOST = "write_lost"


WRITE_FAULTS = frozenset({Fault.WRITE_STUCK, Fault.WRITE_CLAMP, Fault.WRITE_LOST})
PLAIN_FAULTS = frozenset({Fault.OK, Fault.SILENT, Fault.LATE, Fault.REFUSE})


class Unsupported(ValueError):
    """A request on the control port that makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``times``: for so many requests (of a write fault: writes), then ``ok`` again; None: until switched."""

    fault: Fault = Fault.OK
    delay_s: float = 0.0
    code: int = 6
    times: int | None = None
    most: int = 0

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Behaviour:
        try:
            times = data.get("times")
            return cls(
                Fault(data.get("fault", "ok")),
                float(data.get("delay_s", 0.0)),
                int(data.get("code", 6)),
                None if times is None else int(times),
                int(data.get("most", 0)),
            )
        except (TypeError, ValueError) as error:
            raise Unsupported(str(error)) from error


OK = Behaviour()


class FaultSwitch:
    """The behaviour of one server, and of single units behind it; a unit's own setting wins."""

    def __init__(self, supported: frozenset[Fault]) -> None:
        self._supported = supported
        self._whole = OK
        self._units: dict[int, Behaviour] = {}

    def set(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises Unsupported. Without a unit it speaks of the whole server and clears every unit's own."""
        if behaviour.fault not in self._supported:
            raise Unsupported(f"fault {behaviour.fault} is not one of {', '.join(sorted(self._supported))}")
        if unit is None:
            self._whole = behaviour
            self._units.clear()
        elif behaviour.fault is Fault.REFUSE:
            raise Unsupported("refuse closes the socket: it cannot be set for a single unit")
        else:
            self._units[unit] = behaviour

    def take(self, unit: int | None = None, *, write: bool = False) -> Behaviour:
        """The behaviour for one request; counts it against ``times``."""
        behaviour = self._whole if unit is None else self._units.get(unit, self._whole)
        if behaviour.fault in WRITE_FAULTS and not write:
            return OK
        if behaviour.times is None:
            return behaviour
        left = replace(behaviour, times=behaviour.times - 1) if behaviour.times > 1 else OK
        if unit is not None and unit in self._units:
            self._units[unit] = left
        else:
            self._whole = left
        return behaviour

    def peek(self) -> Behaviour:
        """The behaviour of the whole server, without counting."""
        return self._whole

    def describe(self) -> dict[str, str]:
        return {"all": str(self._whole.fault)} | {str(u): str(b.fault) for u, b in self._units.items()}
