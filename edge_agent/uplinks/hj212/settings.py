"""What a person writes under ``uplinks:`` for ``type: hj212``."""

from __future__ import annotations

import re
from typing import Annotated, Literal, LiteralString, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from edge_agent.settings import Delay, Duration, Secret, Settings
from edge_agent.uplink import UplinkSettings
from edge_agent.uplinks.hj212.address import parse
from edge_agent.uplinks.hj212.cipher import key_of
from edge_agent.uplinks.hj212.factors import FACTORS, TOTALS, format_of
from edge_agent.uplinks.hj212.number import Format

_PW = re.compile(r"[!-%'-+\--:<>-~]{6}")  # six visible characters; no & , ; =
_CODE = re.compile(r"[A-Za-z][0-9A-Za-z]{1,9}", re.ASCII)


def _mistake(code: LiteralString, en: str, zh: str, cure_en: str, cure_zh: str) -> PydanticCustomError:
    """The loader shows message and cure in the technician's language from the context."""
    context = {"en": en, "zh": zh, "cure_en": cure_en, "cure_zh": cure_zh}
    return PydanticCustomError(code, "{en}", context)


def _checked_address(text: str) -> str:
    try:
        parse(text)
    except ValueError:
        raise _mistake(
            "hj212_address", "not an address of the form tcp://host:port", "地址格式应为 tcp://主机:端口",
            "Write for example tcp://park.example:9001", "例如写成 tcp://park.example:9001",
        ) from None  # fmt: skip
    return text.strip()


def _checked_mn(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Z]{1,27}", text):
        raise _mistake(
            "hj212_mn", "an MN has digits and capital letters only (24 of 0-9 A-F by the standard)",
            "MN 只能包含数字和大写字母（标准为 24 位 0-9 A-F）",
            "Copy it from the platform's letter, in quotes.", "请按平台下发的内容填写，并加引号。",
        )  # fmt: skip
    return text


def _checked_password(secret: Secret) -> Secret:
    if not _PW.fullmatch(secret.get_secret_value()):
        raise _mistake(
            "hj212_pw", "PW must be six visible characters, without & , ; =",
            "PW 必须是 6 个可见字符，不能含 & , ; =",
            "Put exactly the six characters into the secret file.", "请在密钥文件中只写这 6 个字符。",
        )  # fmt: skip
    return secret


def _checked_key(secret: Secret | None) -> Secret | None:
    try:
        if secret is not None:
            key_of(secret.get_secret_value())
    except ValueError:
        raise _mistake(
            "hj212_sm4_key", "an SM4 key is 16 characters or 32 hex digits",
            "SM4 密钥为 16 个字符或 32 位十六进制数",
            "Copy the key from the platform into the secret file.",
            "请将平台下发的密钥写入密钥文件。",
        ) from None  # fmt: skip
    return secret


def _checked_code(code: str) -> str:
    if not _CODE.fullmatch(code):
        raise _mistake(
            "hj212_code", f"{code[:20]!r} is no factor code", f"{code[:20]!r} 不是因子编码",
            "Write for example a21026 or w01018.", "例如写成 a21026 或 w01018。",
        )  # fmt: skip
    return code


def _checked_format(text: str) -> str:
    try:
        return str(Format.parse(text))
    except ValueError:
        raise _mistake(
            "hj212_format", f"{text[:20]!r} is no number format", f"{text[:20]!r} 不是数值格式",
            "Write for example N5.2: five digits, then two.", "例如写成 N5.2：五位整数、两位小数。",
        ) from None  # fmt: skip


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _formed(
    pattern: str, code: LiteralString, en: str, zh: str, like_en: str, like_zh: str
) -> AfterValidator:
    """A text that must have this form, with what is said when it has not."""
    form = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise _mistake(code, en, zh, like_en, like_zh)
        return text

    return AfterValidator(check)


