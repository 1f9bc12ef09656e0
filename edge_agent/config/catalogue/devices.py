"""Mistakes between files: plug-ins, devices, links, poll groups."""

from edge_agent.config.catalogue.entry import Entry

UNKNOWN_DRIVER = Entry(
    "E-CFG-040",
    "there is no {kind} '{name}'",
    "没有名为 '{name}' 的{kind}",
    "{hint}Installed: {known}.",
    "{hint}已安装：{known}。",
)
BROKEN_DRIVER = Entry(
    "E-CFG-041",
    "{kind} '{name}' cannot be used: {reason}",
    "{kind} '{name}' 无法使用：{reason}",
    "Reinstall the package that brings it, or report this message.",
    "请重新安装提供它的软件包，或反馈这条信息。",
)
DUPLICATE_DEVICE = Entry(
    "E-CFG-042",
    "device '{name}' is already defined in {other}",
    "设备 '{name}' 已在 {other} 定义",
    "Give one of the two another name.",
    "请给其中一个换名称。",
)
DUPLICATE_UPLINK = Entry(
    "E-CFG-043",
    "uplink '{name}' is already defined in {other}",
    "上行通道 '{name}' 已在 {other} 定义",
    "Give one of the two another name.",
    "请给其中一个换名称。",
)
LINK_OPTIONS = Entry(
    "E-CFG-044",
    "'{key}' is {found} here, but {wanted} for device '{device}' on the same link ({other})",
    "此处 '{key}' 是 {found}，而同一链路上的设备 '{device}' 是 {wanted}（{other}）",
    "Write the same value in both files.",
    "请在两个文件中写相同的值。",
)
UNKNOWN_GROUP = Entry(
    "E-CFG-045",
    "tag '{tag}' is in poll group '{group}', which has no period",
    "点 '{tag}' 属于轮询组 '{group}'，但该组没有周期",
    "{hint}Add '{group}: 1s' under poll in {file}, or use one of: {known}.",
    "{hint}请在 {file} 的 poll 下添加 '{group}: 1s'，或改用：{known}。",
)
NO_GROUP = Entry(
    "E-CFG-046",
    "tag '{tag}' names no poll group, and poll has several",
    "点 '{tag}' 没有写轮询组，而 poll 中有多个组",
    "Fill in column group with one of: {known}.",
    "请在 group 列填写：{known} 之一。",
)
W_EMPTY_GROUP = Entry(
    "W-CFG-047",
    "no tag is in poll group '{group}'",
    "轮询组 '{group}' 中没有点",
    "Remove it, or name it in column group of {file}.",
    "请删除它，或在 {file} 的 group 列使用它。",
)
W_SAME_STATION = Entry(
    "W-CFG-049",
    "station {station} on link {link} is device '{device}' already ({other}): the same controller twice",
    "链路 {link} 上的站号 {station} 已是设备 '{device}'（{other}）：同一台控制器出现了两次",
    "Correct link or station of one of the two. If one controller is meant to be two devices, leave it.",
    "请改正其中一个的 link 或 station；若有意把一台控制器分成两台设备，可不改。",
)
W_LINK_LOAD = Entry(
    "W-CFG-048",
    "link {link} would need {share} % of its time: the periods are too short, polls will be left out",
    "链路 {link} 需要 {share} % 的时间：周期太短，部分轮询会被跳过",
    "Make the periods of its groups at least {factor} times as long (most of it is '{group}' of {device}), "
    "or poll fewer tags; 'edge-agent explain {device}' shows every request.",
    "请把该链路各组的周期至少延长到 {factor} 倍（占用最多的是 {device} 的 '{group}' 组），或减少变量；"
    "'edge-agent explain {device}' 可查看每个请求。",
)
