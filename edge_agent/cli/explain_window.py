"""``explain WINDOW``: every limit in force, and who set it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.alarm_words import limit_word, priority_word
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import say
from edge_agent.cli.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.config.explained import LimitStory, Said, WindowStory
    from edge_agent.config.process import Limit, Window


def show_window(story: WindowStory, as_json: bool) -> None:
    from edge_agent.config.process import LimitKind

    order = list(LimitKind)  # lolo, low, high, hihi, then the others
    story = replace(story, limits=tuple(sorted(story.limits, key=lambda told: order.index(told.limit.kind))))
    if as_json:
        print_json(_report(story))
        return
    for line in _head(story):
        click.echo(line)
    click.echo()
    tables = [_limits(story)]
    if any(len(limit.said) > 1 or limit.origin.standard for limit in story.limits):
        tables.append(_levels(story))
    print_tables(tables)


def _head(story: WindowStory) -> Iterator[str]:
    window = story.window
    unit = f" ({window.unit})" if window.unit else ""
    yield f"{window.name}  |  {window.source}{unit}  |  {story.place}"
    if window.description:
        yield window.description
    if story.quantity:
        of = story.equipment or say("any equipment", "任何设备")
        yield say(
            f"Limits handed down for: {story.quantity}, {of}", f"上级标准按此查找：{story.quantity}，{of}"
        )
    if window.target is not None:
        yield say(f"Target: {window.target}", f"目标值：{window.target}")
    if story.when:
        grace = say(f", {_s(window.grace_s)} after it became so", f"，生效后宽限 {_s(window.grace_s)}")
        yield say("Applies while ", "生效条件：") + story.when + (grace if window.grace_s else "")
    yield say(
        f"Unknown without a reading for {_s(window.max_age_s)}", f"{_s(window.max_age_s)} 无读数即为未知"
    )
    if plausible := _plausible(window):
        yield say("Believed: ", "可信范围：") + plausible


def _plausible(window: Window) -> str:
    believed = window.plausible
    if believed is None:
        return ""
    parts = []
    if believed.low is not None or believed.high is not None:
        low, high = ("" if edge is None else _n(edge) for edge in (believed.low, believed.high))
        parts.append(f"{low}..{high} {window.unit}".strip())
    if believed.slope is not None:
        parts.append(say("at most ", "最快 ") + f"{_n(believed.slope)} {window.unit}/s")
    if believed.frozen_s is not None:
        parts.append(say(f"moves within {_s(believed.frozen_s)}", f"{_s(believed.frozen_s)} 内须有变化"))
    return say(", ", "，").join(parts)


def _limits(story: WindowStory) -> Table:
    rows = []
    for told in story.limits:
        limit, origin = told.limit, told.origin
        priority = priority_word(limit.alarming.priority.name.lower())
        rows.append(
            [
                limit_word(limit.kind), _value(story.window, limit), _unit(story.window, limit),
                _n(limit.deadband) if limit.deadband else "", _s(limit.on_delay_s), _s(limit.off_delay_s),
                priority, _alarm(limit), _who(origin), origin.place,
            ]
        )  # fmt: skip
    title = say("Limits in force; each is one alarm", "生效的限值，每个对应一个报警")
    headings = say(
        "limit,value,unit,deadband,on delay,off delay,priority,alarm,set by,place",
        "限值,数值,单位,死区,报警延时,恢复延时,优先级,报警设置,规定者,位置",
    )
    return Table(title, tuple(headings.split(",")), rows, frozenset({1, 3, 4, 5}))


def _levels(story: WindowStory) -> Table:
    rows = [
        [
            limit_word(told.limit.kind), _who(said), _level_value(story, told, said), _effect(told, said),
            said.place, said.source,
        ]
        for told in story.limits
        if len(told.said) > 1 or told.origin.standard
        for said in told.said
    ]  # fmt: skip
    title = say("Level by level; a lower one may only tighten", "逐级来源；下级只能收紧")
    headings = say("limit,level,value,effect,place,source", "限值,层级,数值,效果,位置,来源")
    return Table(title, tuple(headings.split(",")), rows, frozenset({2}))


def _level_value(story: WindowStory, told: LimitStory, said: Said) -> str:
    if said.value is None:
        return _value(story.window, told.limit)
    return f"{_n(said.value)} {_unit(story.window, told.limit)}".strip()


def _effect(told: LimitStory, said: Said) -> str:
    if said.in_force:
        return say("in force", "生效")
    if said.value == told.origin.value:
        return say("the same", "相同")
    return say("tightened", "已被收紧")


def _who(said: Said) -> str:
    from edge_agent.config.standards import LEVELS

    level = say(LEVELS[said.level].en, LEVELS[said.level].zh)
    return f"{level} {said.standard}".strip()


def _value(window: Window, limit: Limit) -> str:
    from edge_agent.config.process import LimitKind

    if limit.kind is LimitKind.STATE:
        return " ".join(
            str(value).lower() if value is True or value is False else str(value) for value in window.allowed
        )
    if limit.tolerance is not None:
        sign = "+" if limit.kind in (LimitKind.HIGH, LimitKind.HIHI) else "-"
        return say("target", "目标值") + f" {sign} {_n(limit.tolerance)}"
    return "" if limit.value is None else _n(limit.value)


def _unit(window: Window, limit: Limit) -> str:
    from edge_agent.config.process import LimitKind

    if limit.kind in (LimitKind.RISE, LimitKind.FALL):
        return f"{window.unit}/s"
    return window.unit if limit.value is not None or limit.tolerance is not None else ""


def _alarm(limit: Limit) -> str:
    alarming = limit.alarming
    parts = [say("ack", "须确认") if alarming.ack else say("no ack", "无须确认")]
    if alarming.latch:
        parts.append(say("latches", "锁存"))
    if alarming.realarm_s is not None:
        parts.append(say(f"again after {_s(alarming.realarm_s)}", f"{_s(alarming.realarm_s)} 后再报"))
    if alarming.first_out:
        parts.append(say(f"first-out {alarming.first_out}", f"首出组 {alarming.first_out}"))
    if alarming.max_shelve_s != type(alarming)().max_shelve_s:
        parts.append(
            say(f"shelved at most {_s(alarming.max_shelve_s)}", f"最长搁置 {_s(alarming.max_shelve_s)}")
        )
    return say(", ", "，").join(parts)


def _n(number: float) -> str:
    return f"{number:.7g}"


def _s(seconds: float) -> str:
    """As it is written in a device file."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"


