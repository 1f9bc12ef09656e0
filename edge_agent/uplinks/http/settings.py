"""What a person writes under ``uplinks:`` for ``type: http``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, LiteralString, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.settings import ConfigPath, Duration, Secret, Settings, Text
from edge_agent.uplink import UplinkSettings
from edge_agent.uplinks.http.address import secure
from edge_agent.uplinks.templates.checking import unknown
from edge_agent.uplinks.templates.fields import BodyTemplate, EventTemplate, mistake, raise_at
from edge_agent.uplinks.templates.words import parts


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        address = urlsplit(url)
        host, _ = address.hostname, address.port  # .port raises when it is not a port number
    except ValueError:
        raise _bad_url("its host or port cannot be read", "主机名或端口无法识别") from None
    if address.scheme not in ("http", "https"):
        raise _mistake(
            "url_scheme", "the address must begin with https:// or http://",
            "地址必须以 https:// 或 http:// 开头",
            "Write for example https://park.example/in", "例如写成 https://park.example/in",
        )  # fmt: skip
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise _bad_url("no host name, or blanks in it", "缺少主机名，或含有空格")
    if address.username is not None or address.password is not None:
        raise _mistake(
            "url_secret", "a user name or password stands in the address", "地址中含有用户名或密码",
            "Take it out and use token: !secret NAME", "请从地址中删除，改用 token: !secret NAME",
        )  # fmt: skip
    if address.fragment:
        raise _bad_url("the part after # is never sent", "# 之后的部分不会发送")
    _check_placeholders(url, address.netloc)
    return url


def _check_placeholders(url: str, netloc: str) -> None:
    try:
        names = {name for _, name in parts(url) if name}
    except ValueError:
        names = {"{{"}
    if names - {"secret"} or "{{" in netloc:
        raise _bad_url(
            "{{secret}} in the path or query is the only placeholder",
            "网址中只能在路径或查询部分使用占位符 {{secret}}",
        )


def _bad_url(why: str, why_zh: str) -> PydanticCustomError:
    return _mistake(
        "url", f"not a web address: {why}", f"不是有效的网址：{why_zh}",
        "Write for example https://park.example:8443/in", "例如写成 https://park.example:8443/in",
    )  # fmt: skip


def _mistake(code: LiteralString, en: str, zh: str, cure_en: str, cure_zh: str) -> PydanticCustomError:
    """The loader shows message and cure in the technician's language from the context."""
    context = {"en": en, "zh": zh, "cure_en": cure_en, "cure_zh": cure_zh}
    return PydanticCustomError(code, "{en}", context)


class WebSettings(UplinkSettings):
    """What every uplink over HTTP has. TLS verification is always on: there is no key that turns it off. A
    destination with a certificate of its own needs ``ca_file``."""

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


class Confirm(Settings):
    """A platform that answers in a form of its own."""

    path: str = Field(alias="json", min_length=1, description="where in the answer, as in result.code")
    equals: bool | int | float | str = Field(description="what stands there when all is stored")
    refused: list[bool | int | float | str] = Field(
        default_factory=list, description="what stands there when the data is not acceptable"
    )


def _confirm(value: Any) -> Any:
    if isinstance(value, (dict, Confirm)):
        return Confirm.model_validate(value)
    if value in ("keys", "status"):
        return value
    raise _mistake(
        "confirm", "is one of keys, status, or a block with json and equals",
        "须为 keys、status，或含 json 和 equals 的块",
        "Write for example confirm: {json: code, equals: 0}",
        "例如写成 confirm: {json: code, equals: 0}",
    )  # fmt: skip


_CONFIRM_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"enum": ["keys", "status"]},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["json", "equals"],
                "properties": {
                    "json": {"type": "string"},
                    "equals": {"type": ["boolean", "number", "string"]},
                    "refused": {"type": "array", "items": {"type": ["boolean", "number", "string"]}},
                },
            },
        ]
    }
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = frozenset({"authorization", "content-length", "content-encoding", "content-type", "host",
                   "transfer-encoding", "connection", "idempotency-key", "accept-encoding"})  # fmt: skip
