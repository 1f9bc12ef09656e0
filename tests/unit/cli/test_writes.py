"""``writes`` and ``write`` against a real console, desk and guard, and an executor that always obeys."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.write_desk import value_of, write_handlers
from edge_agent.cli import main
from edge_agent.cli.write_words import headline
from edge_agent.config.process import TagRef
from edge_agent.config.writing import WriteLevel
from edge_agent.console import Console
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Outcome, Permit, Refusal, WriteRequest
from edge_agent.model import Event
from tests.unit.control_guard.bench import HORN, OVEN, SETPOINT, TAGS, WRITING, Bench, with_writable

ME = pwd.getpwuid(os.getuid()).pw_name


class Turned:
    """The clock of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def mono_ns(self) -> int:
        return self.bench.now.mono_ns

    def time_ns(self) -> int:
        return self.bench.now.time_ns

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError("the desk never waits")


class Desk:
    """An agent's console as far as writes go. ``said``: kinds of the events that were announced."""

    def __init__(self, directory: Path, bench: Bench) -> None:
        self.bench = bench
        self.said: list[str] = []
        self.requests: list[WriteRequest] = []
        self.read_back: int | None = None  # instead of what was written
        self.path = directory / "console.sock"
        handlers = write_handlers(bench.guard, self.execute, Turned(bench), self.announce, bench.plant)
        self.console = Console(self.path, "", handlers)

    def announce(self, events: Sequence[Event], states: Mapping[str, Any]) -> None:
        self.said += [event.kind for event in events]
        self.bench.states |= states

    async def execute(self, request: WriteRequest) -> Outcome:
        self.requests.append(request)
        decision = self.bench.judge(request)
        if isinstance(decision, Refusal):
            return Outcome.refused(decision)
        decision = self.bench.guard.before(decision, self.bench.held[decision.ref], self.bench.now)
        if isinstance(decision, Refusal):
            return Outcome.refused(decision)
        verdict = self.bench.guard.verified(decision, self.read_back or decision.raw, self.bench.now)
        if not decision.dry_run:
            self.bench.held[decision.ref] = decision.raw
        return Outcome.of(decision, verdict)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, Bench())
    assert await desk.console.start()
    yield desk
    await desk.console.close()


async def run(desk: Desk, *words: str) -> int:
    return await asyncio.to_thread(main, [*words, "--socket", str(desk.path)])


