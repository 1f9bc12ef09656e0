"""What a person writes under ``uplinks:`` for ``type: mqtt``."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from edge_agent.settings import Duration, Secret, Size
from edge_agent.uplinks.mqtt import topics
from edge_agent.uplinks.mqtt.broker_settings import BrokerSettings, mistake
from edge_agent.uplinks.templates.fields import BodyTemplate, EventTemplate

LONGEST_KEEPALIVE_S = 65_535
_SECRET = re.compile(r"\{\{\s*secret\s*\}\}")


def _checked(known: tuple[str, ...]) -> AfterValidator:
    places = ", ".join(f"{{{name}}}" for name in known)

    def check(topic: str | None) -> str | None:
        if not topic:
            return topic
        strangers = topics.unknown_places(topic, known)
        if strangers:
            raise mistake(
                "mqtt_place", f"unknown placeholder {{{strangers[0]}}}", f"未知占位符 {{{strangers[0]}}}",
                f"Known here: {places}", f"此处可用：{places}",
            )  # fmt: skip
        if any(c in topic for c in "+#\0") or topic.startswith("$") or len(topic.encode()) > 1024:
            raise mistake(
                "mqtt_topic", "not a topic that can be published to", "不是可以发布消息的主题",
                "No + or #, no $ in front, at most 1024 bytes.",
                "不能含 + 或 #，不能以 $ 开头，最长 1024 字节。",
            )  # fmt: skip
        return topic

    return AfterValidator(check)


def _seconds(keepalive: float) -> float:
    if keepalive != int(keepalive) or not 1 <= keepalive <= LONGEST_KEEPALIVE_S:
        raise mistake(
            "mqtt_keepalive", "not a number of whole seconds from 1 to 65535",
            "必须是 1 到 65535 之间的整秒数",
            "Write for example 30s", "例如写成 30s",
        )  # fmt: skip
    return keepalive


def _version(value: Any) -> Any:
    return "5" if value in (5, 5.0) and not isinstance(value, bool) else value


Topic = Annotated[str, _checked(topics.OWN)]
DataTopic = Annotated[str, _checked(topics.OWN + topics.PER_UNIT)]
SchemaTopic = Annotated[str, _checked((*topics.OWN, "schema"))]
Version = Annotated[
    Literal["5", "3.1.1"], BeforeValidator(_version), WithJsonSchema({"enum": [5, "5", "3.1.1"]})
]


class MqttSettings(BrokerSettings):
    """Topics may hold {agent}, {line} and {uplink}; an empty text turns a topic off."""

    version: Version = Field("5", description="of MQTT: 5 or 3.1.1")
    token: Secret | None = Field(
        None, description="access token that stands for the user name (ThingsBoard), in place of username"
    )
    client_id: Annotated[str, _checked(topics.OWN)] = Field(
        "lineside-{agent}-{uplink}",
        min_length=1,
        description="what the broker knows this connection by; two with the same throw each other out",
    )
    topic: DataTopic = Field(
        "lineside/{agent}/data",
        min_length=1,
        description="of the data; may also hold {stream}, {device} and {group}: one message for each",
    )
    status_topic: Topic | None = Field(
        None,
        description="retained: online, or offline (the last will as well). "
        "Default: lineside/{agent}/status, none with body",
    )
    schema_topic: SchemaTopic | None = Field(
        None,
        description="retained: what segments are decoded with; must hold {schema}; empty: every message "
        "carries it. Default: lineside/{agent}/schema/{schema}, none with body",
    )
    body: BodyTemplate | None = Field(
        None, description="template of a platform's own JSON, or the name of its file"
    )
    event_body: EventTemplate | None = Field(None, description="the same for events")
    missing: Literal["omit", "null"] = Field("omit", description="what a template does without a value")
    ack_topic: Topic = Field(
        "", description="where the platform confirms keys; empty: the broker's PUBACK confirms"
    )
    command_topic: Topic = Field(
        "", description="where requests to write are taken from; empty: none are; answers go to .../result"
    )
    require_subscriber: bool = Field(
        True, description="MQTT 5: data that nobody is subscribed to does not count as delivered"
    )
    max_packet: Size | None = Field(
        None, description="of the broker, where it does not say so itself (3.1.1)"
    )
    keepalive: Annotated[Duration, AfterValidator(_seconds)] = Field(
        30.0, description="whole seconds; a dead connection is noticed within 1.5 times as long"
    )

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.schema_topic and "{schema}" not in self.schema_topic:
            raise mistake(
                "mqtt_schema", "schema_topic without {schema}: schemas would overwrite each other",
                "schema_topic 缺少 {schema}：各数据结构会互相覆盖",
                "Write for example lineside/{agent}/schema/{schema}",
                "例如写成 lineside/{agent}/schema/{schema}",
            )  # fmt: skip
        if self.token is not None and self.username is not None:
            raise mistake(
                "mqtt_token", "token and username: there is one place for both",
                "token 与 username 只能填一个",
                "Delete one of them.", "请删除其中一个。",
            )  # fmt: skip
        self._template_keys_fit()
        return self

    def _template_keys_fit(self) -> None:
        with_body = self.body is not None
        idle = {"ack_topic", "schema_topic"} if with_body else {"event_body", "missing"}
        given = [key for key in sorted(self.model_fields_set & idle) if getattr(self, key)]
        if given and with_body:
            raise mistake(
                "template_key", f"'{given[0]}' has no effect with 'body': a foreign form names no keys",
                f"有 'body' 时 '{given[0]}' 不起作用：其他平台的格式不含数据标识",
                f"Delete '{given[0]}', or delete 'body'.", f"请删除 '{given[0]}'，或删除 'body'。",
            )  # fmt: skip
        if _SECRET.search(json.dumps([self.body, self.event_body])):
            raise mistake(
                "secret_missing", "{{secret}} stands for nothing over MQTT",
                "MQTT 上行中 {{secret}} 没有内容",
                "Delete it: the broker knows you by `token`, or `username` and `password`.",
                "请删除：服务器通过 `token` 或 `username` 与 `password` 识别身份。",
            )  # fmt: skip
        if given:
            raise mistake(
                "template_key", f"'{given[0]}' has no effect without 'body'",
                f"没有 'body' 时 '{given[0]}' 不起作用",
                f"Delete '{given[0]}', or add a template as 'body'.",
                f"请删除 '{given[0]}'，或添加模板 'body'。",
            )  # fmt: skip
