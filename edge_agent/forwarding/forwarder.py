"""One uplink's loop: from committed units to confirmed ones.

    while running:  open -> connect -> turns -> (Unreachable, Denied) close -> wait
    a turn:         live messages, then one part of a refused message, or else one chunk of backlog

One message is under way at a time. A unit leaves the store's care only by the destination's word for its key,
or into quarantine; whatever else happens, a cancellation at any point included, it stays and goes again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from edge_agent.clock import Clock
from edge_agent.config.model import UplinkConfig
from edge_agent.errors import Denied, StorageError, TooLarge, Unacceptable, Unreachable, UplinkError
from edge_agent.forwarding import standing
from edge_agent.forwarding.backoff import Backoff
from edge_agent.forwarding.host import AgentHost, Hooks, Speaker
from edge_agent.forwarding.outbox import Outbox
from edge_agent.forwarding.standing import Standing
from edge_agent.forwarding.store import Store
from edge_agent.status import UplinkRow
from edge_agent.uplink import Answer, Envelope, Key, Lane, Uplink, Verdict

_T = TypeVar("_T")

LIVE_BURST = 8
"""Live messages in a row before the backlog gets its turn."""

STUCK_AFTER = 3
"""Units that came back so often without anything being settled wait on their own: others go on."""

REFUSALS_IN_A_ROW = 3
"""So many units refused alone, with none confirmed in between: the fault is with the destination."""

FAULTS_IN_A_ROW = 3
"""So many failures of the plug-in itself: one of the units may be what it stumbles over."""

CALL_LIMIT_S = 600.0
"""An uplink has deadlines of its own; this one is for an uplink that has forgotten them."""

CLOSE_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Timing:
    """``confirm_s``: how long a PENDING unit waits for its confirmation before it is sent again."""

    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    denied_s: float = 60.0
    confirm_s: float = 60.0


class Forwarder:
    """``run`` until cancelled. A polite stop is ``finish`` before that and ``drain`` once after it.

    Writes ``row`` except the counts of pending and quarantined units, which the stores know."""

    def __init__(
        self,
        config: UplinkConfig,
        stores: Sequence[Store],
        *,
        agent: Callable[[], str],
        line: str,
        clock: Clock,
        row: UplinkRow,
        log: Speaker,
        hooks: Hooks,
        random: Random | None = None,
        timing: Timing | None = None,
    ) -> None:
        timing = timing or Timing()
        self._config = config
        self._stores = tuple(stores)
        self._clock = clock
        self._row = row
        self._timing = timing
        self._host = AgentHost(
            agent, config.name, line, hooks, self._confirmed, self._rejected_late, self._connection_lost
        )
        self._outbox = Outbox(
            config.name, stores, config.max_segments, row, clock, waiting=config.plugin.waiting
        )
        self._standing = Standing(row, clock, log, hooks)
        self._backoff = Backoff(random or Random(), timing.backoff_base_s, timing.backoff_cap_s)
        self._wake = asyncio.Event()
        self._running = False
        self._finishing = False
        self._at_rest = asyncio.Event()  # nothing is under way
        self._at_rest.set()
        self._max_items = config.max_segments
        self._pause_until_ns = 0
        self._refusals = 0
        self._faults = 0
        self._lost = ""

    async def run(self) -> None:
        """Returns only after ``finish``, and raises nothing but its own cancellation."""
        self._running = True
        for store in self._stores:
            store.watch(self._wake.set)
        try:
            while not self._finishing:
                pause_s = await self._session(once=False)
                await self._clock.sleep_until(self._clock.mono_ns() + round(pause_s * 1e9))
        finally:
            self._running = False
            for store in self._stores:
                store.unwatch(self._wake.set)

    async def finish(self, deadline_s: float) -> None:
        """``run`` begins no other message; returns when what is under way is confirmed, or after
        ``deadline_s``. What is cut off in the middle goes twice."""
        self._finishing = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._at_rest.wait()

    async def drain(self, deadline_s: float) -> None:
        """One last attempt for what is committed, live first, until it is confirmed. Ends at the first
        failure or after ``deadline_s`` (and at most 2 s for closing). Raises RuntimeError while ``run`` runs:
        cancel and await it first."""
        if self._running:
            raise RuntimeError("drain() while run() is running")
        self._outbox.held.lift_deferrals()
        self._pause_until_ns = 0
        self._finishing = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._session(once=True)

    async def _session(self, *, once: bool) -> float:
        """One uplink object, from open to close. Returns how long to wait before the next, in seconds."""
        uplink: Uplink | None = None
        self._lost = ""
        self._outbox.held.begin_session()
        try:
            uplink = self._config.plugin.open(self._config.settings, self._host)
            await _limited(uplink.connect())
            self._max_items = self._config.max_segments
            self._standing.opened()
            await self._serve(uplink, once=once)
            return 0.0
        except Denied as error:
            return self._broken(standing.DENIED, str(error), self._timing.denied_s)
        except UplinkError as error:
            return self._broken(standing.UNREACHABLE, str(error))
        except StorageError as error:
            return self._broken(standing.STORAGE, f"the buffer cannot be read: {error}")
        except Exception as error:  # noqa: BLE001 - the outermost loop: a faulty plug-in must not stop the agent
            return self._broken(standing.BUG, f"fault in the uplink plug-in: {type(error).__name__}: {error}")
        finally:
            if uplink is not None:
                await _close(uplink)
            if self._config.plugin.confirms_on_connection:
                self._outbox.held.lift_pending()

    async def _serve(self, uplink: Uplink, *, once: bool) -> None:
        self._at_rest.clear()
        try:
            while not self._finishing or self._outbox.held.awaits_confirmation:
                self._wake.clear()
                if self._lost:
                    raise Unreachable(self._lost)
                sent = not self._finishing and await self._turn(uplink)
                paused = self._pause_until_ns > self._clock.mono_ns()
                if once and (paused or not (sent or self._outbox.held.awaits_confirmation)):
                    return
                await self._until_next(sent, paused)
        finally:
            self._at_rest.set()

    async def _until_next(self, sent: bool, paused: bool) -> None:
        if paused and not self._finishing:
            self._at_rest.set()
            await self._clock.sleep_until(self._pause_until_ns)
            self._at_rest.clear()
        elif not sent:
            await self._woken(self._outbox.held.next_ns())

    async def _turn(self, uplink: Uplink) -> bool:
        """False when there was nothing to send."""
        sent = False
        for _ in range(LIVE_BURST):
            items = await self._pick(Lane.LIVE)
            if not items:
                break
            sent = True
            await self._message(uplink, items)
            if self._finishing or self._pause_until_ns > self._clock.mono_ns():
                return True
        items = self._outbox.pick_suspects(self._max_items)
        if not items:
            items = await self._pick(Lane.BACKLOG)
        if items:
            sent = True
            await self._message(uplink, items)
        return sent

    async def _pick(self, lane: Lane) -> Sequence[Envelope]:
        items = await self._outbox.pick(lane, self._max_items)
        return () if self._finishing else items

    async def _message(self, uplink: Uplink, items: Sequence[Envelope]) -> None:
        """Sends one message and settles what it can. Raises what ends the connection; the units are then free
        again, and a confirmation that still comes for one of them counts."""
        try:
            verdicts = await self._sent(uplink, items)
        except Unacceptable as error:
            self._refused(items, standing.UNACCEPTABLE, str(error))
        except TooLarge as error:
            self._max_items = max(1, len(items) // 2)
            self._refused(items, standing.TOO_LARGE, str(error))
        else:
            self._settle(items, verdicts)
        await asyncio.sleep(0)  # an uplink that answers without waiting must not hold up the polls

    async def _sent(self, uplink: Uplink, items: Sequence[Envelope]) -> Sequence[Verdict]:
        overdue = sum(self._outbox.held.overdue(item.key) for item in items)
        if overdue:
            self._standing.failed(standing.UNCONFIRMED)
            self._standing.down(standing.UNCONFIRMED, f"{overdue} unit(s) not confirmed in time; sent again")
        self._row.sends += 1
        start_ns = self._clock.mono_ns()
        try:
            verdicts = await _limited(uplink.send([self._config.selection.cut(item) for item in items]))
            if len(verdicts) != len(items):
                raise RuntimeError(f"{len(verdicts)} verdicts for {len(items)} items")
            return verdicts
        except UplinkError:
            raise
        except Exception as error:
            self._faults += 1
            if self._faults < FAULTS_IN_A_ROW:
                raise
            self._standing.failed(standing.BUG)
            raise Unacceptable(f"the uplink plug-in fails on it: {type(error).__name__}: {error}") from error
        finally:
            self._row.duration.observe((self._clock.mono_ns() - start_ns) / 1e9)

    def _settle(self, items: Sequence[Envelope], verdicts: Sequence[Verdict]) -> None:
        pairs = list(zip(items, verdicts, strict=True))
        acknowledged = [(item, verdict) for item, verdict in pairs if verdict.answer is Answer.ACKNOWLEDGED]
        confirmed = any(not verdict.reason for _, verdict in acknowledged)  # the rest did not have to go
        rejected = [(item, verdict) for item, verdict in pairs if verdict.answer is Answer.REJECTED]
        pending = [item for item, verdict in pairs if verdict.answer is Answer.PENDING]
        again = [(item, verdict) for item, verdict in pairs if verdict.answer is Answer.RETRY]
        self._outbox.acknowledge([item for item, _ in acknowledged])
        for item, verdict in rejected:
            self._outbox.quarantine(item, verdict.reason or "rejected without a reason")
        confirm_by_ns = self._clock.mono_ns() + round(self._timing.confirm_s * 1e9)
        for item in pending:
            self._outbox.await_confirmation(item, confirm_by_ns)
        if rejected:
            self._standing.failed(standing.REJECTED)
        if acknowledged or rejected or pending:
            self._backoff.reset()
            self._faults = self._faults if self._outbox.has_suspects else 0
        if confirmed:
            self._refusals = 0
        if confirmed or rejected:
            self._standing.works(confirmed=confirmed)
        if again:
            self._postpone(again, fruitless=len(again) == len(pairs))

    def _postpone(self, again: Sequence[tuple[Envelope, Verdict]], *, fruitless: bool) -> None:
        """RETRY. A message that settled nothing pauses the destination. Units that keep coming back wait on
        their own and no longer hold up the others."""
        self._standing.failed(standing.RETRY)
        tries = max(self._outbox.held.tries(item.key) for item, _ in again)
        asked_s = max(verdict.after_s for _, verdict in again)
        delay_s = max(asked_s, self._backoff.delay_s(tries))
        now = self._clock.mono_ns()
        if fruitless:
            pause_s = self._backoff.next_s()
            if tries < STUCK_AFTER:
                asked_s = delay_s = max(asked_s, pause_s)
            self._pause_until_ns = now + round(asked_s * 1e9)
            if self._backoff.failures >= STUCK_AFTER:
                self._standing.down(standing.RETRY, again[0][1].reason or "confirms nothing")
        for item, _ in again:
            self._outbox.defer(item, now + round(delay_s * 1e9))

    def _refused(self, items: Sequence[Envelope], label: str, reason: str) -> None:
        """Halves the message until the unit at fault is alone, then sets that one aside. Raises Denied when
        one after the other is refused: then the destination, not the data, is to be looked at first."""
        self._standing.failed(label)
        if len(items) > 1:
            self._outbox.split(items)
            return
        self._outbox.quarantine(items[0], reason)
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            raise Denied(f"refuses one unit after the other, now at a slow pace; the last: {reason}")

    def _broken(self, label: str, reason: str, pause_s: float | None = None) -> float:
        self._standing.failed(label)
        self._standing.down(label, reason)
        return self._backoff.next_s() if pause_s is None else pause_s

    def _confirmed(self, keys: Sequence[Key]) -> None:
        if self._outbox.confirmed(keys):
            self._refusals = 0
            self._standing.works(confirmed=True)
            self._wake.set()  # there is room for more

    def _rejected_late(self, keys: Sequence[Key], reason: str) -> None:
        if self._outbox.refused(keys, reason or "rejected without a reason"):
            self._standing.failed(standing.REJECTED)
            self._standing.works(confirmed=False)
            self._wake.set()

    def _connection_lost(self, reason: str) -> None:
        self._lost = reason or "the connection was lost"
        self._wake.set()

    async def _woken(self, until_ns: int | None) -> None:
        """Returns at the next commit or confirmation, or when a unit that waits may go again."""
        if until_ns is None:
            await self._wake.wait()
            return
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._ring(until_ns))
            await self._wake.wait()
            timer.cancel()

    async def _ring(self, until_ns: int) -> None:
        await self._clock.sleep_until(until_ns)
        self._wake.set()


async def _limited(call: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            return await call
    except TimeoutError as error:
        raise Unreachable("the uplink plug-in let a time limit pass") from error


async def _close(uplink: Uplink) -> None:
    """By contract ``close`` never raises; one that does must not end the loop."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await uplink.close()