async def test_arming_writes_the_token_where_only_its_owner_reads_it(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    assert await run(desk, "writes", "arm", "--for", "10min", "--token-file", str(file)) == 0
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and len(token) == 32
    assert token not in "".join(capsys.readouterr())
    assert desk.said == ["write_armed"]
    assert desk.bench.guard.status(desk.bench.now)["armed"]["user"] == ME, "whom the socket proved"
    code = await run(
        desk, "write", "press.setpoint", "62.5", "--token-file", str(file), "--comment", "batch 7"
    )
    assert code == 0 and desk.bench.held[SETPOINT] == 625
    assert capsys.readouterr().out == "press.setpoint: 60 -> 62.5  written and confirmed\n"
    assert (desk.requests[0].user, desk.requests[0].who, desk.requests[0].comment) == (
        ME,
        "operator",
        "batch 7",
    )


async def test_the_token_may_come_from_the_environment(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run(desk, "writes", "arm") == 0
    monkeypatch.setenv("EDGE_AGENT_WRITE_TOKEN", capsys.readouterr().out.strip())
    assert await run(desk, "write", "press.start", "on", "--dry-run", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["kind"], outcome["value"], outcome["before"]) == ("write_dry_run", True, False)


async def test_a_refused_arming_leaves_no_token_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert await run(desk, "writes", "arm", "--for", "2h", "--token-file", str(file)) == 1
    assert not file.exists()
    assert await run(desk, "writes", "arm", "--for", "soon") == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("press.setpoint", "62"), "not_armed"),
        (("press.zone", "1"), "not_listed"),
    ],
)
async def test_a_refusal_is_told_with_its_reason(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    assert await run(desk, "write", *words) == 1
    assert capsys.readouterr().err.startswith(f"refused ({reason}): ")
    assert await run(desk, "write", *words, "--lang", "zh") == 1
    assert capsys.readouterr().err.startswith(f"已拒绝（{reason}）：")


async def test_odd_values_are_refused_and_none_breaks_the_console(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(desk, "writes", "arm")
    monkeypatch.setenv("EDGE_AGENT_WRITE_TOKEN", capsys.readouterr().out.strip())
    for value, reason in (
        ("nan", "not_a_number"), ("-inf", "not_a_number"), ("warm", "type"), ("-5", "out_of_range"),
        ("1e400", "not_a_number"), ("9" * 300, "type_range"), ("true", "type"),
    ):  # fmt: skip
        assert await run(desk, "write", "press.setpoint", value, "--json") == 1
        assert json.loads(capsys.readouterr().out)["reason"] == reason, value
    assert await run(desk, "write", "setpoint", "5") == 1
    assert "DEVICE.TAG" in capsys.readouterr().err


async def test_kill_and_unlock(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(desk, "writes", "kill") == 0
    assert await run(desk, "writes", "kill", "--off") == 1, "without saying why"
    assert "--comment" in capsys.readouterr().err
    assert await run(desk, "writes", "status") == 0
    assert "KILL SWITCH ON" in capsys.readouterr().out
    assert await run(desk, "writes", "arm") == 1
    assert await run(desk, "writes", "kill", "--off", "--comment", "drill over") == 0
    assert await run(desk, "writes", "unlock", "press", "--comment", "x") == 1
    assert "not locked out" in capsys.readouterr().err
    desk.bench.guard.books.device("press").lock("press.setpoint: test", desk.bench.now.time_ns)
    assert await run(desk, "writes", "status") == 0
    assert "press.setpoint: test" in capsys.readouterr().out
    assert await run(desk, "writes", "unlock", "press", "--reason", "valve fixed") == 0
    assert desk.said == ["write_killed", "write_killed", "write_unlocked"]
    assert await run(desk, "writes", "log", "--last", "1") == 0
    assert "write_unlocked" in capsys.readouterr().out


async def test_a_mismatch_is_told_as_such_with_the_way_out(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(desk, "writes", "arm")
    monkeypatch.setenv("EDGE_AGENT_WRITE_TOKEN", capsys.readouterr().out.strip())
    desk.read_back = 600
    assert await run(desk, "write", "press.setpoint", "62.5") == 1
    told = capsys.readouterr().err
    assert told.startswith("press.setpoint: NOT DONE: wrote 62.5, read back 60. press is locked out")
    assert "writes unlock press --comment" in told and "->" not in told
    assert await run(desk, "writes", "status", "--lang", "zh") == 0
    assert "press.setpoint：写入 62.5，读回 60" in capsys.readouterr().out
    assert await run(desk, "writes", "unlock", "press", "--comment", "valve was in manual") == 0
    capsys.readouterr()
    desk.bench.held[SETPOINT] = 600
    desk.bench.wait(5)
    assert await run(desk, "write", "press.setpoint", "62.5", "--lang", "zh") == 1
    told = capsys.readouterr().err
    assert told.startswith("press.setpoint：未完成：写入 62.5，读回 60。设备 press 的写入现已锁定")
    assert await run(desk, "writes", "log") == 0
    assert "valve was in manual" in capsys.readouterr().out
    assert await run(desk, "writes", "log", "--lang", "zh") == 0
    told = capsys.readouterr().out
    assert "写入 62.5，读回 60" in told and "read back" not in told and "valve was in manual" in told


async def test_the_status_tells_what_could_be_written_now(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(desk, "writes", "status") == 0
    told = capsys.readouterr().out
    assert told.startswith("not armed  |") and "press.beat" not in told
    lines = {line.split()[0]: line for line in told.splitlines() if line.startswith(("press.", "oven."))}
    assert lines["press.setpoint"].endswith("once armed") and lines["press.horn"].endswith("ready")
    desk.bench.plant.down.add("press")
    await run(desk, "writes", "arm")
    capsys.readouterr()
    assert await run(desk, "writes", "status") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"armed by {ME} until ") and "NO: device press does not answer" in told
    assert await run(desk, "writes", "status", "--lang", "zh") == 0
    told = capsys.readouterr().out
    assert "否：设备 press 无应答" in told and "操作员" in told and "就绪" in told


async def test_approving_what_somebody_else_asked_for(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    bench = desk.bench
    bench.arm()
    decision = bench.judge(bench.request(OVEN, 210))
    assert isinstance(decision, Refusal)
    assert await run(desk, "writes", "status", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["pending"]
    assert (row["id"], row["tag"], row["value"], row["user"]) == ("a1", "oven.setpoint", 210, "li")
    assert await run(desk, "writes", "approve", "a1") == 0
    assert bench.held[OVEN] == 210
    bench.wait(5)
    decision = bench.judge(bench.request(OVEN, 220, user=ME))
    assert isinstance(decision, Refusal) and decision.pending == "a2"
    capsys.readouterr()
    assert await run(desk, "writes", "approve", "a2") == 1
    assert "another person" in capsys.readouterr().err


async def test_disarming_twice(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    await run(desk, "writes", "arm")
    capsys.readouterr()
    assert await run(desk, "writes", "disarm") == 0
    assert capsys.readouterr().out == "disarmed\n"
    assert await run(desk, "writes", "disarm") == 0
    assert desk.said == ["write_armed", "write_disarmed"]


async def test_without_an_agent(tmp_path: Path) -> None:
    assert await asyncio.to_thread(main, ["writes", "status", "--socket", str(tmp_path / "none.sock")]) == 4


async def test_a_recommendation_is_closed_by_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, Bench(replace(WRITING, level=WriteLevel.RECOMMEND)))
    assert await desk.console.start()
    try:
        assert await run(desk, "write", "press.setpoint", "62") == 1
        assert "refused (recommended)" in capsys.readouterr().err
        assert await run(desk, "writes", "approve", "r1") == 0
        assert "writes nothing" in capsys.readouterr().out
        assert desk.bench.held[SETPOINT] == 600
        assert desk.said == ["write_approved"]
    finally:
        await desk.console.close()


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("setpoint", "62", 62),
        ("setpoint", "62.0", 62.0),
        ("setpoint", "1e2", 100.0),
        ("setpoint", "６２", 62),
        ("setpoint", "on", "on"),
        ("start", "1", True),
        ("start", "OFF", False),
        ("start", "2", "2"),
    ],
)
def test_what_a_person_types(tag: str, text: str, value: object) -> None:
    found = value_of(text, TAGS[TagRef("press", tag)])
    assert found == value and type(found) is type(value)


def test_status_shows_outputs_that_do_not_do_what_they_are_told() -> None:
    from edge_agent.cli.write_words import status_tables

    bench = Bench()
    permit = bench.judge(bench.request(HORN, True, who="annunciation"))
    assert isinstance(permit, Permit)
    permit = bench.guard.before(permit, False, bench.now)
    assert isinstance(permit, Permit)
    bench.guard.verified(permit, False, bench.now)
    _, table = status_tables(bench.guard.status(bench.now))
    assert table.rows[0][:4] == ["press.horn", "1", "0", "1"]


def test_status_shows_what_is_to_be_taken_back() -> None:
    from edge_agent.cli.write_words import status_tables

    bench = Bench(with_writable(SETPOINT, ttl_s=60.0))
    bench.arm()
    bench.write(bench.request(value=62.0))
    bench.wait(10)
    (table,) = status_tables(bench.guard.status(bench.now))
    assert table.rows[0][-2:] == ["60", "50 s"]
    assert isinstance(bench.now, Moment)


def test_the_headline_of_the_agent_tells_of_writing_only_what_matters() -> None:
    bench = Bench(replace(WRITING, dry_run=True))
    rest = bench.guard.status(bench.now)
    assert headline(rest) == ["DRY RUN"]
    assert headline({}) == [] and headline(rest | {"dry_run": False}) == []
    bench.arm(user="li")
    told = headline(bench.guard.status(bench.now))
    assert told[0].startswith("armed by li until ") and told[1] == "DRY RUN"
    bench.guard.kill("wang", True, bench.now)
    assert headline(bench.guard.status(bench.now))[0] == "KILL SWITCH ON, set by wang"
