"""The keys of ``standards.d/*.yaml``, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_agent.config.fields import Date, Free, Line, Name, Number
from edge_agent.settings import Delay, Duration, Settings


class RateLimitFile(Settings):
    """A rate of change handed down."""

    at: Annotated[Number, Field(gt=0)] = Field(description="So much, in unit ... 变化量。")
    per: Duration = Field(description="... in so long. 时间。")
    over: Delay = Field(default=0.0, description="Measured over so long. 测量时段。")


class StandardLimitFile(Settings):
    """The limits of one quantity."""

    quantity: Name = Field(description="What is limited; tags say the same. 物理量，与点一致。")
    equipment: Name | None = Field(
        default=None, description="Kind of equipment; default: every kind. 设备类别，默认全部。"
    )
    unit: Free = Field(default="", description="Of the numbers. 单位。")
    lolo: Number | None = Field(default=None, description="Lowest limit, inclusive. 下下限（含）。")
    low: Number | None = Field(default=None, description="Lower limit, inclusive. 下限（含）。")
    high: Number | None = Field(default=None, description="Upper limit, inclusive. 上限（含）。")
    hihi: Number | None = Field(default=None, description="Highest limit, inclusive. 上上限（含）。")
    rise: RateLimitFile | None = Field(default=None, description="Fastest rise. 上升速率上限。")
    fall: RateLimitFile | None = Field(default=None, description="Fastest fall. 下降速率上限。")
    period: Literal["hour", "day", "month"] | None = Field(
        default=None, description="For totals and ratios of a period. 统计周期。"
    )
    description: Free = Field(default="", description="For people. 说明。")


class StandardFile(Settings):
    """One document handed down. ``limits`` are validated one by one."""

    standard: Name = Field(description="Name of the document. 标准名称。", examples=["unnamed"])
    level: Literal["park", "sector", "enterprise"] = Field(
        description="Who hands it down. 层级：园区、行业、企业。", examples=["enterprise"]
    )
    version: Line = Field(description="Edition of the document. 版本。", examples=["0"])
    valid_from: Date | None = Field(default=None, description="First day, inclusive. 生效日期。")
    valid_until: Date | None = Field(default=None, description="Last day, inclusive. 失效日期（含）。")
    source: Free = Field(default="", description="Where it comes from. 来源。")
    limits: list[StandardLimitFile] = Field(default_factory=list, description="What it limits. 限值。")
