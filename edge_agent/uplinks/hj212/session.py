"""One connection as a pure machine: what is sent, what waits for its acknowledgement, when it goes again.

    put(letter) -> due(now) gives frames -> hear(segment) settles them -> next_ns() says when to ask again

A packet keeps its QN and its bytes however often it goes. An acknowledgement counts for exactly one packet:
its command, its QN and the MN must fit. When a packet has gone ``1 + re_count`` times in vain the session is
lost.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_agent.uplink import Key, Lane
from edge_agent.uplinks.hj212 import fields, letter
from edge_agent.uplinks.hj212.cipher import is_secret
from edge_agent.uplinks.hj212.frame import build_frame
from edge_agent.uplinks.hj212.letter import Identity, Letter
from edge_agent.uplinks.hj212.segment import Segment

LIVE_IN_A_ROW = 4
"""Live packets before the backlog gets its turn."""

_NOTIFIED = (letter.HEARTBEAT, letter.CALIBRATE_ME)
_CREDENTIALS = {3: "password (PW)", 4: "device number (MN)"}
_NO_REFUSAL = {1, 9}  # ready; checksum: it goes again by itself


@dataclass(frozen=True, slots=True)
class Limits:
    """``window``: packets that may wait for their acknowledgement at once. ``heartbeat_s``: 0 is none."""

    over_time_s: float = 10.0
    re_count: int = 3
    window: int = 1
    heartbeat_s: float = 0.0


@dataclass(slots=True)
class Heard:
    """What one segment brought. ``confirmed`` and ``refused``: stored units that are settled now."""

    confirmed: list[Key] = field(default_factory=list)
    refused: dict[Key, str] = field(default_factory=dict)
    finished: Letter | None = None
    request: Segment | None = None


@dataclass(slots=True)
class _Flight:
    letter: Letter | None
    cn: str
    frame: bytes
    due_ns: int
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
        """``seal`` encrypts the frames of data."""
        self.lost = ""
        self.denied = ""
        self.counts: Counter[str] = Counter()
        self._identity = identity
        self._limits = limits
        self._next_qn = next_qn
        self._seal = seal
        self._replies: deque[Segment] = deque()
        self._queues: dict[Lane, deque[tuple[Letter, Segment]]] = {lane: deque() for lane in Lane}
        self._flights: dict[str, _Flight] = {}
        self._open: dict[Key, int] = {}
        self._spoilt: dict[Key, str] = {}
        self._in_a_row = 0
        self._heartbeat_ns = now_ns + round(limits.heartbeat_s * 1e9) if limits.heartbeat_s else None

    @property
    def waiting(self) -> int:
        """Packets that are queued or unacknowledged."""
        return len(self._flights) + sum(len(queue) for queue in self._queues.values())

    def holds(self, key: Key) -> bool:
        """Whether a letter for this unit is on its way: it must not be put twice."""
        return key in self._open

    def put(self, item: Letter) -> None:
        for key in item.keys:
            self._open[key] = self._open.get(key, 0) + 1
        self._queues[item.lane] += [(item, packet) for packet in item.packets]

    def reply(self, segment: Segment) -> None:
        """Goes at once, is not acknowledged and not repeated."""
        self._replies.append(segment)

    def notify(self, segment: Segment, now_ns: int) -> bytes:
        """A notice (9015, 1013) with a QN of its own; answered by 9013."""
        return self._fly(segment, None, now_ns)

    def due(self, now_ns: int) -> list[bytes]:
        """Frames to be written now, in order. Sets ``lost`` when patience is at its end."""
        frames = [build_frame(self._replies.popleft().encode()) for _ in range(len(self._replies))]
        for flight in self._flights.values():
            if flight.due_ns <= now_ns:
                if flight.tries > self._limits.re_count:
                    self.lost = f"no acknowledgement of CN={flight.cn}, sent {flight.tries} times"
                    return frames
                flight.tries += 1
                flight.due_ns = now_ns + round(self._limits.over_time_s * 1e9)
                self.counts["repeated"] += 1
                frames.append(flight.frame)
        if self._heartbeat_ns is not None and self._heartbeat_ns <= now_ns:
            self._heartbeat_ns = now_ns + round(self._limits.heartbeat_s * 1e9)
            frames.append(self.notify(letter.heartbeat(self._identity), now_ns))
        while len(self._flights) < self._limits.window and (chosen := self._choose()):
            item, packet = chosen
            frames.append(self._fly(packet, item, now_ns))
        return frames

    def next_ns(self) -> int | None:
        """When ``due`` has something to do, unless ``put`` or ``hear`` change that."""
        times = [flight.due_ns for flight in self._flights.values()]
        if self._heartbeat_ns is not None:
            times.append(self._heartbeat_ns)
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

    def _choose(self) -> tuple[Letter, Segment] | None:
        live, backlog = self._queues[Lane.LIVE], self._queues[Lane.BACKLOG]
        if live and (self._in_a_row < LIVE_IN_A_ROW or not backlog):
            self._in_a_row += 1
            return live.popleft()
        self._in_a_row = 0
        return backlog.popleft() if backlog else None

    def _fly(self, packet: Segment, item: Letter | None, now_ns: int) -> bytes:
        packet = replace(packet, qn=self._next_qn())
        frame = build_frame(packet.encode())
        if self._seal is not None and is_secret(packet.cn):
            frame = self._seal(frame)
        due_ns = now_ns + round(self._limits.over_time_s * 1e9)
        self._flights[packet.qn] = _Flight(item, packet.cn, frame, due_ns)
        self.counts["sent"] += 1
        return frame

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
            self._spoilt.update((key, reason) for key in item.keys)
        if item.open:
            return
        heard.finished = item
        for key in item.keys:
            self._open[key] -= 1
            if self._open[key]:
                continue
            del self._open[key]
            spoilt = self._spoilt.pop(key, "")
            if spoilt:
                heard.refused[key] = spoilt
            else:
                heard.confirmed.append(key)
