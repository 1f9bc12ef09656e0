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
