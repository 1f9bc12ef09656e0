"""The contract a driver meets. With ``model``, ``errors`` and ``settings`` this page is all a driver sees.

What is shared is a **link**: a TCP connection, a serial port, an OPC UA session. On it live **stations**: the
devices of the configuration. The agent's supervisor of the link owns time, order, retries and reconnects; a
driver owns bytes. The life of a link:

    open_link(settings)          no I/O; a new object for every connection attempt
      connect()                  once, under a deadline; LinkLost / LinkDenied
      enrol(station)             once per station after connect and after each reconfiguration -> Limits
      plan(...)                  pure; once per station and poll group, again after Replan or a new enrol
      exchange(request)          many; one round trip each; never two at once on one link
      prove(station, reserved)   after StationSilent or BadReply, before the station is trusted again
      close()                    once or more, also before connect and after a cancellation; never raises

The supervisor puts one absolute deadline around every await (``asyncio.timeout``). A driver therefore has no
time-outs, no retries and no reconnects of its own, and switches those of its library off. When an exchange is
cancelled by its deadline, the link must still be usable for the next one: a reply that comes late is
recognised as such (transaction id, PDU reference, request handle) and thrown away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edge_agent.model import Tag, Value, ValueType
from edge_agent.settings import Finding, Problem, Text

if TYPE_CHECKING:
    from edge_agent.keys import DeviceSettings as DeviceSettings

API_VERSION = 1


def __getattr__(name: str) -> Any:
    if name == "DeviceSettings":
        return import_module("edge_agent.keys").DeviceSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class Request:
    """One round trip, decided at planning time.

    ``tags``: positions, in the tag sequence the plan was made for, that this request serves.
    ``body``: the driver's own; the supervisor hands it back untouched.
    ``cost_s``: predicted time on the link. ``text``: what a technician reads in explain and debug output.
    ``size_bytes``: request and reply together, as the protocol frames them.
    """

    tags: tuple[int, ...]
    body: Any
    cost_s: float = 0.0
    text: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """What one read of a poll group yields: one value and one quality byte per tag, in tag order.

    ``source_ns``: the device's own UTC time stamps, None where it gave none; None as a whole for protocols
    that have none. A value is None exactly where its quality is bad.
    """

    values: tuple[Value, ...]
    quality: bytes
    source_ns: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The fewest requests for a set of tags, and how to turn their replies into columns.

    ``decode`` receives one item per request, in order: the object ``exchange`` returned, or a ``Quality``
    where that exchange failed. It decodes by address, never by counting from a neighbour, and never raises
    for what a device sent: an undecodable value is ``BAD_DECODE``, its neighbours are untouched.
    """

    requests: tuple[Request, ...]
    decode: Callable[[Sequence[Any]], Columns]


@dataclass(frozen=True, slots=True)
class Reserved:
    """Identities that no plan of a station uses, for ``prove`` on streams without transaction ids.

    ``request``: a body the driver understands, for a range of that station known to be readable. ``counts``:
    how much of it may be asked so that no poll could have asked the same; empty where every count is in use.
    """

    counts: tuple[int, ...] = ()
    request: Any = None


class Link(Protocol):
    """One connection. Errors: ``LinkLost`` from anywhere; the station errors from enrol, exchange, prove."""

    async def connect(self) -> None: ...

    async def enrol(self, station: Any) -> Any:
        """Negotiates whatever belongs to one station and returns the driver's limits (PDU size, operation
        limits, namespace table). ``station`` is that device's settings. Free of I/O where there is nothing
        to negotiate."""
        ...

    async def exchange(self, request: Request) -> Any:
        """One round trip. Returns only a reply that was checked against its request: identity, station,
        function, count, length, item codes."""
        ...

    async def prove(self, station: Any, reserved: Reserved) -> None:
        """One try to restore trust in a station: at most one round trip, under its own deadline. Returns when
        a reply came that can belong to this try only; StationSilent or BadReply when it did not, and the
        supervisor tries again when the station's turn comes. An exception reply of the device proves
        nothing; Unproven while there is nothing to ask that would prove anything and silence is being
        waited for. Returns at once where replies carry an identity of their own. Each station of a new link
        object is proved before its first exchange: late bytes outlive a closed port."""
        ...

    async def close(self) -> None: ...


