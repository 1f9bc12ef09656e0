"""Behind which rack and slot of an address a CPU answers, and what it says it is. One place is asked after
the other, each by a connection of its own, which ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING, Any

from drivers.s7 import cpu_state, user_data
from drivers.s7.cpu_state import CpuState
from drivers.s7.link import NO_ANSWER, S7Link
from edge_agent.driver import Survey
from edge_agent.errors import DriverError, LinkLost, StationError
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

PLACES = ((0, 1), (0, 2), (0, 3), (0, 0), (0, 4))
"""S7-1200/1500, S7-300, S7-400, and where else a CPU or its Ethernet module answers."""
TIMEOUT_S = 2.0
PAUSE_S = 0.1
"""Between two connections: a controller has few of them, and frees one not at once."""


def scan(settings: S7Settings, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
    """``{"rack": 0, "slot": 2, "said": "PDU 480", "about": ...}`` per place, the likeliest first; ``tries``:
    ``rack``, ``slot``. LinkLost when no place answered."""
    tries = tries or {}
    wanted = tuple(product(tries.get("rack") or (0,), tries.get("slot") or range(5)))
    places = [place for place in PLACES if place in wanted]
    places += [place for place in wanted if place not in PLACES]
    timeout_s = settings.timeout or TIMEOUT_S
    return Survey(
        len(places), len(places) * (timeout_s + PAUSE_S), lambda survey: _find(survey, settings, places)
    )


async def _find(
    survey: Survey, settings: S7Settings, places: Sequence[tuple[int, int]]
) -> AsyncIterator[Mapping[str, Any]]:
    """The first place with an answer is the one to take: behind the others is the same CPU."""
    last: DriverError | None = None
    found = False
    for rack, slot in places:
        if survey.done:
            await asyncio.sleep(PAUSE_S)
        survey.step(f"rack {rack}, slot {slot}")
        try:
            pdu, about = await _asked(settings.model_copy(update={"rack": rack, "slot": slot}))
        except DriverError as error:
            last = error
            continue
        yield {"rack": rack, "slot": slot, "said": f"PDU {pdu}", "about": about, "chosen": not found}
        found = True
    if not found and last is not None:
        raise LinkLost(
            Text(
                f"no CPU answers at any rack and slot: {last}",
                f"所有机架和插槽都没有 CPU 应答：{last.text.zh}",
            ),
            reason=last.reason,
        )


async def _asked(settings: S7Settings) -> tuple[int, dict[str, str]]:
    """The PDU length it grants, and what it says of itself. DriverError where nobody answers."""
    link, timeout_s = S7Link(settings), settings.timeout or TIMEOUT_S
    try:
        async with asyncio.timeout(timeout_s):
            await link.connect()
            pdu = (await link.enrol(settings)).pdu
        return pdu, await _about(link, timeout_s)
    except TimeoutError:
        raise LinkLost(NO_ANSWER, reason="timeout") from None
    finally:
        await link.close()


async def _about(link: S7Link, timeout_s: float) -> dict[str, str]:
    """Empty of what it does not tell: that is no reason to doubt it."""
    about: dict[str, str] = {}
    try:
        async with asyncio.timeout(timeout_s):
            state = cpu_state.parse(await link.ask(cpu_state.request(0)))
            about["state"] = "" if state is CpuState.UNKNOWN else state.value
            about |= asdict(await user_data.identify(link.ask))
    except (TimeoutError, LinkLost, StationError):
        pass
    return {name: text for name, text in about.items() if text}
