"""What every uplink that speaks MQTT asks of a person: the broker's address, credentials, certificates."""

from __future__ import annotations

from typing import Annotated, LiteralString, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.settings import ConfigPath, Duration, Secret
from edge_agent.uplink import UplinkSettings
from edge_agent.uplinks.mqtt.address import PORTS, secure


def mistake(code: LiteralString, en: str, zh: str, cure_en: str, cure_zh: str) -> PydanticCustomError:
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
        raise mistake(
            "mqtt_url", "the address must begin with mqtts:// or mqtt://",
            "地址必须以 mqtts:// 或 mqtt:// 开头",
            "Write for example mqtts://park.example:8883", "例如写成 mqtts://park.example:8883",
        )  # fmt: skip
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise _bad_url("no host name, or blanks in it", "缺少主机名，或含有空格")
    if parts.username is not None or parts.password is not None:
        raise mistake(
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
    return mistake(
        "url", f"not an address of a broker: {why}", f"不是有效的服务器地址：{why_zh}",
        "Write for example mqtts://park.example:8883", "例如写成 mqtts://park.example:8883",
    )  # fmt: skip


class BrokerSettings(UplinkSettings):
    """TLS verification is always on: there is no key that turns it off."""

    url: Annotated[str, AfterValidator(_checked_url)] = Field(
        description="the broker: mqtts://HOST:PORT (TLS) or mqtt://HOST:PORT"
    )
    username: str | None = Field(None, min_length=1)
    password: Secret | None = Field(None, description="needs username")
    allow_plain: bool = Field(
        False, description="no warning that the password goes over mqtt://; for a trusted network"
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
    def _broker_keys_fit(self) -> Self:
        if self.password is not None and self.username is None:
            raise mistake(
                "mqtt_password", "password without username", "只有 password，缺少 username",
                "Give the user name that belongs to it.", "请同时给出对应的用户名 username。",
            )  # fmt: skip
        if self.client_key is not None and self.client_cert is None:
            raise mistake(
                "client_key", "client_key without client_cert",
                "只有 client_key，缺少 client_cert",
                "Give the certificate that belongs to the key.",
                "请同时给出与私钥配对的证书 client_cert。",
            )  # fmt: skip
        given = [k for k in ("ca_file", "client_cert") if getattr(self, k) is not None]
        if given and not secure(self):
            raise mistake(
                "tls_needs_mqtts", f"{given[0]} has no effect with mqtt://",
                f"mqtt:// 地址下 {given[0]} 不起作用",
                f"Use an mqtts:// address, or delete {given[0]}.",
                f"请改用 mqtts:// 地址，或删除 {given[0]}。",
            )  # fmt: skip
        return self
