"""Is a structure a template? Every mistake is found, each with its path; and how often it is filled."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from edge_agent.settings import Text
from edge_agent.uplinks.templates.words import EVENTS, SAMPLES, Scope, Word, parts

EACH = "$each"
MOST_LEVELS = 20

Path = tuple[str | int, ...]
Words = Mapping[str, tuple[Scope, Word]]


@dataclass(frozen=True, slots=True)
class Fault:
    """``path``: into the structure; ``in_key``: it is the key there that is wrong, not the value."""

    path: Path
    message: Text
    cure: Text
    in_key: bool = False


def words_of(*, events: bool) -> Words:
    return EVENTS if events else SAMPLES


def repetitions(*, events: bool) -> dict[str, Scope]:
    """What may stand behind ``$each``."""
    if events:
        return {"event": Scope.BATCH}
    return {"device": Scope.DEVICE, "batch": Scope.BATCH, "sample": Scope.SAMPLE}


def faults(structure: Any, *, events: bool = False, has_secret: bool = True) -> list[Fault]:
    """What keeps this from being a template. ``has_secret``: whether ``{{secret}}`` stands for anything."""
    words = words_of(events=events)
    if not has_secret:
        words = {name: word for name, word in words.items() if name != "secret"}
    found = list(_faults(structure, (), words, repetitions(events=events)))
    if found:
        return found
    wanted = {"kind", "detail", "detail_text"} if events else {"value", "value_text"}
    if not any(name in wanted for name in _names(structure)):
        shown = "{{detail}}" if events else "{{value}}"
        return [
            Fault(
                (),
                Text(
                    f"no {shown} in it: nothing of what happens would be sent",
                    f"其中没有 {shown}，不会发送任何内容",
                ),
                Text(
                    "Compare it with the samples in docs/uplink-http.md.",
                    "请参照 docs/uplink-http.zh-CN.md 中的示例。",
                ),
            )
        ]
    return list(_idle(structure, (), reach(structure, events=events), repetitions(events=events)))


def reach(node: Any, *, events: bool = False) -> Scope:
    """How far down what stands outside of every repetition needs to be: the template is filled once for each
    of that. The structure must be free of faults."""
    return _reach(node, words_of(events=events), repetitions(events=events))


def key_scope(key: str, words: Words) -> Scope:
    return max((words[name][0] for _, name in parts(key) if name), default=Scope.MESSAGE)


def _reach(node: Any, words: Words, each: Mapping[str, Scope]) -> Scope:
    if isinstance(node, str):
        return key_scope(node, words)
    if isinstance(node, list):
        return max((_reach(item, words, each) for item in node), default=Scope.MESSAGE)
    if not isinstance(node, dict):
        return Scope.MESSAGE
    needed = max(
        (_entry_reach(key, value, words, each) for key, value in node.items() if key != EACH),
        default=Scope.MESSAGE,
    )
    if EACH in node:
        return Scope.MESSAGE if needed <= each[node[EACH]] else needed
    return needed


def _entry_reach(key: str, value: Any, words: Words, each: Mapping[str, Scope]) -> Scope:
    """An entry whose key names the tag is repeated within one reading, one that names the device within one
    message: what its value needs of these is then there."""
    by, needed = key_scope(key, words), _reach(value, words, each)
    if by is Scope.SAMPLE:
        return Scope.BATCH
    if by is Scope.DEVICE:
        return Scope.MESSAGE if needed <= Scope.DEVICE else needed
    return max(by, needed)


def _faults(node: Any, path: Path, words: Words, each: Mapping[str, Scope]) -> Iterator[Fault]:
    if len(path) > MOST_LEVELS:
        yield Fault(
            path, Text("nested too deeply", "嵌套层数过多"), Text("Make it flatter.", "请减少嵌套层数。")
        )
    elif isinstance(node, dict):
        for key, value in node.items():
            if key.startswith("$"):
                yield from _directive(key, value, path, each)
                continue
            yield from _text_faults(key, (*path, key), words, in_key=True)
            yield from _faults(value, (*path, key), words, each)
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _faults(item, (*path, number), words, each)
    elif isinstance(node, str):
        yield from _text_faults(node, path, words)
    elif not isinstance(node, (bool, int, float, type(None))) or (
        isinstance(node, float) and not math.isfinite(node)
    ):
        yield Fault(
            path,
            Text("cannot stand in a JSON body", "不能出现在 JSON 正文中"),
            Text("Write text, a number, true, false or null.", "请写文字、数字、true、false 或 null。"),
        )


def _directive(key: str, value: Any, path: Path, each: Mapping[str, Scope]) -> Iterator[Fault]:
    known = ", ".join(each)
    if key != EACH:
        yield Fault(
            (*path, key),
            Text(f"'{key}' means nothing here", f"'{key}' 在此没有含义"),
            Text(f"The only key with a $ is {EACH}.", f"带 $ 的键只有 {EACH}。"),
            in_key=True,
        )
    elif not path or not isinstance(path[-1], int):
        yield Fault(
            (*path, key),
            Text(f"{EACH} stands outside of a list", f"{EACH} 不在列表项中"),
            Text(
                f"What is repeated is an item of a list: '- {EACH}: {next(iter(each))}'.",
                f"重复的内容须是列表项：'- {EACH}: {next(iter(each))}'。",
            ),
            in_key=True,
        )
    elif not isinstance(value, str) or value not in each:
        yield Fault(
            (*path, key),
            Text(f"'{value}' cannot be repeated; known: {known}", f"不能按 '{value}' 重复；可用：{known}"),
            Text(f"Write one of: {known}.", f"请写其中之一：{known}。"),
        )


def _text_faults(text: str, path: Path, words: Words, *, in_key: bool = False) -> Iterator[Fault]:
    try:
        names = [name for _, name in parts(text) if name]
    except ValueError:
        yield Fault(
            path,
            Text("the braces do not pair", "花括号不成对"),
            Text("A placeholder is written {{name}}.", "占位符写作 {{名称}}。"),
            in_key,
        )
        return
    for name in names:
        if name not in words:
            yield unknown(name, path, words, in_key=in_key)


def unknown(name: str, path: Path, words: Collection[str], *, in_key: bool = False) -> Fault:
    """For a placeholder that is none of these."""
    near = get_close_matches(name, words, n=1, cutoff=0.6)
    known = ", ".join(words)
    if name == "secret":
        return Fault(
            path,
            Text(
                "{{secret}} stands for nothing: there is no 'secret' key",
                "{{secret}} 没有内容：缺少 'secret' 键",
            ),
            Text(
                "Add 'secret: !secret NAME' to this uplink.",
                "请在该上行通道中添加 'secret: !secret 名称'。",
            ),
            in_key,
        )
    return Fault(
        path,
        Text(
            f"{{{{{name}}}}} is no placeholder{f'; did you mean {{{{{near[0]}}}}}?' if near else ''}",
            f"{{{{{name}}}}} 不是占位符{f'，是否想写 {{{{{near[0]}}}}}？' if near else ''}",
        ),
        Text(f"Known: {known}.", f"可用：{known}。"),
        in_key,
    )


def _idle(node: Any, path: Path, bound: Scope, each: Mapping[str, Scope]) -> Iterator[Fault]:
    """Repetitions of what the whole template is filled once for."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _idle(item, (*path, number), bound, each)
    elif isinstance(node, dict):
        within = bound
        if EACH in node:
            within = each[node[EACH]]
            if within <= bound:
                yield Fault(
                    (*path, EACH),
                    Text(
                        f"nothing is repeated here: a placeholder outside of {EACH} already asks for one "
                        f"message per {bound.name.lower()}",
                        f"此处没有可重复的内容：{EACH} 之外的占位符已要求每个 {bound.name.lower()} 一条消息",
                    ),
                    Text(
                        "Move that placeholder into this item, or write the list without $each. "
                        "{{value}} needs '$each: sample', or a key with {{tag}}.",
                        "请把该占位符移入此列表项，或去掉 $each。"
                        "{{value}} 需要 '$each: sample' 或含 {{tag}} 的键。",
                    ),
                )
        for key, value in node.items():
            yield from _idle(value, (*path, key), within, each)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield from (name for _, name in parts(node) if name)
    elif isinstance(node, list):
        for item in node:
            yield from _names(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _names(key)
            yield from _names(value)
