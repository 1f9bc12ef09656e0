"""``doctor`` for S7: what in the controller's settings stands behind silence or missing values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drivers.s7.address import locate
from drivers.s7.codec import Reply
from drivers.s7.cpu_state import CpuState
from drivers.s7.doctor_words import CODES, finding, said
from drivers.s7.endpoint import endpoint
from drivers.s7.link import NO_ANSWER, S7Link
from drivers.s7.plan import Limits, plan
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, Replan
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.settings import Finding, Text

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings
    from edge_agent.driver import Columns

CONNECT_S = 3.0
REQUEST_S = 2.0
_PLACES = ((0, 1), (0, 2), (0, 3), (0, 0), (0, 4))
_PLANS_MAX = 60
_BLOCKS_MAX = 3
_SHOWN = 4


class S7Doctor:
    """Meets ``edge_agent.driver.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return CODES

    def place(self, settings: S7Settings) -> tuple[str, int]:
        return endpoint(settings)

    def exclusive(self, settings: S7Settings) -> bool:
        """Controllers have few connections for PUT/GET, some a single free one."""
        return True

    async def diagnose(self, settings: S7Settings, tags: Sequence[Tag]) -> Sequence[Finding]:
        link = S7Link(settings)
        try:
            try:
                limits = await _connected(link, settings)
            except LinkLost as error:
                if isinstance(error.__cause__, OSError) or error.reason == "timeout":
                    raise
                return [await _elsewhere(settings, error.text)]
            return await _Visit(link, settings, limits).findings(tags)
        except Refused as error:
            return [_refused(error)]
        except (BadReply, Busy) as error:
            return [finding("s7_answers", words=error.text)]
        finally:
            await link.close()

    def overheard(
        self, settings: S7Settings, tags: Sequence[Tag], told: Mapping[str, Any]
    ) -> Sequence[Finding]:
        reason, found = told["reason"], []
        if told["state"] != "up":
            if "PUT/GET" in reason:
                found.append(finding("s7_put_get", words=said(reason)))
            elif "rack" in reason:
                found.append(_nobody_there(settings, reason, "-"))
            elif told["state"] == "silent":
                found.append(finding("s7_answers", words=reason))
        rows = {row["tag"]: row["quality"] for row in told.get("values", ())}
        refused = [tag for tag in tags if rows.get(tag.name) == "bad_address"]
        if refused:
            found.append(finding("s7_no_address", tags=_names(refused)))
        barred = [tag for tag in tags if rows.get(tag.name) == "bad_config"]
        if barred and not found:
            every = len(barred) == len(tags) and told["failures"].get("permission")
            words = reason or f"{len(barred)}/{len(tags)}"
            named = finding("s7_access", tags=_names(barred))
            found.append(finding("s7_put_get", words=said(words)) if every else named)
        if "uncertain_stopped" in rows.values():
            found.append(finding("s7_stop"))
        return found


