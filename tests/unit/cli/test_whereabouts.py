"""Where commands look for the running agent when the configuration holds a mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import agent_api, console_client, whereabouts
from edge_agent.cli import main as run_here
from edge_agent.cli.whereabouts import of_directory, of_last_good
from edge_agent.config import load
from edge_agent.config.lastgood import save_last_good
from edge_agent.console import Console
from tests.unit.cli.test_commands import run

EMPTY: dict[str, Any] = {
    "alarms": [], "count": 0, "kpi": {"flood": False, "per_10min": 0, "chattering": []}, "names": []
}  # fmt: skip


class Place:
    """A configuration, and an agent's console that answers ``alarms list``."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        (self.config / "devices.d").mkdir(parents=True)
        self.state = folder / "state"
        self.socket = folder / "elsewhere.sock"
        self.write()
        self.console = Console(self.socket, "", {"alarms.list": self.list})

    async def list(self, _user: str, _args: Mapping[str, Any]) -> Any:
        return EMPTY

    def write(self, console: str | None = None, more: str = "") -> None:
        text = f"line: l\nstate_dir: {self.state}\nconsole: {console or f'{{socket: {self.socket}}}'}\n{more}"
        (self.config / "edge-agent.yaml").write_text(text, encoding="utf-8")

    def break_a_device(self) -> None:
        (self.config / "devices.d" / "press-1.yaml").write_text("device： press-1\n", encoding="utf-8")

    async def asked(self) -> tuple[int, str, str]:
        done = await asyncio.to_thread(run, "alarms", "list", "--config", str(self.config))
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    assert await made.console.start()
    yield made
    await made.console.close()


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


async def test_a_mistake_in_another_file_does_not_matter(place: Place) -> None:
    place.break_a_device()
    code, out, err = await place.asked()
    assert (code, err) == (0, "") and "Alarms: 0" in out


async def test_mistakes_elsewhere_in_the_same_file_do_not_matter(place: Place) -> None:
    place.write(more="nonsense: 1\nuplinks: [{name: park, type: no-such-kind}]\n")
    assert (await place.asked())[0] == 0


@pytest.mark.parametrize("console", ["[", "{socket: 5}"], ids=["no YAML", "no path"])
async def test_the_last_good_configuration_says_it_else(place: Place, console: str) -> None:
    save_last_good(load(place.config), place.state)
    place.write(console)
    if console == "[":  # then nothing of the file is known, not even the state directory
        told = of_last_good(place.state)
        assert told.socket == place.socket and "console" in of_directory(place.config).wrong
        return
    code, out, err = await place.asked()
    assert code == 0 and "Alarms: 0" in out
    assert "edge-agent.yaml" in err and "`console` has a mistake" in err and "last-good.json" in err


async def test_a_place_that_is_not_in_force_yet(place: Place) -> None:
    """The socket was moved in the file, and a mistake elsewhere keeps the agent from taking that up."""
    save_last_good(load(place.config), place.state)
    place.write(f"{{socket: {place.socket}.new}}")
    place.break_a_device()
    code, out, err = await place.asked()
    assert code == 0 and "Alarms: 0" in out
    assert f"nothing is at {place.socket}.new" in err and "last-good.json" in err


@pytest.mark.parametrize(
    ("lang", "default"),
    [("en", "this is the default place"), ("zh", "也没有上次有效的配置")],
)
def test_only_then_the_default_place_and_that_is_said(
    tmp_path: Path,
    lang: str,
    default: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(tmp_path)
    place.write("{socket: 5}")
    monkeypatch.setattr(console_client, "DEFAULT", tmp_path / "usual.sock")
    assert run_here(["--lang", lang, "alarms", "list", "--config", str(place.config)]) == 4
    told = capsys.readouterr().err
    assert default in told and "usual.sock" in told
    assert str(place.config / "edge-agent.yaml") in told and "`console`" in told
    assert str(place.state / "last-good.json") in told and "`edge-agent check`" in told
    assert {"en": "there is no such file", "zh": "文件不存在"}[lang] in told and "No such file" not in told


@pytest.mark.parametrize("words", [("alarms", "list"), ("debug", "press-1"), ("status",)])
def test_a_terminal_without_the_variable_is_told_of_it(
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console_client, "DEFAULT", tmp_path / "usual.sock")
    monkeypatch.setattr(whereabouts, "DEFAULT_STATE", tmp_path / "state")
    monkeypatch.setattr(agent_api, "DEFAULT_URL", "http://127.0.0.1:1")
    assert run_here(["--lang", "zh", *words, "--config", str(tmp_path / "etc")]) == 4
    told = capsys.readouterr().err
    assert f"未找到配置文件 {tmp_path}/etc/edge-agent.yaml" in told
    assert "--config 目录" in told and "export EDGE_AGENT_CONFIG=目录" in told
    assert "不能按" not in told


def test_nobody_there_says_who_named_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    assert run_here(["alarms", "list", "--config", str(place.config)]) == 4
    told = capsys.readouterr().err
    assert str(place.socket) in told and f"{place.config}/edge-agent.yaml says this place" in told


def test_the_address_of_the_page_likewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    place.write(more="web: {port: 1}\n")
    save_last_good(load(place.config), place.state)
    place.break_a_device()
    assert run_here(["status", "--config", str(place.config)]) == 4
    assert "http://127.0.0.1:1 " in capsys.readouterr().err
    place.write(more="web: {port: many}\n")
    assert run_here(["status", "--config", str(place.config)]) == 4
    told = capsys.readouterr().err
    assert "http://127.0.0.1:1 " in told and "`web` has a mistake" in told and "last-good.json" in told
    (place.state / "last-good.json").write_text(json.dumps({"content": {}}))
    assert run_here(["watch", "--once", "--config", str(place.config)]) == 4
    told = capsys.readouterr().err
    assert "http://127.0.0.1:9713 " in told and "it is damaged" in told and "default place" in told


def test_secrets_are_not_needed_to_find_the_agent(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(more="uplinks: [{name: a, type: http, url: 'https://x', token: !secret gone}]\n")
    told = of_directory(place.config)
    assert (told.wrong, told.socket, told.state_dir) == ({}, place.socket, place.state)
