"""pydantic's errors -> problems with a place, a cause and a cure in both languages.

Messages come from the catalogue by the error's type, never from pydantic's English. A plug-in's own rule (any
other type, ``PydanticCustomError``) is shown with its message; in the context it may give ``zh``, ``cure_en``
and ``cure_zh``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from edge_agent.config import catalogue as c
from edge_agent.config.document import Document
from edge_agent.config.lint import full_width_in
from edge_agent.config.located import Collector, Path, Position, is_secret_key
from edge_agent.config.suggest import NOTHING, hint, listed, nearest, said
from edge_agent.settings import Text

_TEXT = Text("text", "文字")
_NUMBER = Text("a number", "数字")
_WHOLE = Text("a whole number", "整数")
_YES_NO = Text("true or false", "true 或 false")
_MAPPING = Text("a block of 'key: value' lines", "“键: 值”块")
_LIST = Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）")
_WANTED = {
    "string_type": _TEXT, "string_unicode": _TEXT, "string_sub_type": _TEXT,
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "decimal_type": _NUMBER, "decimal_parsing": _NUMBER,
    "bool_type": _YES_NO, "bool_parsing": _YES_NO,
    "dict_type": _MAPPING, "mapping_type": _MAPPING, "model_type": _MAPPING,
    "model_attributes_type": _MAPPING, "dataclass_type": _MAPPING,
    "list_type": _LIST, "tuple_type": _LIST, "set_type": _LIST, "frozen_set_type": _LIST,
    "tag_or_number": Text("a tag or a number", "点名或数字"),
    "limit": Text("a number, or a block with 'at: ...'", "数字，或含 'at: ...' 的块"),
    "state": Text("true, false, a whole number or text", "true、false、整数或文字"),
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", Text("greater than {}", "大于 {}")),
    "greater_than_equal": ("ge", Text("at least {}", "不小于 {}")),
    "less_than": ("lt", Text("less than {}", "小于 {}")),
    "less_than_equal": ("le", Text("at most {}", "不大于 {}")),
    "multiple_of": ("multiple_of", Text("a multiple of {}", "是 {} 的倍数")),
    "string_too_short": ("min_length", Text("at least {} characters long", "至少 {} 个字符")),
    "string_too_long": ("max_length", Text("at most {} characters long", "至多 {} 个字符")),
    "too_short": ("min_length", Text("at least {} entries long", "至少 {} 项")),
    "too_long": ("max_length", Text("at most {} entries long", "至多 {} 项")),
}

Error = Mapping[str, Any]


class Explainer:
    """Explains the errors of one model on one document. ``prefix``: where the validated part stands in it."""

    def __init__(
        self, document: Document, collector: Collector, model: type[BaseModel], prefix: Path
    ) -> None:
        self.document = document
        self.collector = collector
        self.model = model
        self.prefix = prefix

    def explain(self, error: ValidationError, typos: Collection[Path] = ()) -> None:
        """``typos``: keys that were misspelt, as already reported; they are not missing as well."""
        errors = error.errors(include_url=False)
        meant = {self._meant(e) for e in errors if e["type"] == "extra_forbidden"} | set(typos)
        for found in errors:
            path = self._path(found)
            if found["type"] != "missing" or path not in meant:
                self._one(found, path)

    def _path(self, error: Error) -> Path:
        return (*self.prefix, *(part for part in error["loc"] if part != "[key]"))

    def _meant(self, error: Error) -> Path | None:
        path = self._path(error)
        guess = nearest(str(path[-1]), self._siblings(path))
        return (*path[:-1], guess) if guess else None

    def _siblings(self, path: Path) -> list[str]:
        """The keys that may stand beside the last part of ``path``."""
        return fields_at(self.model, path[len(self.prefix) : -1])

    def _one(self, error: Error, path: Path) -> None:
        kind, key = error["type"], str(path[-1]) if path else ""
        if isinstance(path[-1] if path else "", int) and len(path) > 1:
            key = str(path[-2])
        if kind == "missing":
            self._add(self._parent(path), c.MISSING_KEY, path, key=key)
        elif kind in ("extra_forbidden", "unexpected_keyword_argument"):
            known = self._siblings(path)
            at = self.document.key(path)
            self._add(at, c.UNKNOWN_KEY, path, key=key, known=listed(known), hint=hint(key, known))
        elif not self._full_width(error, path):
            value = self.document.key(path) if "[key]" in error["loc"] else self.document.value(path)
            self._value(error, path, key, value)

    def _parent(self, path: Path) -> Position:
        """Where a key is missing: at the key of its block, or at the start of the file or list item."""
        return self.document.key(path[:-1])

    def _full_width(self, error: Error, path: Path) -> bool:
        """A number with full-width digits is a typing accident, not a wrong type."""
        found = error["input"]
        wide = full_width_in(found) if isinstance(found, str) and error["type"] not in _NOT_NUMERIC else None
        if wide is None:
            return False
        line, column = self.document.value(path)
        at = self.document.source.lines[line - 1].find(wide[1], column - 1)
        self._add((line, at + 1 if at >= 0 else column), c.FULL_WIDTH, path, found=wide[1], wanted=wide[2])
        return True

    def _value(self, error: Error, path: Path, key: str, at: Position) -> None:
        kind, found, context = error["type"], shown(path, error["input"]), error.get("ctx", {})
        if kind in _WANTED:
            told = quoted(path, error["input"])
            self._add(at, c.WRONG_TYPE, path, key=key, wanted=_WANTED[kind], found=told, hint=NOTHING)
        elif kind in ("literal_error", "enum", "union_tag_invalid"):
            known = _options(str(context.get("expected", context.get("expected_tags", ""))))
            self._add(
                at, c.NOT_ALLOWED, path,
                key=key, found=found, known=listed(known), hint=hint(str(error["input"]), known),
            )  # fmt: skip
        elif kind in _BOUNDS:
            name, wanted = _BOUNDS[kind]
            number = context.get(name)
            bound = f"{number:g}" if isinstance(number, float) else str(number)
            wanted = Text(wanted.en.format(bound), wanted.zh.format(bound))
            self._add(
                at, c.OUT_OF_RANGE, path, key=key, found=_length(kind, found, error["input"]), wanted=wanted
            )
        elif not self._own_rule(kind, at, path, found, context):
            self._foreign(error, path, key, at)

    def _foreign(self, error: Error, path: Path, key: str, at: Position) -> None:
        """A rule of a plug-in, or one this page has no words for."""
        context = error.get("ctx", {})
        message = str(context.get("error") or error["msg"])
        reason = Text(message, str(context.get("zh", message)))
        cure = Text(
            str(context.get("cure_en", f"Correct '{key}'; docs/configuration.md describes it.")),
            str(context.get("cure_zh", f"请改正 '{key}'，写法见 docs/configuration.zh-CN.md。")),
        )
        self._add(at, c.BAD_FORM, path, key=key, reason=reason, cure=cure)

    def _own_rule(self, kind: str, at: Position, path: Path, found: object, context: Error) -> bool:
        """The rules of ``edge_agent.settings`` and of our own shapes; False for any other."""
        if kind == "duration_unit":
            self._add(at, c.DURATION_UNIT, path, found=found, guess=context.get("guess", "5s"))
        elif kind == "duration":
            self._add(at, c.DURATION, path, found=found, hint=said(_duration_meant(found)))
        elif kind == "duration_positive":
            self._add(at, c.DURATION_POSITIVE, path, found=found)
        elif kind == "size":
            self._add(at, c.SIZE, path, found=found, hint=said(_size_meant(found)))
        elif kind == "name":
            self._add(at, c.BAD_NAME, path, name=found, guess=context.get("guess", "name_1"))
        else:
            return False
        return True

    def _add(self, at: Position, entry: c.Entry, path: Path, /, **values: object) -> None:
        self.collector.add(self.document.source, at, entry, path, **values)


_NOT_NUMERIC = frozenset({"missing", "extra_forbidden", "string_too_long", "name", "string_pattern_mismatch"})
_UNITS = {
    "毫秒": "ms", "msec": "ms",
    "秒钟": "s", "秒": "s", "seconds": "s", "second": "s", "secs": "s", "sec": "s",
    "分钟": "min", "分": "min", "minutes": "min", "mins": "min", "m": "min",
    "小时": "h", "hours": "h", "hour": "h", "天": "d", "days": "d", "day": "d",
    "ms": "ms", "s": "s", "min": "min", "h": "h", "d": "d",
}  # fmt: skip


def _duration_meant(found: object) -> str | None:
    """``5秒``, ``5 sec``, ``5S`` -> ``5s``."""
    text = str(found).strip().lower().replace(" ", "")
    for ending, unit in _UNITS.items():
        if text.endswith(ending) and text[: -len(ending)].replace(".", "", 1).isdigit():
            return text[: -len(ending)] + unit
    return None


def _size_meant(found: object) -> str | None:
    """``4G``, ``4 gb``, ``4GiB`` -> ``4GB``."""
    match = re.fullmatch(
        r"(\d+(?:\.\d+)?)(k|m|g|千|兆)(i?b)?(yte|ytes)?", str(found).lower().replace(" ", "")
    )
    units = {"k": "kB", "m": "MB", "g": "GB", "千": "kB", "兆": "MB"}
    return match[1] + units[match[2]] if match else None


def quoted(path: Path, value: Any) -> object:
    """As ``shown``, for behind a Chinese word: set apart from it, text in quotes."""
    found = shown(path, value)
    if isinstance(found, Text):
        return found
    told = f"'{found}'" if isinstance(value, str) else f"{found}"
    return Text(told, f" {told}")


def shown(path: Path, value: Any) -> object:
    """A value in a message: short, and never a secret."""
    if isinstance(value, SecretStr) or any(is_secret_key(part) for part in path):
        return Text("a secret", "密钥")
    if value is None:
        return Text("nothing", "空值")
    if isinstance(value, dict):
        return Text("a block", "一个块")
    if isinstance(value, (list, tuple)):
        return Text("a list", "一个列表")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _length(kind: str, found: object, value: Any) -> object:
    if not kind.endswith(("_short", "_long")):
        return found
    size = len(value) if hasattr(value, "__len__") else 0
    return Text(f"{size} long", f"长度 {size}")


def _options(expected: str) -> list[str]:
    """``"'a', 'b' or 'c'"`` -> a, b, c."""
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(", ") if part.strip(" '")]


def fields_at(model: Any, path: Path) -> list[str]:
    """The keys a model has at a path into it; empty where that is no model."""
    candidates = [model]
    for part in path:
        candidates = [inner for candidate in candidates for inner in _step(candidate, part)]
    names = []
    for candidate in (m for c_ in candidates for m in _models(c_)):
        names += [field.alias or name for name, field in candidate.model_fields.items()]
    return names


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                yield field.annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation: itself, or in a union, list, tuple or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
