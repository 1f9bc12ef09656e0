"""What each error of a destination costs, and what it must not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from edge_agent.errors import Denied, StorageBroken, TooLarge, Unacceptable, Unreachable
from edge_agent.forwarding import Timing
from edge_agent.forwarding.backoff import Backoff
from edge_agent.forwarding.forwarder import FAULTS_IN_A_ROW, REFUSALS_IN_A_ROW
from edge_agent.forwarding.standing import LABELS
from edge_agent.uplink import ACKNOWLEDGED, Answer, Envelope, Key, Verdict

from .fakes import Answering, Bench, take_all


def poisoned(*poison: Key) -> Answering:
    def answer(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        if any(item.key in poison for item in items):
            return Unacceptable("HTTP 400: bad value")
        return take_all(items)

    return answer


@pytest.mark.parametrize("place", [0, 1, 31, 32, 62, 63])
async def test_bisection_isolates_one_poison_among_64(place: int) -> None:
    bench = Bench()
    keys = bench.samples.commit(64)
    bench.destination.answer = poisoned(keys[place])
    async with bench:
        await bench.work(1000)
    assert bench.samples.quarantined == {keys[place]: "HTTP 400: bad value"}
    assert sorted(bench.samples.acknowledged) == sorted(set(keys) - {keys[place]})
    assert len(bench.destination.sends) <= 14
    assert bench.row.failures["unacceptable"] == 7


async def test_live_data_passes_while_a_message_is_being_halved() -> None:
    bench = Bench()
    keys = bench.samples.commit(64)
    fresh: list[Key] = []

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        if len(bench.destination.sends) == 3:
            fresh.extend(bench.events.commit(1))
        return poisoned(keys[40])(items)

    bench.destination.answer = answer
    async with bench:
        await bench.work(1000)
    assert bench.destination.sends[3] == fresh
    assert bench.all_settled()


async def test_several_poisons_are_set_aside_and_the_rest_goes_on() -> None:
    bench = Bench()
    keys = bench.samples.commit(64)
    poison = (keys[3], keys[17], keys[60])
    bench.destination.answer = poisoned(*poison)
    async with bench:
        await bench.work(1000)
        await bench.pass_time(120)
    assert set(bench.samples.quarantined) == set(poison)
    assert bench.all_settled()


async def test_a_destination_that_refuses_everything_does_not_empty_the_buffer_into_quarantine() -> None:
    bench = Bench()
    bench.samples.commit(64)
    bench.destination.answer = lambda items: Unacceptable("HTTP 400: upgrade in progress")
    async with bench:
        await bench.work(1000)
        assert len(bench.samples.quarantined) == REFUSALS_IN_A_ROW
        assert not bench.row.up
        await bench.pass_time(600)
        assert len(bench.samples.quarantined) <= REFUSALS_IN_A_ROW + 10, "one a minute"
        bench.destination.answer = take_all
        await bench.pass_time(61)
        assert bench.all_settled()
        assert bench.row.up


async def test_too_large_halves_and_remembers_the_limit_for_this_connection() -> None:
    bench = Bench(max_segments=16)

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        return TooLarge("HTTP 413") if len(items) > 5 else take_all(items)

    bench.destination.answer = answer
    bench.samples.commit(16)
    async with bench:
        await bench.work()
        assert bench.all_settled()
        bench.destination.sends.clear()
        bench.samples.commit(16)
        await bench.work()
        assert bench.all_settled()
        assert [len(keys) for keys in bench.destination.sends] == [4, 4, 4, 4]
    assert bench.destination.opened == 1


async def test_a_single_unit_that_is_too_large_is_set_aside() -> None:
    bench = Bench()
    keys = bench.samples.commit(3)
    large = keys[1]
    bench.destination.answer = lambda items: (
        TooLarge("HTTP 413") if large in [i.key for i in items] else take_all(items)
    )
    async with bench:
        await bench.work()
    assert bench.samples.quarantined == {large: "HTTP 413"}
    assert bench.all_settled()


async def test_unreachable_makes_a_new_object_after_a_growing_jittered_wait() -> None:
    bench = Bench(seed=3)
    bench.destination.refuse_connect = Unreachable("connection refused")
    async with bench:
        await bench.pass_time(600)
    times = bench.destination.connects
    waits = [(b - a) / 1e9 for a, b in pairwise(times)]
    expected = Backoff(Random(3), 0.5, 30.0)
    assert waits == pytest.approx([expected.next_s() for _ in waits])
    assert all(wait <= min(30.0, 0.5 * 2**n) for n, wait in enumerate(waits))
    assert max(waits) > 15.0
    assert bench.destination.opened == bench.destination.closed == len(times)


async def test_while_unreachable_data_waits_and_then_goes_newest_first() -> None:
    bench = Bench(max_segments=4)
    bench.destination.answer = lambda items: Unreachable("timed out")
    async with bench:
        committed = []
        for _ in range(5):
            committed.append(bench.samples.commit(2))
            await bench.pass_time(5)
        assert bench.samples.acknowledged == []
        assert bench.log.lines == ["broke park takes no data: timed out"]
        bench.destination.sends.clear()
        bench.destination.answer = take_all
        await bench.pass_time(30)
    assert bench.destination.sends[0] == committed[-1]
    assert bench.destination.sends[1] == committed[0] + committed[1]
    assert bench.all_settled()
    assert bench.log.lines[1:] == ["healed park takes data again"]
    assert bench.row.up


async def test_denied_is_retried_every_60_s_and_recorded_once() -> None:
    bench = Bench()
    bench.samples.commit(1)
    bench.destination.answer = lambda items: Denied("HTTP 401")
    async with bench:
        await bench.pass_time(600)
        waits = {b - a for a, b in pairwise(bench.destination.connects)}
        assert waits == {60_000_000_000}
        assert [(kind, source) for kind, source, _ in bench.recorded] == [("uplink_denied", "park")]
        assert bench.recorded[0][2]["reason"] == "HTTP 401"
        assert (bench.row.up, bench.row.reason) == (False, "HTTP 401")
        bench.destination.answer = take_all
        await bench.pass_time(61)
        assert bench.all_settled()
        bench.samples.commit(1)
        bench.destination.answer = lambda items: Denied("HTTP 403")
        await bench.pass_time(5)
    assert len(bench.recorded) == 2, "after a success a new refusal is news again"
    assert [line.split()[0] for line in bench.log.lines] == ["broke", "healed", "broke"]


async def test_denied_after_unreachable_is_still_recorded() -> None:
    bench = Bench()
    bench.destination.refuse_connect = Unreachable("no route")
    async with bench:
        await bench.pass_time(5)
        bench.destination.refuse_connect = Denied("unknown CA")
        await bench.pass_time(60)
    assert [kind for kind, _, _ in bench.recorded] == ["uplink_denied"]
    assert len(bench.log.lines) == 1


async def test_rejected_units_are_set_aside_with_the_reason() -> None:
    bench = Bench()
    keys = bench.samples.commit(3)
    bench.destination.answer = lambda items: [
        Verdict(Answer.REJECTED, "unknown device") if i.key == keys[1] else ACKNOWLEDGED for i in items
    ]
    async with bench:
        await bench.work()
    assert bench.samples.quarantined == {keys[1]: "unknown device"}
    assert bench.samples.acknowledged == [keys[0], keys[2]]
    assert len(bench.destination.sends) == 1
    assert bench.row.up


async def test_retry_of_everything_pauses_as_long_as_was_asked() -> None:
    bench = Bench()
    keys = bench.samples.commit(2)
    bench.destination.answer = lambda items: [Verdict(Answer.RETRY, "HTTP 503", 120.0) for _ in items]
    async with bench:
        await bench.work()
        bench.samples.commit(1)
        await bench.pass_time(119)
        assert bench.destination.sends == [keys]
        bench.destination.answer = take_all
        await bench.pass_time(2)
    assert bench.all_settled()
    assert bench.destination.opened == 1, "a retry is no reason to connect again"


async def test_a_destination_that_confirms_nothing_is_shown_as_down_and_is_not_hammered() -> None:
    bench = Bench()
    bench.samples.commit(200)
    bench.destination.answer = lambda items: [Verdict(Answer.RETRY, "no keys in the answer") for _ in items]
    async with bench:
        await bench.pass_time(600)
        assert (bench.row.up, bench.row.reason) == (False, "no keys in the answer")
        assert len(bench.destination.sends) < 250
        assert bench.samples.acknowledged == []
        bench.destination.answer = take_all
        await bench.pass_time(60)
    assert bench.all_settled()


async def test_one_unit_that_is_never_confirmed_does_not_hold_up_the_others() -> None:
    bench = Bench(max_segments=4)
    stuck = bench.samples.commit(1)[0]
    bench.destination.answer = lambda items: [
        Verdict(Answer.RETRY, "not echoed") if i.key == stuck else ACKNOWLEDGED for i in items
    ]
    async with bench:
        await bench.pass_time(60)
        for _ in range(20):
            keys = bench.samples.commit(2)
            await bench.pass_time(1)
            assert set(keys) <= set(bench.samples.acknowledged), "live data waited for the stuck unit"
        tries = sum(stuck in keys for keys in bench.destination.sends)
        assert tries < 30
        bench.destination.answer = take_all
        await bench.pass_time(31)
    assert bench.all_settled()


async def test_a_faulty_plug_in_does_not_end_the_loop_and_its_poison_is_found() -> None:
    bench = Bench()
    keys = bench.samples.commit(16)
    poison = keys[5]

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        return KeyError("pressure") if poison in [i.key for i in items] else take_all(items)

    bench.destination.answer = answer
    async with bench:
        await bench.pass_time(120)
    assert set(bench.samples.quarantined) == {poison}
    assert "KeyError" in bench.samples.quarantined[poison]
    assert bench.all_settled()
    assert bench.row.failures["bug"] >= FAULTS_IN_A_ROW


async def test_a_wrong_number_of_verdicts_settles_nothing() -> None:
    bench = Bench()
    bench.samples.commit(3)
    bench.destination.answer = lambda items: [ACKNOWLEDGED]
    async with bench:
        await bench.work()
        assert bench.samples.acknowledged == []
        assert "1 verdicts for 3 items" in bench.row.reason


async def test_a_store_that_cannot_be_read_is_tried_again() -> None:
    bench = Bench()
    bench.samples.commit(1)
    bench.samples.fault = StorageBroken("file is not a database")
    async with bench:
        await bench.work()
        assert "file is not a database" in bench.row.reason
        bench.samples.fault = None
        await bench.pass_time(5)
    assert bench.all_settled()


async def test_failures_are_counted_under_fixed_labels_only() -> None:
    bench = Bench(timing=Timing(denied_s=1.0))
    errors = [
        Unreachable("a"), Denied("b"), TooLarge("c"), Unacceptable("d"), KeyError("e"), StorageBroken("f"),
    ]  # fmt: skip
    async with bench:
        for error in errors:
            bench.samples.commit(2)
            bench.destination.answer = lambda items, error=error: error  # type: ignore[misc]
            await bench.pass_time(60)
    assert set(bench.row.failures) <= set(LABELS)
    assert set(bench.row.failures) >= {"unreachable", "denied", "too_large", "unacceptable", "bug"}


async def test_halving_goes_on_where_it_was_after_a_lost_connection() -> None:
    bench = Bench()
    keys = bench.samples.commit(64)

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        if len(bench.destination.sends) in (4, 9):
            return Unreachable("reset")
        return poisoned(keys[50])(items)

    bench.destination.answer = answer
    async with bench:
        await bench.pass_time(10)
    assert set(bench.samples.quarantined) == {keys[50]}
    assert bench.all_settled()
    assert len(bench.destination.sends) <= 13 + 2
    assert bench.destination.opened == 3


@pytest.mark.parametrize("seed", range(4))
async def test_the_back_off_starts_anew_after_a_success(seed: int) -> None:
    bench = Bench(seed=seed)
    bench.destination.refuse_connect = Unreachable("no route")
    async with bench:
        await bench.pass_time(120)
        bench.destination.refuse_connect = None
        bench.samples.commit(1)
        await bench.pass_time(31)
        assert bench.all_settled()
        bench.destination.answer = lambda items: Unreachable("reset")
        bench.samples.commit(1)
        await bench.work()
        bench.destination.answer = take_all
        await bench.pass_time(0.5)
        assert bench.all_settled()


@pytest.mark.parametrize("seed", range(3))
def test_jitter_covers_the_whole_range_and_stays_in_it(seed: int) -> None:
    backoff = Backoff(Random(seed), 0.5, 30.0)
    for failures, bound in ((0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (500, 30.0)):
        delays = [backoff.delay_s(failures) for _ in range(300)]
        assert 0.0 <= min(delays) < 0.1 * bound
        assert 0.9 * bound < max(delays) <= bound
