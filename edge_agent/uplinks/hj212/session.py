"""One connection as a pure machine: what is sent, what waits for its acknowledgement, when it goes again.

    put(letter) -> due(now) gives frames -> hear(segment) settles them -> next_ns() says when to ask again

A packet keeps its QN and its bytes however often it goes. An acknowledgement counts for exactly one packet:
its command, its QN and the MN must fit. When a packet has gone ``1 + re_count`` times in vain the session is
lost. Repetitions carry the same QN and the same plain text; only the key may have changed meanwhile.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from edge_agent.uplink import Key, Lane
from edge_agent.uplinks.hj212 import fields, letter
from edge_agent.uplinks.hj212.cipher import is_secret
from edge_agent.uplinks.hj212.frame import build_frame
from edge_agent.uplinks.hj212.letter import Identity, Letter
from edge_agent.uplinks.hj212.segment import Segment

LIVE_IN_A_ROW = 4
"""Live packets before the backlog gets its turn."""

LIVE_PLACES = 2
"""Beyond a window of more than one: backlog whose acknowledgements are lost must not stand in the way."""

_NOTIFIED = (letter.HEARTBEAT, letter.CALIBRATE_ME, letter.KEY)
_CREDENTIALS = {3: "password (PW)", 4: "device number (MN)"}
_NO_REFUSAL = {1, 9}  # ready; checksum: it goes again by itself


@dataclass(frozen=True, slots=True)
class Limits:
    """``window``: packets that may wait for their acknowledgement at once. ``heartbeat_s``: 0 is none.
    ``backfill_per_s``: packets of the backlog, 0 for as many as go."""

    over_time_s: float = 10.0
    re_count: int = 3
    window: int = 1
    heartbeat_s: float = 0.0
    backfill_per_s: float = 0.0


@dataclass(slots=True)
class Heard:
    """What one segment brought. ``confirmed`` and ``refused``: stored units that are settled now.
    ``finished``: a letter of which every packet was answered."""

    confirmed: list[Key] = field(default_factory=list)
    refused: dict[Key, str] = field(default_factory=dict)
    finished: Letter | None = None
    request: Segment | None = None


@dataclass(slots=True)
class _Flight:
    letter: Letter | None
    cn: str
    frame: bytes  # plain: a key that comes meanwhile holds for the repetition
    due_ns: int
    must: bool  # whether the platform is gone when it is never answered
    tries: int = 1


class Session:
    def __init__(
        self,
        identity: Identity,
        limits: Limits,
        next_qn: Callable[[], str],
        now_ns: int,
        *,
        seal: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """``seal`` encrypts the frames of data. ``limits`` may be replaced at any time."""
        self.lost = ""
        self.denied = ""
        self.limits = limits
        self.counts: Counter[str] = Counter()
        self.given_up: list[Letter] = []
        self._identity = identity
        self._next_qn = next_qn
        self._seal = seal
        self._replies: deque[Segment] = deque()
        self._notices: deque[Segment] = deque()
        self._queues: dict[Lane, deque[tuple[Letter, Segment]]] = {lane: deque() for lane in Lane}
        self._flights: dict[str, _Flight] = {}
        self._open: dict[Key, int] = {}
        self._spoilt: dict[Key, str] = {}
        self._in_a_row = 0
        self._backlog_ns = now_ns
        self._heartbeat_ns = now_ns + round(limits.heartbeat_s * 1e9) if limits.heartbeat_s else None

    @property
    def waiting(self) -> int:
        """Packets that are queued or unacknowledged."""
        return len(self._flights) + sum(len(queue) for queue in self._queues.values())

    @property
    def backlog(self) -> int:
        """Packets of the backlog that have not been sent yet."""
        return len(self._queues[Lane.BACKLOG])

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done before an answer comes or time passes."""
        return not (self._replies or self._notices or any(self._queues.values()))

    @property
    def unanswered(self) -> set[str]:
        """QNs of packets that wait for their answer."""
        return set(self._flights)

    def holds(self, key: Key) -> bool:
        """Whether a letter for this unit is on its way: it must not be put twice."""
        return key in self._open

    def put(self, item: Letter) -> None:
        self.reserve(item.keys)
        self._queues[item.lane] += [(item, packet) for packet in item.packets]

    def reserve(self, keys: Iterable[Key]) -> None:
        """Something of these units is not ready to be put: they must not be settled yet."""
        for key in keys:
            self._open[key] = self._open.get(key, 0) + 1

    def release(self, keys: Iterable[Key]) -> Heard:
        """The opposite of ``reserve``, when it has been put or cannot be."""
        heard = Heard()
        self._close(keys, heard)
        return heard

    def spoil(self, keys: Iterable[Key], reason: str) -> None:
        """These units are refused as soon as nothing of them is under way."""
        self._spoilt.update((key, reason) for key in keys)

    def reply(self, segment: Segment) -> None:
        """Goes at once, is not acknowledged and not repeated."""
        self._replies.append(segment)

    def notify(self, segment: Segment) -> None:
        """A notice that deserves an answer (1013, 1014) and is not insisted on."""
        self._notices.append(segment)

    def due(self, now_ns: int) -> list[bytes]:
        """Frames to be written now, in order. Sets ``lost`` when patience is at its end; letters that were
        not insisted on are then ``given_up``."""
        frames = [build_frame(self._replies.popleft().encode()) for _ in range(len(self._replies))]
        for qn, flight in list(self._flights.items()):
            if flight.due_ns > now_ns:
                continue
            if flight.tries <= self.limits.re_count:
                flight.tries += 1
                flight.due_ns = now_ns + round(self.limits.over_time_s * 1e9)
                self.counts["repeated"] += 1
                frames.append(self._sealed(flight))
            elif flight.must:
                self.lost = f"no acknowledgement of CN={flight.cn}, sent {flight.tries} times"
                return frames
            else:
                self._give_up(qn)
        if self._heartbeat_ns is not None and self._heartbeat_ns <= now_ns:
            self._heartbeat_ns = now_ns + round(self.limits.heartbeat_s * 1e9)
            frames.append(self._fly(letter.heartbeat(self._identity), None, now_ns, must=True))
        while self._notices:
            frames.append(self._fly(self._notices.popleft(), None, now_ns, must=False))
        while chosen := self._choose(now_ns):
            item, packet = chosen
            frames.append(self._fly(packet, item, now_ns, must=item.must))
        return frames

    def next_ns(self) -> int | None:
        """When ``due`` has something to do, unless ``put`` or ``hear`` change that."""
        times = [flight.due_ns for flight in self._flights.values()]
        if self._heartbeat_ns is not None:
            times.append(self._heartbeat_ns)
        if self._queues[Lane.BACKLOG] and len(self._flights) < self.limits.window:
            times.append(self._backlog_ns)
        return min(times, default=None)

    def hear(self, segment: Segment) -> Heard:
        heard = Heard()
        answer = segment.cn in (letter.DATA_ACK, letter.NOTIFY_ACK, letter.REQUEST_REPLY, letter.EXECUTED)
        if not answer:
            heard.request = segment
            return heard
        flight = self._flights.get(segment.qn)
        if flight is None or segment.mn != self._identity.mn:
            self.counts["stray"] += 1
        elif segment.cn == letter.REQUEST_REPLY:
            self._refusal(segment, flight, heard)
        elif segment.cn == (letter.NOTIFY_ACK if flight.cn in _NOTIFIED else letter.DATA_ACK):
            del self._flights[segment.qn]
            self._settle(flight.letter, "", heard)
        else:
            self.counts["stray"] += 1
        return heard

    def _choose(self, now_ns: int) -> tuple[Letter, Segment] | None:
        live, backlog = self._queues[Lane.LIVE], self._queues[Lane.BACKLOG]
        window, flying = self.limits.window, len(self._flights)
        ready = backlog and flying < window and self._backlog_ns <= now_ns
        places = window + LIVE_PLACES if window > 1 else window
        if live and flying < places and (self._in_a_row < LIVE_IN_A_ROW or not ready):
            self._in_a_row += 1
            return live.popleft()
        if not ready:
            return None
        self._in_a_row = 0
        if self.limits.backfill_per_s:
            self._backlog_ns = max(self._backlog_ns, now_ns) + round(1e9 / self.limits.backfill_per_s)
        return backlog.popleft()

    def _fly(self, packet: Segment, item: Letter | None, now_ns: int, *, must: bool) -> bytes:
        packet = replace(packet, qn=self._next_qn())
        due_ns = now_ns + round(self.limits.over_time_s * 1e9)
        flight = _Flight(item, packet.cn, build_frame(packet.encode()), due_ns, must)
        self._flights[packet.qn] = flight
        self.counts["sent"] += 1
        return self._sealed(flight)

    def _sealed(self, flight: _Flight) -> bytes:
        if self._seal is not None and is_secret(flight.cn):
            return self._seal(flight.frame)
        return flight.frame

    def _give_up(self, qn: str) -> None:
        """Only letters without stored units are not insisted on: nothing is lost with them."""
        item = self._flights.pop(qn).letter
        self.counts["given_up"] += 1
        if item is not None:
            self.given_up.append(item)

    def _refusal(self, segment: Segment, flight: _Flight, heard: Heard) -> None:
        """Beyond the standard, and seen in the field: a host that says why it does not take an upload."""
        try:
            code = int(fields.values(segment.data).get("QnRtn", ""))
        except ValueError:
            self.counts["stray"] += 1
            return
        if code in _CREDENTIALS:
            self.denied = f"the destination refuses this {_CREDENTIALS[code]} (QnRtn={code})"
        elif code not in _NO_REFUSAL:
            del self._flights[segment.qn]
            self._settle(flight.letter, f"refused by the destination (QnRtn={code})", heard)

    def _settle(self, item: Letter | None, reason: str, heard: Heard) -> None:
        if item is None:
            return
        item.open -= 1
        if reason:
            self.spoil(item.keys, reason)
            item.spoilt = True
        if not item.open:
            heard.finished = item
            self._close(item.keys, heard)

    def _close(self, keys: Iterable[Key], heard: Heard) -> None:
        for key in keys:
            self._open[key] -= 1
            if self._open[key]:
                continue
            del self._open[key]
            spoilt = self._spoilt.pop(key, "")
            if spoilt:
                heard.refused[key] = spoilt
            else:
                heard.confirmed.append(key)
