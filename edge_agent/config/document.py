"""One YAML file as plain data, with the place of every key and value.

PyYAML composes the node tree; the scalars follow the core schema of YAML 1.2 (``no``, ``on``, ``1:30`` and
dates stay text, ``010`` is ten). Duplicate keys, foreign tags and ``!secret`` are dealt with here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import SecretStr

from edge_agent.config import catalogue as c
from edge_agent.config.lint import Repaired, lint
from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.settings import Problem, Text

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40
_MAX_CHARACTERS = 2_000_000
_INT = re.compile(r"[-+]?[0-9]{1,4000}|0x[0-9a-fA-F]{1,4000}|0o[0-7]{1,4000}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip
_STANDARD = "tag:yaml.org,2002:"
_STANDARD_TAGS = {_STANDARD + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq")} | {"!"}

Resolve = Callable[[str, Source, Position], SecretStr]
"""The value of ``!secret NAME``; reports a missing one itself."""


class _Loader(_BASE):  # type: ignore[misc]
    """Resolves no implicit tag: scalars are read by ``scalar``."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name is PyYAML's


def scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text):
        return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


@dataclass(slots=True)
class Document:
    """``data``: the root mapping. ``index``: path -> place of its key and of its value."""

    source: Source
    data: dict[str, Any]
    index: dict[Path, tuple[Position, Position]]
    directory: FilePath | None = None  # of the configuration: relative paths are meant from there
    read: Callable[[str], bytes] | None = None  # a file that a key names; it becomes part of the snapshot

    def deepest(self, path: Sequence[str | int]) -> Path:
        """The longest existing path along ``path``; parts that are not in the document (names of union
        members, which pydantic puts in between) are skipped."""
        here: Path = ()
        for part in path:
            if (*here, part) in self.index:
                here = (*here, part)
        return here

    def key(self, path: Sequence[str | int]) -> Position:
        return self.index[self.deepest(path)][0]

    def value(self, path: Sequence[str | int]) -> Position:
        return self.index[self.deepest(path)][1]

    def get(self, path: Sequence[str | int]) -> Any:
        here: Any = self.data
        for part in path:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def holds(self, problem: Problem) -> Position:
        """Where to show a problem that knows its path only."""
        return self.value(problem.path)


def parse(
    source: Source, text: str, resolve: Resolve, collector: Collector, first_key: str
) -> Document | None:
    """Lints, composes and indexes one file. None when it holds no mapping; everything is reported."""
    if len(text) > _MAX_CHARACTERS:
        collector.add(source, (1, 1), c.TOO_LARGE, what=f"{len(text)} characters")
        return None
    repaired = lint(text)
    for accident in repaired.accidents:
        collector.add(source, (accident.line, accident.column), accident.entry, **accident.values)
    if _too_deep(repaired.text):
        collector.add(source, (1, 1), c.TOO_LARGE, what=f"> {_MAX_DEPTH}")
        return None
    try:
        node = yaml.compose(repaired.text, Loader=_Loader)
    except yaml.YAMLError as error:
        _syntax(source, error, repaired, collector)
        return None
    builder = _Builder(source, repaired, resolve, collector)
    if not isinstance(node, yaml.MappingNode):
        position = builder.position(node.start_mark) if node else (1, 1)
        found = Text("nothing", "空文件") if node is None else Text("a list or text", "列表或文字")
        collector.add(source, position, c.NOT_A_MAPPING, found=found, key=first_key)
        return None
    start = builder.position(node.start_mark)
    builder.index[()] = (start, start)
    data = builder.build(node, ())
    return Document(source, data, builder.index)


