"""What stands in a controller without a tag table: which data blocks there are, and the bytes of one with
what they may mean.

A CPU that tells its blocks is asked for them (S7-300, S7-400, some 1500). Others are asked for the first byte
of each block, twenty in a request; the length of a block is then found by halving.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from drivers.s7 import user_data
from drivers.s7.link import NO_ANSWER, S7Link
from drivers.s7.pdu import (
    ITEMS_MAX,
    REPLY_HEAD,
    REPLY_ITEM,
    REQUEST_HEAD,
    REQUEST_ITEM,
    Range,
    parse_read,
    read_request,
)
from edge_agent.driver import Survey
from edge_agent.errors import LinkLost, Refused, StationError, StationSilent
from edge_agent.model import Quality
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

Answer = TypeVar("Answer")

TIMEOUT_S = 2.0
PAUSE_S = 0.02
NUMBERS = range(1, 101)
LONGEST = 65_536
_ROW = 4
_NOT_TOLD = Text(
    "This CPU does not tell its blocks: those from DB{first} to DB{last} were tried. A block that is there "
    "may be missing: optimised blocks do not answer.",
    "该 CPU 不提供块列表：已逐个尝试 DB{first} 至 DB{last}。优化访问的块不应答，可能未列出。",
)
_CLOSED = Text(
    "DB{number} does not answer. Is it there and downloaded, and is “Optimized block access” switched off in "
    "its properties? On S7-1200/1500 PUT/GET must be permitted as well (Protection & Security).",
    "DB{number} 不应答。请检查：块是否存在并已下载、其属性中是否已取消“优化的块访问”；"
    "S7-1200/1500 还须允许 PUT/GET（“防护与安全”）。",
)
_NO_ACCESS = Text(
    "Permit PUT/GET in the CPU's properties (Protection & Security > Connection mechanisms) and download.",
    "请在 CPU 属性中允许 PUT/GET 通信访问（“防护与安全”>“连接机制”），然后下载。",
)


def look(settings: S7Settings, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
    """``tries["db"]`` of one block: its bytes, ``tries["start"]`` (0) and ``tries["count"]`` (to the end) of
    them: findings ``address``, ``raw``, ``text``, and what the four bytes are as ``int``, ``dint``, ``real``.
    Of several or none: which blocks there are, ``block`` and ``size_bytes``."""
    tries = tries or {}
    blocks = tuple(tries.get("db") or ())
    if len(blocks) == 1:
        start, count = (tries.get("start") or (0,))[0], (tries.get("count") or (None,))[0]
        return Survey(count or 0, 0.0, lambda survey: _Look(survey, settings).block(blocks[0], start, count))
    numbers = blocks or tuple(NUMBERS)
    return Survey(len(numbers), 0.0, lambda survey: _Look(survey, settings).blocks(numbers, told=not blocks))


class _Look:
    """One connection's worth."""

    def __init__(self, survey: Survey, settings: S7Settings) -> None:
        self._survey = survey
        self._settings = settings
        self._link = S7Link(settings)
        self._timeout_s = settings.timeout or TIMEOUT_S
        self._most = 0  # bytes in one reply
        self._items = 1  # in one request

    async def blocks(self, numbers: Sequence[int], *, told: bool) -> AsyncIterator[Mapping[str, Any]]:
        """``told``: ask the CPU for its list before trying ``numbers``."""
        try:
            await self._connect()
            self._survey.begin()
            listed = await self._listed() if told else None
            if listed is None:
                listed = await self._tried(numbers)
                if told:
                    self._survey.notes.append(_filled(_NOT_TOLD, first=numbers[0], last=numbers[-1]))
            self._survey.steps, self._survey.done = len(listed), 0
            for number in listed:
                self._survey.step(f"DB{number}")
                yield {"block": f"DB{number}", "size_bytes": await self._size(number)}
        finally:
            await self._link.close()

    async def block(self, number: int, start: int, count: int | None) -> AsyncIterator[Mapping[str, Any]]:
        try:
            await self._connect()
            self._survey.begin()
            size = await self._size(number)
            if size is None or size <= start:
                if size is None:
                    self._survey.notes.append(_filled(_CLOSED, number=number))
                return
            end = min(size, start + (size if count is None else count))
            self._survey.steps = end - start
            step = self._most // _ROW * _ROW
            for first in range(start, end, step):
                length = min(step, end - first)
                data = await self._bytes(Range("DB", number, first, length))
                self._survey.done += length
                self._survey.trying = f"DB{number}.DBB{first}"
                for at in range(0, len(data), _ROW):
                    yield _row(number, first + at, data[at : at + _ROW])
        finally:
            await self._link.close()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._link.connect()
                limits = await self._link.enrol(self._settings)
        except TimeoutError:
            raise LinkLost(NO_ANSWER, reason="timeout") from None
        self._most = limits.pdu - REPLY_HEAD - REPLY_ITEM
        self._items = (limits.pdu - REQUEST_HEAD) // REQUEST_ITEM

    async def _listed(self) -> list[int] | None:
        try:
            return await self._in_time(user_data.data_blocks(self._link.ask))
        except StationError:
            return None

    async def _tried(self, numbers: Sequence[int]) -> list[int]:
        """Those whose first byte can be read."""
        found, most = [], min(ITEMS_MAX, self._settings.max_items, self._items)
        for at in range(0, len(numbers), most):
            chunk = numbers[at : at + most]
            self._survey.trying, self._survey.done = f"DB{chunk[0]}", at
            results = await self._read([Range("DB", number, 0, 1) for number in chunk])
            found += [n for n, result in zip(chunk, results, strict=True) if isinstance(result, bytes)]
        return found

    async def _size(self, number: int) -> int | None:
        """None where the block does not answer."""
        try:
            size = await self._in_time(user_data.block_length(self._link.ask, number))
        except StationError:
            size = 0
        if size and await self._answers(number, size - 1):
            return size
        if not await self._answers(number, 0):
            return None
        sound, beyond = 0, LONGEST  # offsets: one that answers, one that does not
        while beyond - sound > 1:
            middle = (sound + beyond) // 2
            sound, beyond = (middle, beyond) if await self._answers(number, middle) else (sound, middle)
        return sound + 1

    async def _answers(self, number: int, offset: int) -> bool:
        (result,) = await self._read([Range("DB", number, offset, 1)])
        return isinstance(result, bytes)

    async def _bytes(self, wanted: Range) -> bytes:
        (result,) = await self._read([wanted])
        if isinstance(result, bytes):
            return result
        db, first, last = wanted.db, wanted.start, wanted.start + wanted.length - 1
        raise Refused(
            Text(
                f"DB{db} does not let bytes {first} to {last} be read",
                f"DB{db} 的字节 {first} 至 {last} 不允许读取",
            )
        )

    async def _read(self, ranges: Sequence[Range]) -> tuple[bytes | Quality, ...]:
        reply = await self._in_time(self._link.ask(read_request(ranges)))
        await asyncio.sleep(PAUSE_S)
        try:
            return parse_read(reply, [wanted.length for wanted in ranges])
        except Refused as error:
            if error.reason == "permission":
                self._survey.notes.append(_NO_ACCESS)
            raise

    async def _in_time(self, answer: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError:
            raise StationSilent(Text("the controller does not answer in time", "控制器未及时应答")) from None


def _row(number: int, offset: int, data: bytes) -> dict[str, Any]:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    row: dict[str, Any] = {"address": f"DB{number}.DBB{offset}", "raw": data.hex(" "), "text": shown}
    if len(data) >= 2:
        row["int"] = int.from_bytes(data[:2], signed=True)
    if len(data) == _ROW:
        real = struct.unpack(">f", data)[0]
        row |= {
            "int+2": int.from_bytes(data[2:], signed=True),
            "dint": int.from_bytes(data, signed=True),
            "real": real if isfinite(real) else None,
        }
    return row


def _filled(text: Text, **parts: int) -> Text:
    return Text(text.en.format(**parts), text.zh.format(**parts))
