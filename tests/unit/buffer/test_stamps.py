"""A clock nobody had set: what is stored then is held, corrected, or sent as it is. One key, one body."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.buffer import Buffer, correction_event
from edge_agent.config.model import BufferConfig
from edge_agent.model import ClockState
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Key
from tests.unit.buffer.plant import PRESS, batch_of, crash_copy, junk, take_all

_UNSET_NS = 1_000_000_000_000_000_000  # where a computer without a clock of its own begins
_TRUE_NS = 1_767_225_600_000_000_000


def booted(mono_s: float = 5.0) -> ManualClock:
    clock = ManualClock(_UNSET_NS, round(mono_s * 1e9))
    clock.clock_state = ClockState.UNSYNCHRONISED
    return clock


def synchronise(clock: ManualClock) -> float:
    """The right time at monotonic time 0 was _TRUE_NS; by how much the clock was wrong."""
    wrong_s = (_TRUE_NS + clock.mono_ns() - clock.time_ns()) / 1e9
    clock.step(wrong_s)
    clock.clock_state = ClockState.SYNCHRONISED
    return wrong_s


async def open_at(directory: Path, clock: ManualClock, hold_s: float = 120.0) -> Buffer:
    return await Buffer.open(directory, BufferConfig(hold_s=hold_s), clock, ["park"])


async def read_on(buffer: Buffer, clock: ManualClock, seconds: int) -> None:
    """One reading and one flush a second."""
    for _ in range(seconds):
        await clock.advance(1)
        batch = batch_of(PRESS, clock.mono_ns() // 10**9, clock)
        buffer.append(
            type(batch)(
                batch.schema, batch.time_ns, batch.mono_ns, batch.values, batch.quality, clock=clock.state()
            )
        )
        await buffer.flush()


def true_stamps(envelopes: list[Envelope]) -> bool:
    return all(b.time_ns == _TRUE_NS + b.mono_ns for e in envelopes for b in e.batches)


def bodies(envelopes: list[Envelope]) -> dict[Key, object]:
    return {e.key: e.batches for e in envelopes}


async def test_what_was_stored_before_is_corrected_when_it_is_sent(tmp_path: Path) -> None:
    clock = booted()
    buffer = await open_at(tmp_path, clock)
    await read_on(buffer, clock, 5)
    assert await take_all(buffer, "park") == [] and buffer.info()["waits_for_clock"]
    assert buffer.info()["uplinks"]["park"]["pending_segments"] == 5, "held, not lost"
    wrong_s = synchronise(clock)
    await read_on(buffer, clock, 2)
    taken = await take_all(buffer, "park")
    assert len(taken) == 7 and true_stamps(taken) and not buffer.info()["waits_for_clock"]
    assert all(b.clock is ClockState.SYNCHRONISED for e in taken for b in e.batches)
    (offset,) = buffer.unreported_corrections()
    detail = correction_event(offset, "v", 0, 0).detail
    assert detail["applied"] is True and detail["seconds"] == pytest.approx(wrong_s, abs=1.0)
    buffer.mark_corrections([offset])
    assert len(await take_all(buffer, "park")) == 7, "telling of it holds nothing up"
    await buffer.flush()
    clock.clock_state = ClockState.UNSYNCHRONISED  # out of touch again, after the hold: decided is decided
    await clock.advance(200)
    await read_on(buffer, clock, 1)
    later = await take_all(buffer, "park")
    assert bodies(later[:7]) == bodies(taken) and later[7].batches[0].clock is ClockState.UNSYNCHRONISED
    buffer.acknowledge("park", [later[7].key])
    await buffer.close()
    clock.step(3600)  # whatever the clock does later: a key means one body
    buffer = await open_at(tmp_path, clock)
    assert bodies(await take_all(buffer, "park")) == bodies(taken)
    assert buffer.unreported_corrections() == []
    await buffer.close()


async def test_after_the_hold_stamps_are_frozen_and_marked(tmp_path: Path) -> None:
    clock, live = booted(), tmp_path / "live"
    buffer = await open_at(live, clock, hold_s=10)
    await read_on(buffer, clock, 4)
    assert await take_all(buffer, "park") == []
    await read_on(buffer, clock, 2)
    taken = await take_all(buffer, "park")
    assert len(taken) == 6 and all(b.time_ns < 2 * _UNSET_NS for e in taken for b in e.batches)
    assert all(b.clock is ClockState.UNSYNCHRONISED for e in taken for b in e.batches)
    state = crash_copy(live, tmp_path / "killed")
    wrong_s = synchronise(clock)
    await read_on(buffer, clock, 1)
    again = await take_all(buffer, "park")
    assert bodies(again).items() >= bodies(taken).items(), "sent again as it was sent before"
    (offset,) = buffer.unreported_corrections()
    detail = correction_event(offset, "v", 0, 0).detail
    assert detail["applied"] is False and detail["seconds"] == pytest.approx(wrong_s, abs=1.0)
    assert detail["from_us"] * 1000 == taken[0].batches[0].time_ns
    await buffer.close()
    buffer = await open_at(state, clock, hold_s=10)  # killed before the time came: the verdict stands
    await read_on(buffer, clock, 1)
    again = await take_all(buffer, "park")
    assert bodies(again).items() >= bodies(taken).items()
    assert [x.released for x in buffer.unreported_corrections()] == [True]
    await buffer.close()


async def test_a_restart_within_the_boot_keeps_what_is_known(tmp_path: Path) -> None:
    clock = booted()
    buffer = await open_at(tmp_path, clock)
    await read_on(buffer, clock, 3)
    await buffer.close()
    buffer = await open_at(tmp_path, clock)
    assert await take_all(buffer, "park") == [], "held by the run before, and still"
    synchronise(clock)
    await buffer.flush()
    await read_on(buffer, clock, 1)
    taken = await take_all(buffer, "park")
    assert len(taken) == 4 and true_stamps(taken)
    await buffer.close()
    later = ManualClock(_TRUE_NS + 10**15, 50 * 10**9)  # another boot: its monotonic time is another one
    later.boot_id = "second"
    buffer = await open_at(tmp_path, later)
    assert bodies(await take_all(buffer, "park")) == bodies(taken)
    await buffer.close()


@pytest.mark.parametrize(
    ("state", "hold_s", "mono_s"),
    [
        (ClockState.UNSYNCHRONISED, 0, 5),  # switched off
        (ClockState.UNSYNCHRONISED, 120, 5000),  # booted long ago: nobody will set it within the hold
        (ClockState.UNKNOWN, 120, 5),  # nobody can say
        (ClockState.SYNCHRONISED, 120, 5),
    ],
)
async def test_nothing_is_held(tmp_path: Path, state: ClockState, hold_s: float, mono_s: float) -> None:
    clock = booted(mono_s)
    clock.clock_state = state
    buffer = await open_at(tmp_path, clock, hold_s)
    await read_on(buffer, clock, 2)
    assert len(await take_all(buffer, "park")) == 2
    await buffer.close()


async def test_a_clock_that_jumps_deletes_and_corrects_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_at(tmp_path, clock)
    for step_s in (10 * 365 * 86_400, -7200, -50 * 365 * 86_400):
        clock.step(step_s)
        await read_on(buffer, clock, 3)
    taken = await take_all(buffer, "park")
    assert [e.key.seq for e in taken] == list(range(1, 10)) and buffer.unreported_losses() == []
    assert len({b.mono_ns - b.time_ns for e in taken for b in e.batches}) == 3, "as they were stamped"
    await buffer.close()


async def test_a_file_set_aside_does_not_take_the_verdict_with_it(tmp_path: Path) -> None:
    clock = booted()
    buffer = await open_at(tmp_path, clock)
    await read_on(buffer, clock, 3)
    junk(tmp_path / "buffer.db")
    (tmp_path / "buffer.db-wal").write_bytes(b"")
    buffer._vault.suspect("it is junk")
    await buffer.flush()
    assert await take_all(buffer, "park") == []
    synchronise(clock)
    await read_on(buffer, clock, 1)
    assert true_stamps(await take_all(buffer, "park")) and not buffer.info()["waits_for_clock"]
    await buffer.close()
