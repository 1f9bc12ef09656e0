"""Evidence records through a real buffer and a real event store; time is told, a kill drops the object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import evidence
from edge_agent.agent.evidence import EvidenceKeeper
from edge_agent.buffer import Buffer, EventStore
from edge_agent.config.model import BufferConfig, Limit, LimitKind, Origin, TagRef, Window
from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Tag, Value, ValueType
from edge_agent.testing.clock import ManualClock, settle

S = 1_000_000_000
PRESSURE = TagRef("press-1", "pressure")
SETPOINT = TagRef("plc-2", "setpoint")
PRESS = Schema.of(
    "press-1",
    "fast",
    "v1",
    [
        Tag("pressure", "0", ValueType.INT16, unit="bar", scaling=Scaling(0.1, 0.0)),
        Tag("name", "2", ValueType.STRING),
    ],
)
PLC = Schema.of("plc-2", "slow", "v1", [Tag("setpoint", "0", ValueType.FLOAT64, unit="bar")])
HIGH = Limit(LimitKind.HIGH, 20.0, deadband=0.5, origin=Origin("park", "GB-1@2026", "park.yaml:7"))
WINDOW = Window("w", PRESSURE, further=(HIGH,), max_age_s=3.0, standards=("GB-1@2026",))
FOLLOWING = Window("f", PRESSURE, target=SETPOINT, tolerance=2.0, max_age_s=3.0, on_delay_s=10.0)


@dataclass
class Plant:
    """A press that is read once a second, its buffer, journal and keeper."""

    directory: Path
    clock: ManualClock
    buffer: Buffer
    journal: EventStore
    windows: dict[str, Window] = field(default_factory=lambda: {"w": WINDOW, "f": FOLLOWING})
    told: list[Event] = field(default_factory=list)
    rows: dict[str, Any] = field(default_factory=dict)
    waiting: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: EvidenceKeeper = field(init=False)
    task: asyncio.Task[None] | None = None

    def start(self, **settings: Any) -> None:
        self.keeper = EvidenceKeeper(
            self.buffer.history,
            self.clock,
            self.announce,
            lambda: self.windows,
            waiting=lambda: self.waiting,
            **settings,
        )
        self.keeper.restore(self.rows)
        self.task = asyncio.create_task(self.keeper.run())

    def announce(self, events: Sequence[Event], rows: Mapping[str, Any]) -> None:
        self.told += events
        self.keep(rows)
        self.heard.set()

    def keep(self, rows: Mapping[str, Any]) -> None:
        """As the journal stores them: through JSON, None deletes."""
        self.rows |= json.loads(json.dumps(rows))
        self.rows = {name: row for name, row in self.rows.items() if row is not None}

    async def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.task = None

    async def say(self, seconds: float, value: float | None, *, flush_every: int = 5) -> None:
        """So many readings of the pressure, a second apart."""
        for _ in range(round(seconds)):
            await self.clock.advance(1)
            quality = bytes([Quality.GOOD if value is not None else Quality.BAD_COMM, 0])
            raw: Value = None if value is None else round(value * 10)
            now = self.clock.time_ns(), self.clock.mono_ns()
            self.buffer.append(Batch(PRESS, *now, (raw, "P-1"), quality))
            if self.clock.mono_ns() // S % flush_every == 0:
                await self.buffer.flush()

    def setpoint(self, value: float) -> None:
        self.buffer.append(Batch(PLC, self.clock.time_ns(), self.clock.mono_ns(), (value,), bytes(1)))

    def event(self, kind: str, name: str = "w.high", **detail: Any) -> Event:
        window, _, limit = name.rpartition(".")
        told = {"window": window, "kind": limit, "priority": "high", "value": 21.0, "limit": 20.0}
        event = Event(kind, name, self.clock.time_ns(), self.clock.mono_ns(), "v1", told | detail)
        self.keeper.hear([event])
        self.keep(self.keeper.changed())
        return event

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not there():
                self.heard.clear()
                await self.heard.wait()

    async def records(self, count: int) -> list[dict[str, Any]]:
        """Threads read: real time passes, told time does not."""
        await self.until(lambda: len(self.told) >= count)
        await settle()
        assert len(self.told) == count
        assert {e.kind for e in self.told} == {"alarm_evidence"}
        return [dict(e.detail) for e in self.told]


@asynccontextmanager
async def plant(directory: Path, **settings: Any) -> AsyncIterator[Plant]:
    clock = ManualClock()
    buffer = await Buffer.open(directory, BufferConfig(), clock, ("park",))
    journal = await EventStore.open(directory, clock, ("park",), buffer.epoch)
    made = Plant(directory, clock, buffer, journal)
    made.start(**settings)
    try:
        yield made
    finally:
        await made.kill()
        await made.buffer.close()
        await journal.close()


async def test_a_record_holds_what_was_before_during_and_after(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(100, 15.0)
        await p.say(1, 21.0)
        raised = p.event("alarm_raised")
        await p.say(9, 22.0)
        p.event("alarm_acknowledged", user="li", comment="阀门卡住")
        await p.say(1, None)
        await p.say(1, 15.0)
        returned = p.event("alarm_returned")
        await p.say(29, 15.0)
        assert not p.told
        await p.say(1, 15.0)
        (record,) = await p.records(1)
        assert p.rows == {} and p.keeper.cases == 0
    assert record["case"] == f"w.high@{raised.time_ns}"
    assert (record["raised_ns"], record["returned_ns"]) == (raised.time_ns, returned.time_ns)
    assert (record["from_ns"], record["to_ns"]) == (raised.time_ns - 30 * S, returned.time_ns + 30 * S)
    assert record["complete"] and not record["interim"] and record["gaps"] == []
    assert record["acknowledged"] == [
        {"time_ns": raised.time_ns + 9 * S, "user": "li", "comment": "阀门卡住"}
    ]
    assert record["limits"] == [
        {"kind": "high", "value": 20.0, "tolerance": None, "deadband": 0.5, "on_delay_s": 0.0,
         "off_delay_s": 0.0, "level": "park", "standard": "GB-1@2026", "place": "park.yaml:7"}
    ]  # fmt: skip
    assert (record["standards"], record["config_version"], record["unit"]) == (["GB-1@2026"], "v1", "bar")
    assert record["quality"] == {"good": 70, "bad_comm": 1}
    figures = record["statistics"]
    assert figures["n"] == 71 and figures["max"] == 22.0 and figures["min"] == 15.0
    assert figures["outside_s"] == 10.0 and figures["area"] == pytest.approx(1.0 + 9 * 2.0)
    assert figures["share"]["bad"] == pytest.approx(1 / 71)
    series = record["series"]
    assert list(series) == ["press-1.pressure"]
    one = series["press-1.pressure"]
    assert one["t_ns"] == raised.time_ns - 30 * S and one["dt_ms"] == [1000 * n for n in range(71)]
    assert one["v"][29:32] == [15.0, 21.0, 22.0] and one["raw"][29:32] == [150, 210, 220]
    assert one["v"][40] is None and one["q"][80:82] == "81"
    json.dumps(record, allow_nan=False)


async def test_a_window_that_follows_a_set_point_shows_it_too(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(40, 15.0)
        p.setpoint(15.0)
        await p.say(10, 16.0)
        p.setpoint(10.0)
        await p.say(10, 16.0)  # 4.0 above the limit, for the delay of ten seconds
        raised = p.event("alarm_raised", "f.high")
        p.setpoint(16.0)
        await p.say(1, 16.0)
        p.event("alarm_returned", "f.high")
        await p.say(31, 16.0)
        (record,) = await p.records(1)
    assert record["from_ns"] == raised.time_ns - 40 * S, "30 s before the value left its limit"
    assert record["target"] == "plc-2.setpoint"
    assert record["series"]["plc-2.setpoint"]["v"] == [15.0, 10.0, 16.0]
    assert "raw" not in record["series"]["plc-2.setpoint"]
    assert record["statistics"]["outside_s"] == 10.0
    assert record["statistics"]["area"] == pytest.approx(40.0)
    assert record["statistics"]["high"] == 18.0


async def test_a_long_alarm_has_an_interim_record_and_a_final_one(tmp_path: Path) -> None:
    async with plant(tmp_path, longest_s=60.0) as p:
        await p.say(40, 15.0)
        raised = p.event("alarm_raised")
        await p.say(61, 22.0)
        (interim,) = await p.records(1)
        assert interim["interim"] and not interim["complete"] and interim["returned_ns"] is None
        assert interim["to_ns"] == raised.time_ns + 60 * S
        await p.say(600, 23.0, flush_every=30)
        returned = p.event("alarm_returned")
        await p.say(31, 15.0)
        _, final = await p.records(2)
    assert final["case"] == interim["case"] and not final["interim"]
    assert not final["complete"]
    assert final["left_out"] == {"from_ns": raised.time_ns + 60 * S, "to_ns": returned.time_ns - 60 * S}
    assert final["statistics"]["outside_s"] == 59.0, "the first reading outside came a second later"
    assert final["end"]["statistics"]["outside_s"] == 61.0
    assert final["end"]["series"]["press-1.pressure"]["v"][-1] == 15.0
    assert final["to_ns"] == returned.time_ns + 30 * S


async def test_an_open_case_survives_a_kill(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(60, 15.0)
        raised = p.event("alarm_raised")
        await p.say(5, 22.0)
        p.event("alarm_acknowledged", user="li", comment="")
        assert set(p.rows) == {"evidence:w.high"}
        await p.kill()
        await p.buffer.close()
        await p.clock.advance(20)
        p.buffer = await Buffer.open(tmp_path, BufferConfig(), p.clock, ("park",))
        p.start()
        await p.say(5, 22.0)
        p.event("alarm_returned")
        await p.say(10, 15.0)
        await p.kill()  # once more, while it waits for the end
        p.start()
        await p.say(25, 15.0)
        (record,) = await p.records(1)
        assert p.rows == {}
    assert record["case"] == f"w.high@{raised.time_ns}"
    assert [note["user"] for note in record["acknowledged"]] == ["li"]
    assert record["gaps"] == [{"from_ns": raised.time_ns + 8 * S, "to_ns": raised.time_ns + 26 * S}]
    assert record["statistics"]["share"]["absent"] == pytest.approx(18 / 90)


async def test_a_case_whose_window_is_gone_ends(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(40, 15.0)
        p.event("alarm_raised")
        await p.kill()
        p.windows = {}
        p.rows["evidence:junk"] = {"cases": [{"name": 1}]}
        p.rows["evidence:none"] = 7
        p.start()
        await p.say(31, 15.0)
        (record,) = await p.records(1)
    assert record["reason"] == "removed" and record["series"]


async def test_an_alarm_that_comes_back_belongs_to_the_open_case(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(40, 15.0)
        first = p.event("alarm_raised")
        await p.say(2, 22.0)
        gone = p.event("alarm_returned")
        await p.say(10, 15.0)
        again = p.event("alarm_raised")
        await p.say(2, 22.0)
        last = p.event("alarm_returned")
        await p.say(31, 15.0)
        (record,) = await p.records(1)
    assert record["again"] == [{"returned_ns": gone.time_ns, "raised_ns": again.time_ns}]
    assert (record["raised_ns"], record["returned_ns"]) == (first.time_ns, last.time_ns)


async def test_a_chattering_alarm_gets_a_new_case_in_the_end(tmp_path: Path) -> None:
    async with plant(tmp_path, longest_s=60.0) as p:
        await p.say(40, 15.0)
        raised = []
        for _ in range(10):
            raised.append(p.event("alarm_raised").time_ns)
            await p.say(5, 22.0)
            p.event("alarm_returned")
            await p.say(5, 15.0)
        await p.say(40, 15.0)
        await p.until(lambda: not p.keeper.cases)
        final = [e.detail for e in p.told if not e.detail["interim"]]
    covered = [time_ns for detail in final for time_ns in _raises(detail)]
    assert sorted(covered) == raised, "each of them stands in exactly one final record"
    assert len(final) == 2, "what came back after a minute is a case of its own"


def _raises(detail: Mapping[str, Any]) -> list[int]:
    return [detail["raised_ns"], *(one["raised_ns"] for one in detail["again"])]


async def test_diagnostic_alarms_have_none_and_suppressed_ones_do(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        p.event("alarm_raised", priority="diagnostic")
        assert p.keeper.cases == 0 and p.rows == {}
        p.event("alarm_raised", annunciated=False)
        assert p.keeper.cases == 1
        p.event("alarm_acknowledged", "w.low", user="x")
        p.event("alarm_returned", "w.low")
        assert p.keeper.cases == 1


async def test_a_disk_that_takes_nothing_gets_records_without_readings(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        p.waiting = 3
        await p.say(40, 15.0)
        for name in ("w.high", "f.high"):
            p.event("alarm_raised", name)
            p.event("alarm_returned", name)
        await p.say(30, 15.0)
        assert p.told == [], "for a while the disk is only slow"
        await p.say(6, 15.0)
        records = await p.records(2)
        assert all(r["series"] == {} and not r["complete"] for r in records)
        assert all("without its readings" in r["note"] for r in records)
        p.waiting = 0
        p.event("alarm_raised")
        p.event("alarm_returned")
        await p.say(31, 15.0)
        assert (await p.records(3))[2]["complete"]


async def test_a_flood_is_a_queue_one_at_a_time(tmp_path: Path) -> None:
    """500 alarms at once: the loop goes on, one history is read at a time, every alarm has its record."""
    async with plant(tmp_path) as p:
        reading = most = 0
        history = p.keeper._history

        async def watched(*arguments: Any, **named: Any) -> AsyncIterator[Batch]:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            async for batch in history(*arguments, **named):
                yield batch
            reading -= 1

        p.keeper._history = watched
        await p.say(40, 15.0)
        p.windows |= {f"w{n}": WINDOW for n in range(500)}
        for n in range(500):
            p.event("alarm_raised", f"w{n}.high")
        await p.say(1, 22.0)
        for n in range(500):
            p.event("alarm_returned", f"w{n}.high")
        await p.say(31, 15.0)
        loop = asyncio.get_running_loop()
        longest, before = 0.0, loop.time()
        async with asyncio.timeout(60):
            while len(p.told) < 500:
                await asyncio.sleep(0.001)
                longest, before = max(longest, loop.time() - before), loop.time()
        await p.records(500)
        assert most == 1 and longest < 0.5
        assert {e.source for e in p.told} == {f"w{n}.high" for n in range(500)}
        assert all(e.detail["complete"] for e in p.told) and p.rows == {}


async def test_beyond_the_most_there_is_a_record_without_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_CASES", 3)
    async with plant(tmp_path) as p:
        for n in range(5):
            p.event("alarm_raised", f"w{n}.high")
        records = await p.records(2)
        assert {r["note"] for r in records} == {"too many alarms at once"}
        assert (p.keeper.cases, p.keeper.refused) == (3, 2)


async def test_a_window_that_is_not_known_any_more(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        p.windows = {}
        p.event("alarm_raised")
        p.event("alarm_returned")
        await p.clock.advance(31)
        (record,) = await p.records(1)
        assert record["series"] == {} and "not configured" in record["note"]


async def test_it_never_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with plant(tmp_path) as p:
        good = p.keeper._history

        def broken(*_arguments: Any, **_named: Any) -> AsyncIterator[Batch]:
            raise RuntimeError("a mistake")

        p.keeper._history = broken
        await p.say(40, 15.0)
        p.event("alarm_raised")
        p.event("alarm_returned")
        await p.say(31, 15.0)
        assert "could not be written" in caplog.text and p.keeper.cases == 1
        p.keeper._history = good
        await p.say(61, 15.0)
        (record,) = await p.records(1)
        assert record["complete"]


async def test_a_record_goes_to_the_journal_and_back(tmp_path: Path) -> None:
    async with plant(tmp_path) as p:
        await p.say(40, 15.0)
        await p.clock.advance(0.5)  # the span begins between two readings
        p.event("alarm_raised")
        p.event("alarm_returned")
        await p.say(31, 15.0)
        await p.records(1)
        await p.journal.commit(p.told, p.rows)
        (back,) = await p.journal.history(0, 2**62, {"alarm_evidence"})
        assert back == p.told[0]
        assert back.detail["gaps"] == [] and back.detail["statistics"]["share"]["good"] == 1.0
