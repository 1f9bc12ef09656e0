"""Why a write is refused: one name per condition, the stage at which it is judged, a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from edge_agent.settings import Text


class Stage(StrEnum):
    """The way of a request, after NAMUR NE 178. A refusal names the stage that it did not pass."""

    AUTHORISE = "authorise"
    MAP = "map"  # from the engineering value to the raw one
    VERIFY = "verify"  # the value and the process
    ACCEPT = "accept"  # this moment, budgets, a second person
    READ = "read"  # what the controller holds before the write
    WRITE = "write"
    CONFIRM = "confirm"  # the read-back


class Reason(StrEnum):
    """In the order in which they are judged: the first that applies is the one that is told."""

    WRITES_OFF = "writes_off"
    NOT_LISTED = "not_listed"
    WHO = "who"
    LEVEL = "level"
    INCOMPLETE = "incomplete"
    KILL_SWITCH = "kill_switch"
    NOT_ARMED = "not_armed"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_WRONG = "token_wrong"
    LOCKED_OUT = "locked_out"
    TYPE = "type"
    NOT_A_NUMBER = "not_a_number"
    TYPE_RANGE = "type_range"
    OUT_OF_RANGE = "out_of_range"
    DEVICE_DOWN = "device_down"
    HEARTBEAT_LOST = "heartbeat_lost"
    CRITICAL_ALARM = "critical_alarm"
    PRECONDITION_UNKNOWN = "precondition_unknown"
    PRECONDITION_FALSE = "precondition_false"
    INPUT_BAD = "input_bad"
    INPUT_STALE = "input_stale"
    BUSY = "busy"
    INTERVAL = "interval"
    STEP = "step"
    RATE = "rate"
    BUDGET_TAG = "budget_tag"
    BUDGET_ALL = "budget_all"
    RECOMMENDED = "recommended"
    APPROVAL_MISSING = "approval_missing"
    # After the permit: what the controller holds is read (KILL_SWITCH, NOT_ARMED, LOCKED_OUT, STEP, RATE and
    # the budgets are judged again then).
    UNREADABLE = "unreadable"
    CHANGED_MEANWHILE = "changed_meanwhile"
    NO_WAY_BACK = "no_way_back"
    # Last: what is not on record, or is judged by another configuration than in force, is not sent.
    AUDIT_UNAVAILABLE = "audit_unavailable"
    RECONFIGURED = "reconfigured"

    @property
    def stage(self) -> Stage:
        return _STAGES[self]


_BY_STAGE = {
    Stage.AUTHORISE: (
        Reason.WRITES_OFF, Reason.NOT_LISTED, Reason.WHO, Reason.LEVEL, Reason.INCOMPLETE, Reason.KILL_SWITCH,
        Reason.NOT_ARMED, Reason.TOKEN_EXPIRED, Reason.TOKEN_WRONG, Reason.LOCKED_OUT,
    ),
    Stage.MAP: (Reason.TYPE, Reason.NOT_A_NUMBER, Reason.TYPE_RANGE),
    Stage.VERIFY: (
        Reason.OUT_OF_RANGE, Reason.DEVICE_DOWN, Reason.HEARTBEAT_LOST, Reason.CRITICAL_ALARM,
        Reason.PRECONDITION_UNKNOWN, Reason.PRECONDITION_FALSE, Reason.INPUT_BAD, Reason.INPUT_STALE,
    ),
    Stage.ACCEPT: (
        Reason.BUSY, Reason.INTERVAL, Reason.STEP, Reason.RATE, Reason.BUDGET_TAG, Reason.BUDGET_ALL,
        Reason.RECOMMENDED, Reason.APPROVAL_MISSING,
    ),
    Stage.READ: (Reason.UNREADABLE, Reason.CHANGED_MEANWHILE, Reason.NO_WAY_BACK),
    Stage.WRITE: (Reason.AUDIT_UNAVAILABLE, Reason.RECONFIGURED),
}  # fmt: skip
_STAGES = {reason: stage for stage, reasons in _BY_STAGE.items() for reason in reasons}

_TEXTS: dict[Reason, Text] = {
    Reason.WRITES_OFF: Text(
        "writing is off: the configuration lists nothing that may be written, or its level is observe",
        "写入已关闭：配置中没有列出可写的点，或级别为 observe",
    ),
    Reason.NOT_LISTED: Text(
        "{tag} is not listed under writes of its device; what is not listed is never written",
        "{tag} 未列入其设备的 writes；未列出的点一律不写",
    ),
    Reason.WHO: Text(
        "{who} may not write {tag}; permitted: {permitted}", "{who} 无权写 {tag}；允许：{permitted}"
    ),
    Reason.LEVEL: Text(
        "{tag} needs writing level {needed}, but the level is {level}",
        "写 {tag} 需要级别 {needed}，当前级别是 {level}",
    ),
    Reason.INCOMPLETE: Text(
        "{tag} must not be written as long as its configuration lacks: {missing}",
        "{tag} 的写入配置不完整，缺少：{missing}",
    ),
    Reason.KILL_SWITCH: Text(
        "the kill switch is on, set by {user}: nothing is written until it is taken off",
        "{user} 已按下总停开关：解除之前不写入任何值",
    ),
    Reason.NOT_ARMED: Text(
        "writing is not armed; 'edge-agent writes arm' arms it for a limited time",
        "写入未授权；请用 'edge-agent writes arm' 限时授权",
    ),
    Reason.TOKEN_EXPIRED: Text("the arming has expired; arm again", "授权已过期，请重新授权"),
    Reason.TOKEN_WRONG: Text(
        "the token is not that of the present arming (a new arming makes the former token void)",
        "令牌不属于当前授权（重新授权后旧令牌作废）",
    ),
    Reason.LOCKED_OUT: Text(
        "{device} is locked out since {since}: {why}; "
        "'edge-agent writes unlock {device}' once the cause is found",
        "{device} 自 {since} 起被锁定：{why}；查明原因后用 'edge-agent writes unlock {device}' 解锁",
    ),
    Reason.TYPE: Text("{value} is no value of type {type}", "{value} 不是 {type} 类型的值"),
    Reason.NOT_A_NUMBER: Text("{value} is not a number", "{value} 不是数值"),
    Reason.TYPE_RANGE: Text(
        "{value} cannot be expressed by {tag} ({type}, raw {raw})",
        "{tag} 无法表示 {value}（{type}，原始值 {raw}）",
    ),
    Reason.OUT_OF_RANGE: Text(
        "{value} is outside the envelope {low} to {high} of {tag}; it is refused, not clipped",
        "{value} 超出 {tag} 的允许范围 {low} 至 {high}；予以拒绝，不做截断",
    ),
    Reason.DEVICE_DOWN: Text("device {device} does not answer", "设备 {device} 无应答"),
    Reason.HEARTBEAT_LOST: Text(
        "the heartbeat of {device} is not being written, so its PLC may have fallen back already",
        "{device} 的心跳未能写入，PLC 可能已退回自身控制",
    ),
    Reason.CRITICAL_ALARM: Text(
        "an alarm of priority critical is active on {device}", "{device} 有最高优先级（critical）报警"
    ),
    Reason.PRECONDITION_UNKNOWN: Text(
        "condition {input} is not known: {state}", "条件 {input} 未知：{state}"
    ),
    Reason.PRECONDITION_FALSE: Text("condition {input} is not fulfilled", "条件 {input} 不满足"),
    Reason.INPUT_BAD: Text("input {input} is not good: {state}", "输入 {input} 质量不良：{state}"),
    Reason.INPUT_STALE: Text(
        "input {input} is {age} s old, {limit} s are permitted",
        "输入 {input} 已有 {age} 秒未更新，允许 {limit} 秒",
    ),
    Reason.BUSY: Text("another write to {device} is under way", "正在对 {device} 执行另一次写入"),
    Reason.INTERVAL: Text(
        "{tag} was written {since} s ago, {limit} s must pass",
        "{tag} 在 {since} 秒前刚写过，间隔须达 {limit} 秒",
    ),
    Reason.STEP: Text(
        "from {before} to {value} is more than the permitted step of {limit}",
        "从 {before} 到 {value} 超过允许的单步变化 {limit}",
    ),
    Reason.RATE: Text(
        "from {before} to {value} within {since} s is faster than {limit} per second",
        "{since} 秒内从 {before} 到 {value}，快于每秒 {limit}",
    ),
    Reason.BUDGET_TAG: Text(
        "the {limit} writes a day of {tag} are used up or kept for reverting",
        "{tag} 每天 {limit} 次的写入额度已用完或留作恢复",
    ),
    Reason.BUDGET_ALL: Text(
        "the {limit} writes a day of this agent are used up or kept for reverting",
        "本代理每天 {limit} 次的写入额度已用完或留作恢复",
    ),
    Reason.RECOMMENDED: Text(
        "kept as recommendation {pending}: at this level the agent writes nothing, a person decides",
        "已作为建议 {pending} 保留：此级别代理不写入，由人决定",
    ),
    Reason.APPROVAL_MISSING: Text(
        "kept as {pending}: a second person must approve it within {limit} s "
        "('edge-agent writes approve {pending}')",
        "已保留为 {pending}：须由另一人在 {limit} 秒内批准（'edge-agent writes approve {pending}'）",
    ),
    Reason.UNREADABLE: Text(
        "{tag} could not be read before the write: {state}", "写入前无法读取 {tag}：{state}"
    ),
    Reason.NO_WAY_BACK: Text(
        "{tag} would be reverted to {found}, which is outside its envelope {low} to {high}",
        "到期后应恢复为 {found}，但它超出 {tag} 的允许范围 {low} 至 {high}",
    ),
    Reason.CHANGED_MEANWHILE: Text(
        "{tag} holds {found}, not {judged} by which the request was judged: somebody else changed it",
        "{tag} 的当前值是 {found}，而不是判断所依据的 {judged}：已被他人修改",
    ),
    Reason.AUDIT_UNAVAILABLE: Text(
        "the journal could not take the record within {limit} s, and what is not on record is not written; "
        "'edge-agent status' tells what is wrong with the disk",
        "审计日志未能在 {limit} 秒内完成记录；没有记录就不写入；磁盘问题见 'edge-agent status'",
    ),
    Reason.RECONFIGURED: Text(
        "the configuration of {tag} was changed before the value was sent; ask again",
        "{tag} 的配置在发送之前已更改，请重新提交",
    ),
}


def sentence(reason: Reason, values: Mapping[str, object]) -> Text:
    """The reason with what it is about. ``values`` must hold what its text names; a Text is told in the
    language of the sentence."""
    text = _TEXTS[reason]
    en = {name: value.en if isinstance(value, Text) else value for name, value in values.items()}
    zh = {name: value.zh if isinstance(value, Text) else value for name, value in values.items()}
    return Text(text.en.format(**en), text.zh.format(**zh))


_LOCKS = (
    (re.compile(r"wrote (.*), read back (.*)"), r"写入 \1，读回 \2"),
    (re.compile(r"(\d+) failures in a row, the last: (.*)"), r"连续失败 \1 次，最后一次：\2"),
    (re.compile(r"its stored state cannot be read"), "已存储的状态无法读取"),
)


def lock_text(why: str) -> Text:
    """Why a device is locked out, as it is kept on disk, for people. What a controller said stays as it
    is."""
    place, colon, rest = why.partition(": ")
    if not colon:
        place, rest = "", why
    for pattern, zh in _LOCKS:
        if found := pattern.fullmatch(rest):
            return Text(why, f"{place}：{found.expand(zh)}" if colon else found.expand(zh))
    return Text(why, why)
