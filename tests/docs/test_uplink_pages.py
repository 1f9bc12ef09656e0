"""The examples in the pages of uplinks over HTTP are configurations that load."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import load_with_warnings
from edge_agent.testing.destination import RecordingHost
from tests.docs.markdown import CHINESE, ROOT, page

HEAD = "line: press-line-1\nstate_dir: state\n"
SECRETS = {"EDGE_AGENT_SECRET_THINGSBOARD_TOKEN": "s3cret", "EDGE_AGENT_SECRET_INFLUX_TOKEN": "s3cret"}


@pytest.mark.parametrize("ending", [".md", CHINESE])
@pytest.mark.parametrize("name", ["uplink-http", "uplink-influx"])
def test_every_block_of_yaml_loads_and_opens(name: str, ending: str, tmp_path: Path) -> None:
    blocks = [b.text for b in page(ROOT / "docs" / f"{name}{ending}").blocks if b.language == "yaml"]
    assert blocks
    press = "device: press-1\ndriver: sim\nlink: sim://line\n"
    for number, text in enumerate(blocks):
        folder = tmp_path / str(number)
        for part, content in [
            ("edge-agent.yaml", HEAD + text),
            ("devices.d/press-1.yaml", press),
            ("tags.d/press-1.csv", "name,address,type\npressure,sine:60s,float32\n"),
        ]:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / part).write_text(content, encoding="utf-8")
        configuration, _ = load_with_warnings(folder, environ=SECRETS)
        for uplink in configuration.uplinks:
            assert uplink.plugin.open(uplink.settings, RecordingHost()) is not None
