"""Mistakes in derived values, counters and figures. Those inside a formula have codes ``E-FORMULA-...``."""

from edge_agent.config.catalogue.entry import Entry

VIRTUAL_TAKEN = Entry(
    "E-CFG-140",
    "'{name}' is the name of a device and cannot be that of the derived values ({other})",
    "'{name}' 已是设备名，不能再用作计算设备名（{other}）",
    "Give the derived values another name: 'device: ...' in a file of derived.d.",
    "请在 derived.d 的文件中用 'device: ...' 另起名称。",
)
SAID_TWICE = Entry(
    "E-CFG-141",
    "'{key}' is already said in {other}, and differently",
    "'{key}' 已在 {other} 写过，且内容不同",
    "There is one virtual device: write it in one file of derived.d only.",
    "计算设备只有一个：请只在 derived.d 的一个文件中填写。",
)
DERIVED_TWICE = Entry(
    "E-CFG-142",
    "'{name}' is already defined in {other}",
    "'{name}' 已在 {other} 定义",
    "Derived tags, counters and figures share their names: give this one another.",
    "计算点、计数器与指标共用名称：请另起一个。",
)
COUNTER_TWICE = Entry(
    "E-CFG-143",
    "tag '{tag}' is already a counter in {other}",
    "点 '{tag}' 已在 {other} 声明为计数器",
    "A register is counted once: remove one of the two.",
    "一个寄存器只能计一次：请删除其中一个。",
)
COUNTER_TYPE = Entry(
    "E-CFG-144",
    "tag '{tag}' is of type {type} and cannot be a counter",
    "点 '{tag}' 是 {type} 类型，不能作为计数器",
    "A counter is a number that only grows; name the meter's register.",
    "计数器是只增不减的数值；请填写表计的累计寄存器。",
)
COUNTER_SCALE = Entry(
    "E-CFG-145",
    "tag '{tag}' has scale {scale} and offset {offset}: a counter needs a scale above 0 and no offset",
    "点 '{tag}' 的倍率为 {scale}、偏移为 {offset}：计数器的倍率须大于 0 且无偏移",
    "Correct the tag table; 'scale' is what one count is worth.",
    "请改正点表；scale 是一个计数代表的量。",
)
NAMEPLATE = Entry(
    "E-CFG-146",
    "'{found}' is no nameplate value",
    "'{found}' 不是铭牌值",
    "Write the most that can flow, with its unit: {example}.",
    "请填写最大流量或功率及单位，例如 {example}。",
)
NAMEPLATE_UNIT = Entry(
    "E-CFG-147",
    "the nameplate value is in {found}, but the counter in {unit}",
    "铭牌值的单位是 {found}，而计数器的单位是 {unit}",
    "Write it as {unit} per time, such as {example}, or correct the unit in the tag table.",
    "请写成单位时间的 {unit}，例如 {example}，或改正点表中的单位。",
)
ROLLOVER = Entry(
    "E-CFG-148",
    "rollover {found} is more than a register of type {type} can show ({most})",
    "rollover {found} 超过 {type} 寄存器能显示的范围（{most}）",
    "Write the raw count at which the register begins anew, at most {most}.",
    "请填写寄存器回零时的原始计数，至多 {most}。",
)
MOMENT = Entry(
    "E-CFG-149",
    "'{found}' is no date and time",
    "'{found}' 不是日期时间",
    "Write 2026-01-01 or 2026-01-01T08:00+08:00.",
    "请写成 2026-01-01 或 2026-01-01T08:00+08:00。",
)
MULTIPLIERS = Entry(
    "E-CFG-150",
    "this multiplier is valid from {found}, not later than the one before it",
    "此倍率自 {found} 起有效，不晚于前一条",
    "List multipliers from the oldest to the newest, each with its own 'from'.",
    "请按时间先后列出倍率，每条各有 from。",
)
ZONE = Entry(
    "E-CFG-151",
    "'{found}' is no time zone",
    "'{found}' 不是时区",
    'Write the distance from UTC, such as "+08:00".',
    '请填写与 UTC 的时差，例如 "+08:00"。',
)
NOT_OF_DEVICE = Entry(
    "E-CFG-152",
    "'{tag}' names no device",
    "'{tag}' 没有写设备名",
    "{hint}Write DEVICE.TAG.",
    "{hint}请写成“设备.点”。",
)
NOT_A_COUNTER = Entry(
    "E-CFG-154",
    "there is no counter '{name}'; figures are made of counters",
    "没有计数器 '{name}'；指标由计数器计算",
    "{hint}List its register under 'counters'; counters so far: {known}.",
    "{hint}请在 counters 下声明其寄存器；现有计数器：{known}。",
)
FLOW_COMMA = Entry(
    "E-CFG-155",
    "within {{ }} the comma before '{key}' ends the formula",
    "在 {{ }} 之内，'{key}' 之前的逗号会结束公式",
    "Put the formula in double quotes.",
    "请给公式加英文双引号。",
)
DEVICE_UNSAID = Entry(
    "E-CFG-156",
    "the files of derived.d are one virtual device: {other} calls it '{device}', and this file does not",
    "derived.d 的所有文件共同构成一个计算设备：{other} 将其命名为 '{device}'，而本文件没有写明",
    "Add 'device: {device}' to this file, or remove that line from {other}.",
    "请在本文件中加上 'device: {device}'，或删除 {other} 处的该行。",
)
COUNTER_UNIT = Entry(
    "E-CFG-157",
    "tag '{tag}' is in {unit}: that is no meter register, which counts up what has gone through",
    "点 '{tag}' 的单位是 {unit}：它不是表计寄存器；寄存器累计已通过的量",
    "Name the tag of the register, in kWh, m³, t or pieces; of '{tag}' make a derived tag: avg({tag}, 1h).",
    "请填写寄存器的点（kWh、m³、t 或件数）；对 '{tag}' 可设计算点：avg({tag}, 1h)。",
)
W_FLOAT_COUNTER = Entry(
    "W-CFG-153",
    "counter '{tag}' is a float32: above {most} it loses single counts",
    "计数器 '{tag}' 是 float32：超过 {most} 会丢失最小计数",
    "Read the meter's integer register if it has one.",
    "如表计有整数寄存器，请改读该寄存器。",
)