TagName = Annotated[
    str,
    _formed(
        r"[^.\s]+\.\S(?:.*\S)?", "hj212_tag", "not a tag of the form DEVICE.TAG", "应写成 设备.点",
        "Write for example stack-1.so2.", "例如写成 stack-1.so2。",
    ),
]  # fmt: skip
Code = Annotated[str, AfterValidator(_checked_code)]
SystemCode = Annotated[
    str,
    BeforeValidator(_as_text),
    _formed(
        r"[0-9A-Z]{2}", "hj212_st", "a system code has two characters", "系统编码为两个字符",
        "Write 31 for exhaust gas, 32 for waste water.", "废气写 31，废水写 32。",
    ),
]  # fmt: skip
Serial = Annotated[
    str,
    _formed(
        r"[0-9A-Za-z]{0,24}", "hj212_sn", "a serial number has at most 24 digits and letters",
        "序列号最多 24 位数字和字母", "Copy it from the instrument.", "请按仪器铭牌填写。",
    ),
]  # fmt: skip
FacilityCode = Annotated[
    str,
    _formed(
        r"SB\d{1,3}", "hj212_facility", "not a facility such as SB1", "不是治理设施编码",
        "Write SB and its number.", "写成 SB 加编号，例如 SB1。",
    ),
]  # fmt: skip
InfoCode = Annotated[
    str,
    _formed(
        r"[iI][1-3][1-3]\d{3}", "hj212_info", "not a code of device information", "不是现场端信息编码",
        "Write for example i12001, the state of an instrument.", "例如写成 i12001（仪器工作状态）。",
    ),
]  # fmt: skip


class FactorSettings(Settings):
    """One line of the table of factors."""

    tag: TagName
    code: Code = Field(description="the factor, such as a21026")
    unit: str = Field("", description="what the platform expects; sending stops when the tag has another")
    format: Annotated[str, AfterValidator(_checked_format)] | None = Field(
        None, description="such as N5.2; needed for factors that the standard gives none for"
    )
    total: TagName | None = Field(
        None, description="the tag of the same device whose sums are the Cou: a volume or a mass"
    )
    total_format: Annotated[str, AfterValidator(_checked_format)] = Field("N12.3", description="of the Cou")
    sn: Serial = Field("", description="serial number of its instrument, for 3019")

    @model_validator(mode="after")
    def _total_is_one(self) -> Self:
        if self.total is None:
            return self
        if self.total.partition(".")[0] != self.tag.partition(".")[0]:
            raise _mistake(
                "hj212_total_device", f"total {self.total} is of another device than {self.tag}",
                f"total {self.total} 与 {self.tag} 不是同一设备的点",
                "Derive both on the same device.", "请使用同一设备的点。",
            )  # fmt: skip
        if self.total == self.tag and self.code in FACTORS and self.code not in TOTALS:
            name = FACTORS[self.code].name
            raise _mistake(
                "hj212_total", f"the sum of {name} is no total", f"{name} 的累加值不是累计量",
                "Name a tag that counts volume or mass, or delete total.",
                "请填写流量体积或质量的点，或删除 total。",
            )  # fmt: skip
        return self


class FacilitySettings(Settings):
    """A facility whose daily running hours the platform wants (2041)."""

    code: FacilityCode = Field(description="such as SB1")
    tag: TagName
    figure: Literal["sum", "last", "max"] = Field("sum", description="which figure of its day value")


class InfoSettings(Settings):
    """A tag that says something of a device (3020)."""

    factor: Code = Field(description="the PolId: of which factor the device is")
    code: InfoCode = Field(description="such as i12001")
    tag: TagName