class Survey:
    """A search that has not begun. Made without I/O; iterated, it opens links of its own, one after the
    other, asks one candidate after the other, only reads, and yields a finding as soon as there is one. It
    ends by itself, and cleanly when the iteration is closed. LinkLost where nobody is there to be asked.

    A finding of a scan is the settings that reach somebody (``{"station": 7}``), and what it said of itself
    under ``said`` (``said_zh``) and ``about``; ``about`` is JSON-able. ``chosen`` is False for a finding that
    a device file should not use. Of a look, it is one place: ``address``, ``raw``, and by type what it reads
    as.

    ``steps``: candidates at most. ``longest_s``: how long it takes where nobody answers. ``done`` and
    ``trying``: for progress; ``on_begin`` is called once the place could be opened. ``notes``: what a person
    should know at the end. ``silence``: where nothing was found, what is known beyond that nobody answered.
    """

    def __init__(
        self,
        steps: int,
        longest_s: float,
        find: Callable[[Survey], AsyncIterator[Mapping[str, Any]]],
        occupied: Callable[[], Awaitable[Sequence[Text]]] | None = None,
    ) -> None:
        self.steps = steps
        self.longest_s = longest_s
        self.done = 0
        self.trying = ""
        self.notes: list[Text] = []
        self.silence: Text | None = None
        self.begun = False
        self.on_begin: Callable[[], None] | None = None
        self._find = find
        self._occupied = occupied

    def __aiter__(self) -> AsyncIterator[Mapping[str, Any]]:
        return self._find(self)

    def begin(self) -> None:
        """To be called after connecting, where that comes before the first ``step``."""
        if not self.begun and self.on_begin is not None:
            self.on_begin()
        self.begun = True

    def step(self, trying: str) -> None:
        """To be called before each candidate, the first time after the place could be opened."""
        self.begin()
        self.done += 1
        self.trying = trying

    async def occupied(self) -> Sequence[Text]:
        """Who uses the place at this moment and would be disturbed; empty where nobody. Sends nothing."""
        return () if self._occupied is None else await self._occupied()


