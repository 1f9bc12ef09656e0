"""Every configuration mistake the loader can report: code, cause and cure, in both languages.

Codes are stable and language-neutral: a technician reads them out over the phone. ``E-`` stops the load,
``W-`` is a warning. Placeholders are filled by ``Entry.texts``; a value may itself be a ``Text``.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.settings import Text


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of mistake. ``texts`` gives its cause and its cure with the placeholders filled."""

    code: str
    en: str
    zh: str
    cure_en: str
    cure_zh: str

    @property
    def warning(self) -> bool:
        return self.code.startswith("W-")

    def texts(self, values: dict[str, object]) -> tuple[Text, Text]:
        en = {key: _say(value, "en") for key, value in values.items()}
        zh = {key: _say(value, "zh") for key, value in values.items()}
        return (
            Text(self.en.format(**en), self.zh.format(**zh)),
            Text(self.cure_en.format(**en).strip(), self.cure_zh.format(**zh).strip()),
        )


def _say(value: object, language: str) -> object:
    return value.say(language) if isinstance(value, Text) else value


def entries() -> list[Entry]:
    """All of them, in the order of this file."""
    return [value for value in globals().values() if isinstance(value, Entry)]


# --- files and typing ---------------------------------------------------------------------------------------

NOT_UTF8 = Entry(
    "E-CFG-001",
    "the file is not UTF-8 but {encoding}",
    "文件不是 UTF-8 编码，而是 {encoding}",
    "Save it as UTF-8 (Notepad: Save as, Encoding: UTF-8).",
    "请另存为 UTF-8（记事本：另存为，编码选 UTF-8）。",
)
TAB = Entry(
    "E-CFG-002",
    "the line is indented with a tab",
    "这一行用 Tab 缩进",
    "Indent with spaces, two per level.",
    "请改用空格缩进，每级两个空格。",
)
ODD_SPACE = Entry(
    "E-CFG-003",
    "a {what} where an ordinary space belongs",
    "此处是{what}，应为普通空格",
    "Delete it and type a half-width space.",
    "请删除它，换成半角空格。",
)
FULL_WIDTH = Entry(
    "E-CFG-004",
    "full-width character '{found}' where '{wanted}' belongs",
    "全角字符“{found}”，应为半角 '{wanted}'",
    "Type '{wanted}' with the input method switched to English; text that should contain it goes in quotes.",
    "请切换到英文输入法键入 '{wanted}'；若它本来就是文字的一部分，请给文字加英文引号。",
)
COLON_SPACE = Entry(
    "E-CFG-006",
    "no space after the colon of '{key}'",
    "'{key}' 的冒号后面缺少空格",
    "Write '{key}: ' with a space behind the colon.",
    "请写成 '{key}: '，冒号后加一个空格。",
)
DASH_SPACE = Entry(
    "E-CFG-007",
    "no space after the dash of a list item",
    "列表项的短横线后面缺少空格",
    "Write '- ' with a space behind the dash.",
    "请写成 '- '，短横线后加一个空格。",
)
RESERVED_START = Entry(
    "E-CFG-008",
    "a value must not begin with '{found}'",
    "值不能以 '{found}' 开头",
    "Put the value in double quotes.",
    "请给这个值加英文双引号。",
)
INVISIBLE = Entry(
    "E-CFG-009",
    "an invisible character (U+{number})",
    "有一个看不见的字符（U+{number}）",
    "Delete the characters around it and type them again; it usually comes with copied text.",
    "请删除附近的字符后重新键入；它通常随复制的文字带入。",
)
SYNTAX = Entry(
    "E-CFG-010",
    "this is not valid YAML: {reason}",
    "YAML 语法错误：{reason}",
    "{cure}",
    "{cure}",
)
DUPLICATE_KEY = Entry(
    "E-CFG-011",
    "'{key}' stands twice; the first is in line {line}",
    "'{key}' 重复出现，第一次在第 {line} 行",
    "Keep one of the two.",
    "请只保留其中一个。",
)
BAD_TAG = Entry(
    "E-CFG-012",
    "'{tag}' is not known here; only !secret is",
    "此处不认识 '{tag}'，只支持 !secret",
    "Put text that begins with '!' in double quotes, or write '!secret NAME'.",
    "以 '!' 开头的文字请加英文双引号；密钥请写 '!secret 名称'。",
)
TOO_LARGE = Entry(
    "E-CFG-013",
    "the file is too large or nested too deeply ({what})",
    "文件过大或嵌套过深（{what}）",
    "Check that it is the right file.",
    "请确认放的是正确的文件。",
)
NOT_A_MAPPING = Entry(
    "E-CFG-014",
    "the file must consist of 'key: value' lines, found {found}",
    "文件应由“键: 值”行组成，实际是{found}",
    "Begin with '{key}: ...'; the examples show the shape.",
    "请以 '{key}: ...' 开头，可参考示例文件。",
)
MISSING_FILE = Entry(
    "E-CFG-015",
    "file {name} does not exist",
    "文件 {name} 不存在",
    "{hint}Create it, or correct the name.",
    "{hint}请创建该文件，或改正文件名。",
)
UNREADABLE = Entry(
    "E-CFG-016",
    "file {name} cannot be read: {reason}",
    "无法读取文件 {name}：{reason}",
    "Let user '{user}' read it, for example: chgrp edge-agent {name} && chmod 640 {name}",
    "请让用户 '{user}' 能读取它，例如：chgrp edge-agent {name} && chmod 640 {name}",
)
BAD_PATH = Entry(
    "E-CFG-017",
    "'{name}' is not a file name inside {folder}",
    "'{name}' 不是 {folder} 里的文件名",
    "Write the name only, such as press-1.csv.",
    "只写文件名，例如 press-1.csv。",
)
W_NO_DEVICE = Entry(
    "W-CFG-018",
    "no device is configured: devices.d has no switched-on device",
    "没有配置任何设备：devices.d 中没有启用的设备",
    "Add devices.d/NAME.yaml; the examples show one.",
    "请添加 devices.d/名称.yaml，可参考示例。",
)

