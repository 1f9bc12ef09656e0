"""The keys of ``periods``: of the agent, and of each entry in a device file or a file of derived.d."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from edge_agent.config.fields import Free, Number, Reference
from edge_agent.settings import Delay, Duration, Settings

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%?\s*", re.ASCII)


def _share(value: Any) -> float:
    """``75 %`` or 75 -> percent."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found = float(value)
    else:
        match = _SHARE.fullmatch(value) if isinstance(value, str) else None
        found = float(match[1]) if match else -1.0
    if not 0 <= found <= 100:
        meant = {
            "zh": "应为 0 % 到 100 % 的比例",
            "cure_en": "Write for example 75 %.",
            "cure_zh": "例如写成 75 %。",
        }
        raise PydanticCustomError("share", "is a share from 0 % to 100 %", meant)
    return found


def _state(value: Any) -> Any:
    """A tag alone stands for one that is on while it is not 0."""
    return value if isinstance(value, dict) or value is None else {"tag": value}


def _names(value: Any) -> Any:
    """One name stands for a list of one."""
    return [value] if isinstance(value, str) else value


Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 100},
                {"type": "string", "pattern": r"^\d+(\.\d+)? ?%?$", "examples": ["75 %"]},
            ]
        }
    ),
]


class StateFile(Settings):
    """A tag that tells of a state of the instrument."""

    tag: Reference = Field(description="TAG or DEVICE.TAG. 点名，或“设备.点”。")
    values: list[Number] = Field(
        default_factory=list,
        alias="is",
        description="On while it has one of these; default: not 0. 取这些值时成立，默认非 0。",
    )


State = Annotated[StateFile, BeforeValidator(_state)]


class PeriodFile(Settings):
    """Minute, hour and day values of some tags."""

    tags: Annotated[list[Reference], BeforeValidator(_names), Field(min_length=1)] = Field(
        description="Tags of this device; '*' stands for any characters. 本设备的点名，可用 *。"
    )
    rule: Literal["gas", "water", "plain"] = Field(
        default="plain", description="When a value is valid. 有效性规则：废气、废水、普通。"
    )
    minute: Duration | None = Field(
        default=None, description="Length of the shortest period: 1min to 30min. 分钟值的时长。"
    )
    min_samples: int | None = Field(
        default=None, ge=0, description="Valid samples a minute needs. 分钟值所需的有效数据个数。"
    )
    valid_share: Share | None = Field(
        default=None, description="Share that must be normal. 正常数据所占比例的下限。"
    )
    valid_minutes: int | None = Field(
        default=None, ge=0, le=60, description="Valid minutes an hour needs. 小时值所需的有效分钟个数。"
    )
    valid_hours: int | None = Field(
        default=None, ge=0, le=24, description="Valid hours a day needs. 日均值所需的有效小时个数。"
    )
    uncertain: Literal["valid", "invalid"] | None = Field(
        default=None, description="What samples of uncertain quality are. 存疑数据是否有效。"
    )
    weight_by: Reference | None = Field(
        default=None, description="Flow by which the mean is weighted. 加权平均所用的流量点。"
    )
    integral_per: Duration | None = Field(
        default=None, description="'sum' is the integral: 1h turns kW into kWh. sum 为时间积分。"
    )
    sum_unit: Free | None = Field(default=None, description="Unit of 'sum'. sum 的单位。")
    maintenance: State | None = Field(
        default=None, description="On during maintenance: flag M. 维护状态点，标记 M。"
    )
    calibration: State | None = Field(
        default=None, description="On during calibration: flag C. 校准状态点，标记 C。"
    )


class PeriodsFile(Settings):
    """Minute, hour and day values, for the whole agent."""

    grace: Delay = Field(
        default=5.0, le=60, description="A period is closed so long after its end. 周期结束后等待时长。"
    )
    keep: Duration = Field(default=190 * 86_400.0, description="Space is kept for so long. 预留的保存时长。")
