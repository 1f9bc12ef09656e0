"""What ``doctor`` says about S7, in both languages: code -> what it means, the sentence, the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.settings import Finding, Text


@dataclass(frozen=True, slots=True)
class _Words:
    meaning: Text
    message: Text
    cure: Text
    kind: str = "fault"


def finding(code: str, **facts: Any) -> Finding:
    """``facts``: what stands in the braces of its texts."""
    words = _WORDS[code]
    return Finding(code, _filled(words.message, facts), _filled(words.cure, facts), words.kind)


def said(words: Text | str) -> Text:
    """The kernel of a driver's sentence: the controller's error number, or its reason in both languages."""
    whole = Text(words, words) if isinstance(words, str) else words
    if (number := re.search(r"0x[0-9A-F]{4}", whole.en)) is not None:
        return Text(f"error {number[0]}", f"错误 {number[0]}")
    for reason, text in _REASONS.items():
        if reason in whole.en:
            return text
    return whole


_REASONS = {
    "no connection resource free": Text("it says that none is free", "控制器答复：没有空闲的连接"),
    "no session at that TSAP": Text("it knows nothing at that place", "控制器答复：该位置没有可连接的模块"),
    "address unknown": Text("it knows nothing at that place", "控制器答复：该位置没有可连接的模块"),
    "congestion in the controller": Text("it says that it is overloaded", "控制器答复：负荷过重"),
    "normal disconnect": Text("it hangs up", "控制器直接断开"),
    "closed the connection": Text("it hangs up", "控制器直接断开"),
}


def _filled(text: Text, facts: Mapping[str, Any]) -> Text:
    en, zh = dict(facts), dict(facts)
    for name, fact in facts.items():
        if isinstance(fact, Text):
            en[name], zh[name] = fact.en, fact.zh
    return Text(text.en.format_map(en), text.zh.format_map(zh))


_WORDS = {
    "s7_put_get": _Words(
        Text("PUT/GET access is switched off in the controller", "控制器未允许 PUT/GET 访问"),
        Text("the controller connects, but refuses to be read ({words})",
             "控制器可连接，但拒绝读取（{words}）"),
        Text("TIA Portal, CPU properties, Protection & Security, Connection mechanisms: tick \"Permit "
             "access with "
             "PUT/GET communication from remote partner\", then download the hardware configuration.",
             "TIA 博途：CPU 属性 → 防护与安全 → 连接机制，勾选“允许来自远程对象的 PUT/GET 通信访问”，"
             "然后下载硬件配置。"),
    ),
    "s7_optimised": _Words(
        Text("the data block does not exist or is optimised", "数据块不存在或为优化访问"),
        Text("DB{db} cannot be read at all, not even its first byte: {tags}",
             "DB{db} 完全无法读取，连首字节也不行：{tags}"),
        Text("Does it exist under this number? If so it is optimised. The safe way: let the program copy "
             "what is wanted into a new block without \"Optimized block access\" (block properties, "
             "Attributes), or read it over OPC UA. Taking the tick from the block itself sets all its values "
             "to their start values when it is downloaded: never while the line runs.",
             "该编号的块是否存在？若存在，则为优化访问的块。"
             "稳妥的做法：新建一个不勾选“优化的块访问”的数据块（块属性 → 属性），"
             "由程序把所需数据复制进去；或改用 OPC UA 读取。"
             "若直接取消原有块的勾选，下载时块内数值全部恢复为起始值：生产中切勿这样做。"),
    ),
    "s7_db_short": _Words(
        Text("the data block is shorter than the address", "数据块长度不足"),
        Text("DB{db} has {size} bytes, {needed} are needed: {tags}", "DB{db} 长 {size} 字节，需要 {needed} "
                                                                     "字节：{tags}"),
        Text("Compare the offsets with the block in TIA Portal (compile first: offsets move), or has another "
             "version of the program been downloaded?",
             "请与 TIA 博途中块的偏移量核对（需先编译，偏移会变）；是否下载了其他版本的程序？"),
    ),
    "s7_no_address": _Words(
        Text("the controller has no such address", "控制器没有该地址"),
        Text("the controller has no such address: {tags}", "控制器没有这些地址：{tags}"),
        Text("Check block number and offset in TIA Portal; a block with optimised access has no addresses.",
             "请在 TIA 博途中核对块号和偏移量；优化访问的块没有地址。"),
    ),
    "s7_access": _Words(
        Text("the controller protects these values", "控制器对这些数值有访问保护"),
        Text("the controller denies access to {tags}", "控制器拒绝访问 {tags}"),
        Text("CPU properties, Protection & Security: any access level but \"No access (complete "
             "protection)\". If it is one block only: is it optimised, or know-how protected?",
             "CPU 属性 → 防护与安全：访问级别不能是“不能访问（完全保护）”。"
             "若只是个别块：是否为优化访问，或设有专有技术保护？"),
    ),
    "s7_rack_slot": _Words(
        Text("there is no CPU at that rack and slot", "该机架和插槽上没有 CPU"),
        Text("no CPU at rack {rack}, slot {slot} ({words}); one answers at: {there}",
             "rack {rack}、slot {slot}（机架、插槽）处没有 CPU（{words}）；有应答的位置：{there}"),
        Text("Set rack and slot: S7-1200/1500 0 and 1 (or 0 and 0), S7-300 0 and 2, S7-400 as in the "
             "hardware "
             "configuration. edge-agent scan tries them.",
             "请设置 rack 和 slot：S7-1200/1500 为 0 和 1（或 0 和 0），S7-300 为 0 和 2，S7-400 见硬件组态。"
             "edge-agent scan 可逐一尝试。"),
    ),
    "s7_no_connection": _Words(
        Text("the controller gives no connection", "控制器不给连接"),
        Text("the port answers, but no connection is given at any rack and slot ({words})",
             "端口有应答，但任何机架和插槽都不给连接（{words}）"),
        Text("Are all connections taken by panels and other programs? End one, or raise the number of "
             "reserved "
             "connections in the CPU's properties. Is this an S7 controller?",
             "连接是否已被触摸屏或其他程序占满？请释放一个，或在 CPU 属性中增加连接资源。对方是否为 S7 "
             "控制器？"),
        "unreachable",
    ),
    "s7_password": _Words(
        Text("the controller asks for a password", "控制器要求密码"),
        Text("the controller wants a password before it is read ({words})",
             "控制器要求先输入密码才能读取（{words}）"),
        Text("Lower the access level to read access without a password (Protection & Security).",
             "请将访问级别设为无需密码可读（防护与安全）。"),
    ),
    "s7_stop": _Words(
        Text("the CPU is in STOP", "CPU 处于 STOP"),
        Text("the CPU is in STOP: its values do not follow the process",
             "CPU 处于 STOP：数值不再随过程变化"),
        Text("Look at the CPU's lamps and diagnostic buffer; it is started at the device or in TIA Portal.",
             "请查看 CPU 指示灯和诊断缓冲区；在设备上或 TIA 博途中启动。"),
    ),
    "s7_answers": _Words(
        Text("the controller does not answer as this protocol does", "控制器的应答不符合协议"),
        Text("the controller answers otherwise than asked: {words}", "控制器的应答与请求不符：{words}"),
        Text("Is this an S7 controller or a compatible one? Lower `pdu` to 240 and `max_items` to 19.",
             "对方是否为 S7 或兼容控制器？可将 `pdu` 降为 240、`max_items` 降为 19。"),
    ),
}  # fmt: skip

CODES: Mapping[str, Text] = {code: words.meaning for code, words in _WORDS.items()}
