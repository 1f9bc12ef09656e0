"""What ``doctor self`` says, in both languages: code -> what it means, the sentence, the cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.settings import Finding, Text


@dataclass(frozen=True, slots=True)
class _Words:
    meaning: Text
    message: Text
    cure: Text
    kind: str = "fault"


def finding(code: str, **facts: Any) -> Finding:
    """``facts``: what stands in the braces of its texts."""
    words = _WORDS[code]
    return Finding(code, _filled(words.message, facts), _filled(words.cure, facts), words.kind)


def _filled(text: Text, facts: Mapping[str, Any]) -> Text:
    return Text(text.en.format_map(facts), text.zh.format_map(facts))


_WORDS = {
    "self_clock": _Words(
        Text("the clock is not synchronised", "系统时钟未同步"),
        Text("the system's clock is not synchronised", "系统时钟未与时间服务器同步"),
        Text("timedatectl set-ntp true; with a time server of your own: NTP=ADDRESS in "
             "/etc/systemd/timesyncd.conf, "
             "then systemctl restart systemd-timesyncd", "timedatectl set-ntp true；使用厂内时间服务器时在 "
             "/etc/systemd/timesyncd.conf 写 NTP=地址，然后 systemctl restart systemd-timesyncd"),
    ),
    "self_no_rtc": _Words(
        Text("note: no battery-backed clock", "提示：没有带电池的硬件时钟"),
        Text("this machine has no clock that runs while it is off", "本机没有断电后仍走时的硬件时钟（RTC）"),
        Text("After a power cut without network the time is wrong until a time server answers; add an RTC "
             "module.",
             "断电且无网络时，在连上时间服务器之前时间不正确；建议加装 RTC 模块。"),
        "note",
    ),
    "self_rtc": _Words(
        Text("the hardware clock is wrong", "硬件时钟不准"),
        Text("the hardware clock differs from the system's by {seconds} s", "硬件时钟与系统时钟相差 "
                                                                            "{seconds} 秒"),
        Text("sudo hwclock --systohc --utc. About 28800 s: it runs in local time, timedatectl "
             "set-local-rtc 0. "
             "If it is wrong again after a power cut, change its battery.",
             "sudo hwclock --systohc --utc。相差约 28800 秒说明它按本地时间走，执行 timedatectl "
             "set-local-rtc 0。"
             "断电后再次出错则更换电池。"),
    ),
    "self_python": _Words(
        Text("Python is too old", "Python 版本过低"),
        Text("Python {found}; at least {needed} is needed", "Python {found}，至少需要 {needed}"),
        Text("Install the agent anew with a newer Python.", "请用较新的 Python 重新安装代理。"),
    ),
    "self_sqlite": _Words(
        Text("SQLite is too old", "SQLite 版本过低"),
        Text("SQLite {found}; at least {needed} is needed", "SQLite {found}，至少需要 {needed}"),
        Text("Update the operating system.", "请升级操作系统。"),
    ),
    "self_memory": _Words(
        Text("little memory is free", "可用内存不足"),
        Text("only {free} of memory are available", "可用内存仅 {free}"),
        Text("`ps aux --sort=-rss | head` shows who uses it.", "用 `ps aux --sort=-rss | head` 查看占用者。"),
    ),
    "self_no_state": _Words(
        Text("note: no state directory yet", "提示：尚无状态目录"),
        Text("{state} does not exist yet; it appears with the first start", "{state} 尚不存在，"
                                                                            "首次启动后建立"),
        Text("", ""),
        "note",
    ),
    "self_permission": _Words(
        Text("this user may not look into the state directory", "当前用户无权查看状态目录"),
        Text("this user may not look into {state}", "当前用户无权查看 {state}"),
        Text("sudo edge-agent doctor self", "sudo edge-agent doctor self"),
        "permission",
    ),
    "self_owner": _Words(
        Text("a file of the state belongs to another user", "状态目录中的文件属主不对"),
        Text("{what} belongs to {owner}, not to {wanted}", "{what} 属于 {owner}，而不是 {wanted}"),
        Text("sudo chown -R {wanted}: {state}   (somebody has run the agent as another user)",
             "sudo chown -R {wanted}: {state}   （曾有人以其他用户运行过代理）"),
    ),
    "self_open_state": _Words(
        Text("others may write into the state directory", "其他用户可写状态目录"),
        Text("others than its owner may write into {state}", "属主以外的用户可写 {state}"),
        Text("sudo chmod go-w {state}", "sudo chmod go-w {state}"),
    ),
    "self_disk_full": _Words(
        Text("the disk is nearly full", "磁盘空间不足"),
        Text("only {free} are free at {place}", "{place} 仅剩 {free}"),
        Text("`du -xh / | sort -h | tail` shows what fills it; journalctl --vacuum-size=100M makes room at "
             "once.",
             "用 `du -xh / | sort -h | tail` 查看占用；journalctl --vacuum-size=100M 可立即腾出空间。"),
    ),
    "self_inodes": _Words(
        Text("the disk can hold no more files", "磁盘 inode 不足"),
        Text("the file system at {place} can hold hardly any more files", "{place} "
                                                                          "所在文件系统几乎不能再建文件"),
        Text("`df -i`; delete directories with very many small files.", "用 `df -i` 查看；"
                                                                        "删除含大量小文件的目录。"),
    ),
    "self_read_only": _Words(
        Text("the disk is mounted read-only", "磁盘为只读挂载"),
        Text("{point} is mounted read-only", "{point} 为只读挂载"),
        Text("`dmesg | grep -i error`: after faults the kernel does that by itself; the card or disk is "
             "failing.",
             "执行 `dmesg | grep -i error`：出错后内核会自动改为只读，说明存储卡或磁盘正在损坏。"),
    ),
    "self_volatile": _Words(
        Text("the state is lost with the power", "状态断电即失"),
        Text("{point} is {kind}: what is stored there does not outlive a restart",
             "{point} 为 {kind}：其中数据重启后丢失"),
        Text("Put state_dir onto a disk, or mount a volume there.", "请把 state_dir 放到磁盘上，"
                                                                    "或在此挂载卷。"),
    ),
    "self_file_system": _Words(
        Text("the file system does not suit a database", "文件系统不适合存放数据库"),
        Text("{point} is {kind}: it does not keep what was confirmed through a power cut",
             "{point} 为 {kind}：断电时不能保证已确认的数据不丢"),
        Text("Put state_dir onto a local ext4 or xfs.", "请把 state_dir 放到本机的 ext4 或 xfs 上。"),
    ),
    "self_sd_card": _Words(
        Text("note: the state lies on an SD card", "提示：状态在 SD 卡上"),
        Text("{point} is on an SD card ({source}): it wears out", "{point} 在 SD 卡上（{source}），会磨损"),
        Text("Better eMMC or SSD; else an industrial card, `flush` 10s or longer, mount options:{extra} "
             "commit=60.",
             "建议用 eMMC 或 SSD；否则用工业级卡，`flush` 设为 10s 以上，挂载选项：{extra} commit=60。"),
        "note",
    ),
    "self_no_unit": _Words(
        Text("note: the service is not installed", "提示：服务未安装"),
        Text("systemd knows no edge-agent.service", "systemd 中没有 edge-agent.service"),
        Text("Copy systemd/edge-agent.service to /etc/systemd/system, then systemctl daemon-reload.",
             "将 systemd/edge-agent.service 复制到 /etc/systemd/system，再执行 systemctl daemon-reload。"),
        "note",
    ),
    "self_not_enabled": _Words(
        Text("the service does not start at boot", "服务未设为开机启动"),
        Text("edge-agent.service is not enabled: after a power cut it does not start",
             "edge-agent.service 未启用：断电恢复后不会自动启动"),
        Text("sudo systemctl enable --now edge-agent", "sudo systemctl enable --now edge-agent"),
    ),
    "self_unit_setting": _Words(
        Text("a setting of the service is not as it should be", "服务单元设置不当"),
        Text("edge-agent.service has {key}={found} instead of {wanted}",
             "edge-agent.service 中 {key}={found}，应为 {wanted}"),
        Text("systemctl edit edge-agent shows the drop-ins; compare with systemd/edge-agent.service.",
             "用 systemctl edit edge-agent 查看覆盖设置，并与 systemd/edge-agent.service 核对。"),
    ),
    "self_failed": _Words(
        Text("the service has failed", "服务已失败"),
        Text("edge-agent.service has failed", "edge-agent.service 处于失败状态"),
        Text("journalctl -u edge-agent -n 50 says why.", "用 journalctl -u edge-agent -n 50 查看原因。"),
    ),
    "self_no_agent": _Words(
        Text("note: no agent answers here", "提示：此处没有代理应答"),
        Text("no running agent answers, so its stores and times were not looked at",
             "没有运行中的代理应答，因此未检查其存储和时间"),
        Text("systemctl status edge-agent; if it listens elsewhere: --config or --url.",
             "systemctl status edge-agent；监听在别处时用 --config 或 --url 指明。"),
        "note",
    ),
    "self_flush": _Words(
        Text("nothing has been stored for long", "长时间没有存盘"),
        Text("devices are read, but nothing was stored for {seconds} s", "设备在采集，但已有 {seconds} "
                                                                         "秒没有存盘"),
        Text("edge-agent status shows what the store says; is the disk full or failing?",
             "用 edge-agent status 查看存储状态；磁盘是否已满或损坏？"),
    ),
    "self_store": _Words(
        Text("a store takes no data", "存储无法写入"),
        Text("the store {store} takes no data: {reason}", "存储 {store} 无法写入：{reason}"),
        Text("Is the disk full, read-only, or failing? What comes in waits in memory.",
             "磁盘是否已满、只读或损坏？新数据暂存在内存中。"),
    ),
    "self_quota": _Words(
        Text("data not yet delivered fills the quota", "未送达数据占满配额"),
        Text("{used} of the quota of {store} is data not yet delivered", "{store} 的配额有 {used} "
                                                                         "是未送达数据"),
        Text("edge-agent doctor UPLINK says why nothing is delivered; or raise buffer.quota.",
             "用 edge-agent doctor 上行名 查看为何未送达；或提高 buffer.quota。"),
    ),
    "self_last_good": _Words(
        Text("the agent does not run with the present files", "代理未使用当前配置文件"),
        Text("the agent runs with an older configuration: the present files have mistakes",
             "代理使用的是上次有效的配置：当前文件有错误"),
        Text("edge-agent check shows them; then systemctl reload edge-agent.",
             "用 edge-agent check 查看错误；改正后执行 systemctl reload edge-agent。"),
    ),
}  # fmt: skip

CODES: Mapping[str, Text] = {code: words.meaning for code, words in _WORDS.items()}