class _Visit:
    """One connection. ``stopped``: whether a reply said that the CPU is in STOP."""

    def __init__(self, link: S7Link, settings: S7Settings, limits: Limits) -> None:
        self._link = link
        self._settings = settings
        self._limits = limits
        self._stopped = False

    async def findings(self, tags: Sequence[Tag]) -> list[Finding]:
        columns = await self._read(tags)
        found = await self._blocks(_with(tags, columns, Quality.BAD_ADDRESS))
        barred = _with(tags, columns, Quality.BAD_CONFIG)
        if barred:
            found.append(finding("s7_access", tags=_names(barred)))
        if self._stopped:
            found.append(finding("s7_stop"))
        return found

    async def _blocks(self, refused: Sequence[Tag]) -> list[Finding]:
        """Of each data block that refuses: is it there at all, and how long is it?"""
        places = {tag: locate(tag, self._settings.encoding) for tag in refused}
        blocks = sorted({place.db for place in places.values() if place.area == "DB"})
        found = []
        for number in blocks[:_BLOCKS_MAX]:
            of_block = [tag for tag, place in places.items() if place.area == "DB" and place.db == number]
            if not await self._has(number, 0):
                found.append(finding("s7_optimised", db=number, tags=_names(of_block)))
                continue
            size = await self._size(number, max(places[tag].start for tag in of_block))
            needed = max(places[tag].end for tag in of_block)
            found.append(finding("s7_db_short", db=number, size=size, needed=needed, tags=_names(of_block)))
        others = [tag for tag, place in places.items() if place.area != "DB"]
        if others:
            found.append(finding("s7_no_address", tags=_names(others)))
        return found

    async def _size(self, number: int, beyond: int) -> int:
        """Bytes of a block that has byte 0; at most 16 small reads. ``beyond``: a place that was refused."""
        there, missing = 0, beyond + 8
        while missing - there > 1:
            middle = (there + missing) // 2
            if await self._has(number, middle):
                there = middle
            else:
                missing = middle
        return missing

    async def _has(self, number: int, byte: int) -> bool:
        probe = Tag("probe", f"DB{number}.DBB{byte}", ValueType.UINT8, wire="byte")
        columns = await self._read([probe])
        return columns.quality[0] != Quality.BAD_ADDRESS

    async def _read(self, tags: Sequence[Tag]) -> Columns:
        learned = None
        for _ in range(_PLANS_MAX):
            made = plan(self._settings, tags, self._limits, learned)
            try:
                replies = [await self._ask(request) for request in made.requests]
            except Replan as error:
                learned = error.learned
                continue
            return made.decode(replies)
        raise BadReply(Text("every way of reading the tags is refused", "所有读取方式都被拒绝"))

    async def _ask(self, request: Any) -> Any:
        try:
            async with asyncio.timeout(self._settings.timeout or REQUEST_S):
                reply = await self._link.exchange(request)
        except TimeoutError:
            raise BadReply(Text("the controller has stopped answering", "控制器不再应答")) from None
        self._stopped |= isinstance(reply, Reply) and reply.cpu is CpuState.STOP
        return reply


async def _connected(link: S7Link, settings: S7Settings) -> Limits:
    try:
        async with asyncio.timeout(settings.timeout or CONNECT_S):
            await link.connect()
            return await link.enrol(settings)
    except TimeoutError:
        raise LinkLost(NO_ANSWER, reason="timeout") from None


async def _elsewhere(settings: S7Settings, words: Text | str) -> Finding:
    """The places where CPUs are usually found, each asked by one connection that ends at once."""
    there = []
    for rack, slot in _PLACES:
        if (rack, slot) == (settings.rack, settings.slot):
            continue
        link = S7Link(settings.model_copy(update={"rack": rack, "slot": slot}))
        try:
            await _connected(link, settings)
        except DriverError:
            continue
        finally:
            await link.close()
        there.append(f"rack {rack}, slot {slot}")
        break
    if not there:
        return finding("s7_no_connection", words=said(words))
    return _nobody_there(settings, words, there[0])


def _nobody_there(settings: S7Settings, words: Text | str, there: str) -> Finding:
    return finding("s7_rack_slot", rack=settings.rack, slot=settings.slot, words=said(words), there=there)


def _refused(error: Refused) -> Finding:
    if error.reason == "permission":
        return finding("s7_put_get", words=said(error.text))
    if error.reason == "auth":
        return finding("s7_password", words=said(error.text))
    return finding("s7_answers", words=error.text)


def _with(tags: Sequence[Tag], columns: Columns, quality: Quality) -> list[Tag]:
    return [tag for tag, said in zip(tags, columns.quality, strict=True) if said == quality]


def _names(tags: Sequence[Tag]) -> str:
    more = f" (+{len(tags) - _SHOWN})" if len(tags) > _SHOWN else ""
    return ", ".join(f"{tag.name} {tag.address}" for tag in tags[:_SHOWN]) + more
