"""What a person writes under ``uplinks:`` for ``type: mqtt``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, LiteralString, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.settings import ConfigPath, Duration, Secret, Size
from edge_agent.uplink import UplinkSettings
from edge_agent.uplinks.mqtt import topics
from edge_agent.uplinks.mqtt.address import PORTS, secure
from edge_agent.uplinks.templates.fields import BodyTemplate, EventTemplate

LONGEST_KEEPALIVE_S = 65_535


def _mistake(code: LiteralString, en: str, zh: str, cure_en: str, cure_zh: str) -> PydanticCustomError:
    """The loader shows message and cure in the technician's language from the context."""
    context = {"en": en, "zh": zh, "cure_en": cure_en, "cure_zh": cure_zh}
    return PydanticCustomError(code, "{en}", context)


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises when it is not a port number
    except ValueError:
        raise _bad_url("its host or port cannot be read", "主机名或端口无法识别") from None
    if parts.scheme not in PORTS:
        raise _mistake(
            "mqtt_url", "the address must begin with mqtts:// or mqtt://",
            "地址必须以 mqtts:// 或 mqtt:// 开头",
            "Write for example mqtts://park.example:8883", "例如写成 mqtts://park.example:8883",
        )  # fmt: skip
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise _bad_url("no host name, or blanks in it", "缺少主机名，或含有空格")
    if parts.username is not None or parts.password is not None:
        raise _mistake(
            "url_secret", "a user name or password stands in the address", "地址中含有用户名或密码",
            "Take it out and use username: NAME and password: !secret NAME",
            "请从地址中删除，改用 username: 用户名 和 password: !secret NAME",
        )  # fmt: skip
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _bad_url(
            "a broker has no path: topics are keys of their own", "地址后不能有路径，主题请用单独的键"
        )
    return url


def _bad_url(why: str, why_zh: str) -> PydanticCustomError:
    return _mistake(
        "url", f"not an address of a broker: {why}", f"不是有效的服务器地址：{why_zh}",
        "Write for example mqtts://park.example:8883", "例如写成 mqtts://park.example:8883",
    )  # fmt: skip


def _checked(known: tuple[str, ...]) -> AfterValidator:
    places = ", ".join(f"{{{name}}}" for name in known)

    def check(topic: str | None) -> str | None:
        if not topic:
            return topic
        strangers = topics.unknown_places(topic, known)
        if strangers:
            raise _mistake(
                "mqtt_place", f"unknown placeholder {{{strangers[0]}}}", f"未知占位符 {{{strangers[0]}}}",
                f"Known here: {places}", f"此处可用：{places}",
            )  # fmt: skip
        if any(c in topic for c in "+#\0") or topic.startswith("$") or len(topic.encode()) > 1024:
            raise _mistake(
                "mqtt_topic", "not a topic that can be published to", "不是可以发布消息的主题",
                "No + or #, no $ in front, at most 1024 bytes.",
                "不能含 + 或 #，不能以 $ 开头，最长 1024 字节。",
            )  # fmt: skip
        return topic

    return AfterValidator(check)


def _seconds(keepalive: float) -> float:
    if keepalive != int(keepalive) or not 1 <= keepalive <= LONGEST_KEEPALIVE_S:
        raise _mistake(
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


class MqttSettings(UplinkSettings):
    """TLS verification is always on: there is no key that turns it off. Topics may hold {agent}, {line} and
    {uplink}; an empty text turns a topic off."""

    url: Annotated[str, AfterValidator(_checked_url)] = Field(
        description="the broker: mqtts://HOST:PORT (TLS) or mqtt://HOST:PORT"
    )
    version: Version = Field("5", description="of MQTT: 5 or 3.1.1")
    username: str | None = Field(None, min_length=1)
    password: Secret | None = Field(None, description="needs username")
    allow_plain: bool = Field(
        False, description="no warning that the password goes over mqtt://; for a trusted network"
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
    timeout: Duration = Field(10.0, description="for connecting, and for one whole exchange")
    ca_file: ConfigPath | None = Field(
        None, description="PEM; the only authorities trusted, in place of the system's"
    )
    client_cert: ConfigPath | None = Field(None, description="PEM; shown to the broker (mutual TLS)")
    client_key: ConfigPath | None = Field(
        None, description="PEM; needed unless client_cert holds the key as well"
    )

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.password is not None and self.username is None:
            raise _mistake(
                "mqtt_password", "password without username", "只有 password，缺少 username",
                "Give the user name that belongs to it.", "请同时给出对应的用户名 username。",
            )  # fmt: skip
        if self.schema_topic and "{schema}" not in self.schema_topic:
            raise _mistake(
                "mqtt_schema", "schema_topic without {schema}: schemas would overwrite each other",
                "schema_topic 缺少 {schema}：各数据结构会互相覆盖",
                "Write for example lineside/{agent}/schema/{schema}",
                "例如写成 lineside/{agent}/schema/{schema}",
            )  # fmt: skip
        self._template_keys_fit()
        if self.client_key is not None and self.client_cert is None:
            raise _mistake(
                "client_key", "client_key without client_cert",
                "只有 client_key，缺少 client_cert",
                "Give the certificate that belongs to the key.",
                "请同时给出与私钥配对的证书 client_cert。",
            )  # fmt: skip
        given = [k for k in ("ca_file", "client_cert") if getattr(self, k) is not None]
        if given and not secure(self):
            raise _mistake(
                "tls_needs_mqtts", f"{given[0]} has no effect with mqtt://",
                f"mqtt:// 地址下 {given[0]} 不起作用",
                f"Use an mqtts:// address, or delete {given[0]}.",
                f"请改用 mqtts:// 地址，或删除 {given[0]}。",
            )  # fmt: skip
        return self

    def _template_keys_fit(self) -> None:
        with_body = self.body is not None
        idle = {"ack_topic", "schema_topic"} if with_body else {"event_body", "missing"}
        given = [key for key in sorted(self.model_fields_set & idle) if getattr(self, key)]
        if given and with_body:
            raise _mistake(
                "template_key", f"'{given[0]}' has no effect with 'body': a foreign form names no keys",
                f"有 'body' 时 '{given[0]}' 不起作用：其他平台的格式不含数据标识",
                f"Delete '{given[0]}', or delete 'body'.", f"请删除 '{given[0]}'，或删除 'body'。",
            )  # fmt: skip
        if given:
            raise _mistake(
                "template_key", f"'{given[0]}' has no effect without 'body'",
                f"没有 'body' 时 '{given[0]}' 不起作用",
                f"Delete '{given[0]}', or add a template as 'body'.",
                f"请删除 '{given[0]}'，或添加模板 'body'。",
            )  # fmt: skip