# --- keys and values ----------------------------------------------------------------------------------------

UNKNOWN_KEY = Entry(
    "E-CFG-020",
    "unknown key '{key}'",
    "未知的键 '{key}'",
    "{hint}Keys here: {known}.",
    "{hint}此处可用的键：{known}。",
)
MISSING_KEY = Entry(
    "E-CFG-021",
    "key '{key}' is missing",
    "缺少键 '{key}'",
    "Add '{key}: ...'.",
    "请添加 '{key}: ...'。",
)
WRONG_TYPE = Entry(
    "E-CFG-022",
    "'{key}' must be {wanted}, found {found}",
    "'{key}' 应为{wanted}，实际是{found}",
    "{hint}Write {wanted}.",
    "{hint}请填写{wanted}。",
)
NOT_ALLOWED = Entry(
    "E-CFG-023",
    "'{found}' is not allowed for '{key}'",
    "'{key}' 不能是 '{found}'",
    "{hint}Allowed: {known}.",
    "{hint}可选值：{known}。",
)
OUT_OF_RANGE = Entry(
    "E-CFG-024",
    "'{key}' is {found}; it must be {wanted}",
    "'{key}' 是 {found}，应{wanted}",
    "Choose a value that is {wanted}.",
    "请改为允许范围内的值（应{wanted}）。",
)
BAD_FORM = Entry(
    "E-CFG-025",
    "'{key}': {reason}",
    "'{key}'：{reason}",
    "{cure}",
    "{cure}",
)
DURATION_UNIT = Entry(
    "E-CFG-026",
    "the time '{found}' has no unit",
    "时间 '{found}' 没有单位",
    "Did you mean '{guess}'? Units: ms, s, min, h, d.",
    "是否想写 '{guess}'？单位：ms、s、min、h、d。",
)
DURATION = Entry(
    "E-CFG-027",
    "'{found}' is not a time",
    "'{found}' 不是时间",
    "{hint}Write a number and a unit: 200ms, 5s, 10min, 2h, 1d.",
    "{hint}请写数字加单位：200ms、5s、10min、2h、1d。",
)
DURATION_POSITIVE = Entry(
    "E-CFG-028",
    "the time '{found}' must be longer than 0",
    "时间 '{found}' 必须大于 0",
    "Write for example 1s.",
    "例如写 1s。",
)
SIZE = Entry(
    "E-CFG-029",
    "'{found}' is not a size",
    "'{found}' 不是容量",
    "Write a number and a unit: 500MB, 4GB.",
    "请写数字加单位：500MB、4GB。",
)
BAD_NAME = Entry(
    "E-CFG-030",
    "'{name}' cannot be a name",
    "'{name}' 不能用作名称",
    "Use letters, digits, '_' and '-', no spaces, at most 100 characters: {guess}",
    "只用文字、数字、'_' 和 '-'，不含空格，最多 100 个字符：{guess}",
)
SECRET_MISSING = Entry(
    "E-CFG-031",
    "secret '{name}' is not there",
    "找不到密钥 '{name}'",
    "Put it into {path} (mode 0640), or set the environment variable {variable}.",
    "请把它写入文件 {path}（权限 0640），或设置环境变量 {variable}。",
)
SECRET_BAD = Entry(
    "E-CFG-032",
    "secret '{name}' cannot be used: {reason}",
    "密钥 '{name}' 不能使用：{reason}",
    "Write one line of UTF-8 text into {path}; its name has letters, digits, '_', '-' and '.' only.",
    "请把密钥作为一行 UTF-8 文字写入 {path}；名称只用字母、数字、'_'、'-'、'.'。",
)
W_SECRET_READABLE = Entry(
    "W-CFG-033",
    "every user of this machine can read secret file {path}",
    "本机所有用户都能读取密钥文件 {path}",
    "Run: chgrp edge-agent {path} && chmod 640 {path}",
    "请执行：chgrp edge-agent {path} && chmod 640 {path}",
)
W_SECRET_INLINE = Entry(
    "W-CFG-034",
    "'{key}' stands openly in the file",
    "'{key}' 以明文写在文件里",
    "Write it into secrets/{key} and refer to it: {key}: !secret {key}",
    "请写入 secrets/{key}，再引用：{key}: !secret {key}",
)
W_WEB_OPEN = Entry(
    "W-CFG-035",
    "the web page listens on {host}: every machine of that network can open it without a password",
    "网页监听在 {host}：该网络上的所有机器无需密码即可打开",
    "Write 127.0.0.1 unless the network is trusted.",
    "除非网络可信，否则请写 127.0.0.1。",
)

