from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.uplinks.mqtt import PLUGIN
from edge_agent.uplinks.mqtt.settings import MqttSettings

URL = "mqtts://park.example"


def refused(**keys: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        MqttSettings.model_validate({"url": URL, **keys})
    errors = caught.value.errors(include_url=False, include_input=False)
    assert len(errors) == 1
    if "en" in (context := errors[0].get("ctx", {})):
        assert all(context[text] for text in ("zh", "cure_en", "cure_zh"))
    return errors[0]["type"], errors[0]["msg"]


def endpoint(url: str) -> str:
    return PLUGIN.endpoint(MqttSettings.model_validate({"url": url}))


def test_defaults() -> None:
    settings = MqttSettings.model_validate({"url": f" {URL} "})
    assert (settings.url, settings.version, settings.keepalive, settings.timeout) == (URL, "5", 30.0, 10.0)
    assert (settings.ack_topic, settings.command_topic, settings.password) == ("", "", None)


@pytest.mark.parametrize("version", [5, "5", 5.0])
def test_a_version_may_be_written_as_a_number(version: Any) -> None:
    assert MqttSettings.model_validate({"url": URL, "version": version}).version == "5"


@pytest.mark.parametrize("version", [4, "3.1", 3.1, True, "v5", None])
def test_other_versions(version: Any) -> None:
    assert refused(version=version)[0] == "literal_error"


def test_the_endpoint_has_the_port_that_is_meant() -> None:
    assert endpoint("mqtts://park.example") == "mqtts://park.example:8883"
    assert endpoint("mqtt://park.example/") == "mqtt://park.example:1883"
    assert endpoint("mqtt://[::1]:1884") == "mqtt://[::1]:1884"


@pytest.mark.parametrize(
    "url", ["https://park", "park.example", "tcp://park:1883", "", "//park", "ws://park"]
)
def test_only_mqtt_and_mqtts(url: str) -> None:
    assert refused(url=url)[0] == "mqtt_url"


@pytest.mark.parametrize(
    "url",
    ["mqtt://", "mqtt://park:port", "mqtt://pa rk", "mqtt://park/topic", "mqtt://park?x=1", "mqtt://[::1"],
)
def test_an_address_that_cannot_be_used(url: str) -> None:
    assert refused(url=url)[0] == "url"


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    code, message = refused(url="mqtts://me:hunter2@park")
    assert code == "url_secret" and "hunter2" not in message


@pytest.mark.parametrize("topic", ["a/+/b", "a/#", "$SYS/x", "a\0b", "x" * 2000])
@pytest.mark.parametrize("key", ["topic", "status_topic", "ack_topic", "command_topic"])
def test_a_topic_that_nobody_can_publish_to(key: str, topic: str) -> None:
    assert refused(**{key: topic})[0] == "mqtt_topic"


def test_placeholders_are_those_that_are_known_there() -> None:
    assert refused(topic="a/{devise}")[0] == "mqtt_place"
    assert refused(ack_topic="a/{device}")[0] == "mqtt_place"
    assert refused(client_id="{device}")[0] == "mqtt_place"
    MqttSettings.model_validate({"url": URL, "topic": "{line}/{device}/{group}/{stream}/{uplink}/{agent}"})


def test_an_empty_topic_is_off_but_not_for_data() -> None:
    MqttSettings.model_validate({"url": URL, "status_topic": "", "schema_topic": ""})
    assert refused(topic="")[0] == "string_too_short"


def test_schemas_need_topics_of_their_own() -> None:
    assert refused(schema_topic="lineside/schema")[0] == "mqtt_schema"


def test_keys_that_belong_together() -> None:
    assert refused(password="x")[0] == "mqtt_password"
    assert refused(token="x", username="u")[0] == "mqtt_token"
    assert refused(client_key="k.pem")[0] == "client_key"
    assert refused(url="mqtt://park", ca_file="ca.pem")[0] == "tls_needs_mqtts"
    assert refused(event_body={"v": "{{detail}}"})[0] == "template_key"
    assert refused(body=[{"{{tag}}": "{{value}}", "s": {"x": "{{ secret }}"}}])[0] == "secret_missing"
    assert refused(missing="null")[0] == "template_key"
    assert (
        refused(body=[{"ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}], ack_topic="a")[0]
        == "template_key"
    )


@pytest.mark.parametrize("keepalive", ["500ms", "1.5s", "20h"])
def test_a_keep_alive_is_whole_seconds(keepalive: str) -> None:
    assert refused(keepalive=keepalive)[0] == "mqtt_keepalive"


def test_the_password_does_not_show() -> None:
    settings = MqttSettings.model_validate({"url": URL, "username": "u", "password": "s3cret"})
    assert "s3cret" not in f"{settings!r} {settings} {PLUGIN.endpoint(settings)}"
