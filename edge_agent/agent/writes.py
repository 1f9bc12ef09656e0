"""Carries out what the guard permits: the only place from which a value goes to a controller.

    request ── guard.judge ── intent on disk ── read ── guard.before ── write ── read back ── guard.verified
                  │ refused        │ refused              │ refused, or dry run ends here
                  └── said, and nothing was sent ─────────┘

A request of a person or a platform waits until its intent is on disk, at most a second, and is refused when
the disk does not take it. What the agent asks for itself (heartbeat, annunciation, the end of a TTL) does not
wait: a full disk must not keep a horn silent or a set-point beyond its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.acquisition import JobFailed
from edge_agent.agent.annunciation import Outputs
from edge_agent.agent.write_facts import AlarmRows, WriteFacts, moment
from edge_agent.config.model import Output, TagRef, Writing
from edge_agent.control.guard import (
    ANNUNCIATION,
    HEARTBEAT,
    TTL,
    Audit,
    Beats,
    Guard,
    Outcome,
    Permit,
    Reason,
    Refusal,
    Verdict,
    WriteRequest,
)
from edge_agent.model import Quality

if TYPE_CHECKING:
    from edge_agent.acquisition import Reading
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration
    from edge_agent.model import Event, Tag, Value
    from edge_agent.status import Board

log = logging.getLogger(__name__)

COMMIT_S = 1.0
TURN_S = 1.0  # how long a request waits for another write to the same device
READ_BACK_S = 0.1
LOOK_S = 0.5
IDLE_S = 60.0
_OWN = frozenset({HEARTBEAT, ANNUNCIATION, TTL})


class Wire(Protocol):
    """Of ``agent.links.Links``."""

    async def read(self, device: str, tag_name: str) -> Reading: ...

    async def write(self, device: str, tag_name: str, raw: Value) -> None: ...


class Alarms(AlarmRows, Protocol):
    """Of ``control.alarms.AlarmBook``."""

    def demand(self, outputs: Sequence[Output]) -> Mapping[TagRef, bool]: ...

    @property
    def silent(self) -> bool: ...

    def end_silence(self) -> None: ...


Announce = Callable[["Sequence[Event]", Mapping[str, Any]], None]
"""Says events now, and queues them with state rows for one transaction of the journal."""

Commit = Callable[["Sequence[Event]", Mapping[str, Any]], Awaitable[bool]]
"""The same; returns when the disk has them (True) or has refused them (False: they wait in memory)."""


def tags_of(configuration: Configuration) -> dict[TagRef, Tag]:
    """Every tag that may be written, for the guard."""
    writing = configuration.writing
    refs = {w.tag for w in writing.writables}
    refs |= {beat.tag for beat in writing.heartbeats} | {output.tag for output in writing.outputs}
    devices = {ref.device for ref in refs}
    tags = ((d.name, tag) for d in configuration.devices if d.name in devices for tag in d.tags)
    return {TagRef(device, tag.name): tag for device, tag in tags if TagRef(device, tag.name) in refs}


class Writes:
    """``run`` is its supervisor; ``execute`` may be called from anywhere. Neither raises but for a
    cancellation."""

    def __init__(
        self,
        guard: Guard,
        wire: Wire,
        clock: Clock,
        *,
        board: Board,
        alarms: Alarms,
        announce: Announce,
        commit: Commit,
    ) -> None:
        self.guard = guard
        self.facts = WriteFacts(board, alarms, clock)
        self.outputs = Outputs(board, self.facts)
        self._wire = wire
        self._clock = clock
        self._alarms = alarms
        self._announce = announce
        self._commit = commit
        self._under_way: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._locked: frozenset[str] = frozenset()
        self._alarm: asyncio.Timeout | None = None  # rings while ``run`` sleeps
        self._tick_s = IDLE_S
        self._beating: tuple[object, ...] = ()
        self._writing = Writing()
        self._tags: dict[TagRef, Tag] = {}

    def configure(self, configuration: Configuration) -> None:
        """At the start, and in a reload before the links follow: a value must not be judged by one table of
        tags and written by another. Untouched heartbeats go on counting."""
        writing, tags = configuration.writing, tags_of(configuration)
        self._say(self.guard.reconfigure(writing, tags, configuration.version, moment(self._clock)))
        beating = (writing.heartbeats, [tags.get(beat.tag) for beat in writing.heartbeats])
        if beating != self._beating:
            self._beating, self.facts.beats = beating, Beats(writing.heartbeats, tags)
        self.outputs.configure(writing.outputs)
        self._writing, self._tags = writing, tags
        self._tick_s = IDLE_S
        if writing.writables or writing.outputs or writing.heartbeats:
            self._tick_s = min([LOOK_S, *(max(0.02, beat.period_s / 5) for beat in writing.heartbeats)])
        self.look()
        self._wake()

    def look(self) -> None:
        """To be called whenever alarms may have changed: follows what they ask of the outputs. A device that
        is locked out asks for all of them, as an unacknowledged critical alarm would, until it is unlocked or
        silenced; a new lock-out ends a silence."""
        outputs = self._writing.outputs
        if not outputs:
            return
        locked, before = self.guard.locked(), self._locked
        self._locked = locked
        if locked - before:
            self._alarms.end_silence()
        demand = dict(self._alarms.demand(outputs))
        if locked:
            silent = self._alarms.silent
            demand = {o.tag: demand[o.tag] or not (o.silence and silent) for o in outputs}
        if self.outputs.want(demand):
            self._wake()

    def hear(self, events: Sequence[Event]) -> None:
        """As a ``flow.Hearer``: after an alarm its outputs are looked at, at once."""
        if self._writing.outputs and any(event.kind.startswith("alarm_") for event in events):
            self.look()

    def changed(self) -> dict[str, Any]:
        """As a ``flow.Hearer``. Nothing: the guard's rows go with its own events."""
        return {}

    def _wake(self) -> None:
        if self._alarm is not None:
            alarm, self._alarm = self._alarm, None
            alarm.reschedule(asyncio.get_running_loop().time())

    # The supervisor

    async def run(self) -> None:
        """Heartbeats, annunciation, the ends of TTLs, armings that expire."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._turn(group)
                await self._sleep()

    def _turn(self, group: asyncio.TaskGroup) -> None:
        at = moment(self._clock)
        try:
            self._say(self.guard.tick(at))
            work = [self._beat(request) for request in self.facts.beats.due(at)]
            work += [self._revert(request) for request in self.guard.due(at)]
            self.look()
            sounds = self.outputs.due(at.mono_ns)
            for tag, value in self.outputs.dropped():
                self._say(self.guard.dropped(tag, value, at))
            work += [self._sound(tag, value) for tag, value in sounds]
        except Exception:  # outermost loop: a mistake here must not end the heartbeat
            log.exception("writes: a turn failed")
            return
        for coroutine in work:
            group.create_task(self._guarded(coroutine))

    async def _sleep(self) -> None:
        tick_ns = round(self._tick_s * 1e9)
        due_ns = (self._clock.mono_ns() // tick_ns + 1) * tick_ns
        try:
            async with asyncio.timeout(None) as self._alarm:
                await self._clock.sleep_until(due_ns)
        except TimeoutError:
            pass
        finally:
            self._alarm = None

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # outermost loop
            log.exception("writes: a write of the agent's own failed")

    async def _beat(self, request: WriteRequest) -> None:
        outcome = await self.execute(request)
        self.facts.beats.done(request.tag, moment(self._clock), written=outcome.ok)

    async def _revert(self, request: WriteRequest) -> None:
        await self.execute(request)

    async def _sound(self, tag: TagRef, value: bool) -> None:
        outcome = None
        try:
            outcome = await self.execute(WriteRequest(tag, value, ANNUNCIATION))
        finally:
            written = outcome is not None and outcome.ok
            dry_run = outcome is not None and outcome.kind == "write_dry_run"
            self.outputs.done(tag, value, self._clock.mono_ns(), written=written, dry_run=dry_run)

    # One request

    async def execute(self, request: WriteRequest) -> Outcome:
        """The whole way of one request. Whatever comes of it is said and goes to the journal."""
        decision = await self._judged(request)
        if isinstance(decision, Refusal):
            self._say(decision.audit)
            return Outcome.refused(decision)
        way = _Way(decision)
        if request.who == HEARTBEAT:
            return await self._carry_out(way)
        place = request.tag.device, request.tag.tag if request.who == ANNUNCIATION else ""
        turn = self._under_way[place] = asyncio.get_running_loop().create_future()
        try:
            return await self._carry_out(way)
        finally:
            turn.set_result(None)
            if self._under_way.get(place) is turn:
                del self._under_way[place]

    async def _judged(self, request: WriteRequest) -> Permit | Refusal:
        """Judged again when a write to the same device that stood in the way has ended."""
        loop, tag = asyncio.get_running_loop(), request.tag
        until_s = loop.time() + TURN_S
        while True:
            places = (tag.device, ""), (tag.device, tag.tag)
            others = [turn for place in places if (turn := self._under_way.get(place)) is not None]
            waiting = bool(others) and loop.time() < until_s
            decision = self.guard.judge(request, self.facts, moment(self._clock), waiting=waiting)
            if not waiting or not isinstance(decision, Refusal) or decision.reason is not Reason.BUSY:
                return decision
            left_s = until_s - loop.time()
            await asyncio.wait(others, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)

    async def _carry_out(self, way: _Way) -> Outcome:
        try:
            return await self._stages(way)
        except asyncio.CancelledError:
            self._failed(way, "broken off: the agent is stopping")
            raise
        except Exception as error:
            log.exception("writes: a write ended by a mistake in the agent")
            return self._failed(way, f"internal error: {error!r}")

    async def _stages(self, way: _Way) -> Outcome:
        refused = await self._recorded(way)
        if refused is None:
            refused = await self._read_before(way)
        if refused is None and not way.permit.dry_run:  # what has changed now is when it may be taken back
            refused = await self._recorded(way)
        if refused is not None:
            return refused
        if way.permit.dry_run:
            return self._ended(way, self.guard.skipped(way.permit, moment(self._clock)))
        if killed_by := self.guard.books.killed_by:
            return self._withdrawn(way, Reason.KILL_SWITCH, user=killed_by)
        if (
            self._tags.get(way.permit.ref) != way.permit.tag
            or way.permit.writable not in self._writing.writables
        ):
            return self._withdrawn(way, Reason.RECONFIGURED)
        return await self._write(way)

    async def _recorded(self, way: _Way) -> Outcome | None:
        """None when it may go on."""
        audit = way.permit.audit
        way.permit = replace(way.permit, audit=Audit())
        if not audit:
            return None
        if way.permit.request.who in _OWN:
            self._say(audit)
            return None
        try:
            async with asyncio.timeout(COMMIT_S):
                durable = await self._commit(audit.events, audit.states)
        except TimeoutError:
            durable = False
        if durable:
            return None
        return self._withdrawn(way, Reason.AUDIT_UNAVAILABLE, limit=f"{COMMIT_S:g}")

    async def _read_before(self, way: _Way) -> Outcome | None:
        raw: Value = None
        quality = Quality.GOOD
        if way.permit.read_before:
            try:
                raw, quality = await self._wire.read(*_place(way.permit))
            except JobFailed as error:
                log.info("writes: %s", error)
                quality = Quality.BAD_COMM
        at = moment(self._clock)
        way.sent_ns = at.mono_ns
        decision = self.guard.before(way.permit, raw, at, quality)
        if isinstance(decision, Refusal):
            self._say(decision.audit)
            return Outcome.refused(decision)
        way.permit = decision
        return None

    async def _write(self, way: _Way) -> Outcome:
        way.written = None  # from here on nobody knows, unless it is told
        try:
            await self._wire.write(*_place(way.permit), way.permit.raw)
        except JobFailed as error:
            way.written = None if error.uncertain else False
            return self._failed(way, str(error))
        finally:
            if way.permit.read_before:
                self.facts.wrote(way.permit.ref, way.sent_ns)
        raw = await self._read_back(way.permit) if way.permit.verify else None
        return self._ended(way, self.guard.verified(way.permit, raw, moment(self._clock)))

    async def _read_back(self, permit: Permit) -> Value:
        """The value that was written, or what was read last instead; None where nothing good was read."""
        until_ns = self._clock.mono_ns() + round(permit.verify_within_s * 1e9)
        seen: Value = None
        while True:
            now_ns = self._clock.mono_ns()
            try:
                raw, quality = await self._wire.read(*_place(permit))
            except JobFailed:
                pass
            else:
                if quality.is_good:
                    seen = raw
                    if self.guard.matches(permit, raw):
                        return raw
            if now_ns >= until_ns:
                return seen
            await self._clock.sleep_until(min(until_ns, self._clock.mono_ns() + round(READ_BACK_S * 1e9)))

    def _withdrawn(self, way: _Way, reason: Reason, **values: object) -> Outcome:
        refusal = self.guard.withdrawn(way.permit, reason, moment(self._clock), **values)
        self._say(refusal.audit)
        return Outcome.refused(refusal)

    def _failed(self, way: _Way, reason: str) -> Outcome:
        return self._ended(
            way, self.guard.failed(way.permit, reason, moment(self._clock), written=way.written)
        )

    def _ended(self, way: _Way, verdict: Verdict) -> Outcome:
        self._say(verdict.audit)
        return Outcome.of(way.permit, verdict)

    def _say(self, audit: Audit) -> None:
        if audit:
            self._announce(audit.events, audit.states)


class _Way:
    """How far one permit has come. ``written``: False while nothing was sent, None when nobody knows.
    ``sent_ns``: when the guard let it go, monotonic."""

    __slots__ = ("permit", "sent_ns", "written")

    def __init__(self, permit: Permit) -> None:
        self.permit = permit
        self.sent_ns = 0
        self.written: bool | None = False


def _place(permit: Permit) -> tuple[str, str]:
    return permit.ref.device, permit.ref.tag
