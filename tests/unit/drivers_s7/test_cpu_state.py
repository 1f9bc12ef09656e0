"""RUN or STOP: what it does to values, how often it is asked, and controllers that will not tell."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drivers.s7 import PLUGIN, cpu_state
from drivers.s7.codec import Reply
from drivers.s7.cpu_state import CpuState
from drivers.s7.link import S7Link
from drivers.s7.plan import Limits, StateQuestion
from edge_agent.driver import Plan
from edge_agent.model import Quality, Tag, ValueType

from .plc import connected, read, scripted, settings_for, state_reply

TAGS = (Tag("a", "DB1.DBW0", ValueType.UINT16), Tag("b", "DB9.DBW0", ValueType.UINT16))
MEMORY = {1: b"\x00\x2a"}
RUN, STOP = 0x08, 0x04
GOOD_AND_BAD = bytes((Quality.GOOD, Quality.BAD_ADDRESS))
STOPPED_AND_BAD = bytes((Quality.UNCERTAIN_STOPPED, Quality.BAD_ADDRESS))


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (0x08, CpuState.RUN),
        (0x68, CpuState.RUN),  # the previous mode in the high half
        (0x0B, CpuState.RUN),
        *((mode, CpuState.STOP) for mode in (1, 2, 3, 4, 5, 6, 7, 0x0A, 0x0D, 0x0E, 0x0F, 0x84)),
        (0x00, CpuState.UNKNOWN),
        (None, CpuState.UNKNOWN),
    ],
)
def test_the_mode_is_read_from_the_first_record(mode: int | None, state: CpuState) -> None:
    assert cpu_state.parse(state_reply(7, mode)) is state


def test_what_is_not_quite_the_answer_is_no_answer() -> None:
    reply = state_reply(7, STOP)
    assert cpu_state.parse(reply) is CpuState.STOP
    for broken in (reply[:-17], reply + b"\x00", b"", reply[:10], reply[:22]):
        assert cpu_state.parse(broken) is CpuState.UNKNOWN
    for at in (
        1,
        10,
        15,
        16,
        20,
        22,
        26,
        27,
        30,
        33,
    ):  # kind, method, list, fragment, code, list, length, count
        changed = bytearray(reply)
        changed[at] ^= 0xFF
        assert cpu_state.parse(bytes(changed)) in (CpuState.UNKNOWN, CpuState.STOP), at


async def test_in_stop_good_values_are_uncertain_and_bad_ones_stay_bad() -> None:
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port, cpu_state="1ms")
        async with connected(settings) as (link, limits):
            for mode, quality in ((RUN, GOOD_AND_BAD), (STOP, STOPPED_AND_BAD)):
                plc.mode = mode
                await asyncio.sleep(0.005)  # the last answer becomes too old
                columns = await read(link, settings, TAGS, limits)
                assert (columns.values, columns.quality) == ((42, None), quality)


async def test_a_read_that_began_in_stop_is_uncertain_although_it_ended_in_run() -> None:
    async with scripted(MEMORY) as plc:
        plc.mode = STOP
        settings = settings_for(plc.port, cpu_state="1ms")
        async with connected(settings) as (link, limits):
            await read(link, settings, TAGS, limits)
            plc.mode = RUN
            await asyncio.sleep(0.005)
            assert (await read(link, settings, TAGS, limits)).quality == STOPPED_AND_BAD
            assert (await read(link, settings, TAGS, limits)).quality == GOOD_AND_BAD


async def test_groups_share_one_answer() -> None:
    """Ten polls of two groups within the interval: one question."""
    async with scripted(MEMORY) as plc:
        plc.mode = STOP
        settings = settings_for(plc.port, cpu_state="1h")
        async with connected(settings) as (link, limits):
            for _ in range(10):
                for tag in TAGS:
                    columns = await read(link, settings, [tag], limits)
                assert columns.quality == bytes((Quality.BAD_ADDRESS,))
            columns = await read(link, settings, TAGS[:1], limits)
        assert columns.quality == bytes((Quality.UNCERTAIN_STOPPED,))
        assert plc.asked_state == 1


async def test_a_controller_that_refuses_is_left_alone_and_its_values_are_good() -> None:
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port, cpu_state="1ms")
        async with connected(settings) as (link, limits):
            for _ in range(5):
                assert (await read(link, settings, TAGS, limits)).quality == GOOD_AND_BAD
                await asyncio.sleep(0.003)
        assert plc.asked_state == 1


async def test_a_controller_that_ignores_the_question_loses_no_value() -> None:
    """The question runs into its deadline once; nothing else does."""
    async with scripted(MEMORY) as plc:
        plc.mode = -1
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, TAGS[:1], limits, None)
            assert await answers(link, plan) == [True, False]
            assert await answers(link, plan) == [True, True]
            assert await answers(link, plan) == [True, True]
        assert plc.asked_state == 1


async def answers(link: S7Link, plan: Plan) -> list[bool]:
    """Which requests of the plan are answered within 50 ms."""
    found = []
    for request in plan.requests:
        try:
            async with asyncio.timeout(0.05):
                await link.exchange(request)
        except TimeoutError:
            found.append(False)
        else:
            found.append(True)
    return found


async def test_no_answer_is_given_from_memory_for_a_controller_that_fell_silent() -> None:
    """Whoever counts returns as signs of life would never find it dead."""
    async with scripted(MEMORY) as plc:
        plc.mode = RUN
        settings = settings_for(plc.port, cpu_state="1h")
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, TAGS[:1], limits, None)
            assert await answers(link, plan) == [True, True]
            correct, plc.send = plc.send, lambda _: []
            assert await answers(link, plan) == [False, False]
            assert await answers(link, plan) == [False, False]
            plc.send = correct
            question = [request for request in plan.requests if isinstance(request.body, StateQuestion)]
            async with asyncio.timeout(1):
                assert await link.exchange(question[0]) == Reply((), CpuState.RUN)
        assert plc.asked_state == 1


async def test_a_probe_with_the_question_alone_finds_a_controller_alive_again() -> None:
    """The supervisor probes with the cheapest request, and a mute controller must not fail that for ever."""
    async with scripted(MEMORY) as plc:
        plc.mode = -1
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, TAGS[:1], limits, None)
            correct, plc.send = plc.send, lambda _: []
            assert await answers(link, plan) == [False, False]
            question = replace(plan, requests=plan.requests[-1:])
            assert await answers(link, question) == [False]
            plc.send = correct
            assert await answers(link, question) == [True]


def test_the_question_is_the_last_request_and_put_down_to_no_group() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBD{4 * n}", ValueType.UINT32) for n in range(2000)]
    requests = PLUGIN.plan(settings_for(1), tags, Limits(960), None).requests
    assert isinstance(requests[-1].body, StateQuestion)
    assert (requests[-1].tags, requests[-1].cost_s, requests[-1].size_bytes) == ((), 0.0, 0)
    assert "once in 2 s" in requests[-1].text
    assert not any(isinstance(request.body, StateQuestion) for request in requests[:-1])
    without = PLUGIN.plan(settings_for(1, cpu_state="0s"), tags, Limits(960), None).requests
    assert without == requests[:-1]
