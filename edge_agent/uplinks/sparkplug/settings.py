"""What a person writes under ``uplinks:`` for ``type: sparkplug``."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from edge_agent.settings import Duration
from edge_agent.uplinks.mqtt.broker_settings import BrokerSettings, mistake
from edge_agent.uplinks.sparkplug.topics import is_id

LONGEST_KEEPALIVE_S = 20
MARGIN_S = 2.0
LONGEST_OUTLIVE_S = 45.0
"""Forwarding sends again what is not confirmed within a minute."""


def _checked_id(text: str) -> str:
    text = text.strip()
    if not is_id(text):
        raise mistake(
            "sparkplug_id", "not an id of Sparkplug: no + / # and no control characters",
            "不是有效的 Sparkplug 标识：不能含 + / # 或控制字符",
            "Write letters, digits, - and _, for example hall-3", "请用字母、数字、- 和 _，例如 hall-3",
        )  # fmt: skip
    return text


def _checked_keepalive(keepalive: float) -> float:
    if keepalive != int(keepalive) or not 1 <= keepalive <= LONGEST_KEEPALIVE_S:
        raise mistake(
            "sparkplug_keepalive", f"not a number of whole seconds from 1 to {LONGEST_KEEPALIVE_S}",
            f"必须是 1 到 {LONGEST_KEEPALIVE_S} 之间的整秒数", "Write for example 10s", "例如写成 10s",
        )  # fmt: skip
    return keepalive


Id = Annotated[str, AfterValidator(_checked_id)]


class SparkplugSettings(BrokerSettings):
    group: Id = Field(description="Sparkplug group id, as the host application groups its nodes")
    node: Id = Field(description="Sparkplug edge node id; no two agents of a group may have the same")
    primary_host: Id | None = Field(
        None, description="id of the primary host application: data is held back while it is not online"
    )
    primary_wait: Duration = Field(
        30.0, description="how long a connection waits for the primary host before it is closed again"
    )
    client_id: str | None = Field(
        None, min_length=1, max_length=200, description="default: made of the agent's id, group and node"
    )
    keepalive: Annotated[Duration, AfterValidator(_checked_keepalive)] = Field(
        10.0, description="whole seconds; a dead connection is noticed within 1.5 times as long"
    )
    confirm_after: Duration | None = Field(
        None,
        description="what was sent counts as delivered when the connection has lived on for so long; give at "
        "least 1.5 times the keepalive of the host application. Default: 1.5 times our own, and 2s",
    )

    @model_validator(mode="after")
    def _time_fits(self) -> Self:
        least_s = 1.5 * self.keepalive
        if self.confirm_after is not None and not least_s <= self.confirm_after <= LONGEST_OUTLIVE_S:
            raise mistake(
                "sparkplug_confirm_after",
                f"confirm_after must be from {least_s:g}s (1.5 times keepalive) to {LONGEST_OUTLIVE_S:g}s",
                f"confirm_after 必须在 {least_s:g}s（keepalive 的 1.5 倍）到 {LONGEST_OUTLIVE_S:g}s 之间",
                f"Delete it, or write for example {least_s + MARGIN_S:g}s",
                f"请删除它，或写成例如 {least_s + MARGIN_S:g}s",
            )  # fmt: skip
        return self
