"""Meters replaced: the whole way from the command line over a real socket into the totals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge_agent.accounting import Accounting, CounterSpec, Plan
from edge_agent.accounting.calendar import BEIJING
from edge_agent.agent.check import COUNTER_VERBS
from edge_agent.agent.counter_desk import DeclarationRefused, counter_handlers
from edge_agent.cli import main
from edge_agent.console import Console
from edge_agent.model import Batch, Event, Schema, Tag, ValueType
from edge_agent.testing.clock import ManualClock

S = 10**9
SCHEMA = Schema.of("m", "slow", "v7", [Tag("energy", "", ValueType.UINT32, "slow", "kWh")])
GIVEN = {"counter": "electricity", "old_final": "50.1", "new_start": "10", "comment": "meter 4711"}


class Desk:
    def __init__(self) -> None:
        spec = CounterSpec("m.energy", "kWh", Decimal("0.5"), Decimal("0.01"))
        self.clock = ManualClock()
        self.accounting: Accounting | None = Accounting(
            Plan(counters=[spec], names={"m.energy": "electricity"}), "v7"
        )
        self.announced: list[Event] = []
        self.handlers = counter_handlers(lambda: self.accounting, self.clock, self.announced.extend)

    async def read(self, *raws: int) -> None:
        assert self.accounting is not None
        for raw in raws:
            await self.clock.advance(1.0)
            batch = Batch(SCHEMA, self.clock.time_ns(), self.clock.mono_ns(), (raw,), b"\0")
            self.accounting.on_batch(batch)

    async def ask(self, verb: str, args: Mapping[str, Any]) -> Any:
        return json.loads(json.dumps(await self.handlers[verb]("li.wei", args)))

    @property
    def total(self) -> Decimal:
        assert self.accounting is not None
        return self.accounting.counters["m.energy"].total


async def test_declared_in_time_the_first_reading_of_the_new_meter_counts_both_parts() -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    await desk.clock.advance(5.0)
    assert await desk.ask("counters.declare", GIVEN) == {
        "counter": "electricity", "at_ns": desk.clock.time_ns(), "outcome": "waiting",
    }  # fmt: skip
    (row,) = await desk.ask("counters.list", {})
    assert (row["name"], row["tag"], row["total"], row["display"]) == (
        "electricity",
        "m.energy",
        "0.05",
        "50.05",
    )
    assert row["declared"] == [{"at_ns": desk.clock.time_ns(), "old_final": "50.1", "new_start": "10"}]
    await desk.read(1002)
    assert desk.total == Decimal("0.12")
    (event,) = desk.announced
    assert (event.kind, event.source, event.config_version) == ("counter_declared", "m.energy", "v7")
    assert event.detail["user"] == "li.wei" and event.detail["comment"] == "meter 4711"


async def test_declared_late_what_was_held_back_is_released_or_the_reason_told() -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    between = desk.clock.time_ns()
    await desk.read(1_000_000, 1_000_000, 1_000_001)
    late = GIVEN | {"new_start": "10000.0", "at": _iso(between)}
    answer = await desk.ask("counters.declare", late)
    assert (answer["outcome"], answer["amount"], answer["unit"]) == ("counted", "0.05", "kWh")
    assert [event.kind for event in desk.announced] == [
        "counter_declared", "counter_replaced", "amount_corrected",
    ]  # fmt: skip
    answer = await desk.ask("counters.declare", late)
    assert (answer["outcome"], answer["reason"]) == ("refused", "no jump of the readings was seen then")


def _iso(time_ns: int) -> str:
    """Local time of the plant, as people write it."""
    return datetime.fromtimestamp(time_ns // S, BEIJING).replace(tzinfo=None).isoformat()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counter": "gas"}, "there is no counter 'gas'; counters: electricity"),
        ({"old_final": "-3"}, "what the display showed"),
        ({"old_final": "nan"}, "what the display showed"),
        ({"new_start": "1e99999999"}, "what the display showed"),
        ({"new_start": 7}, "'new_start' is missing"),
        ({"comment": "  "}, "'comment' is missing"),
        ({"comment": "x" * 501}, "'comment' is missing, or longer"),
        ({"at": "yesterday"}, "'yesterday' is no date and time"),
        ({"at": "9999-12-31T23:59-23:59"}, "more than a day ahead"),
    ],
)
async def test_what_cannot_be_understood_changes_nothing(change: dict[str, Any], said: str) -> None:
    desk = Desk()
    await desk.read(5000)
    with pytest.raises(DeclarationRefused) as caught:
        await desk.ask("counters.declare", GIVEN | change)
    assert said in str(caught.value) and any(char > "\u4e00" for char in caught.value.text.zh)
    assert not desk.announced
    desk.accounting = None
    with pytest.raises(DeclarationRefused):
        await desk.ask("counters.list", {})


async def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    place = tmp_path / "console.sock"
    console = Console(place, "", desk.handlers)
    assert await console.start()

    async def run(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["counters", *words, "--socket", str(place)])
        return (code, *capsys.readouterr())

    declare = ["declare", "electricity", "--old-final", "50.1", "--new-start", "10", "--reason", "old"]
    try:
        code, out, _ = await run(*declare)
        assert code == 0 and "counted when the first reading" in out
        code, out, _ = await run("list")
        assert code == 0 and "50.05" in out and "replacement awaited" in out
        await desk.read(1002)
        code, out, _ = await run("list", "--json")
        assert code == 0 and json.loads(out)[0]["total"] == "0.12"
        code, out, _ = await run(*declare, "--at", "2001-01-01T00:00", "--lang", "zh")
        assert code == 1 and "未计入：该时刻附近没有出现读数跳变" in out
        code, out, err = await run("declare", "gas", *declare[2:], "--lang", "zh")
        assert code == 1 and not out and "没有计数器 'gas'" in err
        code, out, err = await run("declare", "electricity")
        assert code == 2 and "--old-final" in err
    finally:
        await console.close()
    assert {event.detail["user"] for event in desk.announced if event.kind == "counter_declared"} != {
        "li.wei"
    }


# --- what the last reading says of a declaration -----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "en", "zh"),
    [
        ({"old_final": "1"}, "1 kWh is below it", "1 kWh 低于该读数"),
        ({"old_final": "50.04"}, "50.04 kWh is below it", "50.04 kWh 低于该读数"),
        ({"old_final": "83.07"}, "at most 83.06 can have been reached", "至多可达 83.06"),
        ({"old_final": "6e7"}, "60000000 kWh is above that", "60000000 kWh 超出该值"),
    ],
)
async def test_an_old_final_reading_that_cannot_be_is_refused_at_once(
    change: dict[str, Any], en: str, zh: str
) -> None:
    """0.5 kWh a second for six seconds and the minute of the lag; and one step of the register."""
    desk = Desk()
    await desk.read(5000, 5005)
    await desk.clock.advance(6.0)
    with pytest.raises(DeclarationRefused) as caught:
        await desk.ask("counters.declare", GIVEN | change)
    assert en in str(caught.value) and zh in caught.value.text.zh
    assert "last reading of 'electricity' is 50.05 kWh (20" in str(caught.value)
    assert not desk.announced and (await desk.ask("counters.list", {}))[0]["declared"] == []
    for fits in ("50.05", "83.06"):
        answer = await desk.ask("counters.declare", GIVEN | {"old_final": fits, "replace": True})
        assert answer["outcome"] == "waiting"


async def test_before_the_first_reading_anything_may_be_declared() -> None:
    desk = Desk()
    assert (await desk.ask("counters.declare", GIVEN))["outcome"] == "waiting"


async def test_a_second_declaration_replaces_the_waiting_one_only_when_told_to() -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    await desk.ask("counters.declare", GIVEN)
    with pytest.raises(
        DeclarationRefused, match=r"waiting already \(old meter 50.1, new meter 10, 20.*--repl"
    ):
        await desk.ask("counters.declare", GIVEN | {"new_start": "0"})
    assert len(desk.announced) == 1
    answer = await desk.ask("counters.declare", GIVEN | {"new_start": "20", "replace": True, "comment": "no"})
    assert (answer["outcome"], answer["withdrawn"]) == ("waiting", 1)
    assert [event.kind for event in desk.announced[1:]] == [
        "counter_declaration_withdrawn", "counter_declared",
    ]  # fmt: skip
    (row,) = await desk.ask("counters.list", {})
    assert [item["new_start"] for item in row["declared"]] == ["20"]
    await desk.read(2002)
    assert desk.total == Decimal("0.05") + Decimal("0.05") + Decimal("0.02")


async def test_a_declaration_is_withdrawn_and_the_disk_is_told() -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    await desk.ask("counters.declare", GIVEN)
    assert desk.accounting is not None
    desk.accounting.changed(desk.clock.mono_ns(), desk.clock.time_ns())
    args = {"counter": "electricity", "comment": "wrong meter"}
    assert await desk.ask("counters.withdraw", args) == {"counter": "electricity", "withdrawn": 1}
    event = desk.announced[-1]
    assert (event.kind, event.source) == ("counter_declaration_withdrawn", "m.energy")
    assert (event.detail["old_final"], event.detail["user"]) == ("50.1", "li.wei")
    assert event.detail["comment"] == "wrong meter"
    rows = desk.accounting.changed(desk.clock.mono_ns(), desk.clock.time_ns())
    assert rows["accounting:counters"]["m.energy"]["declared"] == []
    with pytest.raises(DeclarationRefused, match="no declaration of 'electricity' is waiting"):
        await desk.ask("counters.withdraw", args)
    with pytest.raises(DeclarationRefused, match="'comment' is missing"):
        await desk.ask("counters.withdraw", {"counter": "electricity"})
    await desk.read(5006)  # goes on as if nothing had been said
    assert desk.total == Decimal("0.06")


async def test_withdrawing_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    await desk.read(5000, 5005)
    place = tmp_path / "console.sock"
    console = Console(place, "", desk.handlers)
    assert await console.start()

    async def run(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["counters", *words, "--socket", str(place)])
        return (code, *capsys.readouterr())

    declare = ["declare", "electricity", "--new-start", "0", "--reason", "old", "--old-final"]
    try:
        code, out, err = await run(*declare, "1")
        assert code == 1 and not out and "last reading of 'electricity' is 50.05 kWh" in err
        code, out, err = await run(*declare, "50.06")
        assert code == 0
        code, out, err = await run(*declare, "50.07", "--lang", "zh")
        assert code == 1 and not out and "--replace" in err and "已有一条等待中的换表登记" in err
        code, out, err = await run(*declare, "50.07", "--replace")
        assert code == 0 and "withdrawn" in out and "counted when the first reading" in out
        code, out, err = await run("withdraw", "electricity", "--reason", "mistake")
        assert code == 0 and "the waiting declaration is withdrawn" in out
        code, out, err = await run("withdraw", "electricity", "--reason", "mistake")
        assert code == 1 and "no declaration of 'electricity' is waiting" in err
        code, out, err = await run("withdraw", "electricity")
        assert code == 2 and "--reason" in err
    finally:
        await console.close()


def test_the_running_agent_knows_every_verb_of_the_desk() -> None:
    assert set(COUNTER_VERBS) == set(Desk().handlers)


@pytest.mark.parametrize(
    ("raws", "total", "display"),
    [
        ([428.93, 432.34000000000003], "3.41000000000003", "432.34"),
        ([0.1, 0.30000000000000004], "0.20000000000000004", "0.3"),
        ([428.5, 431.25], "2.75", "431.25"),
        ([100.0, 400.0], "300", "400"),
        ([7.0, 7.0], "0", "7"),
        ([2**62 + 1, 2**62 + 11], "10", str(2**62 + 11)),
        ([436.260000000003, 439.670000000003], "3.41", "439.670000000003"),
    ],
)
async def test_numbers_are_shown_without_what_says_nothing(
    raws: list[float], total: str, display: str
) -> None:
    desk = Desk()
    spec = CounterSpec("m.energy", "kWh", Decimal(1000))
    desk.accounting = Accounting(Plan(counters=[spec], names={"m.energy": "electricity"}), "v7")
    schema = Schema.of("m", "slow", "v7", [Tag("energy", "", ValueType.FLOAT64, "slow", "kWh")])
    for raw in raws:
        await desk.clock.advance(1.0)
        desk.accounting.on_batch(Batch(schema, desk.clock.time_ns(), desk.clock.mono_ns(), (raw,), b"\0"))
    (row,) = await desk.ask("counters.list", {})
    assert (row["total"], row["display"]) == (total, display)
