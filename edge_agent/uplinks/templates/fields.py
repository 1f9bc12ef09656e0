"""The settings types of a template, for uplinks that take one. Imported where configuration is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, LiteralString, NoReturn

import yaml
from pydantic import AfterValidator, ValidationError, ValidationInfo, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from edge_agent.settings import Text
from edge_agent.uplinks.templates.checking import Fault, faults

MOST_BYTES = 200_000
_Marks = Mapping[tuple[str | int, ...], tuple[Any, Any]]  # path -> where its key and its value begin

_SCHEMA = WithJsonSchema({"type": ["object", "array", "string"]})


def _samples(value: Any, info: ValidationInfo) -> Any:
    return _checked(value, info, events=False)


def _events(value: Any, info: ValidationInfo) -> Any:
    return _checked(value, info, events=True)


BodyTemplate = Annotated[Any, AfterValidator(_samples), _SCHEMA]
"""The structure itself, or the name of a JSON or YAML file in the configuration directory that holds it.
After validation always the structure: it counts for the configuration's version."""

EventTemplate = Annotated[Any, AfterValidator(_events), _SCHEMA]


def mistake(code: LiteralString, message: Text, cure: Text) -> PydanticCustomError:
    """The loader shows message and cure in the technician's language from the context."""
    context = {"en": message.en, "zh": message.zh, "cure_en": cure.en, "cure_zh": cure.zh}
    return PydanticCustomError(code, "{en}", context)


def _checked(value: Any, info: ValidationInfo, *, events: bool) -> Any:
    if isinstance(value, str):
        return _from_file(value, info, events=events)
    if found := faults(value, events=events):
        raise_at([(_place(fault), mistake("template", fault.message, fault.cure)) for fault in found])
    return value


def raise_at(found: Sequence[tuple[tuple[str | int, ...], PydanticCustomError]]) -> NoReturn:
    """From a validator: mistakes with their places inside of the value."""
    details = [InitErrorDetails(type=error, loc=path, input=None) for path, error in found]
    raise ValidationError.from_exception_data("template", details)


def _place(fault: Fault) -> tuple[str | int, ...]:
    return (*fault.path, "[key]") if fault.in_key else fault.path


def _from_file(name: str, info: ValidationInfo, *, events: bool) -> Any:
    """Mistakes in the file name their line and column in it."""
    text = _text(name, info)
    try:
        structure, marks = _parsed(text, is_yaml=name.endswith((".yaml", ".yml")))
    except _Unreadable as error:
        at = f"{name}:{error.line}:{error.column}"
        raise mistake(
            "template_file",
            Text(f"{at}: {error.en}", f"{at}：{error.zh}"),
            Text("Correct the file; it holds one JSON value, or with the ending .yaml YAML.",
                 "请改正该文件；内容为一个 JSON 值，扩展名为 .yaml 时为 YAML。"),
        ) from None  # fmt: skip
    found = faults(structure, events=events)
    if found:
        problems = []
        for fault in found:
            key, start = marks.get(fault.path, marks[()])
            mark = key if fault.in_key else start
            at = f"{name}:{mark.line + 1}:{mark.column + 1}"
            message = Text(f"{at}: {fault.message.en}", f"{at}：{fault.message.zh}")
            problems.append(((), mistake("template", message, fault.cure)))
        raise_at(problems)
    return structure


def _text(name: str, info: ValidationInfo) -> str:
    context = info.context or {}
    read, directory = context.get("read"), context.get("directory")
    try:
        data = read(name) if read is not None else Path(directory or ".", name).read_bytes()
        if len(data) > MOST_BYTES:
            raise OSError(0, f"larger than {MOST_BYTES} bytes")
        return str(data.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = "not UTF-8 text" if isinstance(error, ValueError) else error.strerror or str(error)
        raise mistake(
            "template_file",
            Text(f"the template file {name} cannot be read: {reason}", f"无法读取模板文件 {name}：{reason}"),
            Text(
                "Give the name of a file in the configuration directory, or write the structure here.",
                "请填写配置目录中的文件名，或直接在此写出结构。",
            ),
        ) from None


class _Unreadable(Exception):
    def __init__(self, line: int, column: int, en: str, zh: str) -> None:
        super().__init__(en)
        self.line, self.column, self.en, self.zh = line, column, en, zh


def _parsed(text: str, *, is_yaml: bool) -> tuple[Any, _Marks]:
    if not is_yaml:
        try:
            json.loads(text, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise _Unreadable(
                error.lineno, error.colno, f"not JSON: {error.msg}", "不是有效的 JSON"
            ) from None
        except (ValueError, RecursionError) as error:
            raise _Unreadable(1, 1, f"not JSON: {error}", "不是有效的 JSON") from None
        text = text.replace("\t", " ")  # between the values of JSON only: inside of them it is written \t
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(getattr(error, "problem", None) or "not YAML")
        raise _Unreadable(line, column, problem, "格式无法解析") from None
    except RecursionError:
        raise _Unreadable(1, 1, "nested too deeply", "嵌套层数过多") from None
    if node is None:
        raise _Unreadable(1, 1, "the file is empty", "文件为空")
    marks: dict[tuple[str | int, ...], tuple[Any, Any]] = {(): (node.start_mark, node.start_mark)}
    return _built(node, (), marks, set()), marks


def _built(
    node: Any,
    path: tuple[str | int, ...],
    marks: dict[tuple[str | int, ...], tuple[Any, Any]],
    seen: set[int],
) -> Any:
    from edge_agent.config.document import scalar

    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style in ("'", '"', "|", ">") else scalar(node.value)
    mark = node.start_mark
    if id(node) in seen:  # the same node at a second place, possibly inside itself
        raise _Unreadable(mark.line + 1, mark.column + 1, "an alias (*) is not understood", "不支持别名 (*)")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, item in enumerate(node.value):
            marks[*path, number] = (item.start_mark, item.start_mark)
            items.append(_built(item, (*path, number), marks, seen))
        return items
    out: dict[str, Any] = {}
    for key, value in node.value:
        at = key.start_mark
        if not isinstance(key, yaml.ScalarNode):
            raise _Unreadable(
                at.line + 1, at.column + 1, "a key must be text; quote it", "键须为文字，请加引号"
            )
        if key.value in out:
            raise _Unreadable(
                at.line + 1, at.column + 1, f"'{key.value}' stands twice", f"'{key.value}' 重复"
            )
        marks[*path, key.value] = (at, value.start_mark)
        out[key.value] = _built(value, (*path, key.value), marks, seen)
    return out


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
