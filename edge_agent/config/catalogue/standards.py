"""Mistakes in and with limits that were handed down."""

from edge_agent.config.catalogue.entry import Entry

LOOSENED = Entry(
    "E-CFG-220",
    "{key} {found} is looser than {limit} {unit}, which {standard} sets ({level}, {other})",
    "{key} {found} 宽于 {standard}（{level}，{other}）规定的 {limit} {unit}",
    "A lower level may only tighten: write {limit} or a tighter limit, or leave it out to take that of the "
    "standard.",
    "下级只能收紧：请填写 {limit} 或更严的限值，或不写以采用标准的限值。",
)
CONTRADICTION = Entry(
    "E-CFG-221",
    "{lower} {below} of {standard} is not below {upper} {above} of {another} ({other})",
    "{standard} 的 {lower} {below} 不小于 {another} 的 {upper} {above}（{other}）",
    "No value could keep both; have one of the documents corrected.",
    "没有任何值能同时满足两者，请更正其中一份文件。",
)
UNIT_MISFIT = Entry(
    "E-CFG-222",
    "tag '{tag}' is in {found}, but {standard} limits {quantity} in {wanted} ({other}); the one cannot be "
    "converted into the other",
    "点 '{tag}' 的单位是 {found}，而 {standard} 对 {quantity} 的限值单位是 {wanted}（{other}），两者无法换算",
    "Correct the unit, or the quantity of the tag.",
    "请改正单位，或点的物理量。",
)
LIMIT_UNITLESS = Entry(
    "E-CFG-223",
    "{standard} limits {quantity} without a unit ({other}), but tag '{tag}' is in {found}",
    "{standard} 对 {quantity} 的限值没有单位（{other}），而点 '{tag}' 的单位是 {found}",
    "Add 'unit: ...' to the limit of the standard.",
    "请在标准的限值中添加 'unit: ...'。",
)
TAG_UNITLESS = Entry(
    "E-CFG-224",
    "{standard} limits {quantity} in {wanted} ({other}), but tag '{tag}' has no unit",
    "{standard} 对 {quantity} 的限值单位是 {wanted}（{other}），而点 '{tag}' 没有单位",
    "Fill in the unit of the tag.",
    "请填写点的单位。",
)
STANDARD_UNITS = Entry(
    "E-CFG-225",
    "{quantity} is limited in '{found}' here, but in '{wanted}' by {standard} ({other}): that cannot be "
    "compared",
    "此处 {quantity} 的限值单位是 '{found}'，而 {standard} 用 '{wanted}'（{other}），无法比较",
    "Correct one of the two units.",
    "请改正其中一个单位。",
)
STANDARD_TWICE = Entry(
    "E-CFG-226",
    "standard '{name}' is in force twice, also by {other}",
    "标准 '{name}' 重复生效，另见 {other}",
    "Keep one version in force: give the other a valid_until in the past, or remove it.",
    "请只保留一个有效版本：给另一个填写已过的 valid_until，或将其删除。",
)
NO_ROOM = Entry(
    "E-CFG-227",
    "limit {limit} {unit} of {standard} ({other}) finds no place: {keys} of this window go with its target",
    "{standard}（{other}）的限值 {limit} {unit} 无处安放：本窗口的 {keys} 都随目标值变化",
    "Move {keys} with a tolerance into a window of their own name, and keep one of them free here.",
    "请把带 tolerance 的 {keys} 移到另一个命名的窗口，在此留出一个。",
)
STANDARD_EMPTY = Entry(
    "E-CFG-228",
    "this limit of {quantity} has no number",
    "{quantity} 的这一项没有限值",
    "Give one or more of: lolo, low, high, hihi, rise, fall.",
    "请填写 lolo、low、high、hihi、rise、fall 中的至少一项。",
)
VALIDITY = Entry(
    "E-CFG-229",
    "valid_until ({until}) is before valid_from ({since})",
    "valid_until（{until}）早于 valid_from（{since}）",
    "Exchange or correct the two.",
    "请对调或改正。",
)
W_NOT_YET = Entry(
    "W-CFG-230",
    "standard {standard} is valid from {since} on and is not applied yet",
    "标准 {standard} 自 {since} 起生效，目前未采用",
    "Nothing to do; reload the agent on that day.",
    "无需处理；请在当日重新加载配置。",
)
W_EXPIRED = Entry(
    "W-CFG-231",
    "standard {standard} was valid until {until} and is not applied any more",
    "标准 {standard} 有效期至 {until}，已不再采用",
    "Ask for the document that replaces it, and remove this one.",
    "请索取替代文件，并删除此文件。",
)
W_QUANTITY = Entry(
    "W-CFG-232",
    "no standard speaks of {what} '{found}'",
    "没有标准涉及{what} '{found}'",
    "{hint}If so, its limits are not applied now.",
    "{hint}若是，则其限值目前未被采用。",
)