_IN_HEADERS = ("agent", "line", "sent_ms", "sent_iso", "secret")


def _headers(headers: dict[str, str]) -> dict[str, str]:
    found: list[tuple[tuple[str | int, ...], PydanticCustomError]] = []
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name) or (name.lower() in _OURS and name.lower() != "authorization"):
            error = mistake(
                "header_name",
                Text(f"'{name}' cannot be set as a header here", f"'{name}' 不能在此设置"),
                Text("Choose another name; the agent sets this one itself where it is needed.",
                     "请换一个名称；需要时由程序自行设置该请求头。"),
            )  # fmt: skip
            found.append(((name, "[key]"), error))
        found += [((name,), error) for error in _header_mistakes(text)]
    if found:
        raise_at(found)
    return headers


def _header_mistakes(text: str) -> Iterator[PydanticCustomError]:
    try:
        names = [name for _, name in parts(text) if name]
    except ValueError:
        names = ["{{"]
    for name in names:
        if name not in _IN_HEADERS:
            fault = unknown(name, (), _IN_HEADERS)
            yield mistake("template", fault.message, fault.cure)
    if not text.isascii() or not text.isprintable():
        yield mistake(
            "header",
            Text("a header holds printable ASCII characters only", "请求头只能含可打印的 ASCII 字符"),
            Text("Take the other characters out.", "请删除其他字符。"),
        )


class HttpSettings(WebSettings):
    """Our wire format, or with ``body`` one of the platform's own."""

    secret: Secret | None = Field(None, description="stands for {{secret}} in url, headers and body")
    body: BodyTemplate | None = Field(
        None, description="template of a platform's own JSON, or the name of its file"
    )
    event_body: EventTemplate | None = Field(None, description="the same for events")
    missing: Literal["omit", "null"] = Field("omit", description="what a template does without a value")
    confirm: Annotated[Literal["keys", "status"] | Confirm, BeforeValidator(_confirm), _CONFIRM_SCHEMA] = (
        Field("keys", description="what counts as the destination's confirmation; with body it must be said")
    )
    method: Literal["POST", "PUT"] = Field("POST", description="with body only")
    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*$")] = Field(
        "application/json", description="with body only"
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        default_factory=dict, description="additional ones"
    )

    @model_validator(mode="after")
    def _template_keys_fit(self) -> Self:
        if self.body is None:
            given = self.model_fields_set & {"event_body", "missing", "confirm", "method", "content_type"}
            if given:
                key = min(given)
                raise _mistake(
                    "template_key", f"'{key}' has no effect without 'body'",
                    f"没有 'body' 时 '{key}' 不起作用",
                    f"Delete '{key}', or add a template as 'body'.", f"请删除 '{key}'，或添加模板 'body'。",
                )  # fmt: skip
        elif "confirm" not in self.model_fields_set:
            raise _mistake(
                "confirm_missing", "'body' without 'confirm': nobody says what counts as stored",
                "有 'body' 而缺少 'confirm'：未说明怎样才算已存储",
                "Add confirm: keys, confirm: status, or confirm: {json: PATH, equals: VALUE}.",
                "请添加 confirm: keys、confirm: status 或 confirm: {json: 路径, equals: 值}。",
            )  # fmt: skip
        if self.secret is None and any("secret" in _names(text) for text in (self.url, *self._texts())):
            raise _mistake(
                "secret_missing", "{{secret}} is used, and there is no 'secret'",
                "使用了 {{secret}}，但没有 'secret' 键",
                "Add 'secret: !secret NAME' to this uplink.", "请在该上行通道中添加 'secret: !secret 名称'。",
            )  # fmt: skip
        return self

    def _texts(self) -> Iterator[str]:
        yield from self.headers.values()
        waiting = [self.body, self.event_body]
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                yield node
            elif isinstance(node, dict):
                yield from node
                waiting += node.values()
            elif isinstance(node, list):
                waiting += node


def _names(text: str) -> list[str]:
    try:
        return [name for _, name in parts(text)]
    except ValueError:
        return []
