"""The contract an uplink meets: how confirmed delivery is told to the agent.

Forwarding owns order, lanes, retries, bisection and cursors; an uplink owns one destination's wire. Its life:

    plugin.open(settings, host)      no I/O; a new object after every Unreachable or Denied
      connect()                      Unreachable: back off; Denied: slow retry and an alarm
      send(items) -> verdicts        one verdict per item, in order; never two calls at once
      close()                        idempotent, never raises

An item is acknowledged when the destination has said so *for that key*; an HTTP 200, a full socket buffer or
a broker's word for a subscriber are not that. What is confirmed later than ``send`` returns is answered
``PENDING`` and reported through ``host.acknowledged``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.model import Batch, Event, Schema, Tag
from edge_agent.settings import Finding, Problem, Text

if TYPE_CHECKING:
    from edge_agent.keys import UplinkSettings as UplinkSettings

API_VERSION = 1


class Stream(StrEnum):
    """What kind of data; each has a sequence of its own."""

    SAMPLES = "samples"
    PERIODS = "periods"  # minute, hour and day values: ``model.Level`` tells the shape of their schemas
    EVENT = "event"


class Lane(StrEnum):
    LIVE = "live"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The identity of one stored unit, unique for ever together with the agent's id. The same key always
    means the same bytes: the epoch rises at every start and with every new database, before anything is
    sent under it."""

    stream: str
    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.stream}/{self.epoch}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One stored unit on its way: a segment (batches of one schema, in time order) or one event."""

    key: Key
    lane: Lane
    samples: int = 0
    schema: Schema | None = None
    batches: tuple[Batch, ...] = ()
    event: Event | None = None


class Answer(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    PENDING = "pending"
    REJECTED = "rejected"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one item. ``after_s`` with RETRY: not before; ``reason`` with REJECTED and RETRY, and
    with ACKNOWLEDGED when the item did not have to go: that says nothing of the destination, which an
    ACKNOWLEDGED without a reason does."""

    answer: Answer
    reason: str = ""
    after_s: float = 0.0


ACKNOWLEDGED = Verdict(Answer.ACKNOWLEDGED)
NOTHING_TO_SEND = Verdict(Answer.ACKNOWLEDGED, "nothing of it is to be sent")
PENDING = Verdict(Answer.PENDING)


@dataclass(frozen=True, slots=True)
class Command:
    """A request that came in through an uplink (write a set-point, set the time, start a pump). ``source``:
    who asks, as the uplink knows it. ``detail`` of kind ``write``: ``tag`` (DEVICE.TAG), ``value`` in
    engineering units, and where the asker has them ``token`` and ``comment``."""

    kind: str
    source: str
    detail: dict[str, Any]


class Host(Protocol):
    """What the agent offers a destination. All methods may be called from the event loop at any time."""

    @property
    def agent(self) -> str:
        """The agent's id: 32 hex digits, made at the first start, for ever the same."""
        ...

    @property
    def name(self) -> str:
        """The uplink's name in the configuration."""
        ...

    @property
    def line(self) -> str:
        """The production line's name in the configuration."""
        ...

    def acknowledged(self, keys: Sequence[Key]) -> None:
        """The destination has confirmed these, later than ``send`` answered. Unknown keys are ignored."""
        ...

    def rejected(self, keys: Sequence[Key], reason: str) -> None:
        """The destination has refused these for good, later than ``send`` answered: they are set aside."""
        ...

    def lost(self, reason: str) -> None:
        """The connection is gone, noticed outside of ``send``. Forwarding closes this object at once, sends
        nothing more with it, and opens another after its back-off."""
        ...

    async def keep(self, name: str, text: str) -> None:
        """Remembers a text for this uplink, over restarts; durable on return. At most 64 kB; ``name`` in
        lower case letters, digits and ``-``. Raises StorageError: the old text then stands."""
        ...

    async def recall(self, name: str) -> str:
        """What was kept under this name; "" when nothing was, or when it cannot be read."""
        ...

    def current(self) -> Sequence[Batch]:
        """The newest batch of every poll group."""
        ...

    def history(self, stream: str, start_ns: int, end_ns: int) -> AsyncIterator[Batch]:
        """Batches with start <= ``time_ns`` < end of SAMPLES or PERIODS, those this uplink selects only. Per
        schema in time order. Raises LinesideError where the agent cannot look back."""
        ...

    def record(self, kind: str, detail: Mapping[str, Any]) -> None:
        """An event of this uplink: what the destination ordered and the agent obeyed, what was not usual."""
        ...

    async def ask(self, command: Command) -> Verdict:
        """Hands an inbound request to the guarded pipeline. Refused and recorded unless armed."""
        ...


class Uplink(Protocol):
    async def connect(self) -> None: ...

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """Raises Unreachable, Denied, TooLarge (send halves) or Unacceptable (one of them is poison, the
        destination did not say which: bisect)."""
        ...

    async def close(self) -> None: ...


class Doctor(Protocol):
    """Names the cause when a destination takes nothing. For commissioning; never sends measured data."""

    @property
    def codes(self) -> Mapping[str, Text]:
        """Every code its findings may have, and what each means."""
        ...

    def place(self, settings: Any) -> tuple[str, int]:
        """Host and port."""
        ...

    async def diagnose(self, settings: Any) -> Sequence[Finding]:
        """By a connection of its own, under an identity that does not throw a running agent out; ends within
        30 s. Nothing where all is well. Unreachable where there is no connection at all."""
        ...


def __getattr__(name: str) -> Any:
    if name == "UplinkSettings":
        return import_module("edge_agent.keys").UplinkSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class UplinkPlugin:
    """What an entry point in the group ``edge_agent.uplinks`` names. ``settings`` as in a driver.
    ``streams``: what this kind of destination can take; a store of another stream never waits for it.
    ``confirms_on_connection``: a unit answered PENDING is confirmed on the same connection or not at all, so
    that after its end it goes again at once. ``waiting``: so many units may wait for late confirmations in
    each lane, where the time they take would otherwise bound the rate; 0: a few messages' worth.
    ``confirm_s``: how long, with these settings, a unit waits for a late confirmation before it goes again;
    None: a minute. ``check``: offline, (settings, tags by device and name, the calculated ones included) ->
    every tag that the settings name and that is not there, or does not fit; paths as in ``Problem``.
    ``doctor``: for commissioning: makes what names the cause of a fault; as in a driver.
    ``identity``: (key, what the destination knows the sender by), for each key that says such a thing; two
    uplinks with the same one throw each other out."""

    settings: type[UplinkSettings]
    open: Callable[[Any, Host], Uplink]
    endpoint: Callable[[Any], str]  # for people and logs; without credentials
    streams: frozenset[Stream] = frozenset(Stream)
    confirms_on_connection: bool = False
    waiting: int = 0
    confirm_s: Callable[[Any], float] | None = None
    check: Callable[[Any, Mapping[str, Mapping[str, Tag]]], list[Problem]] | None = None
    doctor: Callable[[], Doctor] | None = None
    identity: Callable[[Any], Sequence[tuple[str, str]]] | None = None
    api: int = API_VERSION
