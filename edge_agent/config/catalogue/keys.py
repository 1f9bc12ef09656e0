"""Mistakes in keys, values and secrets."""

from edge_agent.config.catalogue.entry import Entry

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
    "{hint}Write a number and a unit: 500MB, 4GB.",
    "{hint}请写数字加单位：500MB、4GB。",
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
    "Run: chgrp edgeagent {path} && chmod 640 {path}",
    "请执行：chgrp edgeagent {path} && chmod 640 {path}",
)
W_SECRET_INLINE = Entry(
    "W-CFG-034",
    "'{key}' stands openly in the file",
    "'{key}' 以明文写在文件里",
    "Write it into secrets/{key} and refer to it: {key}: !secret {key}",
    "请写入 secrets/{key}，再引用：{key}: !secret {key}",
)
W_PLAIN_SECRET = Entry(
    "W-CFG-036",
    "'{key}' goes over the network readable for everybody on the way: the address does not ask for TLS",
    "'{key}' 在网络上以明文传输，途中任何人都能读到：该地址未使用 TLS",
    "Use an https:// or mqtts:// address; if the network is trusted, write 'allow_plain: true' beside it.",
    "请改用 https:// 或 mqtts:// 地址；若网络可信，请在旁边写 'allow_plain: true'。",
)
W_WEB_OPEN = Entry(
    "W-CFG-035",
    "the web page listens on {host}: every machine of that network can open it without a password",
    "网页监听在 {host}：该网络上的所有机器无需密码即可打开",
    "Write 127.0.0.1 unless the network is trusted.",
    "除非网络可信，否则请写 127.0.0.1。",
)
