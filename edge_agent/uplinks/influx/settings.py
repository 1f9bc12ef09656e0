"""What a person writes under ``uplinks:`` for ``type: influx``."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from edge_agent.settings import Secret, Text
from edge_agent.uplinks.http.settings import WebSettings
from edge_agent.uplinks.influx import escape
from edge_agent.uplinks.templates.fields import mistake, raise_at

_WORD = re.compile(r"\{\{(.*?)\}\}")
_KNOWN = ("device", "group", "line")
_OURS = ("device", "group", "line", "level", "quality", "kind", "source", "time")


def _measurement(name: str) -> str:
    for word in _WORD.findall(name):
        if word not in _KNOWN:
            raise mistake(
                "measurement",
                Text(f"{{{{{word}}}}} stands for nothing here", f"此处 {{{{{word}}}}} 没有含义"),
                Text("Known: {{device}}, {{group}}, {{line}}.", "可用：{{device}}、{{group}}、{{line}}。"),
            )
    if (
        escape.measurement(name) != escape.measurement(name.strip())
        or name.startswith(("#", "_"))
        or "\n" in name
    ):
        raise mistake(
            "measurement",
            Text("a measurement cannot begin with # or _", "measurement 不能以 # 或 _ 开头"),
            Text("Write for example {{device}}.", "例如写成 {{device}}。"),
        )
    return name


def _tags(tags: dict[str, str]) -> dict[str, str]:
    error = mistake(
        "tag_name",
        Text("this tag is the agent's own", "该标签由程序自行使用"),
        Text(f"Choose another name than {', '.join(_OURS)}.", f"请勿使用 {', '.join(_OURS)}。"),
    )
    if found := [((name, "[key]"), error) for name in tags if name in _OURS]:
        raise_at(found)
    return tags


Measurement = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_measurement)]


class InfluxSettings(WebSettings):
    """``database``: the API of InfluxDB 1.x and VictoriaMetrics; ``bucket`` and ``org``: that of 2.x."""

    compress: bool = Field(True, description="gzip the body")
    database: str | None = Field(None, min_length=1, description="1.x API (/write); VictoriaMetrics too")
    retention_policy: str | None = Field(None, min_length=1, description="1.x API; default: the database's")
    org: str | None = Field(None, min_length=1, description="2.x API (/api/v2/write)")
    bucket: str | None = Field(None, min_length=1, description="2.x API")
    user: str | None = Field(None, min_length=1, description="1.x API, with password")
    password: Secret | None = Field(None, description="1.x API, with user")
    measurement: Measurement = Field("{{device}}", description="of samples; {{device}}, {{group}}, {{line}}")
    period_measurement: Measurement = Field("{{device}}_periods", description="of period values")
    event_measurement: Measurement = Field("events", description="of events")
    tags: Annotated[dict[str, str], AfterValidator(_tags)] = Field(
        default_factory=dict, description="further tags of every line"
    )
    unsigned: bool = Field(False, description="write uint64 with u; the server must know unsigned integers")
    strings: bool | None = Field(
        None, description="send text; with database it must be said: VictoriaMetrics makes 0 of text"
    )

    @field_validator("url")
    @classmethod
    def _base_only(cls, url: str) -> str:
        if "?" in url or "{{" in url or re.search(r"/(api/v2/)?write/?$", url):
            raise mistake(
                "influx_url",
                Text("the address ends before /write; database and bucket are keys of their own",
                     "网址应在 /write 之前结束；database 和 bucket 另有专用键"),
                Text("Write for example http://10.0.0.9:8086", "例如写成 http://10.0.0.9:8086"),
            )  # fmt: skip
        return url

    @model_validator(mode="after")
    def _one_api(self) -> Self:
        if (self.database is None) == (self.bucket is None):
            raise mistake(
                "influx_api",
                Text(
                    "either 'database' or 'bucket' is needed, and not both",
                    "须填写 database 或 bucket，且只能填一个",
                ),
                Text("database: for InfluxDB 1.x and VictoriaMetrics; org and bucket: for InfluxDB 2.x.",
                     "InfluxDB 1.x 和 VictoriaMetrics 用 database；InfluxDB 2.x 用 org 和 bucket。"),
            )  # fmt: skip
        if self.database is not None and self.strings is None:
            raise mistake(
                "influx_strings",
                Text(
                    "'strings' is missing: does this server keep text?",
                    "缺少 'strings'：该服务器能否保存文字？",
                ),
                Text(
                    "InfluxDB: 'strings: true'. VictoriaMetrics makes 0 of text: 'strings: false'.",
                    "InfluxDB 填 'strings: true'；VictoriaMetrics 会把文字变成 0，填 'strings: false'。",
                ),
            )
        other = ("org",) if self.bucket is None else ("retention_policy", "user", "password")
        for key in other:
            if getattr(self, key) is not None:
                raise mistake(
                    "influx_api",
                    Text(f"'{key}' belongs to the other API", f"'{key}' 属于另一种接口"),
                    Text(
                        "org and bucket go with token; database with retention_policy, user and password.",
                        "org、bucket 与 token 搭配；database 与 retention_policy、user、password 搭配。",
                    ),
                )  # fmt: skip
        if (self.bucket is not None and self.org is None) or (self.user is None) != (self.password is None):
            raise mistake(
                "influx_pair",
                Text(
                    "one of a pair is missing: org and bucket, user and password",
                    "缺少成对的键：org 与 bucket，user 与 password",
                ),
                Text("Give both.", "请成对填写。"),
            )  # fmt: skip
        if self.user is not None and self.token is not None:
            raise mistake(
                "influx_two_ways",
                Text("both 'user' and 'token' are given", "同时填写了 user 和 token"),
                Text("The server takes one of them: delete the other.", "服务器只接受其一，请删除另一个。"),
            )
        return self
