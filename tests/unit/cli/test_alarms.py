"""``alarms`` as a person types it, against a real console over a real book of alarms."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pwd
import re
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.agent.alarm_desk import alarm_handlers
from edge_agent.cli.alarm_history import COLUMNS, csv_line, harmless
from edge_agent.cli.lengths import length_text, seconds
from edge_agent.cli.output import flat
from edge_agent.console import Console
from edge_agent.control.alarms import AlarmBook, AlarmCommand
from edge_agent.control.excursion import Moment
from edge_agent.model import Event
from edge_agent.testing.clock import ManualClock
from tests.unit.control_alarms.desk import HIGH, START_NS, Desk, S, window

ME = pwd.getpwuid(os.geteuid()).pw_name
LOW = "press-1.pressure.low"


class Scene:
    """An agent reduced to alarms, console and journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(START_NS, 100 * S)
        self.desk = Desk(window(kinds="low high", latch=True, max_shelve_s=3600.0), window("oven-1.zone"))
        self.journal: list[Event] = []
        self.asked: list[int] = []
        handlers = alarm_handlers(self, self.clock, self.announce, self.history)
        self.console = Console(folder / "console.sock", "", handlers)

    @property
    def alarms(self) -> AlarmBook:
        return self.desk.book

    def command(self, command: AlarmCommand, *, mono_ns: int, time_ns: int) -> list[Event]:
        return self.alarms.command(command, Moment(mono_ns, time_ns, mono_ns))

    def announce(self, events: Sequence[Event]) -> None:
        self.journal += events

    async def history(self, start_ns: int, end_ns: int, kinds: frozenset[str], limit: int) -> Sequence[Event]:
        self.asked.append(limit)
        found = [e for e in self.journal if start_ns <= e.time_ns < end_ns and e.kind in kinds]
        return found[-limit:]

    async def run(
        self, *words: str, lang: str = "C.UTF-8", place: str | None = None
    ) -> tuple[int | None, str, str]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge_agent", "alarms", *words,
            "--socket", place or str(self.console.path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"LC_ALL": lang, "PYTHONIOENCODING": "utf-8", "TZ": "UTC"},
        )  # fmt: skip
        async with asyncio.timeout(40):
            out, err = await child.communicate()
        return child.returncode, out.decode(), err.decode()

    async def ok(self, *words: str) -> str:
        code, out, err = await self.run(*words)
        assert (code, err) == (0, ""), (out, err)
        return out


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    assert await made.console.start()
    yield made
    await made.console.close()


async def test_a_shift(scene: Scene) -> None:
    scene.journal += scene.desk.comes()
    out = await scene.ok("list")
    line = next(line for line in out.splitlines() if line.startswith(HIGH))
    assert "ACTIVE" in line and "medium" in line and "5.2" in line
    assert LOW not in out and LOW in await scene.ok("list", "--all")

    assert "active, acknowledged" in await scene.ok("ack", HIGH)
    assert scene.journal[-1].kind == "alarm_acknowledged"
    assert scene.journal[-1].detail["user"] == ME, "whoever runs the command"
    shown = await scene.ok("show", HIGH)
    assert ME in shown and "bar" in shown

    scene.journal += scene.desk.goes()
    assert "normal" in await scene.ok("reset", "press-1.*")
    assert scene.alarms.letter(HIGH) == "A"
    assert HIGH not in await scene.ok("list")


async def test_shelving(scene: Scene) -> None:
    out = await scene.ok("shelve", HIGH, "--for", "30min", "--reason", "sensor is being replaced")
    assert "shelved" in out
    (event,) = scene.journal
    assert event.detail["until_ns"] == START_NS + 1800 * S
    assert event.detail["comment"] == "sensor is being replaced"
    listed = json.loads(await scene.ok("list", "--json"))
    assert listed["alarms"][0]["comment"] == "sensor is being replaced"
    code, out, err = await scene.run("shelve", LOW, "--for", "2h", "--reason", "x")
    assert (code, out) == (1, "") and "1 h at most" in err
    await scene.ok("unshelve", HIGH)
    assert scene.journal[-1].detail["reason"] == "by command"
    await scene.ok("suppress", HIGH, "--reason", "overhaul")
    assert scene.alarms.letter(HIGH) == "I"
    await scene.ok("unsuppress", "--all")
    assert scene.alarms.letter(HIGH) == "A"


