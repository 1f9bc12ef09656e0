"""The keys of the files, as pydantic models. What a driver or an uplink adds stands in its own settings."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from edge_agent.settings import Delay, Duration, Settings, Size

# For editors only, whose \w knows no Chinese; the loader's own rule is ``is_name``.
NAME_PATTERN = r"^[^\s.,:;/\\'\"]{1,100}$"
_NAME = re.compile(r"\w[\w-]{0,99}")
_TAG_NAME = re.compile(r"\w[\w.-]{0,99}")


def is_name(value: str) -> bool:
    """Names of devices, groups, uplinks and windows; any script, no dot (a dot parts device and tag)."""
    return _NAME.fullmatch(value) is not None


def is_tag_name(value: str) -> bool:
    return _TAG_NAME.fullmatch(value) is not None


def name_guess(value: str) -> str:
    """A permitted name near to what was written."""
    return re.sub(r"[^\w-]+", "_", value).strip("_-") or "name_1"


def _name(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and not is_name(value):
        raise PydanticCustomError("name", "not a name", {"guess": name_guess(value)})
    return value


def _text(value: Any) -> Any:
    """A number is text too where text is asked for (``line: 3``)."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _poll(value: Any) -> Any:
    """One period stands for one group, ``default``."""
    return value if value is None or isinstance(value, (dict, list)) else {"default": value}


def _tag_or_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise PydanticCustomError("tag_or_number", "a tag or a number")
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
Line = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)]
Free = Annotated[str, BeforeValidator(_text), Field(max_length=1000)]
Reference = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=201)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class WebFile(Settings):
    """Prometheus metrics, JSON status and the local page."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on. 本机监听地址。")
    port: int = Field(
        default=9713, ge=0, le=65535, description="0 takes a free port. 端口，0 表示任取空闲端口。"
    )
    tags: Literal["off", "selected", "all"] = Field(
        default="selected", description="Which tag values become Prometheus series. 哪些点输出为指标。"
    )
    max_series: int = Field(
        default=2000, ge=0, le=1_000_000, description="Upper bound of these series. 指标数量上限。"
    )


class BufferFile(Settings):
    """Store and forward."""

    flush: Duration = Field(default=5.0, description="Samples go to disk this often. 落盘间隔。")
    quota: Size = Field(default=4_000_000_000, gt=0, description="Disk space the buffer may take. 磁盘配额。")
    memory: Size = Field(default=16_000_000, gt=0, description="Memory before a flush. 内存上限。")


class UplinkCommon(Settings):
    """The keys every uplink has beside its own."""

    name: Name = Field(description="Name of this destination. 上行通道名称。")
    type: str = Field(description="Kind of uplink. 上行通道类型。")
    max_segments: int = Field(
        default=64, ge=1, le=10_000, description="Stored segments per message. 每条消息的分段数。"
    )


class AgentFile(Settings):
    """``edge-agent.yaml``. ``uplinks`` are validated one by one, each against its plug-in."""

    line: Line = Field(description="Name of the production line. 产线名称。")
    language: Literal["zh", "en"] = Field(default="en", description="Language of logs and page. 语言。")
    state_dir: str = Field(
        default="/var/lib/edge-agent",
        min_length=1,
        description="Where data is kept; relative to this file. 数据目录。",
    )
    web: WebFile = Field(default_factory=WebFile, description="Metrics and status page. 指标与状态页。")
    buffer: BufferFile = Field(default_factory=BufferFile, description="Store and forward. 断网续传缓存。")
    uplinks: list[dict[str, Any]] = Field(default_factory=list, description="Destinations. 上行通道。")


class WindowFile(Settings):
    """One process window of a device."""

    tag: Reference = Field(description="A tag of this device. 本设备的点。")
    name: Name | None = Field(default=None, description="Default: the tag's name. 窗口名，默认同点名。")
    low: Number | None = Field(default=None, description="Lower limit, inclusive. 下限（含）。")
    high: Number | None = Field(default=None, description="Upper limit, inclusive. 上限（含）。")
    target: Annotated[
        float | str | None,
        BeforeValidator(_tag_or_number),
        WithJsonSchema({"type": ["number", "string"]}),
    ] = Field(default=None, description="Number, TAG or DEVICE.TAG. 目标值：数值、点或“设备.点”。")
    tolerance: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="Target plus/minus. 允差。"
    )
    deadband: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="How far inside ends an excursion. 死区。"
    )
    on_delay: Delay = Field(default=0.0, description="Outside so long before an excursion begins. 报警延时。")
    off_delay: Delay = Field(default=0.0, description="Inside so long before it ends. 恢复延时。")
    max_age: Duration | None = Field(default=None, description="Older input is unknown. 数据最大有效期。")
    when: Reference | None = Field(
        default=None, description="A bool tag: the window applies while true. 生效条件。"
    )
    description: Free = Field(default="", description="For people. 说明。")


class DeviceCommon(Settings):
    """The keys every device file has beside its driver's."""

    device: Name = Field(description="Name of the device. 设备名称。")
    driver: str = Field(description="Protocol. 驱动（协议）。")
    description: Free = Field(default="", description="For people. 说明。")
    enabled: bool = Field(
        default=True, description="false: checked, but not polled. false 表示只检查不采集。"
    )
    poll: Annotated[dict[Name, Duration], BeforeValidator(_poll)] = Field(
        default_factory=lambda: {"default": 1.0},
        min_length=1,
        description="Poll group: period; or one period for all tags. 轮询组: 周期；或单一周期。",
    )
    tags: str | None = Field(
        default=None,
        min_length=1,
        description="Table in tags.d; default: this file's name. 点表文件名，默认同名。",
    )
    windows: list[WindowFile] = Field(
        default_factory=list, description="Process windows, validated one by one. 工艺窗口。"
    )
