"""PENDING: what a destination confirms later than it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge_agent.errors import LinesideError, Unreachable
from edge_agent.forwarding import Hooks, outbox
from edge_agent.forwarding.host import AgentHost
from edge_agent.forwarding.outbox import WINDOW_MESSAGES
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Command, Envelope, Key, Verdict

from .fakes import RETRY, Bench, take_all


def wait_all(items: Sequence[Envelope]) -> Sequence[Verdict]:
    return [PENDING for _ in items]


async def test_pending_units_are_acknowledged_by_the_later_word_only() -> None:
    bench = Bench()
    keys = bench.samples.commit(3)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        assert bench.samples.acknowledged == []
        assert not bench.row.up, "nothing is proved yet"
        assert bench.destination.host is not None
        bench.destination.host.acknowledged(keys[:2])
        assert bench.samples.acknowledged == keys[:2]
        assert bench.row.up
        await bench.pass_time(59)
        assert len(bench.destination.sends) == 1
        await bench.pass_time(2)
        assert bench.destination.sends[1:] == [[keys[2]]], "sent again after the time-out"
        assert bench.row.failures["unconfirmed"] == 1
        bench.destination.host.acknowledged([keys[2]])
    assert bench.all_settled()
    assert bench.row.acknowledged_segments == 3


async def test_what_did_not_have_to_go_says_nothing_of_the_destination() -> None:
    """A platform that takes connections and never answers is not up because some units were not due."""
    bench = Bench()
    bench.samples.commit(2)
    bench.destination.answer = lambda items: [Verdict(Answer.ACKNOWLEDGED, "not due") for _ in items]
    async with bench:
        await bench.work()
        assert bench.all_settled() and bench.row.acknowledged_segments == 2
        assert not bench.row.up and bench.row.last_success_ns is None
        bench.destination.answer = lambda items: [Verdict(Answer.ACKNOWLEDGED, "not due"), ACKNOWLEDGED]
        bench.samples.commit(2)
        await bench.work()
        assert bench.row.up and bench.row.last_success_ns is not None


async def test_a_confirmation_may_come_before_send_returns() -> None:
    bench = Bench()
    keys = bench.samples.commit(2)

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict]:
        assert bench.destination.host is not None
        bench.destination.host.acknowledged([keys[0]])
        return [PENDING, PENDING]

    bench.destination.answer = answer
    async with bench:
        await bench.work()
        assert bench.samples.acknowledged == [keys[0]]
        bench.destination.answer = take_all
        await bench.pass_time(61)
    assert bench.destination.sends[1] == [keys[1]]
    assert bench.all_settled()


@pytest.mark.parametrize(
    "last", [PENDING, RETRY, Verdict(Answer.REJECTED, "no"), Verdict(Answer.ACKNOWLEDGED)]
)
async def test_a_confirmed_unit_is_settled_whatever_its_verdict_says(last: Verdict) -> None:
    bench = Bench()
    keys = bench.samples.commit(1)

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict]:
        assert bench.destination.host is not None
        bench.destination.host.acknowledged(keys)
        return [last]

    bench.destination.answer = answer
    async with bench:
        await bench.pass_time(300)
    assert bench.samples.acknowledged == keys
    assert len(bench.destination.sends) == 1


async def test_a_late_confirmation_after_the_time_out_still_counts() -> None:
    bench = Bench()
    keys = bench.samples.commit(1)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        bench.destination.answer = lambda items: Unreachable("gone")
        await bench.pass_time(70)
        assert bench.destination.host is not None
        bench.destination.host.acknowledged(keys)
        assert bench.samples.acknowledged == keys
        sends = len(bench.destination.sends)
        await bench.pass_time(120)
        assert len(bench.destination.sends) == sends


async def test_confirmations_of_keys_that_were_never_sent_are_ignored() -> None:
    bench = Bench()
    bench.destination.gate = asyncio.Event()
    sent = bench.samples.commit(1)
    async with bench:
        await bench.work()
        later = bench.samples.commit(1)
        assert bench.destination.host is not None
        bench.destination.host.acknowledged([*later, Key("minute", 7, 1), Key("samples", 6, 1)])
        assert bench.samples.acknowledged == []
        bench.destination.gate.set()
        await bench.work()
    assert bench.samples.acknowledged == sent + later


async def test_the_number_of_units_in_the_air_is_bounded_and_room_is_used_at_once() -> None:
    bench = Bench(max_segments=2)
    keys = [bench.samples.commit(2) for _ in range(20)]
    bench.samples.commit(0)  # nothing is live any more
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        assert bench.destination.sends == keys[:WINDOW_MESSAGES]
        assert bench.destination.host is not None
        bench.destination.host.acknowledged(keys[0])
        await bench.work()
        assert bench.destination.sends == keys[: WINDOW_MESSAGES + 1]


async def test_a_full_window_of_backlog_leaves_live_data_its_way() -> None:
    bench = Bench(max_segments=2)
    for _ in range(20):
        bench.samples.commit(2)
    bench.samples.commit(0)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        fresh = bench.samples.commit(2)
        await bench.work()
        assert bench.destination.sends[-1] == fresh


async def test_what_a_destination_may_ask() -> None:
    bench = Bench()
    async with bench:
        host = bench.destination.host
        assert host is not None
        assert (host.agent, host.name, list(host.current())) == ("a" * 32, "park", [])
        with pytest.raises(LinesideError, match="not available in this release"):
            host.history("samples", 0, 1)
        verdict = await host.ask(Command("write", "hj212/3020", {"tag": "setpoint", "value": 9}))
    assert verdict.answer is Answer.REJECTED
    assert bench.recorded == [
        (
            "command_refused",
            "park",
            {"command": "write", "source": "hj212/3020", "detail": {"tag": "setpoint", "value": 9}},
        )
    ]


async def test_a_command_to_write_is_the_guards_to_judge_and_any_other_is_refused() -> None:
    asked: list[tuple[Command, str]] = []
    events: list[str] = []

    async def ask(command: Command, uplink: str) -> Verdict:
        asked.append((command, uplink))
        return ACKNOWLEDGED

    hooks = Hooks(event=lambda kind, source, detail: events.append(kind), ask=ask)
    host = AgentHost(
        lambda: "a" * 32, "park", "line", hooks, lambda keys: None, lambda keys, why: None, print
    )
    write = Command("write", "hj212/3020", {"tag": "press-1.setpoint", "value": 9})
    assert (await host.ask(write)).answer is Answer.ACKNOWLEDGED
    assert (await host.ask(Command("set_time", "hj212/1012", {}))).answer is Answer.REJECTED
    assert asked == [(write, "park")]
    assert events == ["command_refused"]


async def test_a_large_segment_behind_units_that_wait_still_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_SAMPLES", 100)
    bench = Bench()
    waiting = bench.samples.commit(3, samples=30)
    large = bench.samples.commit(1, samples=250)
    bench.samples.commit(0)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
    assert bench.destination.sends == [waiting, large]


@pytest.mark.parametrize("on_connection", [True, False])
async def test_a_lost_connection_is_replaced_at_once(on_connection: bool) -> None:
    bench = Bench(confirms_on_connection=on_connection)
    keys = bench.samples.commit(3)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        assert bench.destination.host is not None and bench.destination.opened == 1
        bench.destination.host.lost("closed by the platform")
        await bench.work()
        assert bench.destination.closed == 1 and "closed by the platform" in bench.row.reason
        assert bench.row.failures["unreachable"] == 1
        await bench.pass_time(2)
        assert bench.destination.opened == 2
        sent_again = bench.destination.sends[1:]
        assert sent_again == ([keys] if on_connection else []), "whether the old connection can still confirm"
        bench.destination.host.acknowledged(keys)
    assert bench.all_settled() and bench.row.failures["unconfirmed"] == 0


async def test_a_unit_refused_later_is_set_aside() -> None:
    bench = Bench()
    keys = bench.samples.commit(3)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        assert bench.destination.host is not None
        bench.destination.host.rejected(keys[:1], "QnRtn=8")
        bench.destination.host.rejected([Key("samples", 9, 9)], "never sent")
        assert bench.samples.quarantined == {keys[0]: "QnRtn=8"}
        assert bench.row.failures["rejected"] == 1
        bench.destination.host.acknowledged(keys)
        assert bench.samples.acknowledged == keys[1:], "what is settled stays settled"
    assert bench.all_settled()


@pytest.mark.parametrize("waiting", [0, 40])
async def test_how_many_may_wait(waiting: int) -> None:
    bench = Bench(max_segments=2, waiting=waiting)
    bench.samples.commit(60)
    bench.destination.answer = wait_all
    async with bench:
        await bench.work()
        sent = {key for keys in bench.destination.sends for key in keys}
        assert len(sent) == (waiting or WINDOW_MESSAGES * 2)


async def test_what_an_uplink_keeps_is_its_own() -> None:
    kept: dict[tuple[str, str], str] = {}

    async def keep(uplink: str, name: str, text: str) -> None:
        kept[uplink, name] = text

    async def recall(uplink: str, name: str) -> str:
        return kept.get((uplink, name), "")

    hooks = Hooks(event=print, keep=keep, recall=recall)
    host = AgentHost(lambda: "a" * 32, "park", "line", hooks, print, print, print)
    await host.keep("qn", "20260101080000123")
    assert kept == {("park", "qn"): "20260101080000123"} and await host.recall("qn") == "20260101080000123"
    assert await host.recall("other") == ""
    for name, text in (("../x", ""), ("QN", ""), ("qn", "x" * 65_537)):
        with pytest.raises(ValueError, match="is no name"):
            await host.keep(name, text)