class Hj212Settings(UplinkSettings):
    """A field device of HJ 212 towards one platform. Not a certified data logger."""

    address: Annotated[str, AfterValidator(_checked_address)] = Field(description="tcp://host:port")
    mn: Annotated[str, AfterValidator(_checked_mn)] = Field(description="the device number the platform gave")
    pw: Annotated[Secret, BeforeValidator(_as_text), AfterValidator(_checked_password)] = Field(
        description="its password, six characters"
    )
    st: SystemCode = Field(description="system code: 31 exhaust gas, 32 waste water, 51 and 52 process")
    version: Annotated[Literal["2017", "2025"], BeforeValidator(_as_text)] = Field(
        "2017", description="the edition of HJ 212 that the platform speaks"
    )
    factors: list[FactorSettings] = Field(
        min_length=1, max_length=500, description="which tag is which factor"
    )
    running_hours: list[FacilitySettings] = Field(
        default_factory=list, max_length=99, description="daily running hours of facilities (2041)"
    )
    infos: list[InfoSettings] = Field(
        default_factory=list, max_length=99, description="states, logs and parameters of devices (3020)"
    )
    real_time: Annotated[Duration, Field(ge=1, le=3600)] = Field(
        60.0, description="one real-time packet (2011) in this time; the standard has 30s to 3600s"
    )
    min_interval: Literal[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30] = Field(
        1, description="minutes that a minute value spans here, as 1063 tells it; set under periods"
    )
    over_time: Annotated[Duration, Field(ge=0.2, le=99)] = Field(
        10.0, description="an acknowledgement is waited for this long (OverTime)"
    )
    re_count: Annotated[int, Field(ge=1, le=99)] = Field(3, description="repetitions after that (ReCount)")
    window: Annotated[int, Field(ge=1, le=32)] = Field(
        8, description="packets that may wait for their acknowledgement at the same time"
    )
    backfill_per_min: Annotated[int, Field(ge=30, le=60_000)] = Field(
        1200, description="packets of the backlog; live data goes first and beside it"
    )
    hold_unsynchronised: Annotated[Delay, Field(ge=0, le=86_400)] = Field(
        600.0, description="so long after boot period values wait for the clock, then they go marked"
    )
    heartbeat: Annotated[Delay, Field(ge=0, le=3600)] = Field(
        60.0, description="2025 only: a 9015 in this time; 0s for none"
    )
    sm4_key: Annotated[Secret | None, AfterValidator(_checked_key)] = Field(
        None, description="2025 only: encrypts what is sent; 16 characters or 32 hex digits"
    )
    cipher_wire: Literal["raw", "hex_braces"] = Field(
        "raw", description="encrypted data as bytes, or printed as {0xE4,...}"
    )
    key_exchange: bool = Field(False, description="2025 only: take a new key from the platform (1014)")
    report_start: bool = Field(True, description="tell the platform once that this agent has started (2081)")
    strict: bool = Field(False, description="take only frames that follow the standard to the letter")
    allow_remote_time: bool = Field(
        False, description="hand 1012 to the guarded pipeline; otherwise only its offset is put on record"
    )

    @field_validator("factors")
    @classmethod
    def _factors_fit(cls, factors: list[FactorSettings], info: ValidationInfo) -> list[FactorSettings]:
        seen: set[str] = set()
        for factor in factors:
            if factor.code in seen:
                raise _mistake(
                    "hj212_code_twice", f"factor {factor.code} is given twice", f"因子 {factor.code} 重复",
                    "A packet can hold one value of it: delete one of the lines.", "请删除其中一行。",
                )  # fmt: skip
            seen.add(factor.code)
            known = format_of(factor.code, edition_2025=info.data.get("version") == "2025")
            if not (factor.format or known):
                raise _mistake(
                    "hj212_no_format", f"no number format is known for factor {factor.code}",
                    f"因子 {factor.code} 没有已知的数值格式",
                    "Add format, for example N5.2.", "请补充 format，例如 N5.2。",
                )  # fmt: skip
        return factors

    @field_validator("sm4_key")
    @classmethod
    def _key_has_an_effect(cls, key: Secret | None, info: ValidationInfo) -> Secret | None:
        if key is not None and info.data.get("version") == "2017":
            raise _mistake(
                "hj212_sm4", "sm4_key has no effect with version 2017", "version 为 2017 时 sm4_key 不起作用",
                "Write version: 2025, or delete sm4_key.", "请改为 version: 2025，或删除 sm4_key。",
            )  # fmt: skip
        return key

    @field_validator("key_exchange")
    @classmethod
    def _exchange_has_a_key(cls, wanted: bool, info: ValidationInfo) -> bool:
        given = info.data
        if wanted and (given.get("sm4_key", "") is None or given.get("cipher_wire") == "hex_braces"):
            raise _mistake(
                "hj212_key_exchange", "key_exchange needs sm4_key, and cipher_wire: raw",
                "key_exchange 需要 sm4_key，且 cipher_wire 为 raw",
                "Give the registered key as sm4_key, or delete key_exchange.",
                "请填写已登记的密钥 sm4_key，或删除 key_exchange。",
            )  # fmt: skip
        return wanted
