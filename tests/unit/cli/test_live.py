"""``status`` and ``watch`` against a web server over a board made by hand, each as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from edge_agent.cli.table import width
from edge_agent.config.model import WebConfig
from edge_agent.status import Board, DeviceRow
from edge_agent.testing.clock import ManualClock
from edge_agent.web import Sources, Web
from tests.unit.metrics.board import BUFFER, MONO_NS, SECOND_NS, TIME_NS, WINDOW, make_board


class Scene:
    def __init__(self) -> None:
        self.board: Board = make_board()
        self.clock = ManualClock(TIME_NS, MONO_NS)
        self.web = Web(WebConfig(port=0), Sources(self.board, self.clock))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-m", "edge_agent", *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip

    async def run(self, *words: str) -> tuple[int | None, str, str]:
        async with asyncio.timeout(40):
            child = await self.start(*words, "--url", self.url)
            out, err = await child.communicate()
        return child.returncode, out.decode(), err.decode()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    assert await made.web.start()
    yield made
    await made.web.close()


async def test_status_as_tables(scene: Scene) -> None:
    code, out, err = await scene.run("status")
    assert (code, err) == (0, "")
    assert "press-line-1" in out and "3fa2c1d09b77" in out
    device = next(line for line in out.splitlines() if line.startswith("oven-1"))
    assert "not connected" in device and "no connection" in device
    assert any("press-1.pressure" in line and "inside" in line for line in out.splitlines())
    assert any(line.startswith("press-1 ") and "wrote 5, read back 4" in line for line in out.splitlines())
    assert any(line.startswith("park") and " 4000 " in line and " 800 " in line for line in out.splitlines())


async def test_status_in_chinese_is_aligned(scene: Scene) -> None:
    _, out, _ = await scene.run("status", "--lang", "zh")
    lines = out.splitlines()
    start = lines.index("设备") + 1
    headings, *rows = lines[start : start + 3]
    assert width(headings[: headings.index("状态")]) == width(rows[0][: rows[0].index("正常")])
    assert width(headings[: headings.index("状态")]) == width(rows[1][: rows[1].index("未连接")])


async def test_status_as_json(scene: Scene) -> None:
    code, out, _ = await scene.run("status", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["uplinks"][0]["acknowledged_samples"] == 4000
    assert answer["writes"]["locked"][0]["device"] == "press-1"


async def test_status_shows_of_the_buffer_what_a_technician_acts_upon(scene: Scene) -> None:
    scene.board.buffer = lambda: BUFFER | {"last_flush_s": 0.02}
    _, out, _ = await scene.run("status")
    lines = out[out.index("\nBuffer\n") :].strip().splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "state", "full", "an outage may last", "samples lost since start", "samples set aside",
    ]  # fmt: skip
    assert [line.split("  ")[-1].strip() for line in lines[2:]] == [
        "ok", "0.0%", "33 d 20 h", "0 and 1 times an unknown number", "0",
    ]  # fmt: skip
    _, out, _ = await scene.run("status", "--all")
    rows = [line.split()[0] for line in out[out.index("\nBuffer\n") :].strip().splitlines()[2:]]
    assert {"epoch", "wal_bytes", "last_flush", "last_flush_took"} < set(rows)
    assert len(set(rows)) == len(rows)


async def test_status_tells_reasons_in_the_language_of_the_reader(scene: Scene) -> None:
    scene.board.windows = lambda: [
        WINDOW | {"state": "unknown", "reason": "bad_comm"},
        WINDOW | {"name": "b", "state": "out", "reason": "high, hihi"},
    ]
    scene.board.uplinks["park"].turn(False, "connected, nothing delivered yet", TIME_NS)
    _, out, _ = await scene.run("status", "--lang", "zh")
    assert "通信失败\n" in out and "上限、上上限\n" in out and "已连接，尚未送达数据\n" in out


@pytest.mark.parametrize("verb", [("status",), ("watch", "--once")])
async def test_the_agent_of_another_line_is_told(verb: tuple[str, ...], scene: Scene, tmp_path: Path) -> None:
    """Two configurations with the same port: the second agent runs without a page, the first one answers."""
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
        text = f"line: line-{name}\nweb: {{port: {scene.web.port}}}\n"
        (tmp_path / name / "edge-agent.yaml").write_text(text, encoding="utf-8")

    async def asked(of: str) -> str:
        child = await scene.start(*verb, "--config", str(tmp_path / of))
        _, err = await child.communicate()
        assert child.returncode == 0
        return err.decode()

    scene.board.line, scene.board.config_directory = "line-d", str(tmp_path / "d")
    assert await asked("d") == ""
    told = await asked("e")
    assert told.startswith("warning: ") and "web.port" in told
    assert f"line line-d ({tmp_path / 'd'})" in told and f"line line-e ({tmp_path / 'e'})" in told
    scene.board.config_directory = ""  # it does not say
    assert await asked("d") == "" and "line line-d" in await asked("e")


async def test_status_says_that_the_configuration_is_not_the_one_on_disk(scene: Scene) -> None:
    scene.board.config_source, scene.board.config_reload_ok = "last_good", False
    told = {"place": "devices.d/press-1.yaml:4:8", "code": "E-CFG-020", "en": "unknown key", "zh": "未知的键"}
    scene.board.config_problems = (told,)
    _, out, _ = await scene.run("status")
    assert "LAST GOOD ONE" in out and "RELOAD FAILED" in out
    assert "devices.d/press-1.yaml:4:8: E-CFG-020 unknown key\n" in out
    _, out, _ = await scene.run("status", "--lang", "zh")
    assert "devices.d/press-1.yaml:4:8: E-CFG-020 未知的键\n" in out
    config = json.loads((await scene.run("status", "--json"))[1])["config"]
    assert config["problems"] == ["devices.d/press-1.yaml:4:8: E-CFG-020 unknown key"]
    assert config["problem_texts"] == [told]


async def test_watch_once(scene: Scene) -> None:
    code, out, err = await scene.run("watch", "--once")
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if " pressure " in line)
    assert line.split() == ["press-1", "pressure", "0.41", "MPa", "good", "0.1", "s", "inside"]
    assert "9007199254740993" in out  # exact
    bad = next(line for line in out.splitlines() if "充注温度" in line)
    assert bad.split()[2:] == ["°C", "no", "answer", "0.1", "s"]  # no value
    gone = next(line for line in out.splitlines() if " zone1 " in line)  # young, but its device is gone
    assert gone.split()[2:] == ["°C", "too", "old", "11.0", "s"]


async def test_watch_shows_what_a_number_means(scene: Scene) -> None:
    group = scene.board.devices["press-1"].groups["fast"]
    position = group.schema.names.index("meter")
    group.labels = {position: {9007199254740993: "满"}}
    _, out, _ = await scene.run("watch", "--once")
    headings, *rows = out.splitlines()
    assert headings.split()[-1] == "meaning"
    assert [row.split()[-1] for row in rows if " meter " in row] == ["满"]
    _, out, _ = await scene.run("watch", "--once", "--json")
    labelled = {row["tag"]: row["label"] for row in map(json.loads, out.splitlines()) if "label" in row}
    assert labelled == {"meter": "满"}


async def test_watch_shows_no_old_number(scene: Scene) -> None:
    await scene.clock.advance(60)
    _, out, _ = await scene.run("watch", "--once", "press-1")
    assert "0.41" not in out and "too old" in out and "60.1 s" in out
    assert "oven-1" not in out


async def test_watch_as_json_lines(scene: Scene) -> None:
    scene.board.windows = lambda: [WINDOW, WINDOW | {"name": "second", "state": "unknown"}]
    _, out, _ = await scene.run("watch", "--once", "--json")
    rows = {row["tag"]: row for row in map(json.loads, out.splitlines())}
    assert (
        rows["pressure"]["value"] == 0.41 and rows["pressure"]["window"] == "unknown"
    )  # the worse of the two
    assert rows["充注温度"]["value"] is None and rows["充注温度"]["window"] is None
    assert rows["pressure"]["now_ns"] == TIME_NS and rows["pressure"]["time_ns"] == TIME_NS - SECOND_NS // 10


async def test_watch_refuses_a_device_that_is_not_there(scene: Scene) -> None:
    code, out, err = await scene.run("watch", "--once", "press-9")
    assert (code, out) == (2, "") and "press-1" in err


async def test_watch_knows_the_virtual_device_before_it_has_a_value(scene: Scene) -> None:
    scene.board.devices["derived"] = DeviceRow("derived", "derived", "")
    code, out, err = await scene.run("watch", "--once", "derived")
    assert (code, err) == (0, "derived has no value yet\n") and "press-1" not in out


async def test_watch_goes_on_when_the_agent_ends_and_shows_nothing_as_live(scene: Scene) -> None:
    child = await scene.start("watch", "--plain", "press-1", "--url", scene.url)
    assert child.stdout is not None
    try:
        async with asyncio.timeout(40):
            while b"0.41" not in await child.stdout.readline():
                pass
            await scene.web.close()
            while b"does not answer any more" not in await child.stdout.readline():
                pass
            heading = await child.stdout.readline()
            assert heading.startswith(b"device")
            assert (await child.stdout.readline()).strip() == b""
            child.send_signal(signal.SIGINT)
            rest, err = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()
    assert (child.returncode, err.strip()) == (130, b"") and b"0.41" not in rest


async def test_an_answer_that_is_no_agent_is_4(scene: Scene) -> None:
    """Another program on that port."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        child = await scene.start("status", "--url", f"127.0.0.1:{port}")
        out, err = await child.communicate()
    assert (child.returncode, out) == (4, b"") and b"404" in err and b"Traceback" not in err


async def test_on_a_terminal_the_view_is_drawn_in_place(scene: Scene) -> None:
    ours, theirs = os.openpty()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", "watch", "--url", scene.url,
        stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"LC_ALL": "C.UTF-8", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    try:
        drawn = b""
        async with asyncio.timeout(40):
            while drawn.count(b"pressure") < 2:  # drawn again after a second, over the first
                drawn += await asyncio.to_thread(os.read, ours, 65536)
            child.send_signal(signal.SIGINT)
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        os.close(ours)
    assert child.returncode == 130 and b"Traceback" not in drawn
    assert b"\x1b[1A" in drawn  # the cursor went up
