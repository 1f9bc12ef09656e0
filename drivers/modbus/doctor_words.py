"""What ``doctor`` says about Modbus, in both languages: code -> what it means, the sentence, the cure."""

from __future__ import annotations

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
    """``facts``: what stands in the braces of its texts; a Text in its language."""
    words = _WORDS[code]
    return Finding(code, _filled(words.message, facts), _filled(words.cure, facts), words.kind)


def _filled(text: Text, facts: Mapping[str, Any]) -> Text:
    en, zh = (
        {name: fact.say(language) if isinstance(fact, Text) else fact for name, fact in facts.items()}
        for language in ("en", "zh")
    )
    return Text(text.en.format_map(en), text.zh.format_map(zh))


_WORDS = {
    "serial_missing": _Words(
        Text("the serial port does not exist", "串口不存在"),
        Text("{port} does not exist. Ports by id that are there: {there}",
             "{port} 不存在。现有的 by-id 端口：{there}"),
        Text("Plug the adapter in. ttyUSB numbers change when adapters are plugged in anew: put the by-id "
             "path "
             "into `link`.", "请插好转接器。重新插拔后 ttyUSB 编号会变：请在 `link` 中改写 by-id 路径。"),
        "unreachable",
    ),
    "serial_permission": _Words(
        Text("this user may not use the serial port", "当前用户无权使用串口"),
        Text("user {user} may not read and write {port} (group {group})",
             "用户 {user} 无权读写 {port}（所属组 {group}）"),
        Text("sudo usermod -aG {group} {user}   (then log in again; for the agent's service user the same "
             "with "
             "its name, then restart it)",
             "sudo usermod -aG {group} {user}   （之后重新登录；服务用户同理，改后重启服务）"),
        "permission",
    ),
    "serial_taken": _Words(
        Text("another program has the serial port", "串口被其他程序占用"),
        Text("{port} is in use by {by}", "{port} 正被占用：{by}"),
        Text("End that program, or let only one of them use the port. If it is the agent: "
             "edge-agent status shows what it sees.",
             "请结束该程序，或只保留一个使用者。若占用者是代理：用 edge-agent status 查看它的状态。"),
    ),
    "serial_unusable": _Words(
        Text("the serial port cannot be opened", "串口无法打开"),
        Text("the port cannot be used: {words}", "串口无法使用：{words}"),
        Text("Unplug the adapter and plug it in again; `dmesg | tail` says what the system thinks of it.",
             "请重新插拔转接器；用 `dmesg | tail` 查看系统信息。"),
        "unreachable",
    ),
    "modbus_station_silent": _Words(
        Text("the station does not answer", "站号无应答"),
        Text("station {station} does not answer ({words}); others that answer behind the same link: {others}",
             "站号 {station} 无应答（{words}）；同一链路上有应答的其他站号：{others}"),
        Text("Is the device switched on, and is `station` its number? edge-agent scan finds the numbers that "
             "answer. On a serial bus also check the wires A and B. A gateway that passes serial frames "
             "through needs rtu+tcp:// instead of tcp://.",
             "设备是否上电？`station` 是否与设备站号一致？用 edge-agent scan 查找有应答的站号。"
             "串行总线还请检查 A、B 线是否接反。透传串口报文的网关应写 rtu+tcp:// 而不是 tcp://。"),
        "unreachable",
    ),
    "modbus_line_setting": _Words(
        Text("speed or parity of the serial line is wrong", "串口波特率或校验位设置错误"),
        Text("station {station} does not answer at {now}, but it does at {right}",
             "站号 {station} 在 {now} 下无应答，在 {right} 下有应答"),
        Text("Set baud: {baud} and parity: {parity} in the device file.",
             "请在设备文件中写 baud: {baud} 和 parity: {parity}。"),
    ),
    "modbus_line_noise": _Words(
        Text("bytes come, but no sound frames: wrong speed or parity, or a bad line",
             "收到字节但无完整报文：波特率或校验位不符，或线路不良"),
        Text("at {line} bytes arrive that make no sound frame ({words}): parity or baud are probably not "
             "those "
             "of the devices", "在 {line} 下收到的字节不成报文（{words}）：校验位或波特率很可能与设备不符"),
        Text("Compare baud, parity and stop bits with the device's menu; edge-agent scan tries them all. "
             "If they "
             "are right: shield, termination (120 ohm at both ends), wires A and B, a second master.",
             "请与设备菜单核对波特率、校验位、停止位；edge-agent scan 可逐一尝试。若设置无误：检查屏蔽层、"
             "两端 120 欧终端电阻、A/B 线，以及是否有第二个主站。"),
    ),
    "modbus_not_modbus": _Words(
        Text("what answers does not speak this protocol", "应答不符合协议"),
        Text("answers come that do not fit: {words}", "收到不符合请求的应答：{words}"),
        Text("Check host, port and the scheme of `link`: a gateway that passes serial frames through needs "
             "rtu+tcp:// instead of tcp://.",
             "请检查主机、端口和 `link` 的类型：透传串口报文的网关应写 rtu+tcp:// 而不是 tcp://。"),
    ),
    "modbus_tls": _Words(
        Text("a certificate is not accepted", "证书不被接受"),
        Text("no secure connection: {words}", "无法建立安全连接：{words}"),
        Text("Check ca_file, cert_file and key_file, and the clock of this machine.",
             "请检查 ca_file、cert_file、key_file 以及本机时钟。"),
    ),
    "modbus_byte_order": _Words(
        Text("the byte order is probably wrong", "字节顺序很可能不对"),
        Text("read as {now}, values make no sense; as {order} they do: {tags}",
             "按 {now} 读取的数值不合理，按 {order} 则合理：{tags}"),
        Text("Compare with the display: edge-agent read DEVICE {first} --try-orders, or edge-agent guess "
             "DEVICE "
             "--value WHAT-THE-DISPLAY-SHOWS. Then set byte_order: {order}.",
             "请与显示值核对：edge-agent read DEVICE {first} --try-orders，或 edge-agent guess DEVICE "
             "--value "
             "显示值。"
             "然后设置 byte_order: {order}。"),
    ),
    "modbus_address_base": _Words(
        Text("addresses are probably counted from another base", "地址很可能差一（起始编号不同）"),
        Text("these addresses are refused or make no sense, but those {step} on fit: {tags}; try {meant}",
             "这些地址被拒绝或数值不合理，而偏移 {step} 的地址吻合：{tags}；请试 {meant}"),
        Text("Manuals count from 0 or from 1: 40001 is hr:0. If the manual's number is the one on the wire "
             "write "
             "hr:N, else 4NNNNN. edge-agent guess DEVICE --value WHAT-THE-DISPLAY-SHOWS finds the place.",
             "手册有的从 0 起、有的从 1 起编号：40001 即 hr:0。手册给的是报文地址时写 hr:N，否则写 4NNNNN。"
             "用 edge-agent guess DEVICE --value 显示值 可找到位置。"),
    ),
    "modbus_table": _Words(
        Text("the address is in the other table", "地址在另一数据区"),
        Text("these addresses are refused or make no sense, but in the other table they fit: {tags}; try "
             "{meant}",
             "这些地址被拒绝或数值不合理，而另一数据区的同一地址吻合：{tags}；请试 {meant}"),
        Text("Holding registers are hr: or 4xxxx (function 03), input registers ir: or 3xxxx (function 04).",
             "保持寄存器写 hr: 或 4xxxx（功能码 03），输入寄存器写 ir: 或 3xxxx（功能码 04）。"),
    ),
    "modbus_strange_value": _Words(
        Text("a value is so large or small that no machine measures it",
             "数值大得或小得不合理"),
        Text("no machine measures such values: {tags}", "这样的数值不合理：{tags}"),
        Text("Address, table (hr: or ir:), type or byte order is wrong, or nothing is there. Compare with "
             "the display: edge-agent read DEVICE {first} --try-orders, or edge-agent guess DEVICE --value "
             "WHAT-THE-DISPLAY-SHOWS.",
             "地址、数据区（hr: 或 ir:）、类型或字节序不对，或该处没有数据。请与显示值核对："
             "edge-agent read DEVICE {first} --try-orders，或 edge-agent guess DEVICE --value 显示值。"),
    ),
    "modbus_no_address": _Words(
        Text("the device has no such address", "设备没有该地址"),
        Text("the device has no such address: {tags}", "设备没有这些地址：{tags}"),
        Text("Compare with the register list of exactly this model; edge-agent guess DEVICE --value "
             "WHAT-THE-DISPLAY-SHOWS looks for a value.",
             "请与该型号的寄存器表核对；用 edge-agent guess DEVICE --value 显示值 查找数值所在位置。"),
    ),
    "modbus_function": _Words(
        Text("the device does not know the function code", "设备不支持该功能码"),
        Text("the device refuses the function code needed for {tags}", "设备拒绝读取 {tags} 所需的功能码"),
        Text("Write the other table: hr: (03) instead of ir: (04), or the other way round.",
             "请改用另一数据区：hr:（03）与 ir:（04）互换。"),
    ),
}  # fmt: skip

CODES: Mapping[str, Text] = {code: words.meaning for code, words in _WORDS.items()}
