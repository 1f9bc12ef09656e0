"""Reading memory in which there may be holes, without a tag table: for commissioning.

A poll learns each hole to the last address, because it will read around it for years. A look wants to know
what stands there, in few requests: a refused block is halved, a small one is given up unless it touches
memory that can be read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_agent.acquisition.once import CONNECT_TIMEOUT_S, NOT_CONNECTED, Reader
from edge_agent.errors import LinkLost, Replan
from edge_agent.model import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.config.model import Device
    from edge_agent.model import Tag, Value

SMALL = 8
MOST_REQUESTS = 200

_Block = tuple[int, int]


async def read_memory(device: Device, cells: Sequence[Tag]) -> list[Value]:
    """The values of the cells, None for those that the device refuses or that would take too many requests.

    Raises LinkLost (LinkDenied) when there is no connection, StationSilent when the device does not answer.
    """
    link = device.plugin.open_link(device.settings)
    try:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await link.connect()
                limits = await link.enrol(device.settings)
        except TimeoutError:
            raise LinkLost(NOT_CONNECTED, reason="timeout") from None
        look = _Look(device, Reader(device, link, limits), cells)
        await look.run()
        return look.values
    finally:
        await link.close()


class _Look:
    """``values``: as far as they are known. Blocks are positions in ``cells``, the end not included."""

    def __init__(self, device: Device, reader: Reader, cells: Sequence[Tag]) -> None:
        self.values: list[Value] = [None] * len(cells)
        self._device = device
        self._reader = reader
        self._cells = cells
        self._left = MOST_REQUESTS
        self._given_up: list[_Block] = []

    async def run(self) -> None:
        await self._halve([(0, len(self._cells))], SMALL)
        edges = [block for block in self._given_up if self._touches(block)]
        await self._halve([half for block in edges for half in _halves(block)], 1)

    async def _halve(self, blocks: list[_Block], smallest: int) -> None:
        while blocks:
            refused = await self._read(blocks.pop(0))
            for block in refused:
                if block[1] - block[0] > smallest:
                    blocks += _halves(block)
                else:
                    self._given_up.append(block)

    def _touches(self, block: _Block) -> bool:
        """Whether it lies beside something that could be read."""
        around = (block[0] - 1, block[1])
        return block[1] - block[0] > 1 and any(
            0 <= at < len(self.values) and self.values[at] is not None for at in around
        )

    async def _read(self, block: _Block) -> list[_Block]:
        """What of it was refused as a whole."""
        cells = self._cells[block[0] : block[1]]
        plan = self._device.plugin.plan(self._device.settings, cells, self._reader.limits, None)
        replies, refused = [], []
        for request in plan.requests:
            if self._left <= 0:
                replies.append(Quality.BAD_COMM)
                continue
            self._left -= 1
            try:
                reply = await self._reader.ask(plan, request)
            except Replan:
                reply = Quality.BAD_ADDRESS
            if isinstance(reply, Quality) and request.tags:
                refused.append((block[0] + min(request.tags), block[0] + max(request.tags) + 1))
            replies.append(reply)
        for at, value in enumerate(plan.decode(replies).values, block[0]):
            self.values[at] = value
        return [] if self._left <= 0 else refused


def _halves(block: _Block) -> list[_Block]:
    middle = (block[0] + block[1] + 1) // 2
    return [half for half in ((block[0], middle), (middle, block[1])) if half[0] < half[1]]
