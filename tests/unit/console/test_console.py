"""The console over a real socket: who asks, what is answered, and whom a bad client can hurt."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import pwd
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.cli.console_client import NotAllowed, ask
from edge_agent.console import Console, console_path
from edge_agent.console import console as serving
from edge_agent.console.peer import Nameless, name_of
from edge_agent.console.protocol import MAX_REQUEST
from edge_agent.control.alarms import CommandRefused
from edge_agent.errors import LinesideError
from edge_agent.settings import Text

ME = pwd.getpwuid(os.geteuid()).pw_name
MY_GROUP = grp.getgrgid(os.getegid()).gr_name


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def raw(self, line: bytes) -> Any:
        self.writer.write(line)
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> Any:
        async with asyncio.timeout(10):
            return json.loads(await self.reader.readline())

    async def ask(self, verb: str, **args: Any) -> Any:
        return await self.raw(json.dumps({"verb": verb, "args": args}).encode() + b"\n")


class Scene:
    def __init__(self, path: Path, group: str = "") -> None:
        self.gate = asyncio.Event()
        self.waiting = 0
        self.clients: list[Client] = []
        self.console = Console(
            path,
            group,
            {
                "who": self.who,
                "refuse": self.refuse,
                "plain": self.plain,
                "bug": self.bug,
                "wait": self.wait,
                "big": self.big,
                "no.json": self.no_json,
            },
        )

    async def who(self, user: str, args: Mapping[str, Any]) -> Any:
        return {"user": user, "args": dict(args)}

    async def refuse(self, user: str, args: Mapping[str, Any]) -> Any:
        raise CommandRefused(Text("no, because", "不行，因为"))

    async def plain(self, user: str, args: Mapping[str, Any]) -> Any:
        raise LinesideError("the disk is full")

    async def bug(self, user: str, args: Mapping[str, Any]) -> Any:
        return {}["nothing"]

    async def wait(self, user: str, args: Mapping[str, Any]) -> Any:
        self.waiting += 1
        await self.gate.wait()
        return "done"

    async def big(self, user: str, args: Mapping[str, Any]) -> Any:
        return "x" * 8_000_000

    async def no_json(self, user: str, args: Mapping[str, Any]) -> Any:
        return float("nan")

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_unix_connection(str(self.console.path), limit=1 << 24))
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            client.writer.transport.abort()
        await self.console.close()


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server has nothing to wait for
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path / "console.sock")
    assert await made.console.start() and made.console.problem is None
    yield made
    await made.close()


async def test_the_kernel_says_who_asks(scene: Scene) -> None:
    client = await scene.connect()
    assert await client.ask("who", user="somebody-else") == {
        "ok": True,
        "result": {"user": ME, "args": {"user": "somebody-else"}},
    }
    assert (await client.raw(b'{"verb": "who", "user": "root2"}\n'))["result"]["user"] == ME
    with pytest.raises(Nameless):
        name_of(65_534)
    assert name_of(4_000_111) == "uid:4000111" and name_of(0) == "root"


async def test_refusals_in_both_languages_and_bugs_as_a_sentence(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    client = await scene.connect()
    assert await client.ask("refuse") == {"ok": False, "error": "no, because", "error_zh": "不行，因为"}
    assert (await client.ask("plain"))["error"] == "the disk is full"
    for verb in ("bug", "no.json"):
        answer = await client.ask(verb)
        assert not answer["ok"] and "log" in answer["error"] and "Traceback" not in answer["error"]
    assert caplog.text.count("console request failed") == 2
    assert (await client.ask("who"))["ok"], "the connection lives on"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"verb": 3}\n',
        b'{"verb": "who", "args": []}\n',
        b"[" * 30_000 + b"\n",
    ],
)
async def test_what_is_not_a_request(scene: Scene, line: bytes) -> None:
    client = await scene.connect()
    answer = await client.raw(line)
    assert not answer["ok"] and answer["error"] and answer["error_zh"]
    assert (await client.ask("who"))["ok"]


async def test_an_unknown_verb_names_the_known_ones(scene: Scene) -> None:
    client = await scene.connect()
    answer = await client.ask("alarms.explode")
    assert "alarms.explode" in answer["error"] and "who" in answer["error"]


async def test_a_request_has_a_largest_size(scene: Scene) -> None:
    client = await scene.connect()
    answer = await client.raw(b'{"verb": "who", "args": {"x": "' + b"x" * MAX_REQUEST + b'"}}\n')
    assert not answer["ok"] and str(MAX_REQUEST) in answer["error"]
    assert await client.reader.read() == b"", "and that was the end of the connection"
    assert (await (await scene.connect()).ask("who"))["ok"]


async def test_a_waiting_request_holds_up_nobody(scene: Scene) -> None:
    slow, quick = await scene.connect(), await scene.connect()
    waiting = asyncio.create_task(slow.ask("wait"))
    for _ in range(5):
        assert (await quick.ask("who"))["ok"]
    assert not waiting.done()
    scene.gate.set()
    assert (await waiting)["result"] == "done"


async def test_a_client_that_does_not_read_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ANSWER_S", 0.2)
    deaf, quick = await scene.connect(), await scene.connect()
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    deaf.writer.write(b'{"verb": "big"}\n')
    assert (await quick.ask("who"))["ok"]
    await eventually(lambda: len(scene.console._clients) == 1)
    assert (await quick.ask("who"))["ok"]


async def test_a_silent_client_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_S", 0.1)
    client = await scene.connect()
    async with asyncio.timeout(10):
        assert await client.reader.read() == b""


async def test_so_many_clients_and_no_more(scene: Scene) -> None:
    clients = [await scene.connect() for _ in range(serving.MAX_CLIENTS)]
    for client in clients:
        assert (await client.ask("who"))["ok"]
    refused = await scene.connect()
    assert "too many" in (await refused.answer())["error"]
    refused.writer.close()
    clients[0].writer.close()
    await eventually(lambda: len(scene.console._clients) == serving.MAX_CLIENTS - 1)
    assert (await (await scene.connect()).ask("who"))["ok"]


async def test_hanging_up_in_the_middle_hurts_nobody(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    for said in (b"", b'{"verb": "wh', b'{"verb": "big"}\n', b'{"verb": "wait"}\n'):
        client = await scene.connect()
        client.writer.write(said)
        await client.writer.drain()
        client.writer.transport.abort()
    assert (await (await scene.connect()).ask("who"))["ok"]
    assert not caplog.records


# The file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def gid(path: Path) -> int:
    return path.stat().st_gid


def open_to(path: Path, mode: int) -> None:
    path.chmod(mode)


async def test_only_the_owner_may_connect_without_a_group(scene: Scene) -> None:
    assert mode(scene.console.path) == 0o600


async def test_a_group_may_connect(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "console.sock", MY_GROUP)
    assert await scene.console.start() and scene.console.problem is None
    assert mode(scene.console.path) == 0o660
    assert gid(scene.console.path) == os.getegid()
    await scene.close()


async def test_the_runtime_directory_is_opened_to_the_same_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = grp.getgrnam("daemon") if os.geteuid() == 0 else grp.getgrgid(os.getegid())
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = gid(elsewhere)
    for folder in (tmp_path, elsewhere):
        scene = Scene(folder / "console.sock", group.gr_name)
        assert await scene.console.start() and scene.console.problem is None
        assert gid(scene.console.path) == group.gr_gid
        await scene.close()
    assert gid(tmp_path) == group.gr_gid and gid(elsewhere) == before


async def test_an_unknown_group_lets_nobody_in_and_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "console.sock", "no-such-group")
    assert await scene.console.start(), "root and the agent's own user can still ask"
    assert scene.console.problem is not None and "no-such-group" in scene.console.problem.en
    assert mode(scene.console.path) == 0o600
    await scene.close()


async def test_a_dead_agents_socket_is_replaced_and_ours_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    scene = Scene(path)
    assert await scene.console.start()
    assert (await (await scene.connect()).ask("who"))["ok"]
    await scene.close()
    assert not path.exists()
    await scene.console.close()


async def test_a_living_agents_socket_is_left_alone(scene: Scene) -> None:
    second = Scene(scene.console.path)
    assert not await second.console.start()
    assert second.console.problem is not None and "another agent" in second.console.problem.en
    await second.console.close()
    assert (await (await scene.connect()).ask("who"))["ok"]


async def test_a_socket_that_is_not_ours_any_more_stays(scene: Scene) -> None:
    path = scene.console.path
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        await scene.console.close()
        assert path.exists()


async def test_what_is_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    path.write_text("a letter")
    scene = Scene(path)
    assert not await scene.console.start()
    assert path.read_text() == "a letter"
    problem = scene.console.problem
    assert problem is not None and str(path) in problem.en and str(path) in problem.zh


@pytest.mark.parametrize(
    ("name", "why"), [("x" * 120, "107 bytes"), ("missing/console.sock", "No such file")]
)
async def test_a_place_that_cannot_be(tmp_path: Path, name: str, why: str) -> None:
    scene = Scene(tmp_path / name)
    assert not await scene.console.start()
    assert scene.console.problem is not None and why in scene.console.problem.en
    await scene.close()


@pytest.mark.parametrize("under_way", [True, False])
async def test_close_cuts_off_whoever_is_there(scene: Scene, under_way: bool) -> None:
    client = await scene.connect()
    client.writer.write(b'{"verb": "wait"}\n')
    if under_way:
        await eventually(lambda: scene.waiting == 1)
    async with asyncio.timeout(5):
        await scene.console.close()
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
    assert not scene.console._clients


def test_where_the_socket_is() -> None:
    state = Path("/var/lib/edge-agent")
    run = {"RUNTIME_DIRECTORY": "/run/edge-agent"}
    assert console_path(None, state, run) == Path("/run/edge-agent/console.sock")
    assert console_path(None, state, {}) == state / "console.sock"
    assert console_path(Path("/x/y"), state, run) == Path("/x/y")


@contextlib.contextmanager
def another_user() -> Iterator[str]:
    """For what it encloses this process is somebody else, where it may become somebody else."""
    if os.geteuid() != 0:
        yield ME
        return
    os.seteuid(12_345)
    try:
        yield "uid:12345"
    finally:
        os.seteuid(0)


async def test_another_user_is_another_name() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder) / "console.sock")
        assert await scene.console.start()
        open_to(Path(folder), 0o755)
        open_to(scene.console.path, 0o666)
        connection = socket.socket(socket.AF_UNIX)
        with another_user() as name:
            connection.connect(str(scene.console.path))
        client = Client(*await asyncio.open_unix_connection(sock=connection))
        scene.clients.append(client)
        assert (await client.ask("who", user="root"))["result"]["user"] == name
        await scene.close()


async def test_whoever_is_not_let_in_is_told_the_cure(scene: Scene) -> None:
    open_to(scene.console.path, 0)
    with another_user(), pytest.raises(NotAllowed) as error:
        ask(scene.console.path, "who", {})
    assert error.value.exit_code == 5 and "console.group" in str(error.value)