async def test_everything_at_once(scene: Scene) -> None:
    for name, kind in (("press-1.pressure", "low"), ("press-1.pressure", "high"), ("oven-1.zone", "high")):
        scene.desk.comes(name, kind)
    done = json.loads(await scene.ok("ack", "--all", "--json"))
    assert len(done["alarms"]) == 3 and {e.kind for e in scene.journal} == {"alarm_acknowledged"}
    assert "silenced" in await scene.ok("silence")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("ack", "press-9.x.high"), 1, "no alarm"),
        (("ack", HIGH), 1, "normal"),
        (("show", "nobody"), 1, "no alarm"),
        (("ack",), 2, "--all"),
        (("ack", HIGH, "--all"), 2, "--all"),
        (("shelve", HIGH, "--for", "30min"), 2, "--reason"),
        (("shelve", HIGH, "--reason", "x"), 2, "--for"),
        (("shelve", HIGH, "--reason", "x", "--for", "soon"), 2, "--for"),
        (("shelve", HIGH, "--reason", "x", "--for", "30"), 2, "--for: '30' has no unit: write 30min"),
        (("suppress", HIGH), 2, "--reason"),
        (("show", "press-1.pressure"), 1, f"{LOW}, {HIGH}"),
        (("ack", "press-1.pressure"), 1, "is a window"),
        (("history", "--since", "2099-01-01"), 2, "2099-01-01 00:00:00+08:00 is still to come"),
        (("history", "--since", "8"), 2, "has no unit: write 8min"),
        (("history", "--since", "2025-12-31", "--until", "2025-12-30"), 2, "is not after --since 2025-12-31"),
        (("export", "no/such/folder/a.csv"), 2, "there is no directory no/such/folder: make it first"),
        (("history", "--since", "yesterday"), 2, "8h"),
        (("export", "out.txt", "--since", "x"), 2, "8h"),
        (("explode",), 2, "explode"),
    ],
)
async def test_what_is_refused_says_why(scene: Scene, words: tuple[str, ...], code: int, says: str) -> None:
    found, out, err = await scene.run(*words)
    assert (found, out) == (code, "") and says in err
    assert not scene.journal


async def test_refusals_in_chinese(scene: Scene) -> None:
    code, _, err = await scene.run("ack", HIGH, lang="zh_CN.UTF-8")
    assert code == 1 and "正常" in err
    code, out, _ = await scene.run("list", lang="zh_CN.UTF-8")
    assert code == 0 and "报警" in out


async def test_nobody_there_and_nobody_let_in(scene: Scene) -> None:
    code, _, err = await scene.run("list", place=str(scene.folder / "nothing.sock"))
    assert code == 4 and "systemctl status edge-agent" in err and "nothing.sock" in err


async def test_history_tells_when_a_window_was_unknown(scene: Scene) -> None:
    """Why an alarm did not come."""
    detail = {"reason": "bad_comm"}
    scene.journal.append(Event("window_unknown", "press-1.pressure", START_NS, 0, "v1", detail))
    out = await scene.ok("history", "--since", "2025-12-31")
    assert "window unknown" in out and "bad_comm" in out


async def test_history_and_export(scene: Scene) -> None:
    scene.journal += scene.desk.comes(value=-3.5)
    scene.journal.append(Event("excursion_begin", "press-1.pressure", START_NS, 0, "v1", {"value": 5.2}))
    scene.journal.append(Event("config_changed", "configuration", START_NS, 0, "v1", {}))
    await scene.ok("ack", HIGH, "--reason", '=HYPERLINK(1), "ming"\nhua')
    out = await scene.ok("history", "--since", "2025-12-31")
    assert "raised" in out and "acknowledged" in out and "excursion begins" in out and "config" not in out
    lines = (await scene.ok("history", "--since", "2025-12-31", "--name", "*.high", "--json")).splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["alarm_raised", "alarm_acknowledged"]
    assert "raised" not in await scene.ok("history", "--since", "2025-12-30", "--until", "2025-12-31")

    book = scene.folder / "alarms.csv"
    assert "3 events" in await scene.ok("export", str(book), "--since", "2025-12-31")
    raw = book.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines(keepends=True)))
    assert [row["kind"] for row in rows] == ["alarm_raised", "excursion_begin", "alarm_acknowledged"]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["alarm"], rows[0]["window"], rows[0]["value"]) == (HIGH, "press-1.pressure", "-3.5")
    assert (rows[0]["time"], rows[0]["annunciated"]) == ("2026-01-01 08:00:00+08:00", "true")
    assert [(row["before"], row["before_state"], row["after_state"]) for row in rows] == [
        ("A", "normal", "ACTIVE"),
        ("", "", ""),
        ("B", "ACTIVE", "active, acknowledged"),
    ]
    assert rows[1]["window"] == "press-1.pressure" and rows[1]["alarm"] == ""
    assert rows[2]["comment"] == '\'=HYPERLINK(1), "ming"\nhua', "Excel must not calculate it"
    assert rows[2]["user"] == ME

    lines_file = scene.folder / "alarms.jsonl"
    await scene.ok("export", str(lines_file), "--since", "2025-12-31")
    exported = [json.loads(line) for line in lines_file.read_text(encoding="utf-8").splitlines()]
    stored = [event for event in scene.journal if event.kind != "config_changed"]
    assert [(e["kind"], e["source"], e["time_ns"], e["detail"]) for e in exported] == [
        (event.kind, event.source, event.time_ns, event.detail) for event in stored
    ]


async def test_a_history_without_a_hit_says_so(scene: Scene) -> None:
    scene.journal += scene.desk.comes()
    out = await scene.ok("history", "--since", "2025-12-31", "--name", "*.hgih")
    assert "'*.hgih'" in out and "2025-12-31 00:00:00+08:00" in out and HIGH in out
    out = await scene.ok("history", "--since", "2025-12-30", "--until", "2025-12-31")
    assert out.startswith("nothing happened from 2025-12-30 00:00:00+08:00 to 2025-12-31 00:00:00+08:00")
    code, out, err = await scene.run("history", "--since", "2025-12-31", "--name", "x", "--json")
    assert (code, out) == (0, "") and "'x'" in err
    _, out, _ = await scene.run("history", "--since", "1h", lang="zh_CN.UTF-8")
    assert "没有事件" in out


