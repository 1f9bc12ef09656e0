"""What a person may write, and what it is told otherwise. Places: ``tests/cases/config``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.uplink import Stream
from edge_agent.uplinks.sparkplug import PLUGIN
from edge_agent.uplinks.sparkplug.settings import SparkplugSettings

NEEDED = {"url": "mqtts://broker.example", "group": "park", "node": "hall-3"}


def refused(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        SparkplugSettings.model_validate({**NEEDED, **keys})
    (error,) = caught.value.errors(include_url=False, include_input=False)
    context = error.get("ctx", {})
    if "en" in context:
        assert all(context[text] for text in ("zh", "cure_en", "cure_zh"))
    return error["type"]


def test_defaults() -> None:
    settings = SparkplugSettings.model_validate(NEEDED)
    assert (settings.keepalive, settings.confirm_after, settings.primary_host) == (10.0, None, None)
    assert PLUGIN.endpoint(settings) == "mqtts://broker.example:8883"
    assert PLUGIN.streams == {Stream.SAMPLES, Stream.PERIODS}


@pytest.mark.parametrize("key", ["group", "node", "primary_host"])
@pytest.mark.parametrize("text", ["", "a/b", "a+", "#", "a\tb"])
def test_ids(key: str, text: str) -> None:
    assert refused(**{key: text}) == "sparkplug_id"


@pytest.mark.parametrize("needed", NEEDED)
def test_what_is_needed(needed: str) -> None:
    with pytest.raises(ValidationError, match=needed):
        SparkplugSettings.model_validate({key: value for key, value in NEEDED.items() if key != needed})


@pytest.mark.parametrize("keepalive", ["21s", "500ms", "1500ms", "1h"])
def test_keepalive(keepalive: str) -> None:
    assert refused(keepalive=keepalive) == "sparkplug_keepalive"


@pytest.mark.parametrize(("keepalive", "confirm_after"), [("10s", "14s"), ("10s", "46s"), ("20s", "29s")])
def test_nothing_counts_as_delivered_too_early_or_too_late(keepalive: str, confirm_after: str) -> None:
    assert refused(keepalive=keepalive, confirm_after=confirm_after) == "sparkplug_confirm_after"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"password": "x"}, "mqtt_password"), ({"client_key": "k.pem"}, "client_key"),
        ({"url": "mqtt://a", "ca_file": "ca.pem"}, "tls_needs_mqtts"), ({"url": "https://a"}, "mqtt_url"),
    ],
)  # fmt: skip
def test_the_brokers_keys(keys: dict[str, Any], code: str) -> None:
    assert refused(**keys) == code


def test_the_running_agent_loads_no_validator_and_protobuf_only_to_connect() -> None:
    code = (
        "import sys; import edge_agent.uplinks.sparkplug.uplink; "
        "print([m for m in ('pydantic', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"
