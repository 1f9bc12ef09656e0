"""Files named in settings: relative ones are meant from the configuration directory."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.config import Configuration, load, load_last_good, save_last_good
from edge_agent.config.apart import load_apart
from edge_agent.settings import ConfigPath
from tests.unit.config.good import AGENT, DEVICE, FAKE, GOOD, FakePlugins, FakeSettings, write

UPLINK = """  - name: park
    type: http
    url: https://park.example/in
    ca_file: pki/ca.pem
    client_cert: /etc/c.pem
"""


class WithFile(FakeSettings):
    key_file: ConfigPath | None = None


def loaded(directory: Path) -> Configuration:
    plugins = FakePlugins(replace(FAKE, settings=WithFile))
    device = DEVICE + "key_file: keys/press.pem\n"
    agent = f"{AGENT}uplinks:\n{UPLINK}"
    write(directory, GOOD | {"devices.d/press-1.yaml": device, "edge-agent.yaml": agent})
    return load(directory, plugins=plugins, environ={})


def test_of_a_device_and_of_an_uplink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    configuration = loaded(tmp_path)
    assert configuration.devices[0].settings.key_file == tmp_path / "keys/press.pem"  # type: ignore[attr-defined]
    park = configuration.uplinks[0].settings
    assert park.ca_file == tmp_path / "pki/ca.pem"  # type: ignore[attr-defined]
    assert park.client_cert == Path("/etc/c.pem")  # type: ignore[attr-defined]


def test_a_relative_directory_makes_absolute_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = loaded(Path("etc")).devices[0].settings
    assert settings.key_file == tmp_path / "etc/keys/press.pem"  # type: ignore[attr-defined]


def test_a_moved_directory_is_the_same_configuration(tmp_path: Path) -> None:
    first, second = loaded(tmp_path / "a"), loaded(tmp_path / "b")
    assert first.version == second.version
    assert first.uplinks[0].settings != second.uplinks[0].settings


def test_a_model_made_by_hand_keeps_the_path() -> None:
    assert WithFile(link="x", key_file=Path("keys/press.pem")).key_file == Path("keys/press.pem")


async def test_on_every_way_into_the_agent(tmp_path: Path) -> None:
    etc = write(tmp_path / "etc", {"edge-agent.yaml": f"{AGENT}uplinks:\n{UPLINK}"})
    apart = (await load_apart(etc, fall_back=False)).configuration
    assert apart.uplinks[0].settings.ca_file == etc / "pki/ca.pem"  # type: ignore[attr-defined]
    save_last_good(load(etc, environ={}), tmp_path / "var")
    shutil.rmtree(etc)
    again = load_last_good(tmp_path / "var", environ={})
    assert again.uplinks[0].settings.ca_file == etc / "pki/ca.pem"  # type: ignore[attr-defined]
