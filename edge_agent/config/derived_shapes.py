"""The keys of ``derived.d/*.yaml``. Items of lists are validated one by one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from edge_agent.config.fields import Free, Name, Number, Reference
from edge_agent.config.period_shapes import PeriodFile
from edge_agent.config.window_shapes import WindowFile
from edge_agent.settings import Delay, Duration, Settings


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _list(value: Any) -> Any:
    """One factor stands for one that has always been valid."""
    return value if isinstance(value, (list, dict)) or value is None else [{"factor": value}]


Formula = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Positive = Annotated[Number, Field(gt=0)]


class DerivedTagFile(Settings):
    """One derived tag: calculated with every reading of the fastest poll group in its formula."""

    name: Name = Field(description="Name of the derived tag. 计算点名称。")
    formula: Formula = Field(description="What is calculated, of DEVICE.TAG. 公式，引用“设备.点”。")
    unit: Free | None = Field(
        default=None, description="Unit of the result; default: what comes out. 单位，默认由公式得出。"
    )
    description: Free = Field(default="", description="For people. 说明。")
    metric: bool = Field(default=False, description="Shown to Prometheus. 输出为指标。")


class MultiplierFile(Settings):
    """A transformer ratio and since when it is valid."""

    since: str | None = Field(default=None, alias="from", description="Valid from; date, time. 生效时间。")
    factor: Positive = Field(description="What a reading is multiplied by. 倍率。")


class CounterFile(Settings):
    """One cumulative register: energy, gas, water, product mass."""

    tag: Reference = Field(description="DEVICE.TAG of the register. 累计寄存器，“设备.点”。")
    name: Name | None = Field(default=None, description="Default: the tag's name. 名称，默认同点名。")
    nameplate: Formula = Field(
        description="The most that can flow, with unit: 500 kW, 80 m3/h. 铭牌最大值及单位。"
    )
    rollover: Positive | None = Field(
        default=None, description="Raw count at which the register begins anew. 回零时的原始计数。"
    )
    multiplier: Annotated[
        list[MultiplierFile],
        BeforeValidator(_list),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0},
                    {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["factor"],
                            "properties": {
                                "from": {"type": "string"},
                                "factor": {"type": "number", "exclusiveMinimum": 0},
                            },
                        },
                    },
                ]
            }
        ),
    ] = Field(default_factory=list, description="Transformer ratio, or a list with 'from'. 互感器倍率。")
    step: Positive = Field(default=1, description="Raw counts by which it moves. 最小跳动（原始计数）。")
    noise: Annotated[Number, Field(ge=0)] = Field(
        default=0, description="Raw counts it may fall without meaning it. 允许的回跳（原始计数）。"
    )
    lag: Delay = Field(default=60.0, description="How seldom the meter renews it. 表计刷新间隔。")
    max_gap: Duration | None = Field(
        default=None, description="A longer silence is allotted to no hour. 更长的空缺不分摊到小时。"
    )
    confirm: int = Field(
        default=3, ge=2, le=100, description="So many readings make a jump believed. 确认跳变的读数个数。"
    )


class FigureFile(Settings):
    """A ratio of totals per hour, day and month: kWh/kg."""

    name: Name = Field(description="Name of the figure. 指标名称。")
    formula: Formula = Field(description="Of the counters' names. 公式，引用计数器名称。")
    unit: Free | None = Field(default=None, description="Default: what comes out. 单位，默认由公式得出。")
    only_if: Formula | None = Field(
        default=None, description="Undefined unless this holds: mass > 10 kg. 不成立时无定义。"
    )
    description: Free = Field(default="", description="For people. 说明。")


class DerivedFile(Settings):
    """One file of derived.d. All of them together are one virtual device."""

    device: Name = Field(default="derived", description="Name of the virtual device. 计算设备名称。")
    zone: Annotated[str | int, WithJsonSchema({"type": "string", "examples": ["+08:00"]})] = Field(
        default="+08:00", description="Distance from UTC by which days are counted. 统计日的时区。"
    )
    description: Free = Field(default="", description="For people. 说明。")
    tags: list[DerivedTagFile] = Field(default_factory=list, description="Derived tags. 计算点。")
    counters: list[CounterFile] = Field(default_factory=list, description="Meters. 计数器（表计）。")
    figures: list[FigureFile] = Field(default_factory=list, description="Of period totals. 周期指标。")
    windows: list[WindowFile] = Field(
        default_factory=list,
        description="On derived tags, and on totals by NAME.hour, NAME.day, NAME.month. 工艺窗口。",
    )
    periods: list[PeriodFile] = Field(
        default_factory=list,
        description="Minute, hour and day values of derived tags and counters. 分钟、小时、日值。",
    )