# --- devices and uplinks ------------------------------------------------------------------------------------

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

# --- tag tables ---------------------------------------------------------------------------------------------

W_GBK = Entry(
    "W-CFG-050",
    "the table is not UTF-8; it was read as {encoding}",
    "表格不是 UTF-8 编码，已按 {encoding} 读取",
    "Save it as 'CSV UTF-8'; then no character can be misread.",
    "请另存为“CSV UTF-8”，避免乱码。",
)
NOT_CSV = Entry(
    "E-CFG-051",
    "this is not a CSV table but {what}",
    "这不是 CSV 表格，而是{what}",
    "Open it in Excel or WPS and save it as 'CSV UTF-8'.",
    "请用 Excel 或 WPS 打开，另存为“CSV UTF-8”。",
)
EMPTY_TABLE = Entry(
    "E-CFG-052",
    "the table has no {what}",
    "表格没有{what}",
    "The first line names the columns (name,address,type), each further line is one tag.",
    "第一行写列名（name,address,type），之后每行一个点。",
)
UNKNOWN_COLUMN = Entry(
    "E-CFG-053",
    "unknown column '{column}'",
    "未知的列 '{column}'",
    "{hint}Columns: {known}.",
    "{hint}可用的列：{known}。",
)
MISSING_COLUMN = Entry(
    "E-CFG-054",
    "column '{column}' is missing",
    "缺少列 '{column}'",
    "Add it to the first line; name, address and type are needed.",
    "请在第一行添加；name、address、type 三列必须有。",
)
DUPLICATE_COLUMN = Entry(
    "E-CFG-055",
    "column '{column}' stands twice",
    "列 '{column}' 重复",
    "Remove one of the two.",
    "请删除其中一列。",
)
EXTRA_CELL = Entry(
    "E-CFG-056",
    "the line has {found} cells, the table has {wanted} columns",
    "这一行有 {found} 个单元格，而表格只有 {wanted} 列",
    "Put text that contains the separator in double quotes.",
    "含有分隔符的文字请加英文双引号。",
)
EMPTY_CELL = Entry(
    "E-CFG-057",
    "'{column}' is empty",
    "'{column}' 为空",
    "Fill it in, or delete the whole line.",
    "请填写，或删除整行。",
)
DUPLICATE_TAG = Entry(
    "E-CFG-058",
    "tag '{name}' is already in line {line}",
    "点 '{name}' 已在第 {line} 行出现",
    "Give one of the two another name.",
    "请给其中一个换名称。",
)
BAD_TYPE = Entry(
    "E-CFG-059",
    "'{found}' is not a data type",
    "'{found}' 不是数据类型",
    "{hint}Types: {known}.",
    "{hint}可用类型：{known}。",
)
BAD_NUMBER = Entry(
    "E-CFG-060",
    "'{found}' in column {column} is not a number",
    "{column} 列的 '{found}' 不是数字",
    "{hint}Write a number with a decimal point, without unit and without thousands separator.",
    "{hint}请写数字，小数点用 '.'，不带单位和千位分隔符。",
)
EXCEL_ADDRESS = Entry(
    "E-CFG-061",
    "address '{found}' was changed by the spreadsheet program ({what})",
    "地址 '{found}' 被表格软件改写了（{what}）",
    "Format the column as text and type the address again{guess}.",
    "请把该列设为“文本”格式后重新输入地址{guess}。",
)
BAD_YES_NO = Entry(
    "E-CFG-062",
    "'{found}' in column {column} is neither yes nor no",
    "{column} 列的 '{found}' 不是 yes 或 no",
    "Write yes or no; empty means no.",
    "请写 yes（是）或 no（否）；空白表示否。",
)
ZERO_SCALE = Entry(
    "E-CFG-063",
    "scale is 0: every value of '{tag}' would be the same",
    "倍率为 0：'{tag}' 的所有值都会相同",
    "Write the factor from raw to engineering value, for example 0.1.",
    "请填写原始值到工程值的倍率，例如 0.1。",
)
SCALED_TEXT = Entry(
    "E-CFG-064",
    "tag '{tag}' of type {type} cannot have column {column}",
    "{type} 类型的点 '{tag}' 不能填写 {column} 列",
    "Empty the cell, or correct the type.",
    "请清空该单元格，或改正数据类型。",
)
OPEN_QUOTE = Entry(
    "E-CFG-065",
    "the double quote of this cell is never closed",
    "此单元格的英文双引号没有闭合",
    "Add the closing double quote.",
    "请补上右边的英文双引号。",
)

# --- windows ------------------------------------------------------------------------------------------------

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
    "Windows are for numbers; correct the tag or its type.",
    "窗口只能用于数值；请改正点或数据类型。",
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
    "Give low and/or high, or target and tolerance.",
    "请填写 low、high（至少一个），或 target 加 tolerance。",
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
    "deadband of tag '{tag}' stands without low or high",
    "点 '{tag}' 只有死区，没有上下限",
    "Fill in low or high, or empty the deadband.",
    "请填写下限或上限，或清空死区。",
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

# --- the last good configuration ----------------------------------------------------------------------------

NO_LAST_GOOD = Entry(
    "E-CFG-090",
    "there is no last good configuration in {path}",
    "{path} 中没有上次可用的配置",
    "Correct the configuration files; the first good start saves a copy.",
    "请改正配置文件；首次成功启动后会保存副本。",
)
BAD_LAST_GOOD = Entry(
    "E-CFG-091",
    "the last good configuration in {path} is damaged: {reason}",
    "{path} 中上次可用的配置已损坏：{reason}",
    "Correct the configuration files; the next good start replaces the copy.",
    "请改正配置文件；下次成功启动会替换该副本。",
)
