"""What a person writes under ``uplinks:`` for ``type: http``."""

from __future__ import annotations

from typing import Annotated, LiteralString, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.settings import ConfigPath, Duration, Secret
from edge_agent.uplink import UplinkSettings
from edge_agent.uplinks.http.address import secure


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises when it is not a port number
    except ValueError:
        raise _bad_url("its host or port cannot be read", "主机名或端口无法识别") from None
    if parts.scheme not in ("http", "https"):
        raise _mistake(
            "url_scheme", "the address must begin with https:// or http://",
            "地址必须以 https:// 或 http:// 开头",
            "Write for example https://park.example/in", "例如写成 https://park.example/in",
        )  # fmt: skip
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise _bad_url("no host name, or blanks in it", "缺少主机名，或含有空格")
    if parts.username is not None or parts.password is not None:
        raise _mistake(
            "url_secret", "a user name or password stands in the address", "地址中含有用户名或密码",
            "Take it out and use token: !secret NAME", "请从地址中删除，改用 token: !secret NAME",
        )  # fmt: skip
    if parts.fragment:
        raise _bad_url("the part after # is never sent", "# 之后的部分不会发送")
    return url


def _bad_url(why: str, why_zh: str) -> PydanticCustomError:
    return _mistake(
        "url", f"not a web address: {why}", f"不是有效的网址：{why_zh}",
        "Write for example https://park.example:8443/in", "例如写成 https://park.example:8443/in",
    )  # fmt: skip


def _mistake(code: LiteralString, en: str, zh: str, cure_en: str, cure_zh: str) -> PydanticCustomError:
    """The loader shows message and cure in the technician's language from the context."""
    context = {"en": en, "zh": zh, "cure_en": cure_en, "cure_zh": cure_zh}
    return PydanticCustomError(code, "{en}", context)


class HttpSettings(UplinkSettings):
    """TLS verification is always on: there is no key that turns it off. A destination with a certificate
    of its own needs ``ca_file``."""

    url: Annotated[str, AfterValidator(_checked_url)] = Field(description="where each message is POSTed to")
    token: Secret | None = Field(None, description="sent as Authorization: Bearer")
    allow_plain: bool = Field(
        False, description="no warning that the token goes over http://; for a trusted network"
    )
    timeout: Duration = Field(10.0, description="for one whole exchange, connecting included")
    compress: bool = Field(False, description="gzip the body; the destination must understand it")
    ca_file: ConfigPath | None = Field(
        None, description="PEM; the only authorities trusted, in place of the system's"
    )
    client_cert: ConfigPath | None = Field(None, description="PEM; shown to the destination (mutual TLS)")
    client_key: ConfigPath | None = Field(
        None, description="PEM; needed unless client_cert holds the key as well"
    )

    @model_validator(mode="after")
    def _tls_keys_fit(self) -> Self:
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
                "tls_needs_https", f"{given[0]} has no effect with http://",
                f"http:// 地址下 {given[0]} 不起作用",
                f"Use an https:// address, or delete {given[0]}.",
                f"请改用 https:// 地址，或删除 {given[0]}。",
            )  # fmt: skip
        return self