class Scanner(Protocol):
    def __call__(self, settings: Any, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
        """``tries``: name of a setting -> what it may be, in the order in which to try; names that are left
        out have the driver's own choice. The settings' ``timeout``, where set, is how long each candidate
        has."""
        ...


class Doctor(Protocol):
    """Names the cause when a device gives no values or wrong ones. For commissioning; only reads."""

    @property
    def codes(self) -> Mapping[str, Text]:
        """Every code its findings may have, and what each means."""
        ...

    def place(self, settings: Any) -> tuple[str, int] | None:
        """Host and port; None where there is no network between."""
        ...

    def exclusive(self, settings: Any) -> bool:
        """Whether a second connection would disturb an agent that holds this link."""
        ...

    async def diagnose(self, settings: Any, tags: Sequence[Tag]) -> Sequence[Finding]:
        """By connections of its own, one after the other, with as few requests as do; ends within 30 s.
        Nothing where all is well. LinkLost where there is no connection at all."""
        ...

    def overheard(self, settings: Any, tags: Sequence[Tag], told: Mapping[str, Any]) -> Sequence[Finding]:
        """From the device's row in a running agent's status alone, without I/O. Its ``values`` has, where
        known, a row per tag with ``value`` and ``quality``."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One way to take bytes for a number. ``type`` and ``order`` as a tag table has them ("" where the
    protocol has one order only). ``decode``: exactly ``size`` bytes, as they come over the wire; None where
    they are no number of that type."""

    type: str
    order: str
    size: int
    decode: Callable[[bytes], int | float | None]


class Prober(Protocol):
    """For commissioning: memory without a tag table. Pure: it says what to ask and what bytes can mean; what
    is asked is planned and exchanged like any poll.

    Memory is named in *cells*: tags of an unsigned type whose values are the bytes as they lie there, most
    significant first. ``cell_bytes``: of each. ``align_bytes``: values begin at multiples of it.
    """

    cell_bytes: int
    align_bytes: int

    def forms(self, settings: Any) -> Sequence[Form]:
        """Numbers only, the commonest first; of two that read the same, the one to propose first."""
        ...

    def cells(self, settings: Any, address: str, before: int, after: int) -> Sequence[Tag]:
        """The cell at an address, up to ``before`` in front of it and ``after`` behind, ascending; those that
        do not exist or must not be read are left out. ValueError where memory there is not made of cells."""
        ...

    def cells_of(self, settings: Any, tag: Tag) -> Sequence[Tag]:
        """The cells that a tag lies in; empty where it has no bytes to show."""
        ...

    def place(self, settings: Any, cell: Tag) -> tuple[str, int]:
        """Its area (of equal areas, numbers can be compared), and its number there."""
        ...

    def address(self, cell: Tag, form: Form) -> str:
        """As a tag table writes the address of a value of that form that begins at the cell."""
        ...

    def usual(self, settings: Any, tags: Sequence[Tag]) -> Sequence[str]:
        """Where to look when nobody says where: addresses, each the first of a piece of memory."""
        ...

    def encoded(self, settings: Any, tag: Tag, raw: Value) -> bytes | None:
        """The bytes that a value stands for on the wire; None where that cannot be told."""
        ...

    def notation(self, tag: Tag) -> str:
        """Every way to write the tag's address, and how the protocol reads it; "" where there is one only."""
        ...

    def elsewhere(self, settings: Any, tag: Tag) -> str:
        """The command line by which another well-known tool reads the same; "" where there is none."""
        ...


Trace = Callable[[str, bytes, str], None]
"""Takes what passes on a wire: ``>`` a frame that was sent, ``<`` one that came, ``!`` something that
happened, with the bytes concerned or none; and a remark in English, "" where the bytes say it all. Frames are
whole and not encrypted. Never raises and never waits."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one frame says, for people. ``station``: whose, None of a connection as a whole. ``identity``:
    equal for a request and its answer, "" where only their order tells. ``bare``: the frame without what
    differs each time the same is asked. ``failed``: the answer says no."""

    text: Text
    station: int | None = None
    identity: str = ""
    bare: bytes = b""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class DriverPlugin:
    """What an entry point in the group ``edge_agent.drivers`` names.

    ``settings``: derived from ``DeviceSettings``; its fields are the configuration keys of a device. Give the
    class, or ``settings.later("module:Class")`` to spare the running agent its import. The functions below
    receive an object with those attributes: the model where files are read, a plain record in the agent.
    ``link_key``: devices with equal keys share one link.
    ``link_options``: names of settings that devices on one link must agree on.
    ``check``: offline; every mistake in the settings and tags, none is fatal to finding the next.
    ``plan``: pure; (settings, tags of one poll group, limits or None before a connection, learned or None).
    ``learned`` belongs to this poll group alone: it is what the group's newest Replan carried, and replaces
    what it carried before, so a driver puts the old into the new. It outlives reconnects and new limits, and
    ends with the agent or a reload.
    ``open_link``: no I/O.
    ``address_hint``: for people: what an address looks like in this protocol. ``first_tag``: address and type
    of something that nearly every device has, for a first configuration.
    ``types``: names beyond ``ValueType`` that the type column may hold -> the type of the decoded value; the
    name reaches the driver as ``Tag.wire``. A name whose value is STRING takes a length: ``wstring[20]``.
    ``elements``: addresses of the first n elements of an array whose first element is the given tag; None
    where the protocol has no arrays. Raises ValueError where they would leave the address space.
    ``reserve``: all plans of one station -> identities that none of them uses; None: ``prove`` needs none.
    ``subscribed``: names of the poll groups that are to be subscribed instead of polled.
    ``scan``: for commissioning: who answers there, by which settings; None where nothing can be looked for.
    ``look``: for commissioning: what stands in a device's memory, without a tag table; its ``tries`` name a
    piece of memory in the driver's own words. None where memory cannot be looked at.
    ``doctor``: for commissioning: makes what names the cause of a fault; ``settings.later`` spares the
    running agent its import.
    ``probe``: for commissioning; makes the driver's ``Prober``. None where values arrive with their types.
    ``unwritable``: offline, (settings, tag) -> why the tag cannot be written alone and what would help, or
    None. Asked of tags that are to be written; what ``check`` finds wrong is not said again. Never raises.
    None as a whole: nothing is known before a value is written.
    ``interpret``: a device's ``link`` -> what tells frames of its wire, in the order in which a ``Tracer``
    gave them. Pure but for what it remembers of requests to understand their answers; never raises for any
    bytes.
    """

    settings: type[DeviceSettings]
    link_key: Callable[[Any], str]
    check: Callable[[Any, Sequence[Tag]], list[Problem]]
    plan: Callable[[Any, Sequence[Tag], Any, Any], Plan]
    open_link: Callable[[Any], Link]
    link_options: frozenset[str] = frozenset()
    address_hint: str = ""
    first_tag: tuple[str, str] | None = None
    types: Mapping[str, ValueType] = field(default_factory=dict)
    elements: Callable[[Any, Tag, int], Sequence[str]] | None = None
    reserve: Callable[[Any, Sequence[Plan]], Reserved] | None = None
    subscribed: Callable[[Any], frozenset[str]] = lambda settings: frozenset()
    scan: Scanner | None = None
    look: Scanner | None = None
    probe: Callable[[], Prober] | None = None
    doctor: Callable[[], Doctor] | None = None
    unwritable: Callable[[Any, Tag], Text | None] | None = None
    interpret: Callable[[str], Callable[[str, bytes], Meaning]] | None = None
    api: int = API_VERSION
    summary: Mapping[str, str] = field(default_factory=dict)  # {"en": ..., "zh": ...} for `drivers`


# Abilities a link may have beside the contract; the agent asks once, with isinstance.


@runtime_checkable
class Burster(Protocol):
    async def burst(self, requests: Sequence[Request], replies: list[Any]) -> None:
        """Several exchanges of one station strictly one after another, never two at once, without going
        through the scheduler in between: a reply is checked, appended to ``replies``, and the next request
        sent in the same turn of the event loop. Raises as ``exchange`` would for the request at
        ``len(replies)``; what was appended before stands. Cancelled at any point, the link stays usable."""
        ...


@runtime_checkable
class Writer(Protocol):
    async def write(self, station: Any, tag: Tag, raw: Value) -> None:
        """Writes one raw value in one round trip, never overlapping an exchange, and returns when the device
        has confirmed it. Called only by the guarded write pipeline, which checks limits and reads back.
        Refused for a tag that cannot be written alone or a value that does not fit its type; the other
        station errors as for ``exchange``. After StationSilent nobody knows whether it took effect."""
        ...


Sink = Callable[[Columns | None], None]


@runtime_checkable
class Subscriber(Protocol):
    async def subscribe(
        self, station: Any, tags: Sequence[Tag], plan: Plan, period_s: float, sink: Sink
    ) -> float:
        """Starts change reports for one poll group; ``plan`` is the group's own, made with this connection's
        limits. Reports go on beside exchanges, so the link stays free for those. The sink, called in the
        event loop, takes columns in which unchanged tags are UNCHANGED and those the server would not
        monitor NOT_REPORTED, or None for a keep-alive: nothing changed. Returns the liveness deadline in
        seconds: when the sink was not called for that long, the supervisor takes the subscription for dead
        and treats the link as lost.

        Keep-alives come at least every two periods, so that a window with the default ``max_age`` (three)
        stays known. The supervisor reads the group once by its plan right after subscribing and again at its
        own slow interval, so that silence is never the only evidence."""
        ...


@runtime_checkable
class Tracer(Protocol):
    trace: Trace | None
    """Where the link tells what passes on its wire; None, as it is made: nowhere, at the cost of a
    comparison. Set and cleared from outside at any moment. What could be a secret (a password, a token of a
    session) is left out of the bytes, and a remark says so."""


@runtime_checkable
class Reporter(Protocol):
    def facts(self) -> Mapping[str, Any]:
        """What this connection found out beyond values, JSON-able, for status. Asked while it lives, at any
        moment, also before ``connect``; does no I/O. Keys with a meaning for metrics: ``own_certificate`` and
        ``server_certificate`` (None, or with ``days_left``), and ``subscriptions``, a list, each with
        ``overflows``: how often the device's queue was too short for its changes."""
        ...


@runtime_checkable
class Browser(Protocol):
    async def browse(self, station: Any, start: str) -> Sequence[Tag]:
        """The readable values below a place of the device's own address space ("" is its root), as tags
        with address, type, unit and description as far as the device tells them."""
        ...