def _report(story: WindowStory) -> dict[str, Any]:
    window = story.window
    believed = window.plausible
    return {
        "window": window.name,
        "source": str(window.source),
        "unit": window.unit,
        "description": window.description,
        "place": story.place,
        "quantity": story.quantity,
        "equipment": story.equipment,
        "target": str(window.target) if window.target is not None else None,
        "when": story.when or None,
        "grace_s": window.grace_s,
        "max_age_s": window.max_age_s,
        "plausible": None
        if believed is None
        else {
            "low": believed.low, "high": believed.high, "slope": believed.slope, "frozen_s": believed.frozen_s
        },
        "allowed": list(window.allowed),
        "standards": list(window.standards),
        "limits": [_limit(story, told) for told in story.limits],
    }  # fmt: skip


def _limit(story: WindowStory, told: LimitStory) -> dict[str, Any]:
    limit, alarming = told.limit, told.limit.alarming
    return {
        "kind": str(limit.kind),
        "alarm": f"{story.window.name}.{limit.kind}",
        "value": limit.value,
        "tolerance": limit.tolerance,
        "unit": _unit(story.window, limit),
        "deadband": limit.deadband,
        "on_delay_s": limit.on_delay_s,
        "off_delay_s": limit.off_delay_s,
        "over_s": limit.over_s,
        "priority": alarming.priority.name.lower(),
        "latch": alarming.latch,
        "ack": alarming.ack,
        "realarm_s": alarming.realarm_s,
        "first_out": alarming.first_out,
        "max_shelve_s": alarming.max_shelve_s,
        "level": told.origin.level,
        "standard": told.origin.standard,
        "place": told.origin.place,
        "said": [
            {
                "level": said.level,
                "standard": said.standard,
                "value": said.value,
                "tolerance": said.tolerance,
                "place": said.place,
                "source": said.source,
                "in_force": said.in_force,
            }
            for said in told.said
        ],
    }
