"""The Uplink: one platform, one connection at a time, a new object after every loss of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.clock import Clock
from edge_agent.errors import Denied, Unreachable
from edge_agent.uplink import Answer, Envelope, Host, Key, Verdict
from edge_agent.uplinks.hj212 import address
from edge_agent.uplinks.hj212.cipher import Sm4, key_of
from edge_agent.uplinks.hj212.clerk import Clerk
from edge_agent.uplinks.hj212.connection import Connection
from edge_agent.uplinks.hj212.drafting import Drafter, verdict_of
from edge_agent.uplinks.hj212.factors import format_of
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.mark import FileMark, Mark, NoMark
from edge_agent.uplinks.hj212.moment import QuestionNumbers
from edge_agent.uplinks.hj212.number import Format
from edge_agent.uplinks.hj212.profile import VERSIONS, Version
from edge_agent.uplinks.hj212.record import Mapped, Recorder
from edge_agent.uplinks.hj212.session import Heard, Limits, Session

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings

BRIEFLY_S = 0.25
"""Acknowledgements that come this soon are verdicts of ``send``; later ones are reported to the host."""

MAX_WAITING = 32
"""Packets: what is put behind more than that would be missed by forwarding before it was even sent."""

MAX_REFUSED = 4096


class Hj212Uplink:
    """``send`` answers PENDING for what the platform has not acknowledged soon. The first message of a
    connection is waited for up to ``over_time``: HJ 212 has no login, a wrong password shows only there."""

    def __init__(self, settings: Hj212Settings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._endpoint = address.endpoint(settings)
        self._version = VERSIONS[settings.version]
        self._identity = Identity(settings.mn, settings.pw.get_secret_value(), settings.st, self._version)
        self._recorder = Recorder(mapping(settings), self._version)
        self._drafter = Drafter(self._identity, self._recorder, settings.real_time)
        self._connection: Connection | None = None
        self._proven = False
        self._refused: dict[Key, str] = {}

    async def connect(self) -> None:
        await self.close()
        mark: Mark = NoMark() if self._settings.qn_file is None else FileMark(self._settings.qn_file)
        try:
            last_ms = await asyncio.to_thread(mark.load)
        except OSError as error:
            raise Denied(f"qn_file {self._settings.qn_file} cannot be read: {error.strerror}") from error
        numbers = QuestionNumbers(self._clock.time_ns, last_ms)
        seal = self._sealing()
        streams = await self._open()
        session = Session(
            self._identity,
            self._limits(),
            numbers.next,
            self._clock.mono_ns(),
            seal=seal.seal if seal else None,
        )
        clerk = Clerk(
            self._identity, self._host, self._recorder, self._clock, source=self._endpoint,
            real_time_s=self._settings.real_time, allow_remote_time=self._settings.allow_remote_time,
        )  # fmt: skip
        connection = Connection(
            streams, session, numbers, mark, self._clock,
            strict=self._settings.strict, heard=self._heard, request=clerk.take,
        )  # fmt: skip
        self._connection = connection
        connection.start(partial(clerk.run, connection))

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        connection = self._working()
        rejected = {
            item.key: Verdict(Answer.REJECTED, self._refused.pop(item.key))
            for item in items
            if item.key in self._refused
        }
        fresh = [item for item in items if item.key not in rejected]
        draft = self._drafter.draft(fresh, connection.session.holds)
        connection.put(draft.letters)
        await asyncio.sleep(0)  # lets an end of the connection that has already come be seen
        keys = {key for letter in draft.letters for key in letter.keys}
        await connection.settled(keys, BRIEFLY_S if self._proven else self._settings.over_time)
        await connection.room(MAX_WAITING)
        self._working()
        said = {fresh[place].key: verdict for place, verdict in draft.verdicts.items()} | rejected
        return [
            said.get(item.key) or verdict_of(item.key, connection.session.holds(item.key), self._refused)
            for item in items
        ]

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._proven = False
        if connection is not None:
            await connection.close()

    def _working(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise Unreachable(f"{self._endpoint}: not connected")
        if connection.session.denied:
            raise Denied(f"{self._endpoint}: {connection.session.denied}: check `mn` and `pw`")
        if connection.lost:
            raise Unreachable(f"{self._endpoint}: {connection.lost}")
        return connection

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = address.parse(self._settings.address)
        try:
            async with asyncio.timeout(self._settings.over_time):
                streams = await asyncio.open_connection(host, port)
        except TimeoutError as error:
            raise Unreachable(
                f"{self._endpoint}: no connection within {self._settings.over_time:g} s"
            ) from error
        except socket.gaierror as error:
            raise Unreachable(f"{self._endpoint}: host name {host} cannot be resolved") from error
        except OSError as error:
            raise Unreachable(f"{self._endpoint}: {error.strerror or 'no connection'}") from error
        own = streams[1].get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return streams

    def _sealing(self) -> Sm4 | None:
        if self._settings.sm4_key is None:
            return None
        try:
            return Sm4(key_of(self._settings.sm4_key.get_secret_value()))
        except ValueError as error:
            raise Denied(f"{self._endpoint}: sm4_key: {error}") from error

    def _limits(self) -> Limits:
        own = self._settings
        heartbeat_s = own.heartbeat if self._version.has_heartbeat else 0.0
        return Limits(own.over_time, own.re_count, own.window, heartbeat_s)

    def _heard(self, heard: Heard) -> None:
        if heard.confirmed or heard.refused:
            self._proven = True
        self._refused |= heard.refused
        while len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        if heard.confirmed:
            self._host.acknowledged(heard.confirmed)


def mapping(settings: Hj212Settings) -> list[Mapped]:
    edition_2025 = VERSIONS[settings.version] is Version.V2025
    return [
        Mapped(f.tag, f.code, Format.parse(f.format or format_of(f.code, edition_2025=edition_2025)), f.unit)
        for f in settings.factors
    ]
