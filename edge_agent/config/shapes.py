"""The keys of the files, as pydantic models. What a driver or an uplink adds stands in its own settings."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from edge_agent.config.fields import Free as Free
from edge_agent.config.fields import Line as Line
from edge_agent.config.fields import Name as Name
from edge_agent.config.fields import Number as Number
from edge_agent.config.fields import Reference as Reference
from edge_agent.config.fields import is_name as is_name
from edge_agent.config.fields import is_tag_name as is_tag_name
from edge_agent.config.fields import name_guess as name_guess
from edge_agent.config.period_shapes import PeriodFile, PeriodsFile
from edge_agent.config.window_shapes import WindowFile as WindowFile
from edge_agent.config.writes_shapes import HeartbeatFile, OutputFile, WriteFile, WritingFile
from edge_agent.settings import Delay, Duration, Settings, Size

_DAY_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def _poll(value: Any) -> Any:
    """One period stands for one group, ``default``."""
    return value if value is None or isinstance(value, (dict, list)) else {"default": value}


def _day_time(value: Any) -> Any:
    """``HH:MM`` -> seconds after midnight."""
    match = _DAY_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        meant = {
            "zh": "时刻写作 HH:MM，例如 08:00",
            "cure_en": 'Write it as "08:00".',
            "cure_zh": '请写成 "08:00"。',
        }
        raise PydanticCustomError("day_time", "a time of day is written HH:MM, such as 08:00", meant)
    return int(match[1]) * 3600 + int(match[2]) * 60


def _shifts(value: dict[str, int]) -> dict[str, int]:
    if len(set(value.values())) != len(value):
        meant = {
            "zh": "两个班次的开始时刻相同",
            "cure_en": "Give each shift a begin of its own.",
            "cure_zh": "请为每个班次填写不同的开始时刻。",
        }
        raise PydanticCustomError("shifts", "two shifts begin at the same time", meant)
    return value


def _pattern(value: str) -> str:
    device, dot, tag = value.strip().partition(".")
    if not (device and dot and tag):
        meant = {
            "zh": "应写作 设备.点名，可用 * 代表任意字符",
            "cure_en": "Write for example press-1.* or *.power.",
            "cure_zh": "例如写成 press-1.* 或 *.power。",
        }
        raise PydanticCustomError("tag_pattern", "is written DEVICE.TAG, with * for any characters", meant)
    return f"{device}.{tag}"


TagPattern = Annotated[Reference, AfterValidator(_pattern)]

DayTime = Annotated[
    int,
    BeforeValidator(_day_time),
    WithJsonSchema({"type": "string", "pattern": r"^([01]?\d|2[0-3]):[0-5]\d$"}),
]
"""Seconds after midnight; written ``HH:MM``."""


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
    free: Size | None = Field(
        default=None,
        description="Disk space left free; default: a twentieth of the disk, at most 200MB. 磁盘保留空间。",
    )
    events_quota: Size = Field(default=200_000_000, gt=0, description="Disk space for events. 事件配额。")
    periods_quota: Size | None = Field(
        default=None,
        gt=0,
        description="Disk space for minute, hour and day values; default: what periods.keep needs, "
        "50MB to 4GB. 周期值配额。",
    )
    hold_unsynchronised: Delay = Field(
        default=120.0,
        description="So long after boot samples wait for the clock; 0: not at all. 时钟未同步时的等待时间。",
    )
    daily_writes: Size = Field(
        default=1_500_000_000, gt=0, description="Bytes a day this agent may write. 每日写入预算。"
    )


class ConsoleFile(Settings):
    """The local socket of the commands that act on the running agent: alarms, writes, counters."""

    socket: str | None = Field(
        default=None,
        min_length=1,
        description="Path; default: in the runtime directory. 套接字路径，默认在运行目录。",
    )
    group: str = Field(
        default="", description="Whose members may use it, beside root. 允许使用的用户组（root 除外）。"
    )


class UplinkCommon(Settings):
    """The keys every uplink has beside its own."""

    name: Name = Field(description="Name of this destination. 上行通道名称。")
    type: str = Field(description="Kind of uplink. 上行通道类型。")
    max_segments: int = Field(
        default=64, ge=1, le=10_000, description="Stored segments per message. 每条消息的分段数。"
    )
    streams: list[Literal["samples", "periods", "event"]] | None = Field(
        default=None,
        min_length=1,
        description="What is sent; default: all this kind takes. 发送的数据流，默认全部。",
    )
    select: list[TagPattern] = Field(
        default_factory=list,
        description="Only these DEVICE.TAG, '*' allowed; events are not concerned. 只发送这些点。",
    )
    every: Duration | None = Field(
        default=None, description="At most one reading per poll group and interval. 每个周期最多发送一次。"
    )


class AgentFile(Settings):
    """``edge-agent.yaml``. ``uplinks`` are validated one by one, each against its plug-in."""

    line: Line = Field(description="Name of the production line. 产线名称。")
    language: Literal["zh", "en"] = Field(
        default="en", description="Language of the status page; logs are English. 状态网页语言，日志为英文。"
    )
    state_dir: str = Field(
        default="/var/lib/edge-agent",
        min_length=1,
        description="Where data is kept; relative to this file. 数据目录。",
    )
    web: WebFile = Field(default_factory=WebFile, description="Metrics and status page. 指标与状态页。")
    buffer: BufferFile = Field(default_factory=BufferFile, description="Store and forward. 断网续传缓存。")
    console: ConsoleFile = Field(
        default_factory=ConsoleFile, description="Local socket for commands. 本机命令套接字。"
    )
    shifts: Annotated[dict[Name, DayTime], AfterValidator(_shifts)] = Field(
        default_factory=dict, description="Name: begin (HH:MM, +08:00). 班次: 开始时刻。"
    )
    writing: WritingFile = Field(
        default_factory=WritingFile,
        description="Writing to controllers; off by default. 写入控制器，默认关闭。",
    )
    annunciation: list[OutputFile] = Field(
        default_factory=list, description="Horns and lamps, validated one by one. 声光报警输出。"
    )
    periods: PeriodsFile = Field(
        default_factory=PeriodsFile, description="Minute, hour and day values. 分钟、小时、日值。"
    )
    uplinks: list[dict[str, Any]] = Field(default_factory=list, description="Destinations. 上行通道。")


class DeviceCommon(Settings):
    """The keys every device file has beside its driver's."""

    device: Name = Field(description="Name of the device. 设备名称。")
    driver: str = Field(description="Protocol. 驱动（协议）。")
    description: Free = Field(default="", description="For people. 说明。")
    equipment: Name | None = Field(
        default=None, description="Kind of equipment, for limits handed down. 设备类别，用于上级标准。"
    )
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
    writes: list[WriteFile] = Field(
        default_factory=list, description="What may be written, validated one by one. 允许写入的点。"
    )
    heartbeat: HeartbeatFile | None = Field(default=None, description="For the PLC. 给 PLC 的心跳。")
    periods: list[PeriodFile] = Field(
        default_factory=list,
        description="Minute, hour and day values, validated one by one. 分钟、小时、日值。",
    )
