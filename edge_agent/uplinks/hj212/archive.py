"""What was measured, for a platform that asks: current values (2011), history (2051, 2061, 2031, 2041) and
what devices say of themselves (3020). Each packet is acknowledged before the next one goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge_agent.model import Level
from edge_agent.uplink import Host, Lane, Stream
from edge_agent.uplinks.hj212 import fields, requests
from edge_agent.uplinks.hj212.facilities import RUNNING_HOURS, Facilities, Info, info_value
from edge_agent.uplinks.hj212.factors import of_today
from edge_agent.uplinks.hj212.letter import Identity, Letter, data_letter, plain_letter
from edge_agent.uplinks.hj212.moment import SECOND_NS, stamp
from edge_agent.uplinks.hj212.record import SAMPLES, Recorder
from edge_agent.uplinks.hj212.segment import Segment

MAX_PACKETS = 50_000
MAX_CHANGES = 5_000
_AT_ONCE_NS = {
    Level.MINUTE: 2 * 3600 * SECOND_NS,
    Level.HOUR: 7 * 86400 * SECOND_NS,
    Level.DAY: 62 * 86400 * SECOND_NS,
}
"""So much is looked up at a time: history comes device by device, packets go moment by moment."""


class Post(Protocol):
    async def deliver(self, item: Letter) -> bool:
        """Whether every packet of it has been acknowledged."""
        ...


class Archive:
    def __init__(self, identity: Identity, host: Host, recorder: Recorder, facilities: Facilities) -> None:
        self._identity = identity
        self._host = host
        self._recorder = recorder
        self._facilities = facilities

    async def current(self, post: Post) -> int:
        """The ExeRtn, here and below."""
        texts: dict[str, str] = {}
        newest = 0
        for batch in self._host.current():
            found = self._recorder.texts(batch, SAMPLES)
            texts |= found
            newest = max(newest, batch.time_ns) if found else newest
        if not texts:
            return requests.NO_DATA
        return _code(await post.deliver(self._letter("2011", newest, self._ordered(texts))))

    async def history(self, request: Segment, post: Post) -> int:
        begin_ns, end_ns = requests.period_asked(request)
        level = requests.HISTORY[request.cn]
        span_ns, sent = _AT_ONCE_NS[level], 0
        for span in await self._spans(level, begin_ns, end_ns + SECOND_NS):
            first_ns = max(begin_ns, span * span_ns)
            until_ns = min(end_ns + SECOND_NS, (span + 1) * span_ns)
            for time_ns, texts in await self._moments(request.cn, level, first_ns, until_ns):
                if sent >= MAX_PACKETS:
                    return requests.FAILED
                if not await post.deliver(self._letter(request.cn, time_ns, texts)):
                    return requests.FAILED
                sent += 1
        return requests.DONE if sent else requests.NO_DATA

    async def _spans(self, level: Level, begin_ns: int, until_ns: int) -> list[int]:
        """Where there is anything: a platform may ask for a thousand years."""
        found: set[int] = set()
        async for batch in self._host.history(Stream.PERIODS, begin_ns, until_ns):
            if batch.schema.group == level:
                found.add(batch.time_ns // _AT_ONCE_NS[level])
        return sorted(found)

    async def info(self, request: Segment, post: Post) -> int:
        """Without BeginTime what the device says now; with it, what it said and each change."""
        given = fields.values(request.data)
        wanted = self._facilities.asked(of_today(given.get("PolId", "")), given.get("InfoId", ""))
        if "BeginTime" not in given:
            said = list(self._now(wanted))
        else:
            said = await self._changes(wanted, *requests.period_asked(request))
        for time_ns, info, text in said:
            data = f"DataTime={stamp(time_ns)};PolId={info.pol_id};{info.code}-Info={text}"
            if not await post.deliver(plain_letter(self._identity, request.cn, data)):
                return requests.FAILED
        return requests.DONE if said else requests.NO_DATA

    def _now(self, wanted: list[Info]) -> Iterator[tuple[int, Info, str]]:
        for batch in self._host.current():
            for info in wanted:
                if text := info_value(batch, info):
                    yield batch.time_ns, info, text

    async def _changes(self, wanted: list[Info], begin_ns: int, end_ns: int) -> list[tuple[int, Info, str]]:
        last: dict[Info, str] = {}
        found: list[tuple[int, Info, str]] = []
        async for batch in self._host.history(Stream.SAMPLES, begin_ns, end_ns + SECOND_NS):
            for info in wanted:
                text = info_value(batch, info)
                if text and last.get(info) != text and len(found) < MAX_CHANGES:
                    last[info] = text
                    found.append((batch.time_ns, info, text))
        return sorted(found, key=lambda row: row[0])

    async def _moments(
        self, cn: str, level: Level, begin_ns: int, until_ns: int
    ) -> list[tuple[int, list[str]]]:
        factors: dict[int, dict[str, str]] = {}
        hours: dict[int, list[str]] = {}
        async for batch in self._host.history(Stream.PERIODS, begin_ns, until_ns):
            if batch.schema.group != level:
                continue
            second_ns = batch.time_ns - batch.time_ns % SECOND_NS
            if cn == RUNNING_HOURS:
                hours.setdefault(second_ns, []).extend(self._facilities.running_texts(batch))
            else:
                factors.setdefault(second_ns, {}).update(self._recorder.texts(batch, level))
        found = {at: self._ordered(texts) for at, texts in factors.items()} | hours
        return sorted((at, texts) for at, texts in found.items() if texts)

    def _ordered(self, texts: dict[str, str]) -> list[str]:
        return [texts[code] for code in sorted(texts, key=self._recorder.order.__getitem__)]

    def _letter(self, cn: str, time_ns: int, texts: list[str]) -> Letter:
        return data_letter(self._identity, cn, stamp(time_ns), texts, lane=Lane.LIVE)


def _code(well: bool) -> int:
    return requests.DONE if well else requests.FAILED
