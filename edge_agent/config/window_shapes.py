"""The keys of a process window, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from edge_agent.config.fields import Free, Name, Number, Reference, TagOrNumber
from edge_agent.settings import Delay, Duration, Settings

Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Condition = Annotated[str, Field(min_length=1, max_length=2000)]
Urgency = Literal["critical", "high", "medium", "low", "diagnostic"]


def _state(value: Any) -> Any:
    if not isinstance(value, (bool, int, float, str)):
        raise PydanticCustomError("state", "a value or a label")
    return value


State = Annotated[Any, AfterValidator(_state), WithJsonSchema({"type": ["boolean", "integer", "string"]})]


class AlarmKeys(Settings):
    """How the alarm of a limit behaves. None: as the window says, and that has the defaults."""

    priority: Urgency | None = Field(default=None, description="Of the alarm. 报警优先级。")
    latch: bool | None = Field(
        default=None, description="Stays until it is reset, also when the value is back. 锁存，须复位。"
    )
    ack: bool | None = Field(default=None, description="Wants an acknowledgement. 是否需要确认。")
    realarm: Duration | None = Field(
        default=None, description="Announced again so long after its acknowledgement. 确认后再次报警的时间。"
    )
    first_out: Name | None = Field(
        default=None, description="The first alarm of this group is marked. 首出组。"
    )
    max_shelve: Duration | None = Field(default=None, description="Longest shelving. 最长搁置时间。")


class LimitFile(AlarmKeys):
    """A limit with settings of its own; a number alone is ``at``."""

    at: Number | None = Field(default=None, description="The limit, inclusive. 限值（含）。")
    tolerance: Positive | None = Field(
        default=None, description="In place of at: so far from the window's target. 与目标值的距离。"
    )
    deadband: NotNegative | None = Field(default=None, description="Default: the window's. 死区。")
    on_delay: Delay | None = Field(default=None, description="Default: the window's. 报警延时。")
    off_delay: Delay | None = Field(default=None, description="Default: the window's. 恢复延时。")

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"at": value}
        if not isinstance(value, (dict, LimitFile)):
            raise PydanticCustomError("limit", "a number or a block")
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shown = handler.resolve_ref_schema(handler(core_schema))
        block = dict(shown)
        shown.clear()
        shown["anyOf"] = [{"type": "number"}, block]
        return shown


class RateFile(AlarmKeys):
    """The greatest permitted change per time."""

    at: Positive = Field(description="So much ... 变化量。")
    per: Duration = Field(description="... in so long. 时间。")
    over: Delay = Field(
        default=0.0, description="Measured over so long; 0s: between two readings. 测量时段。"
    )
    deadband: NotNegative = Field(default=0.0, description="In the unit of at. 死区，单位同 at。")
    on_delay: Delay | None = Field(default=None, description="Default: the window's. 报警延时。")
    off_delay: Delay | None = Field(default=None, description="Default: the window's. 恢复延时。")


class SlopeFile(Settings):
    """The fastest change that can be true."""

    at: Positive = Field(description="So much ... 变化量。")
    per: Duration = Field(description="... in so long. 时间。")


class PlausibleFile(Settings):
    """What the input can say and still be believed."""

    low: Number | None = Field(default=None, description="Below this it is not believed. 合理下界。")
    high: Number | None = Field(default=None, description="Above this it is not believed. 合理上界。")
    slope: SlopeFile | None = Field(default=None, description="Faster is not believed. 合理变化率。")
    frozen: Duration | None = Field(
        default=None, description="Unchanged for so long is not believed. 数值停滞时间。"
    )


class BadInputFile(AlarmKeys):
    """An alarm for a window that has been unknown for too long."""

    on_delay: Delay = Field(default=0.0, description="Unknown for so long. 未知持续时间。")
    off_delay: Delay = Field(default=0.0, description="Known again for so long. 恢复延时。")


class EarlyFile(Settings):
    """Advice before a limit is reached."""

    over: Duration = Field(default=600.0, description="The span a trend is fitted to. 趋势时段。")
    ahead: Duration | None = Field(
        default=None, description="Warn when a limit would be reached within it. 提前量。"
    )
    rules: list[Literal[1, 2, 3, 5, 6]] = Field(
        default_factory=list, description="Nelson rules in use. 采用的 Nelson 规则。"
    )
    every: Duration = Field(
        default=10.0, description="One reading is taken so often, for the rules. 取样间隔。"
    )
    priority: Urgency = Field(default="low", description="Of these alarms. 优先级。")


class WindowFile(AlarmKeys):
    """One process window of a device."""

    tag: Reference = Field(description="A tag of this device. 本设备的点。")
    name: Name | None = Field(default=None, description="Default: the tag's name. 窗口名，默认同点名。")
    lolo: LimitFile | None = Field(default=None, description="Lowest limit, inclusive. 下下限（含）。")
    low: LimitFile | None = Field(default=None, description="Lower limit, inclusive. 下限（含）。")
    high: LimitFile | None = Field(default=None, description="Upper limit, inclusive. 上限（含）。")
    hihi: LimitFile | None = Field(default=None, description="Highest limit, inclusive. 上上限（含）。")
    target: TagOrNumber | None = Field(
        default=None, description="Number, TAG or DEVICE.TAG. 目标值：数值、点或“设备.点”。"
    )
    tolerance: Positive | None = Field(default=None, description="Target plus/minus. 允差。")
    rise: RateFile | None = Field(default=None, description="Fastest permitted rise. 上升速率上限。")
    fall: RateFile | None = Field(default=None, description="Fastest permitted fall. 下降速率上限。")
    allowed: list[State] | None = Field(
        default=None,
        min_length=1,
        description="Of a discrete tag: values or labels that are in. 允许的状态：值或标签。",
    )
    deadband: NotNegative = Field(default=0.0, description="How far inside ends an excursion. 死区。")
    on_delay: Delay = Field(default=0.0, description="Outside so long before an excursion begins. 报警延时。")
    off_delay: Delay = Field(default=0.0, description="Inside so long before it ends. 恢复延时。")
    max_age: Duration | None = Field(default=None, description="Older input is unknown. 数据最大有效期。")
    when: Condition | None = Field(
        default=None,
        description="A bool tag or a condition: the window applies while true. 生效条件：bool 点或表达式。",
    )
    grace: Delay = Field(default=0.0, description="So long after when became true. 生效后的宽限时间。")
    plausible: PlausibleFile | None = Field(default=None, description="What can be believed. 合理性检查。")
    bad_input: BadInputFile | None = Field(
        default=None, description="An alarm for a window that is unknown. 窗口未知时报警。"
    )
    early: EarlyFile | None = Field(default=None, description="Early warning, advisory. 早期预警。")
    quantity: Name | None = Field(
        default=None, description="What the tag measures, for limits handed down. 物理量，用于上级标准。"
    )
    equipment: Name | None = Field(
        default=None, description="Kind of equipment, where not the device's. 设备类别，默认同设备。"
    )
    description: Free = Field(default="", description="For people. 说明。")
