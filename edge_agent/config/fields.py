"""The kinds of value that keys of several files have: names, references, numbers, texts, dates."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

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


def _tag_or_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise PydanticCustomError("tag_or_number", "a tag or a number")
    return value


def _date(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    meant = {
        "zh": "日期写作 年-月-日，例如 2026-01-31",
        "cure_en": "Write a date of the calendar as 2026-01-31.",
        "cure_zh": "请按 2026-01-31 的形式填写日历上存在的日期。",
    }
    raise PydanticCustomError("date", "a date is written YEAR-MONTH-DAY, such as 2026-01-31", meant)


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
Line = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)]
Free = Annotated[str, BeforeValidator(_text), Field(max_length=1000)]
Reference = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=201)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
TagOrNumber = Annotated[
    float | str, BeforeValidator(_tag_or_number), WithJsonSchema({"type": ["number", "string"]})
]
Date = Annotated[date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
