"""Mistakes in what may be written."""

from edge_agent.config.catalogue.entry import Entry

WRITE_TYPE = Entry(
    "E-CFG-300",
    "tag '{tag}' is of type {type}, which is not written",
    "点 '{tag}' 是 {type} 类型，不支持写入",
    "Name a tag that is a number or a bool.",
    "请填写数值或 bool 类型的点。",
)
WRITE_DRIVER = Entry(
    "E-CFG-301",
    "tag '{tag}' cannot be written: {reason}",
    "点 '{tag}' 无法写入：{reason}",
    "Correct the address or the settings of the device, or remove the entry.",
    "请改正地址或设备设置，或删除此项。",
)
WRITE_TWICE = Entry(
    "E-CFG-302",
    "'{tag}' is listed already in {other}",
    "'{tag}' 已在 {other} 列出",
    "Keep one of the two.",
    "请只保留一处。",
)
WRITE_ENVELOPE = Entry(
    "E-CFG-303",
    "'{key}' is missing: '{tag}' is a number and may be written only between low and high",
    "缺少 '{key}'：'{tag}' 是数值，只能在 low 与 high 之间写入",
    "Write both limits of what is harmless, in the unit of the tag.",
    "请写明无害范围的上下限（单位与点相同）。",
)
WRITE_LIMIT = Entry(
    "E-CFG-304",
    "{key} {limit} cannot be expressed by '{tag}': {type} with its scaling holds {least} to {most}",
    "'{tag}' 无法表示 {key} {limit}：{type} 按其换算的范围是 {least} 至 {most}",
    "Correct the limit, or type and scaling of the tag.",
    "请改正限值，或点的类型与换算。",
)
WRITE_REVERT = Entry(
    "E-CFG-305",
    "revert {revert} is outside the envelope {low} to {high}",
    "恢复值 {revert} 超出允许范围 {low} 至 {high}",
    "Choose a value between low and high.",
    "请取 low 与 high 之间的值。",
)
WRITE_REVERT_ALONE = Entry(
    "E-CFG-306",
    "revert stands without a ttl, so it would never be used",
    "只有 revert 而没有 ttl，恢复值永远不会使用",
    "Add 'ttl: 10min', or remove revert.",
    "请添加 'ttl: 10min'，或删除 revert。",
)
WRITE_PARTS = Entry(
    "E-CFG-307",
    "'{tag}' has level {level}, which needs: {missing}",
    "'{tag}' 的级别是 {level}，还缺少：{missing}",
    "Add what is missing; heartbeat is a key of the device. To keep a value for ever, say 'ttl: none'.",
    "请补充缺少的内容；heartbeat 是设备文件的键。若不需到期恢复，请写明 'ttl: none'。",
)
WRITE_STEP = Entry(
    "E-CFG-308",
    "max_step {step} is less than one raw count of '{tag}' ({count}): nothing could be written",
    "max_step {step} 小于 '{tag}' 的一个原始单位（{count}）：无法写入任何值",
    "Make it at least {count}.",
    "请至少设为 {count}。",
)
WRITE_WHO = Entry(
    "E-CFG-309",
    "'{found}' is no source of writes",
    "'{found}' 不是写入来源",
    "{hint}Known: {known}.",
    "{hint}可用：{known}。",
)
WRITE_WHEN = Entry(
    "E-CFG-310",
    "a condition needs a tag of type bool, '{tag}' is {type}",
    "条件需要 bool 类型的点，而 '{tag}' 是 {type}",
    "Name a bool tag that is true while the value may be written.",
    "请填写 bool 类型的点，为真时允许写入。",
)
WRITE_TTL = Entry(
    "E-CFG-311",
    "ttl {ttl} is not longer than verify.within {within}: the value would be taken back unconfirmed",
    "ttl {ttl} 不大于 verify.within {within}：值尚未确认就会被恢复",
    "Make ttl longer.",
    "请加大 ttl。",
)
HEARTBEAT_TYPE = Entry(
    "E-CFG-313",
    "the heartbeat '{tag}' is {type}: it must be a bool or an integer without scale and offset",
    "心跳点 '{tag}' 是 {type}：应为 bool，或没有换算的整数",
    "Name such a tag, used for nothing else.",
    "请填写符合要求且专用的点。",
)
HEARTBEAT_LISTED = Entry(
    "E-CFG-314",
    "'{tag}' is the heartbeat and stands under writes as well ({other})",
    "'{tag}' 是心跳点，同时又列在 writes 中（{other}）",
    "Remove it from writes: nobody but the agent writes a heartbeat.",
    "请从 writes 中删除：心跳只由代理写入。",
)
OUTPUT_UNLISTED = Entry(
    "E-CFG-315",
    "output '{tag}' does not stand under writes of device '{device}'",
    "输出 '{tag}' 未列入设备 '{device}' 的 writes",
    "Add '- tag: {name}' with 'who: [annunciation]' under writes in {file}.",
    "请在 {file} 的 writes 下添加 '- tag: {name}' 和 'who: [annunciation]'。",
)
OUTPUT_TYPE = Entry(
    "E-CFG-316",
    "output '{tag}' is {type}; a horn or lamp is a bool",
    "输出 '{tag}' 是 {type}；声光输出应为 bool",
    "Name a bool tag.",
    "请填写 bool 类型的点。",
)
OUTPUT_WHO = Entry(
    "E-CFG-317",
    "output '{tag}' stands under writes, but not for annunciation ({other})",
    "输出 '{tag}' 已列入 writes，但未允许 annunciation（{other}）",
    "Write 'who: [annunciation]' there.",
    "请在该处写 'who: [annunciation]'。",
)
OUTPUT_FORM = Entry(
    "E-CFG-318",
    "'{found}' is no tag of a device",
    "'{found}' 不是设备的点",
    "Write DEVICE.TAG.",
    "请写成“设备.点”。",
)
W_WRITE_AGE = Entry(
    "W-CFG-319",
    "max_age {age} is shorter than the period {period} of '{tag}': most writes would be refused",
    "max_age {age} 短于 '{tag}' 的周期 {period}：大多数写入会被拒绝",
    "Use at least twice the period.",
    "请至少取周期的两倍。",
)
W_OUTPUT_OFF = Entry(
    "W-CFG-320",
    "writing.level is {level}: this output is never switched",
    "writing.level 是 {level}：此输出不会动作",
    "Use level {needed} or higher, or remove it.",
    "请使用 {needed} 或更高级别，或删除此项。",
)
