"""``report``, ``counters`` and what another version answers, over a real console."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.counter_desk import counter_handlers
from edge_agent.agent.report_desk import report_handlers
from edge_agent.config.model import Shifts
from edge_agent.console import Console, Handler
from edge_agent.control.excursion import Moment
from edge_agent.control.times import TimeBook, Times
from edge_agent.model import Event
from edge_agent.testing.clock import ManualClock
from tests.unit.cli.test_commands import run

S = 1_000_000_000
H = 3600 * S
MIDNIGHT_NS = 1_767_196_800 * S  # 2026-01-01T00:00+08:00
NOW_NS = MIDNIGHT_NS + 12 * H
SHIFTS = Shifts(((8 * 3600, "day"), (20 * 3600, "night")))


@asynccontextmanager
async def answering(path: Path, verb: str, handler: Handler) -> AsyncIterator[tuple[str, str]]:
    """A console that knows one verb; the option that names it."""
    console = Console(path, "", {verb: handler})
    assert await console.start()
    try:
        yield "--socket", str(path)
    finally:
        await console.close()


class Agent:
    """Day and shift ``day`` under way since noon minus four hours; of the day before the night only."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW_NS, 100 * H)
        self.journal: list[Event] = []
        self.book = TimeBook(SHIFTS, "v1")
        began = Moment(96 * H, NOW_NS - 4 * H, 96 * H)
        self.book.tick(began, lambda: [Times("press-1.pressure", 0, 0, 0, 0, 0, {})])
        handlers = report_handlers(lambda: self.book, self.times, self.clock, self.history)
        handlers |= counter_handlers(lambda: None, self.clock, self.journal.extend)
        self.console = Console(folder / "console.sock", "", handlers)

    def times(self) -> Sequence[Times]:
        return [Times("press-1.pressure", 3 * H, H, 0, 0, 2, {})]

    async def history(self, start_ns: int, end_ns: int, kinds: frozenset[str], limit: int) -> Sequence[Event]:
        return [e for e in self.journal if start_ns <= e.time_ns < end_ns and e.kind in kinds]

    async def run(self, *words: str, lang: str = "en") -> subprocess.CompletedProcess[str]:
        at = ("--socket", str(self.console.path), "--lang", lang)
        return await asyncio.to_thread(run, *words, *at, TZ="America/New_York")

    async def says(self, *words: str, lang: str = "en", code: int = 0) -> str:
        done = await self.run(*words, lang=lang)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr
        return done.stdout if code == 0 else done.stderr


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    made = Agent(tmp_path)
    assert await made.console.start()
    yield made
    await made.console.close()


async def test_a_shift_named_day_is_not_the_day(agent: Agent) -> None:
    whole, shift = (await agent.says("report", "windows")).split("\n\n")
    assert whole.startswith("whole day  2026-01-01 08:00:00+08:00 - until now"), "Beijing time in any zone"
    assert shift.startswith("shift day  2026-01-01 08:00:00+08:00 - until now")
    assert "75.0 %" in whole
    only = await agent.says("report", "windows", "--shift", "day")
    assert only.startswith("shift day") and "whole day" not in only
    chinese = await agent.says("report", "windows", lang="zh")
    assert "全天  2026-01-01" in chinese and "班次 day  2026-01-01" in chinese


async def test_a_shift_that_there_is_not(agent: Agent) -> None:
    told = await agent.says("report", "windows", "--shift", "foo", code=1)
    assert "'foo'" in told and "day, night" in told
    assert "没有班次 'foo'" in await agent.says("report", "windows", "--shift", "foo", lang="zh", code=1)
    told = await agent.says("report", "windows", "--shift", "night", "--day", "2025-12-30")
    assert told.strip() == "nothing was recorded of shift night on 2025-12-30"
    agent.book.shifts = Shifts(())
    words = ("report", "windows", "--shift", "foo", "--day", "2025-12-30")
    assert "none is configured" in await agent.says(*words, code=1)


