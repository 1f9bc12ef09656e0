"""The last good configuration, and what a reload changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge_agent.config import (
    Configuration,
    ConfigurationError,
    Names,
    describe_changes,
    last_good_marker,
    load,
    load_last_good,
    save_last_good,
)
from edge_agent.testing.clock import ManualClock
from tests.unit.config.good import AGENT, DEVICE, GOOD, FakePlugins, write

SECRET = DEVICE + "password: !secret pass\n"


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    directory = write(tmp_path / "etc", GOOD | {"devices.d/press-1.yaml": SECRET, "secrets/pass": "canary-1"})
    (directory / "secrets/pass").chmod(0o600)
    return load(directory, plugins=FakePlugins(), environ={})


def test_it_is_the_same_configuration_again(configuration: Configuration, tmp_path: Path) -> None:
    path = save_last_good(configuration, tmp_path / "var", clock=ManualClock())
    assert "canary" not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    for name in GOOD:
        (tmp_path / "etc" / name).write_bytes(b"\xff broken")
    again = load_last_good(tmp_path / "var", plugins=FakePlugins(), environ={})
    assert again == configuration
    assert not describe_changes(configuration, again)
    assert again.state_dir == tmp_path / "etc" / "state"
    marker = last_good_marker(tmp_path / "var")
    assert marker is not None
    assert (marker.version, marker.saved_ns) == (configuration.version, ManualClock().time_ns())
    assert [entry.name for entry in (tmp_path / "var").iterdir()] == ["last-good.json"]


def test_secrets_are_read_from_their_place_again(configuration: Configuration, tmp_path: Path) -> None:
    save_last_good(configuration, tmp_path / "var")
    (tmp_path / "etc/secrets/pass").write_text("canary-2")
    again = load_last_good(tmp_path / "var", plugins=FakePlugins(), environ={})
    assert again.devices[0].settings.model_dump()["password"].get_secret_value() == "canary-2"
    shutil.rmtree(tmp_path / "etc")
    with pytest.raises(ConfigurationError) as caught:
        load_last_good(tmp_path / "var", plugins=FakePlugins(), environ={})
    assert [problem.code for problem in caught.value.problems] == ["E-CFG-031"]


def test_none_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_last_good(tmp_path, environ={})
    assert caught.value.problems[0].code == "E-CFG-090"
    assert last_good_marker(tmp_path) is None


def test_a_damaged_one_is_refused_whatever_the_damage(configuration: Configuration, tmp_path: Path) -> None:
    path = save_last_good(configuration, tmp_path)
    whole = path.read_bytes()
    for damaged in (
        b"", b"{}", b"[]", b"\xff", whole[:-20], whole.replace(b'"version": "', b'"version": "0'),
        whole.replace(b"press-1.yaml", b"press-2.yaml"), b'{"digest": "", "content": 1}',
    ):  # fmt: skip
        path.write_bytes(damaged)
        assert last_good_marker(tmp_path) is None
        with pytest.raises(ConfigurationError) as caught:
            load_last_good(tmp_path, plugins=FakePlugins(), environ={})
        assert caught.value.problems[0].code == "E-CFG-091"


def test_a_failed_write_leaves_the_former_one(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_last_good(configuration, tmp_path / "var")
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_last_good(configuration, tmp_path / "var")
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["last-good.json"]


def test_the_file_is_synced_before_it_gets_its_name(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    seen: list[str] = []
    sync = os.fsync

    def watch(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink().name
        seen.append(f"{name} {(tmp_path / 'var/last-good.json').exists()}")
        sync(handle)

    monkeypatch.setattr("os.fsync", watch)
    save_last_good(configuration, tmp_path / "var")
    assert seen == [f".last-good.json.{os.getpid()}.tmp False", "var True"]


def test_what_a_reload_changes(configuration: Configuration, tmp_path: Path) -> None:
    device = SECRET.replace("high: 0.5", "high: 0.6")
    other = DEVICE.replace("press-1\n", "press-2\n").replace("link: bus://a", "link: bus://b")
    etc = write(tmp_path / "etc", {"devices.d/press-1.yaml": device, "devices.d/press-2.yaml": other})
    second = load(etc, plugins=FakePlugins(), environ={})
    change = describe_changes(configuration, second)
    assert change.devices == Names(added=("press-2",))
    assert change.windows == Names(added=("press-2.pressure", "press-2.zone1"), changed=("press-1.pressure",))
    write(
        etc,
        {
            "devices.d/press-1.yaml": device.replace("bus://a", "bus://c"),
            "edge-agent.yaml": AGENT + "web: {port: 1}\n",
        },
    )
    (etc / "devices.d/press-2.yaml").unlink()
    change = describe_changes(second, load(etc, plugins=FakePlugins(), environ={}))
    assert change.devices == Names(removed=("press-2",), changed=("press-1",))
    assert change.windows == Names(removed=("press-2.pressure", "press-2.zone1"))
    assert (change.agent, change.uplinks) == (("web",), Names())


def test_the_snapshot_is_readable_by_people(configuration: Configuration, tmp_path: Path) -> None:
    whole = json.loads(save_last_good(configuration, tmp_path).read_bytes())
    assert sorted(whole["content"]["files"]) == sorted(GOOD)
