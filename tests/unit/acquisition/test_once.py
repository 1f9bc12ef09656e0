"""One read without an agent, over a scripted link in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.acquisition import read_once
from edge_agent.config.model import Device
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, Refused, StationSilent
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.testing.clock import ManualClock

from .bench_line import FakeSettings, Wire, plugin

BAD_COMM = Quality.BAD_COMM


class ScriptedLink:
    """``answers`` by the text of the request; ``proofs`` counts the tries."""

    def __init__(self, answers: dict[str, Callable[[], Any]], proof: Callable[[], None]) -> None:
        self.answers = answers
        self.proof = proof
        self.asked: list[str] = []
        self.reserved: list[Reserved] = []
        self.closed = 0

    async def connect(self) -> None: ...

    async def enrol(self, station: Any) -> None: ...

    async def exchange(self, request: Request) -> Any:
        self.asked.append(request.text.split("/")[0])
        answer = self.answers.get(self.asked[-1], lambda: 7)()
        if answer is ...:
            await asyncio.sleep(30)
        return answer

    async def prove(self, station: Any, reserved: Reserved) -> None:
        self.asked.append("prove")
        self.reserved.append(reserved)
        self.proof()

    async def close(self) -> None:
        self.closed += 1


def raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def set_up(
    proof: Callable[[], None] = lambda: None, timeout: str = "1s", **answers: Callable[[], Any]
) -> tuple[Device, ScriptedLink]:
    link = ScriptedLink(answers, proof)
    made = replace(
        plugin(Wire(ManualClock())),
        open_link=lambda s: link,
        reserve=lambda settings, plans: Reserved((9,), len(plans)),
    )
    tags = tuple(Tag(name, "0", ValueType.INT16, name[0]) for name in ("g0", "g1", "g2", "h0"))
    return Device("d", "fake", made, FakeSettings(timeout=timeout), tags, {"g": 1.0, "h": 2.0}), link


async def read(device: Device) -> list[tuple[list[Any], list[int]]]:
    return [(list(b.values), list(b.quality)) for b in await read_once(device, ManualClock())]


async def test_no_proof_is_asked_while_all_is_well() -> None:
    device, link = set_up(g1=raising(Refused("no such address")))
    assert await read(device) == [([7, None, 7], [0, Quality.BAD_ADDRESS, 0]), ([7], [0])]
    assert link.asked == ["g0", "g1", "g2", "h0"]
    assert link.closed


async def test_after_a_time_out_nothing_more_is_asked() -> None:
    """Its answer may still be on the way and would be taken for that to the next request."""
    device, link = set_up(timeout="50ms", g1=lambda: ...)
    with pytest.raises(StationSilent, match="did not answer within"):
        await read(device)
    assert link.asked == ["g0", "g1"]
    assert link.closed


async def test_after_a_reply_that_does_not_fit_the_station_is_proved_first() -> None:
    device, link = set_up(g1=raising(BadReply("count")))
    assert await read(device) == [([7, None, 7], [0, BAD_COMM, 0]), ([7], [0])]
    assert link.asked == ["g0", "g1", "prove", "g2", "h0"]
    assert link.reserved == [Reserved((9,), 3)], "beside the plans of all groups"


@pytest.mark.parametrize("error", [BadReply("still odd"), StationSilent("nothing"), Refused("no")])
async def test_a_station_that_cannot_prove_itself_is_given_up(error: Exception) -> None:
    device, link = set_up(raising(error), g1=raising(BadReply("count")))
    assert await read(device) == [([7, None, None], [0, BAD_COMM, BAD_COMM]), ([None], [BAD_COMM])]
    assert link.asked == ["g0", "g1", "prove"]


async def test_sentinels_are_no_values_here_too() -> None:
    device, _ = set_up()
    tags = tuple(replace(t, no_value=(7,)) if t.name == "g1" else t for t in device.tags)
    assert (await read(replace(device, tags=tags)))[0] == ([7, None, 7], [0, Quality.BAD_DECODE, 0])
