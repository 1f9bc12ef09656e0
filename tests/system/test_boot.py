"""It always starts: with broken files on the last good ones; where it cannot, it says all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, command

OK = "edgeagent_config_last_reload_successful"
FAILED, UNUSABLE = 1, 78


def break_files(site: Site) -> None:
    """Two mistakes, in two files."""
    device = site.config / "devices.d" / "press-1.yaml"
    device.write_text(device.read_text(encoding="utf-8").replace("modbus", "modbsu"), encoding="utf-8")
    site.write_main(buffer={"flush": "soon"})


def test_broken_files_after_a_good_run(site: Site, line: Line, park: Park) -> None:
    site.start()
    eventually("data flows", lambda: park.report()["segments"] > 0)
    version = site.status()["config"]["version"]
    site.stop()
    good_main = dict(site.main)
    good_device = (site.config / "devices.d" / "press-1.yaml").read_text(encoding="utf-8")
    break_files(site)

    site.start()
    config = site.status()["config"]
    assert (config["source"], config["reload_ok"], config["version"]) == ("last_good", False, version)
    assert any("press-1.yaml:" in p for p in config["problems"])
    assert any("edge-agent.yaml:" in p for p in config["problems"])
    metrics = site.metrics()
    assert metrics[OK] == 0
    assert metrics[f'edgeagent_config_info{{hash="{version}",source="last_good"}}'] == 1
    assert site.said("the configuration cannot be used: running the last good one")
    assert sum("press-1.yaml:" in r["msg"] for r in site.records()) >= 1
    segments = park.report()["segments"]
    eventually("data flows", lambda: park.report()["segments"] > segments + 1)
    answer = command("status", "--url", f"127.0.0.1:{site.web_port}")
    assert answer.returncode == 0
    assert "LAST GOOD ONE" in answer.stdout and "press-1.yaml:" in answer.stdout

    site.write_main(**good_main)
    (site.config / "devices.d" / "press-1.yaml").write_text(good_device, encoding="utf-8")
    site.reload()
    healed = eventually("the status tells", lambda: (c := site.status()["config"])["reload_ok"] and c)
    assert (healed["source"], healed["problems"]) == ("current", [])
    site.stop()


def test_files_that_are_gone_after_a_good_run(site: Site, park: Park) -> None:
    """Not even the main file, which names the state directory, can be read."""
    site.start()
    site.stop()
    for path in sorted(site.config.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    site.start(STATE_DIRECTORY=str(site.state))  # as systemd says it
    assert site.status()["config"]["source"] == "last_good"
    eventually("data flows", lambda: park.report()["segments"] > 0)
    site.stop()


def test_without_a_last_good_one_every_problem_is_told(site: Site) -> None:
    break_files(site)
    answer = command("run", "--config", site.config)
    assert answer.returncode == UNUSABLE
    assert "devices.d/press-1.yaml:3:" in answer.stderr and "modbsu" in answer.stderr
    assert "edge-agent.yaml:" in answer.stderr and "soon" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    assert not site.state.exists(), "nothing was begun"


def test_a_second_agent_on_the_same_store_is_refused(site: Site, line: Line, park: Park) -> None:
    """Two would give out the same keys for different data."""
    site.start()
    eventually("data flows", lambda: park.report()["segments"] > 0)
    answer = command("run", "--config", site.config)
    assert answer.returncode == FAILED
    assert "another agent" in answer.stderr and str(site.state) in answer.stderr
    assert "Traceback" not in answer.stderr
    segments = park.report()["segments"]
    eventually("the first one runs on", lambda: park.report()["segments"] > segments + 1)
    assert site.status()["buffer"]["state"] == "ok"


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_store_that_this_user_may_not_write(mode: int, site: Site) -> None:
    site.state.mkdir()
    site.state.chmod(mode)
    answer = command("run", "--config", site.config, powerless=True)
    site.state.chmod(0o700)
    assert answer.returncode == FAILED
    assert str(site.state) in answer.stderr and "state_dir" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(site.state.iterdir()) == []


def test_without_any_files(tmp_path: Path) -> None:
    answer = command("run", "--config", tmp_path / "nowhere")
    assert answer.returncode == UNUSABLE
    assert "edge-agent.yaml" in answer.stderr and "Traceback" not in answer.stderr
