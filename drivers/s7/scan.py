"""Behind which rack and slot of an address a CPU answers. The places where CPUs are found are asked one after
the other, each by a connection of its own, which ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from drivers.s7.link import S7Link
from edge_agent.errors import DriverError, LinkLost

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

PLACES = ((0, 1), (0, 2), (0, 3), (0, 0), (0, 4))
"""S7-1200/1500, S7-300, S7-400, and where else a CPU or its Ethernet module answers."""
TIMEOUT_S = 2.0


async def scan(settings: S7Settings) -> AsyncIterator[Mapping[str, Any]]:
    """``{"rack": 0, "slot": 2, "said": "PDU 480"}`` per place. LinkLost when no place answered."""
    last: DriverError | None = None
    found = False
    for rack, slot in PLACES:
        try:
            pdu = await _granted(settings.model_copy(update={"rack": rack, "slot": slot}))
        except DriverError as error:
            last = error
            continue
        found = True
        yield {"rack": rack, "slot": slot, "said": f"PDU {pdu}"}
    if not found and last is not None:
        raise LinkLost(f"no CPU answers at any rack and slot: {last}", reason=last.reason)


async def _granted(settings: S7Settings) -> int:
    """The PDU length it grants. DriverError where nobody answers."""
    link = S7Link(settings)
    try:
        async with asyncio.timeout(settings.timeout or TIMEOUT_S):
            await link.connect()
            return (await link.enrol(settings)).pdu
    except TimeoutError:
        raise LinkLost("no answer in time", reason="timeout") from None
    finally:
        await link.close()
