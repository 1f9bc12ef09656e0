"""Mistakes in the limits of a process window, and in what is beside them."""

from edge_agent.config.catalogue.entry import Entry

LIMIT_ORDER = Entry(
    "E-CFG-200",
    "{lower} ({below}) is not below {upper} ({above}){by}",
    "{lower}（{below}）不小于 {upper}（{above}）{by}",
    "Limits go up in the order lolo, low, high, hihi; correct one of the two.",
    "限值应按 lolo、low、high、hihi 递增，请改正其中一个。",
)
LIMIT_EMPTY = Entry(
    "E-CFG-201",
    "limit '{key}' has no number",
    "限值 '{key}' 没有数值",
    "Add 'at: NUMBER', or 'tolerance: NUMBER' in a window with a target.",
    "请添加 'at: 数值'；有 target 的窗口也可用 'tolerance: 数值'。",
)
AT_AND_TOLERANCE = Entry(
    "E-CFG-202",
    "limit '{key}' has both at and tolerance",
    "限值 '{key}' 同时写了 at 和 tolerance",
    "Keep one: at is the limit itself, tolerance its distance from the target.",
    "请只保留一个：at 是限值本身，tolerance 是与目标值的距离。",
)
GRACE_ALONE = Entry(
    "E-CFG-203",
    "grace needs a when",
    "grace 需要 when",
    "Grace begins when the condition becomes true: add 'when: ...', or remove grace.",
    "宽限时间从条件变为真开始：请添加 'when: ...'，或删除 grace。",
)
NOT_DISCRETE = Entry(
    "E-CFG-204",
    "'allowed' is for discrete values, tag '{tag}' is {what}",
    "'allowed' 只用于离散值，而点 '{tag}' 是{what}",
    "Use low and high, or a tag of type bool, integer or string without scale.",
    "请改用 low、high，或选择 bool、整数、字符串类型且没有倍率的点。",
)
UNKNOWN_STATE = Entry(
    "E-CFG-205",
    "'{found}' is no value of tag '{tag}' ({type})",
    "'{found}' 不是点 '{tag}'（{type}）的取值",
    "{hint}Possible here: {known}.",
    "{hint}可选：{known}。",
)
RATE_DEADBAND = Entry(
    "E-CFG-206",
    "deadband {deadband} of '{key}' is not smaller than at ({at}): the alarm could never end",
    "'{key}' 的死区 {deadband} 不小于 at（{at}）：报警永远无法恢复",
    "Choose a smaller deadband.",
    "请减小死区。",
)
RATE_OVER = Entry(
    "E-CFG-207",
    "over {over} of '{key}' is shorter than the poll period {period}: no change would ever be measured",
    "'{key}' 的 over {over} 短于轮询周期 {period}：永远测不到变化",
    "Use at least twice the period, or leave over out to compare two readings.",
    "请至少取周期的两倍；或不写 over，改为比较相邻两次读数。",
)
NOTHING_IN_BLOCK = Entry(
    "E-CFG-208",
    "'{key}' asks for nothing",
    "'{key}' 没有任何要求",
    "Give at least one of: {known}.",
    "请至少填写其中之一：{known}。",
)
W_UNREACHABLE = Entry(
    "W-CFG-209",
    "limit {limit} ({value}) can never be exceeded: beyond plausible.{bound} ({edge}) no value is believed",
    "限值 {limit}（{value}）永远不会超出：超过 plausible.{bound}（{edge}）的值不被采信",
    "Let what is plausible reach beyond the limits.",
    "请让合理范围宽于限值。",
)
W_FROZEN = Entry(
    "W-CFG-210",
    "frozen {frozen} is not longer than {what} ({other}): the window would keep turning unknown",
    "frozen {frozen} 不长于{what}（{other}）：窗口会反复变为未知",
    "Use several minutes; a slow but sound value may stand still for a while.",
    "请取几分钟以上；变化缓慢的正常值也会停留一段时间。",
)
EARLY_NO_LIMIT = Entry(
    "E-CFG-211",
    "'ahead' needs a limit that is approached, window on '{tag}' has none",
    "'ahead' 需要可接近的限值，而点 '{tag}' 的窗口没有",
    "Add low, high or a target, or remove ahead.",
    "请添加 low、high 或 target，或删除 ahead。",
)
W_ALL_ALLOWED = Entry(
    "W-CFG-212",
    "'allowed' names every value tag '{tag}' can have: the window is never out",
    "'allowed' 包含了点 '{tag}' 的全部取值：窗口永远不会超限",
    "Name only those that are normal.",
    "请只填写正常的取值。",
)
SHORT_SPAN = Entry(
    "E-CFG-213",
    "'{key}' {found} is too short: it must hold at least {count} of {unit} ({other})",
    "'{key}' {found} 太短：至少应为{unit}（{other}）的 {count} 倍",
    "Make it longer.",
    "请加长。",
)
