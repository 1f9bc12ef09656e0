"""The last good configuration."""

from edge_agent.config.catalogue.entry import Entry

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