async def test_all_times_are_those_of_beijing(scene: Scene) -> None:
    """Whatever the zone of the machine is: what is printed and what is typed."""
    scene.journal += scene.desk.comes()
    assert "2026-01-01 08:00:00+08:00" in await scene.ok("list")
    span = ("--since", "2026-01-01T08:00", "--until", "2026-01-01T08:01")
    assert "2026-01-01 08:00:00+08:00" in await scene.ok("history", *span)


async def test_everything_about_one_alarm(scene: Scene) -> None:
    scene.desk.comes(quality="good")
    await scene.ok("suppress", HIGH, "--reason", "overhaul")
    assert [line.split("  ")[0] for line in (await scene.ok("show", HIGH)).splitlines()] == [
        HIGH, "what", "window", "limit watched", "tag", "priority", "standards", "state",
        "in this state since", "last value", "limit", "deadband", "quality", "acknowledged", "latched",
        "first of its group", "came last", "announced last", "put aside by", "put aside because",
    ]  # fmt: skip
    out = await scene.ok("show", HIGH)
    said = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in out.splitlines()}
    assert (said["state"], said["limit watched"], said["standards"]) == ("out of service", "high", "GB-1@2")
    assert (said["last value"], said["limit"], said["deadband"]) == ("5.2 bar", "5 bar", "0.5 bar")
    assert (said["acknowledged"], said["latched"]) == ("no", "yes"), "words for yes and no"
    code, out, _ = await scene.run("show", HIGH, lang="zh_CN.UTF-8")
    assert code == 0 and "已停用" in out and "上限" in out and "监视的限值" in out
    left = out.replace(HIGH, "").replace("press-1.pressure", "").replace("GB-1@2", "").replace(ME, "")
    assert not re.search(r"[a-z]{3,}", left.replace("bar", "").replace("overhaul", "")), left


async def test_a_list_says_that_its_value_is_the_last_one(scene: Scene) -> None:
    scene.desk.comes()
    assert "last value" in (await scene.ok("list")).splitlines()[1]
    _, out, _ = await scene.run("list", lang="zh_CN.UTF-8")
    assert "最近值" in out


async def test_an_export_that_is_refused_leaves_the_file_alone(scene: Scene) -> None:
    book = scene.folder / "alarms.csv"
    book.write_text("last month")
    code, _, _ = await scene.run("export", str(book), place=str(scene.folder / "nothing.sock"))
    assert code == 4 and book.read_text() == "last month"


async def test_a_long_history_is_fetched_in_pages(scene: Scene) -> None:
    """Stamps that are not in order and many events of one moment lose none and repeat none."""
    for n in range(4500):
        time_ns = START_NS + (n // 50) * S - (S if n % 7 == 0 else 0)
        scene.journal.append(Event("alarm_raised", f"w{n}.high", time_ns, 0, "v1", {"n": n}))
    file = scene.folder / "all.jsonl"
    assert "4500 events" in await scene.ok("export", str(file), "--since", "2025-12-31")
    numbers = [json.loads(line)["detail"]["n"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted(numbers) == list(range(4500)) and len(scene.asked) > 2


@pytest.mark.parametrize(
    ("cell", "harmless_cell"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-5.5", "-5.5"), ("-x", "'-x"), ("@a", "'@a"), ("5", "5"), ("", "")],
)
def test_cells_that_excel_would_calculate(cell: str, harmless_cell: str) -> None:
    assert harmless(cell) == harmless_cell


def test_a_line_of_an_excursion_has_all_columns() -> None:
    event: dict[str, Any] = {
        "kind": "excursion_end", "source": "a.x", "time_ns": START_NS, "config_version": "v", "detail": {}
    }  # fmt: skip
    assert len(next(csv.reader([csv_line(event)]))) == len(COLUMNS)


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        ("30min", 1800.0), ("8h", 28_800.0), ("7d", 604_800.0), ("1.5 h", 5400.0), ("90s", 90.0),
        ("30", None), ("-1h", None), ("h", None), ("", None),
    ],
)  # fmt: skip
def test_lengths_of_time(text: str, length_s: float | None) -> None:
    assert seconds(text) == length_s


@pytest.mark.parametrize(
    ("length_s", "text"),
    [
        (28_800, "8 h"), (1800, "30 min"), (5400, "1 h 30 min"), (0.25, "0.25 s"), (90, "1 min 30 s"),
        (59.999, "60 s"), (604_800, "7 d"), (90_061, "1 d 1 h"), (86_460, "1 d"), (0, "0 s"),
    ],
)  # fmt: skip
def test_lengths_as_people_say_them(length_s: float, text: str) -> None:
    assert length_text(length_s) == text
    assert list(flat({"kept_s": length_s})) == [("kept", text)]
