"""The Uplink: one platform, one connection at a time, a new object after every loss of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.clock import Clock
from edge_agent.errors import Denied, StorageError, Unreachable
from edge_agent.model import ClockState
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Envelope, Host, Key, Lane, Stream, Verdict
from edge_agent.uplinks.hj212 import address, assembly, letter
from edge_agent.uplinks.hj212.archive import Archive
from edge_agent.uplinks.hj212.clerk import Clerk
from edge_agent.uplinks.hj212.connection import Connection
from edge_agent.uplinks.hj212.drafting import Draft, Drafter, together
from edge_agent.uplinks.hj212.keyring import Keyring
from edge_agent.uplinks.hj212.letter import Letter
from edge_agent.uplinks.hj212.mark import Mark
from edge_agent.uplinks.hj212.moment import QuestionNumbers, stamp
from edge_agent.uplinks.hj212.orders import Standing
from edge_agent.uplinks.hj212.record import Recorder
from edge_agent.uplinks.hj212.session import Heard, Session
from edge_agent.uplinks.hj212.slots import Slots
from edge_agent.uplinks.hj212.start import Run
from edge_agent.uplinks.hj212.woken import woken

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings

BRIEFLY_S = 0.25
"""Acknowledgements that come this soon are verdicts of ``send``; later ones are reported to the host."""

ROOM_S, AGAIN_S = 1.0, 2.0
"""So long ``send`` waits for room in the backlog's queue: live data must not wait longer. Units for which
there was none come again after this."""

QUEUE_S, MAX_QUEUE = 10.0, 256
"""The backlog's queue holds what goes out in this time, and at most so many packets: what waited longer would
be missed by forwarding before it was even sent."""

STANDS_S = 60.0
"""A connection that has stood for so long works, whether or not the platform was asked anything on it."""

HOLD_S = 5.0

KEEP_S = 1.0
"""A disk that hangs must not hold up a new connection."""

UNSURE = "the wall clock is not synchronised yet: data waits for it"
FULL = "the backlog is sent at its rate"


class Hj212Uplink:
    """``send`` answers PENDING for what the platform has not acknowledged soon. The first message of a
    connection is waited for up to ``over_time``: HJ 212 has no login, a wrong password shows only there."""

    def __init__(self, settings: Hj212Settings, host: Host, clock: Clock, run: Run) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._run = run
        self._endpoint = address.endpoint(settings)
        self._identity = assembly.identity_of(settings)
        self._recorder = Recorder(assembly.mapping(settings), self._identity.version)
        self._facilities = assembly.facilities_of(settings)
        self._standing = Standing(host, assembly.orders_of(settings))
        self._keyring: Keyring | None = None
        self._slots = Slots()
        self._parked = asyncio.Event()  # something waits for its rest
        self._drafter = self._new_drafter()
        self._connection: Connection | None = None
        self._proven = False
        self._opened_ns = 0
        self._sending: frozenset[Key] = frozenset()
        self._refused: dict[Key, str] = {}

    @property
    def connection(self) -> Connection | None:
        """The one there is, for whoever looks on."""
        return self._connection

    async def connect(self) -> None:
        await self.close()
        await self._remember()
        self._drafter = self._new_drafter()
        mark = Mark(self._host)
        numbers = QuestionNumbers(self._clock.time_ns, await mark.load())
        streams = await self._open()
        session = Session(
            self._identity, assembly.limits_of(self._settings, self._standing.now), numbers.next,
            self._clock.mono_ns(), seal=self._keyring.seal if self._keyring else None,
        )  # fmt: skip
        clerk = self._new_clerk()
        connection = Connection(
            streams, session, numbers, mark, self._clock,
            strict=self._settings.strict, heard=self._heard, request=clerk.take, ended=self._ended,
            unseal=self._keyring.unseal if self._keyring and self._settings.key_exchange else None,
        )  # fmt: skip
        self._connection, self._opened_ns = connection, self._clock.mono_ns()
        connection.start(
            partial(clerk.run, connection),
            partial(self._greet, connection),
            partial(self._gather, connection),
        )

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        connection = self._working()
        self._sending = frozenset(item.key for item in items)
        try:
            said = await self._sent(connection, items)
            return [
                self._unsent(said[item.key]) if item.key in said else self._verdict(connection, item.key)
                for item in items
            ]
        finally:
            self._sending = frozenset()
            self._refused.clear()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._proven = False
        if connection is not None:
            await connection.close()
            with contextlib.suppress(StorageError, TimeoutError):  # a full disk does not stop delivery
                async with asyncio.timeout(KEEP_S):
                    await self._host.keep("slots", self._slots.text())

    # -- sending

    async def _sent(self, connection: Connection, items: Sequence[Envelope]) -> dict[Key, Verdict]:
        """Verdicts of what was not put on its way."""
        said = self._held(items)
        fresh = [item for item in items if item.key not in said]
        draft = self._drafter.draft(fresh, connection.session.holds, self._clock.mono_ns())
        said |= await self._put(connection, draft)
        await asyncio.sleep(0)  # lets an end of the connection that has already come be seen
        keys = {key for item in draft.letters for key in item.keys} - said.keys()
        if keys and not self._proven:
            await connection.until(lambda: self._proven, self._standing.now.over_time_s)
        await connection.settled(keys, BRIEFLY_S)
        self._working()
        return said

    def _held(self, items: Sequence[Envelope]) -> dict[Key, Verdict]:
        """Period values stamped by a clock that nobody has set since boot: a period of a wrong hour is worth
        less than a late one. Only for a while after boot: where there is no time server, none will come."""
        left_s = self._settings.hold_unsynchronised - self._clock.mono_ns() / 1e9
        if left_s <= 0 or self._clock.state() is not ClockState.UNSYNCHRONISED:
            return {}
        verdict = Verdict(Answer.RETRY, UNSURE, min(HOLD_S, left_s))
        return {
            item.key: verdict
            for item in items
            if item.key.stream == Stream.PERIODS
            and any(batch.clock is ClockState.UNSYNCHRONISED for batch in item.batches)
        }

    async def _put(self, connection: Connection, draft: Draft) -> dict[Key, Verdict]:
        session = connection.session
        session.reserve(draft.parked)
        if draft.parked:
            self._parked.set()
        said = self._refusals(session, draft)
        until_ns = self._clock.mono_ns() + round(ROOM_S * 1e9)
        accepted = 0
        for cluster in together(draft.letters):
            keys = {key for item in cluster for key in item.keys}
            free = cluster[0].lane is Lane.LIVE or any(session.holds(key) for key in keys)
            if not free and not await self._has_room(connection, cluster, until_ns, first=not accepted):
                said |= dict.fromkeys(keys, Verdict(Answer.RETRY, FULL, AGAIN_S))
                continue
            accepted += 1
            connection.put(cluster)
        self._heard(session.release(draft.freed))
        return said

    def _refusals(self, session: Session, draft: Draft) -> dict[Key, Verdict]:
        """A unit of which something is under way is refused when that has been answered."""
        moving = {key for item in draft.letters for key in item.keys}
        said = {}
        for key, verdict in draft.verdicts.items():
            if verdict.answer is Answer.REJECTED and (key in moving or session.holds(key)):
                session.spoil([key], verdict.reason)
                verdict = PENDING
            said[key] = verdict
        return said

    async def _has_room(
        self, connection: Connection, cluster: Sequence[Letter], until_ns: int, *, first: bool
    ) -> bool:
        """For packets of the backlog. Something of each message goes on, or forwarding would rest."""
        session = connection.session
        packets = sum(len(item.packets) for item in cluster)
        most = max(1, min(MAX_QUEUE, round(self._settings.backfill_per_min / 60 * QUEUE_S)))

        def fits() -> bool:
            return not session.backlog or session.backlog + packets <= most

        await connection.until(fits, max(0, until_ns - self._clock.mono_ns()) / 1e9)
        return fits() or (first and session.backlog < 2 * most)

    def _unsent(self, verdict: Verdict) -> Verdict:
        """A connection that was answered, or that has stood for long, works although this did not have to
        go: a platform that wants little may be asked nothing for hours."""
        stood_ns = self._clock.mono_ns() - self._opened_ns
        works = self._proven or stood_ns >= STANDS_S * 1e9
        return ACKNOWLEDGED if works and verdict.answer is Answer.ACKNOWLEDGED else verdict

    def _verdict(self, connection: Connection, key: Key) -> Verdict:
        if key in self._refused:
            return Verdict(Answer.REJECTED, self._refused[key])
        return PENDING if connection.session.holds(key) else ACKNOWLEDGED

    def _working(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise Unreachable(f"{self._endpoint}: not connected")
        if connection.session.denied:
            raise Denied(f"{self._endpoint}: {connection.session.denied}: check `mn` and `pw`")
        if connection.lost:
            raise Unreachable(f"{self._endpoint}: {connection.lost}")
        return connection

    # -- connecting

    async def _remember(self) -> None:
        await self._standing.load()
        self._slots.read(await self._host.recall("slots"))
        try:
            self._keyring = assembly.keyring_of(self._settings, self._host)
        except ValueError as error:
            raise Denied(f"{self._endpoint}: sm4_key: {error}") from error
        if self._keyring is not None and self._settings.key_exchange:
            await self._keyring.load()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = address.parse(self._settings.address)
        limit_s = self._standing.now.over_time_s
        try:
            async with asyncio.timeout(limit_s):
                streams = await asyncio.open_connection(host, port)
        except TimeoutError as error:
            raise Unreachable(f"{self._endpoint}: no connection within {limit_s:g} s") from error
        except socket.gaierror as error:
            raise Unreachable(f"{self._endpoint}: host name {host} cannot be resolved") from error
        except OSError as error:
            raise Unreachable(f"{self._endpoint}: {error.strerror or 'no connection'}") from error
        own = streams[1].get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return streams

    def _new_drafter(self) -> Drafter:
        return Drafter(
            self._identity, self._recorder, lambda: self._standing.now, self._facilities, self._slots
        )

    def _new_clerk(self) -> Clerk:
        return Clerk(
            self._identity, self._host,
            Archive(self._identity, self._host, self._recorder, self._facilities),
            self._standing, self._clock, assembly.offer_of(self._settings),
            source=self._endpoint, serials=self._facilities.serials, keyring=self._keyring,
            allow_remote_time=self._settings.allow_remote_time, obeyed=self._obeyed,
        )  # fmt: skip

    # -- beside the sending

    async def _greet(self, connection: Connection) -> None:
        """What is told or asked once per connection or start; a platform may leave all of it unanswered."""
        unset = self._clock.state() is ClockState.UNSYNCHRONISED
        if unset:
            connection.notify(letter.calibration_wanted(self._identity))
        if self._keyring is not None and self._keyring.old(self._clock.time_ns()) and not unset:
            connection.notify(letter.key_wanted(self._identity, self._keyring.created))
        if self._settings.report_start and not unset:
            await self._report_start(connection)

    async def _report_start(self, connection: Connection) -> None:
        if await self._host.recall("start") == self._run.identity:
            return
        now_ns = self._clock.time_ns()
        began_ns = now_ns - (self._clock.mono_ns() - self._run.mono_ns)
        if await connection.deliver(letter.started(self._identity, stamp(now_ns), stamp(began_ns))):
            with contextlib.suppress(StorageError):  # then it is told again at the next connection
                await self._host.keep("start", self._run.identity)

    async def _gather(self, connection: Connection) -> None:
        """Sends on what has waited long enough for the rest of its moment."""
        while True:
            self._parked.clear()
            draft = self._drafter.overdue(self._clock.mono_ns())
            for key, verdict in draft.verdicts.items():
                connection.session.spoil([key], verdict.reason)
            if draft.letters:
                connection.put(draft.letters)
            self._heard(connection.session.release(draft.freed))
            await woken(self._parked, self._clock, self._drafter.next_ns())

    def _heard(self, heard: Heard) -> None:
        if heard.confirmed or heard.refused:
            self._proven = True
        if heard.finished is not None and heard.finished.second:
            self._slots.finish(heard.finished.second)
        for key, reason in heard.refused.items():
            if key in self._sending:
                self._refused[key] = reason
            else:
                self._host.rejected([key], reason)
        if heard.confirmed:
            self._host.acknowledged(heard.confirmed)

    def _obeyed(self) -> None:
        if self._connection is not None:
            limits = assembly.limits_of(self._settings, self._standing.now)
            self._connection.session.limits = limits

    def _ended(self, reason: str) -> None:
        self._host.lost(f"{self._endpoint}: {reason}")
