"""Mistakes of files as such, and typing accidents in YAML."""

from edge_agent.config.catalogue.entry import Entry

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
NO_CONFIGURATION = Entry(
    "E-CFG-005",
    "there is no configuration: {what}",
    "找不到配置：{what}",
    "{cure}",
    "{cure}",
)
UNREADABLE = Entry(
    "E-CFG-016",
    "file {name} cannot be read: {reason}",
    "无法读取文件 {name}：{reason}",
    "Let user '{user}' read it, for example: chgrp edgeagent {name} && chmod 640 {name}",
    "请让用户 '{user}' 能读取它，例如：chgrp edgeagent {name} && chmod 640 {name}",
)
BAD_PATH = Entry(
    "E-CFG-017",
    "'{name}' is not a file name inside {folder}",
    "'{name}' 不是 {folder} 里的文件名",
    "Write the name only, such as press-1.csv.",
    "只写文件名，例如 press-1.csv。",
)
W_NOT_READ = Entry(
    "W-CFG-019",
    "file {name} is not read: its name does not end in {endings}",
    "文件 {name} 未被读取：文件名不以 {endings} 结尾",
    "{cure}",
    "{cure}",
)
W_NO_DEVICE = Entry(
    "W-CFG-018",
    "no device is configured: devices.d has no switched-on device",
    "没有配置任何设备：devices.d 中没有启用的设备",
    "Add devices.d/NAME.yaml; the examples show one.",
    "请添加 devices.d/名称.yaml，可参考示例。",
)
