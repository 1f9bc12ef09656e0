"""The examples of uplinks are what their pages say: they load, and their templates make what they promise."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import ConfigurationError, load, load_last_good, places_of, save_last_good
from edge_agent.testing.destination import RecordingHost, incident, segment
from edge_agent.uplinks.templates import About, Template, faults

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
SECRETS = {
    f"EDGE_AGENT_SECRET_{name}": "s3cret" for name in ("THINGSBOARD_TOKEN", "PROVINCE_KEY", "INFLUX_TOKEN")
}


def uncommented(name: str, folder: Path) -> Path:
    """A copy of the example in which the secrets are in use."""
    target = folder / name
    shutil.copytree(EXAMPLES / name, target)
    main = target / "edge-agent.yaml"
    text = main.read_text(encoding="utf-8")
    for key in ("url", "headers"):
        text = re.sub(rf"^    {key}: .*\n(    # .*:\n    # {key}:)", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^    # (\w+: .*)$", r"    \1", text, flags=re.MULTILINE)
    main.write_text(text, encoding="utf-8")
    return target


@pytest.mark.parametrize("name", ["foreign-platforms", "time-series"])
def test_with_its_secrets_the_example_loads_and_its_uplinks_open(name: str, tmp_path: Path) -> None:
    uplinks = load(uncommented(name, tmp_path), environ=SECRETS).uplinks
    assert any(getattr(u.settings, "secret", None) or u.settings.token for u in uplinks)  # type: ignore[attr-defined]
    for uplink in uplinks:
        assert uplink.plugin.open(uplink.settings, RecordingHost()) is not None
        assert "s3cret" not in uplink.plugin.endpoint(uplink.settings)


@pytest.mark.parametrize("name", ["foreign-platforms", "time-series"])
def test_secrets_that_are_not_there_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(uncommented(name, tmp_path), environ={})
    assert {problem.code for problem in places_of(caught.value)} == {"E-CFG-031"}


def filled(structure: Any, **keys: Any) -> Any:
    (one,) = Template(structure, **keys).fill([segment(1), incident(2)], About("a", "line", 1))
    return json.loads(one.encoded())


def test_thingsboard() -> None:
    device, province = load(EXAMPLES / "foreign-platforms", environ=SECRETS).uplinks
    rows = filled(device.settings.body)  # type: ignore[attr-defined]
    assert [set(row) for row in rows] == [{"ts", "values"}] * 3
    assert rows[0]["values"]["t_float64"] == 1.7976931348623157e308
    events = filled(device.settings.event_body, events=True)  # type: ignore[attr-defined]
    assert json.loads(events[0]["values"]["detail"])["high"] == 0.5
    table = filled(province.settings.body, missing="null")  # type: ignore[attr-defined]
    assert table["enterprise"] == "line"
    assert table["data"][0] == {
        "meter": "press-1", "item": "t_bool", "level": "fast", "time": "2026-11-22 08:00:01", "value": True,
        "unit": "", "quality": "good",
    }  # fmt: skip


def test_the_gateway_template_is_one() -> None:
    path = EXAMPLES / "foreign-platforms" / "templates" / "thingsboard-gateway.json.template"
    structure = json.loads(path.read_text(encoding="utf-8"))
    assert faults(structure) == []
    assert list(filled(structure)) == ["press-1"]


def test_a_template_file_is_in_the_snapshot_and_counts_for_the_version(tmp_path: Path) -> None:
    folder = uncommented("foreign-platforms", tmp_path)
    before = load(folder, environ=SECRETS)
    save_last_good(before, tmp_path / "state")
    rows = folder / "templates" / "rows.yaml"
    rows.write_text(rows.read_text(encoding="utf-8").replace("meter:", "device:"), encoding="utf-8")
    assert load(folder, environ=SECRETS).version != before.version
    rows.unlink()
    assert load_last_good(tmp_path / "state", environ=SECRETS).version == before.version
