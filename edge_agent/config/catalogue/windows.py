"""Mistakes in process windows."""

from edge_agent.config.catalogue.entry import Entry

UNKNOWN_TAG = Entry(
    "E-CFG-070",
    "device '{device}' has no tag '{tag}'",
    "设备 '{device}' 没有点 '{tag}'",
    "{hint}Tags are listed in {file}.",
    "{hint}点表见 {file}。",
)
UNKNOWN_DEVICE = Entry(
    "E-CFG-071",
    "there is no device '{device}'",
    "没有设备 '{device}'",
    "{hint}A tag of another device is written DEVICE.TAG.",
    "{hint}引用其他设备的点写成“设备.点”。",
)
DEVICE_OFF = Entry(
    "E-CFG-072",
    "'{name}' belongs to device '{device}', which is switched off (enabled: false)",
    "'{name}' 属于已停用的设备 '{device}'（enabled: false）",
    "Switch the device on, or remove the reference.",
    "请启用该设备，或删除引用。",
)
NOT_NUMERIC = Entry(
    "E-CFG-073",
    "tag '{tag}' is of type {type} and has no limits",
    "点 '{tag}' 是 {type} 类型，不能设限值",
    "Limits are for numbers, 'allowed' is for states; correct the tag or its type.",
    "限值只用于数值，状态请用 'allowed'；请改正点或数据类型。",
)
NOT_BOOL = Entry(
    "E-CFG-074",
    "'when' needs a tag of type bool, '{tag}' is {type}",
    "'when' 需要 bool 类型的点，而 '{tag}' 是 {type}",
    "Name a bool tag, true while the window applies.",
    "请填写 bool 类型的点，为真时窗口生效。",
)
LOW_HIGH = Entry(
    "E-CFG-075",
    "low ({low}) is not below high ({high})",
    "下限 {low} 不小于上限 {high}",
    "Exchange or correct the two.",
    "请对调或改正。",
)
NO_LIMITS = Entry(
    "E-CFG-076",
    "the window on '{tag}' has no limits",
    "点 '{tag}' 的窗口没有限值",
    "Give low and/or high, target and tolerance, rise, fall or allowed.",
    "请填写 low、high（至少一个），或 target 加 tolerance，或 rise、fall、allowed。",
)
TARGET_AND_LIMITS = Entry(
    "E-CFG-077",
    "a window has either target or low/high, not both",
    "窗口只能用 target 或 low/high，不能同时用",
    "Remove one of them.",
    "请删除其中一种。",
)
TOLERANCE_ALONE = Entry(
    "E-CFG-078",
    "tolerance needs a target",
    "tolerance 需要 target",
    "Add 'target: TAG or number', or use low and high.",
    "请添加 'target: 点名或数值'，或改用 low 和 high。",
)
TARGET_ALONE = Entry(
    "E-CFG-079",
    "target needs a tolerance",
    "target 需要 tolerance",
    "Add 'tolerance: NUMBER' in the unit of the tag.",
    "请添加 'tolerance: 数值'（单位与点相同）。",
)
DEADBAND_WIDE = Entry(
    "E-CFG-080",
    "deadband {deadband} leaves no room inside the limits: an excursion could never end",
    "死区 {deadband} 过大：超限后永远无法恢复正常",
    "Make it smaller than half the distance of the limits ({limit}).",
    "请小于上下限距离的一半（{limit}）。",
)
DUPLICATE_WINDOW = Entry(
    "E-CFG-081",
    "window '{name}' is already defined in {other}",
    "窗口 '{name}' 已在 {other} 定义",
    "Give this one a 'name' of its own.",
    "请用 'name' 给它单独起名。",
)
LIMITS_TWICE = Entry(
    "E-CFG-082",
    "limits of tag '{tag}' stand here and in {other}",
    "点 '{tag}' 的限值同时写在此处和 {other}",
    "Keep them in one place: the table or windows.",
    "请只保留一处：点表或 windows。",
)
DEADBAND_ALONE = Entry(
    "E-CFG-083",
    "deadband of tag '{tag}' stands without a limit",
    "点 '{tag}' 只有死区，没有上下限",
    "Fill in low or high (or lolo, hihi), or empty the deadband.",
    "请填写下限或上限（或 lolo、hihi），或清空死区。",
)
W_UNITS = Entry(
    "W-CFG-084",
    "the target is in {found}, tag '{tag}' in {wanted}",
    "目标点单位是 {found}，而点 '{tag}' 的单位是 {wanted}",
    "Check that both are the same quantity in the same unit.",
    "请确认两者是同一物理量、同一单位。",
)
W_SHORT_AGE = Entry(
    "W-CFG-085",
    "max_age {age} is shorter than the poll period {period}: the window would keep turning unknown",
    "max_age {age} 短于轮询周期 {period}：窗口会反复变为未知",
    "Use at least twice the poll period, or leave max_age out.",
    "请至少取轮询周期的两倍，或不写 max_age。",
)
WHOLE_ARRAY = Entry(
    "E-CFG-106",
    "'{tag}' is an array of {count} elements; here one of them is needed",
    "'{tag}' 是含 {count} 个元素的数组，此处需要其中一个元素",
    "Write '{tag}[0]' for the first, '{tag}[{last}]' for the last.",
    "第一个元素写 '{tag}[0]'，最后一个写 '{tag}[{last}]'。",
)