class _Builder:
    """Node tree -> plain data and index."""

    def __init__(self, source: Source, repaired: Repaired, resolve: Resolve, collector: Collector) -> None:
        self.source = source
        self.repaired = repaired
        self.resolve = resolve
        self.collector = collector
        self.index: dict[Path, tuple[Position, Position]] = {}
        self._built: set[int] = set()

    def position(self, mark: Any) -> Position:
        return self.repaired.original(mark.line, mark.column)

    def build(self, node: yaml.Node, path: Path) -> Any:
        if id(node) in self._built:  # an alias: the same node again, possibly inside itself
            self.collector.add(self.source, self.position(node.start_mark), c.RESERVED_START, path, found="&")
            return None
        self._built.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in _STANDARD_TAGS:
            tag = node.tag.replace(_STANDARD, "!!")
            self.collector.add(self.source, self.position(node.start_mark), c.BAD_TAG, path, tag=tag)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _item(self, node: yaml.Node, path: Path) -> Any:
        start = self.position(node.start_mark)
        self.index[path] = (start, start)
        return self.build(node, path)

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = self.position(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                reason = Text("a list or mapping cannot be a key", "列表或映射不能作为键")
                self.collector.add(self.source, at, c.SYNTAX, path, reason=reason, cure=_CURES["other"])
                continue
            key: str = key_node.value
            if key in data:
                first = self.index[(*path, key)][0][0]
                self.collector.add(self.source, at, c.DUPLICATE_KEY, (*path, key), key=key, line=first)
                continue
            self.index[(*path, key)] = (at, self.position(value_node.start_mark))
            data[key] = self.build(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        at = self.position(node.start_mark)
        tag: str = node.tag
        if tag == "!secret":
            return self.resolve(node.value, self.source, at)
        if tag == f"{_STANDARD}str" and not node.style and not self._tagged(at):
            return scalar(node.value)
        if tag not in _STANDARD_TAGS:
            self.collector.add(self.source, at, c.BAD_TAG, tag=tag.replace(_STANDARD, "!!"))
        return scalar(node.value) if tag.removeprefix(_STANDARD) in ("int", "float", "bool") else node.value

    def _tagged(self, at: Position) -> bool:
        """An explicit ``!!str`` keeps a number text."""
        lines = self.source.lines
        return at[0] <= len(lines) and lines[at[0] - 1].startswith("!", at[1] - 1)


def _too_deep(text: str) -> bool:
    """Refuses what would exhaust the parser's stack: flow brackets, indentation and '- - -' on one line."""
    depth = deepest = 0
    for char in re.findall(r"[\[\]{}]", text):
        depth += 1 if char in "[{" else -1
        deepest = max(deepest, depth)
    marks = max((len(found) // 2 for found in re.findall(r"(?:[-?:] +)+", text)), default=0)
    indents = {len(found) for found in re.findall(r"^ *(?=\S)", text, re.MULTILINE)}
    return deepest > _MAX_DEPTH or marks > _MAX_DEPTH or len(indents) > 3 * _MAX_DEPTH


_REASONS = (
    ("unexpected end of stream", "quote", Text("a quote that is never closed", "引号没有闭合")),
    ("could not find expected ':'", "colon", Text("a key without ': '", "键后面缺少 ': '")),
    ("mapping values are not allowed", "colon", Text("a second ': ' in one line", "一行中出现第二个 ': '")),
    ("cannot start any token", "start", Text("a value begins with a special character", "值以特殊字符开头")),
    (
        "expected ',' or",
        "flow",
        Text("a bracket is not closed or a comma is missing", "括号没有闭合或缺少逗号"),
    ),
    ("flow", "flow", Text("a bracket is not closed or a comma is missing", "括号没有闭合或缺少逗号")),
    ("expected key", "indent", Text("the indentation does not fit", "缩进不一致")),
    ("block end", "indent", Text("the indentation does not fit", "缩进不一致")),
    ("block sequence", "indent", Text("a '- ' does not fit here", "此处不能使用 '- '")),
    ("'-' indicator", "indent", Text("the indentation does not fit", "缩进不一致")),
    ("escape", "escape", Text("a backslash in double quotes", "双引号中的反斜杠")),
    ("hexdecimal", "escape", Text("a backslash in double quotes", "双引号中的反斜杠")),
    ("another document", "document", Text("a second document ('---')", "出现第二个文档（'---'）")),
    ("document start", "document", Text("text behind the end of the document", "文档结束后还有内容")),
)
_CURES = {
    "quote": Text("Close the quote on the same line.", "请在同一行闭合引号。"),
    "colon": Text(
        "Write 'key: value'; put a value that contains ': ' in double quotes.",
        "请写成 '键: 值'；含有 ': ' 的值请加英文双引号。",
    ),
    "start": Text("Put the value in double quotes.", "请给这个值加英文双引号。"),
    "flow": Text("Check the brackets and commas.", "请检查括号和逗号。"),
    "indent": Text(
        "Indent keys that belong together by the same number of spaces.", "同级的键请用相同数量的空格缩进。"
    ),
    "escape": Text(
        "Use single quotes, or write \\\\ for a backslash.", "请改用单引号，或用 \\\\ 表示反斜杠。"
    ),
    "document": Text("One file holds one document: remove '---'.", "一个文件只能有一个文档：请删除 '---'。"),
    "other": Text("Compare the line and the one above it with the examples.", "请将此行及上一行与示例对照。"),
}


def _syntax(source: Source, error: yaml.YAMLError, repaired: Repaired, collector: Collector) -> None:
    """Reports what the parser stumbled over, unless an accident beside it explains it."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", "") or "")
    text = f"{problem} {getattr(error, 'context', None) or ''}"
    kind, reason = next(
        ((kind, reason) for needle, kind, reason in _REASONS if needle in text),
        ("other", Text(problem or "unreadable", "无法解析")),
    )
    mark = getattr(error, "problem_mark", None)
    if kind in ("quote", "flow") or problem.startswith("could not find expected ':'"):
        mark = getattr(error, "context_mark", None) or mark
    at = (mark.line, mark.column) if mark else (0, 0)
    if "mapping values" in problem:
        at, kind, reason = _second_colon(repaired.text.split("\n"), at, reason)
    line, column = repaired.original(*at)
    if repaired.open_bracket and repaired.open_bracket <= (line, column):
        (line, column), kind = repaired.open_bracket, "flow"
        reason = Text("a bracket that is never closed", "括号没有闭合")
    while line > 1 and (line > len(source.lines) or not source.lines[line - 1].strip()):
        line, column = line - 1, 1
    if not any(abs(accident.line - line) <= 1 for accident in repaired.accidents):
        collector.add(source, (line, column), c.SYNTAX, reason=reason, cure=_CURES[kind])


def _second_colon(lines: list[str], at: tuple[int, int], reason: Text) -> tuple[tuple[int, int], str, Text]:
    """Where the fault is when a ': ' surprised the parser: in this line, or in the one above it."""
    line, column = at
    if ": " in lines[line][:column]:
        return at, "colon", reason
    above = next(
        (n for n in range(line - 1, -1, -1) if lines[n].strip() and lines[n].lstrip()[0] != "#"), line
    )
    if ":" in lines[above]:
        return (line, _first(lines[line])), "indent", Text("the indentation does not fit", "缩进不一致")
    return (above, _first(lines[above])), "colon", Text("a key without ': '", "键后面缺少 ': '")


def _first(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
