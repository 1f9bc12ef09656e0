"""What ``doctor`` says where no driver or uplink has a word of its own."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.settings import Finding, Text

CODES: Mapping[str, Text] = {
    "agent_says": Text("the running agent has no values from this device", "运行中的代理未取得该设备的数值"),
    "agent_differs": Text(
        "all is well when asked directly, but the running agent says otherwise",
        "直接检查正常，但运行中的代理报告异常",
    ),
    "agent_holds": Text(
        "note: only the agent's word was taken, so as not to disturb it", "提示：为不干扰代理，仅采用其所见"
    ),
    "no_doctor": Text("note: this plug-in cannot be examined", "提示：该插件不支持诊断"),
}


def agent_says(state: str, reason: str) -> Finding:
    return Finding(
        "agent_says",
        Text(f"the running agent says: {state}: {reason}", f"运行中的代理报告：{state}：{reason}"),
        Text(
            "Stop the agent for a moment (systemctl stop edge-agent) and run this again: then the device "
            "itself "
            "is asked.",
            "可暂停代理（systemctl stop edge-agent）后再次执行，将直接检查设备。",
        ),
        "unreachable",
    )


def differs(state: str, reason: str) -> Finding:
    return Finding(
        "agent_differs",
        Text(
            f"asked from here all is well, but the running agent says: {state}: {reason}",
            f"从这里检查一切正常，但运行中的代理报告：{state}：{reason}",
        ),
        Text(
            "It tries again by itself within a minute. If it stays: does the agent run with the same "
            "configuration "
            "(edge-agent status), the same rights, the same network?",
            "代理会在一分钟内自动重试。若持续如此：代理使用的配置（edge-agent status）、权限和网络是否相同？",
        ),
    )


def not_asked() -> Finding:
    return Finding(
        "agent_holds",
        Text(
            "the running agent holds this link, and a second connection could disturb it: this is what the "
            "agent "
            "sees",
            "运行中的代理占用该链路，第二个连接可能造成干扰：以上为代理所见",
        ),
        Text("", ""),
        "note",
    )


def no_doctor(plugin: str) -> Finding:
    return Finding(
        "no_doctor",
        Text(f"{plugin} has no examination of its own", f"{plugin} 没有诊断功能"),
        Text("", ""),
        "note",
    )