async def test_a_day_without_totals(agent: Agent) -> None:
    assert "nothing was recorded on 2025-12-30" in await agent.says("report", "totals", "--day", "2025-12-30")
    assert "no period of 2026-01-01 has ended yet" in await agent.says("report", "totals")
    assert "2025-12-30 没有记录" in await agent.says("report", "totals", "--day", "2025-12-30", lang="zh")
    assert "still to come" in await agent.says("report", "totals", "--day", "2026-01-02", code=1)
    detail = {"period": "hour", "start_ns": MIDNIGHT_NS, "name": "electricity", "value": 3.5, "unit": "kWh"}
    agent.journal.append(Event("period_total", "electricity", MIDNIGHT_NS + H, 0, "v1", detail))
    assert "2026-01-01 00:00:00+08:00  electricity" in await agent.says("report", "totals")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("report windows --day monday", "'monday' is no day"),
        ("report totals --day 2026-13-01", "'2026-13-01' is no day"),
        ("counters declare a --reason x --old-final much --new-start 0", "--old-final is 'much'"),
        ("counters declare a --reason x --old-final 1 --new-start -5", "--new-start is '-5'"),
        ("counters declare a --reason x --old-final 1 --new-start 0 --at then", "--at 'then'"),
    ],
)
async def test_wrong_usage_is_2(agent: Agent, words: str, said: str) -> None:
    assert said in await agent.says(*words.split(), code=2)


async def test_refused_is_1_and_nobody_is_4(agent: Agent) -> None:
    assert "no counter is configured" in await agent.says("counters", "list", code=1)
    await agent.console.close()
    for words in (["report", "windows"], ["counters", "list"], ["alarms", "list"], ["writes", "status"]):
        await agent.says(*words, code=4)


async def test_when_a_meter_was_replaced_is_told_in_beijing_time(tmp_path: Path) -> None:
    heard: list[Mapping[str, Any]] = []

    async def declare(_user: str, args: Mapping[str, Any]) -> Any:
        heard.append(args)
        return {"counter": "a", "outcome": "waiting"}

    words = ["counters", "declare", "a", "--old-final", "1", "--new-start", "0", "--reason", "x"]
    async with answering(tmp_path / "c.sock", "counters.declare", declare) as place:
        for at in ("2026-01-31T08:00", "2026-01-31T08:00Z"):
            done = await asyncio.to_thread(run, *words, "--at", at, *place, TZ="UTC")
            assert done.returncode == 0, done.stderr
    assert [args["at"] for args in heard] == ["2026-01-31T08:00:00+08:00", "2026-01-31T08:00:00+00:00"]


# Another version


@pytest.mark.parametrize(
    ("words", "verb", "answer", "missing"),
    [
        (["report", "windows"], "report.windows", {"periods": [{"period": "day"}]}, "running"),
        (["report", "windows"], "report.windows", {"periods": []}, "day"),
        (["report", "totals"], "other", {}, "report.totals"),
        (["alarms", "list"], "alarms.list", {"alarms": [{"name": "x"}], "kpi": {}}, "first_out"),
        (["alarms", "show", "x"], "alarms.show", {"name": "x"}, "description"),
        (["counters", "list"], "counters.list", [{"name": "x"}], "declared"),
    ],
)
async def test_an_agent_of_another_version_is_told_in_a_sentence(
    tmp_path: Path, words: list[str], verb: str, answer: Any, missing: str
) -> None:
    async def handler(_user: str, _args: Mapping[str, Any]) -> Any:
        return answer

    async with answering(tmp_path / "c.sock", verb, handler) as at:
        for lang, said in (("en", "of another version"), ("zh", "版本不同")):
            done = await asyncio.to_thread(run, *words, *at, "--lang", lang)
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert said in done.stderr and repr(missing) in done.stderr


async def test_the_page_of_another_version_likewise() -> None:
    body = json.dumps({"agent": {"version": "9"}}).encode()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        url = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for words in (["status"], ["watch", "--once"]):
            done = await asyncio.to_thread(run, *words, "--url", url)
            assert done.returncode == 1 and "of another version" in done.stderr, done.stderr
