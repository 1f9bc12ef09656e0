"""The keys of guarded writes, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from edge_agent.config.fields import Number, Reference
from edge_agent.keys import parse_duration
from edge_agent.settings import Delay, Duration, Settings

NO_TTL = "none"


def _ttl(value: Any) -> Any:
    """``none`` says that the value stays; it has to be said."""
    if value == NO_TTL or (isinstance(value, float) and value > 0):
        return value
    seconds = parse_duration(value)
    return seconds if seconds > 0 else NO_TTL


def _several(value: Any) -> Any:
    """One stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _flag(value: Any) -> Any:
    return float(value) if isinstance(value, bool) else value


def _speed(value: Any) -> Any:
    """Without a time, or without saying of what, a number says nothing: it is not guessed."""
    return _block("max_rate", value, "{at: 10, per: 1min}")


def _verify(value: Any) -> Any:
    return _block("verify", value, "{within: 2s, tolerance: 0.5}")


def _block(key: str, value: Any, example: str) -> Any:
    if value is None or isinstance(value, (dict, Settings)):
        return value
    line = f"{key}: {example}"
    raise PydanticCustomError(
        "block",
        "it takes a block of keys",
        {"zh": "应为含键的块", "cure_en": f"Write '{line}'.", "cure_zh": f"请写成 '{line}'。"},
    )


_TTL = {"anyOf": [{"const": NO_TTL}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?(ms|s|min|h|d)$"}]}
_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Positive = Annotated[Number, Field(gt=0)]
Ttl = Annotated[Any, BeforeValidator(_ttl), WithJsonSchema(_TTL)]
References = Annotated[list[Reference], BeforeValidator(_several), WithJsonSchema(_NAMES)]
Sources = Annotated[
    list[Annotated[str, Field(min_length=1)]], BeforeValidator(_several), WithJsonSchema(_NAMES)
]
NumberOrFlag = Annotated[Number, BeforeValidator(_flag), WithJsonSchema({"type": ["number", "boolean"]})]


class SpeedFile(Settings):
    """The fastest change that may be written."""

    at: Positive = Field(description="So much ... 变化量。")
    per: Duration = Field(description="... in so long. 时间。")


class VerifyFile(Settings):
    """The read-back."""

    within: Duration = Field(default=2.0, description="The value must be there by then. 回读时限。")
    tolerance: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Permitted difference, in the tag's unit. 允许偏差。"
    )


class WriteFile(Settings):
    """One entry of the allow-list of a device."""

    tag: Reference = Field(description="A tag of this device. 本设备的点。")
    low: Number | None = Field(default=None, description="Least value, inclusive. 允许下限（含）。")
    high: Number | None = Field(default=None, description="Greatest value, inclusive. 允许上限（含）。")
    max_step: Positive | None = Field(
        default=None, description="Greatest change by one write. 单次最大变化。"
    )
    max_rate: Annotated[SpeedFile | None, BeforeValidator(_speed)] = Field(
        default=None, description="Greatest change since the last write, per time. 最大变化速率。"
    )
    min_interval: Delay = Field(default=1.0, description="Between two writes. 最小写入间隔。")
    when: References = Field(
        default_factory=list, description="Bool tags that must be true and fresh. 前提条件（bool 点）。"
    )
    inputs: References = Field(
        default_factory=list, description="Tags that must be good and fresh. 必须良好且未过期的点。"
    )
    max_age: Duration = Field(default=5.0, description="Of when and inputs. 上述点的最大有效期。")
    who: Sources = Field(
        default_factory=lambda: ["operator"],
        min_length=1,
        description="operator, uplink:NAME, annunciation. 允许的来源。",
    )
    ttl: Ttl | None = Field(
        default=None, description="Taken back after so long; none: stays. 有效期，到期恢复；none 表示不恢复。"
    )
    revert: NumberOrFlag | None = Field(
        default=None, description="To what; default: what was there before. 恢复值，默认写入前的值。"
    )
    verify: Annotated[VerifyFile | None, BeforeValidator(_verify)] = Field(
        default=None, description="The read-back. 回读确认。"
    )
    per_day: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Writes a day; default 100, of an output 10000. 每天次数上限。",
    )
    approve: bool = Field(default=False, description="Needs a second person. 须第二人批准。")
    level: Literal["alarm", "recommend", "setpoint", "request"] | None = Field(
        default=None, description="Least writing level. 所需的最低写入级别。"
    )


class HeartbeatFile(Settings):
    """A register that the agent renews, so that the PLC notices its absence."""

    tag: Reference = Field(description="Bool (toggles) or integer (counts). 心跳点。")
    period: Duration = Field(default=1.0, description="Between two beats. 周期。")
    missed: int = Field(
        default=3, ge=1, le=100, description="Writes are refused after so many lost beats. 允许丢失次数。"
    )


class WritingFile(Settings):
    """How far the agent may go. Writing is off unless this says otherwise."""

    level: Literal["observe", "alarm", "recommend", "setpoint", "request"] = Field(
        default="alarm", description="observe < alarm < recommend < setpoint < request. 写入级别。"
    )
    dry_run: bool = Field(default=False, description="Everything but the write. 试运行，不实际写入。")
    arm: Duration = Field(default=3600.0, description="Longest arming. 最长授权时间。")
    per_day: int = Field(default=200, ge=1, le=1_000_000, description="Writes a day in all. 每天总次数。")
    lockout_failures: int = Field(
        default=3, ge=1, le=100, description="Failures in a row that lock a device out. 连续失败锁定次数。"
    )


class OutputFile(Settings):
    """A horn or lamp."""

    tag: Reference = Field(description="DEVICE.TAG, listed under writes there. 设备.点。")
    priority: Literal["critical", "high", "medium", "low"] = Field(
        default="high", description="Least priority of an alarm that switches it on. 最低报警优先级。"
    )
    active: bool = Field(
        default=False,
        description="On while alarms are active, not only while unacknowledged. 报警存在期间保持。",
    )
    silence: bool = Field(default=False, description="The silence command switches it off. 可消音。")
