"""The files of a first configuration, with comments that say what to change next."""

from __future__ import annotations

import json
from dataclasses import dataclass

from edge_agent.cli.say import say


@dataclass(frozen=True, slots=True)
class Answers:
    """``station`` is None where the protocol has none. ``first``: address and type of the first tag. ``bus``:
    baud and parity, at a serial port."""

    language: str
    line: str
    device: str
    driver: str
    link: str
    station: int | None
    first: tuple[str, str]
    bus: tuple[str, str] | None = None


def files_of(answers: Answers, state_dir: str | None) -> dict[str, str]:
    """By their names relative to the directory. ``state_dir``: None for the system's own."""
    return {
        "edge-agent.yaml": _agent(answers, state_dir),
        f"devices.d/{answers.device}.yaml": _device(answers),
        f"tags.d/{answers.device}.csv": _table(answers),
    }


def _agent(answers: Answers, state_dir: str | None) -> str:
    where = (
        f"{'state_dir: ' + _text(state_dir):<30}"
        if state_dir
        else f"{'# state_dir: /var/lib/edge-agent':<30}"
    )
    return f"""\
# yaml-language-server: $schema=schema/edge-agent.schema.json
# {_schema("schema")}
#
# {
        say(
            "The agent itself. A key after '#' shows its default: remove the '#' to change it.",
            "代理自身。以 '#' 开头的键是默认值：去掉 '#' 即可修改。",
        )
    }
# {
        say(
            "After every change: edge-agent check, then systemctl reload edge-agent",
            "每次修改后：先 edge-agent check，再 systemctl reload edge-agent",
        )
    }

line: {_text(answers.line)}
language: {answers.language:<19} # {
        say("of the status page: zh or en; logs are English", "状态网页的语言：zh 或 en；日志为英文")
    }
{where}# {say("where data is kept; relative to this file", "数据目录，相对本文件")}

# web:
#   host: 127.0.0.1            # {
        say("0.0.0.0 opens the page to the network", "0.0.0.0 表示网络上的机器也能打开网页")
    }
#   port: 9713

# {
        say(
            "Where the data goes. Without this part it is kept here only. The token stands in the file",
            "数据发往何处；没有这一段时只保存在本机。令牌写入文件",
        )
    }
# {say("secrets/park_token (chmod 640), not here.", "secrets/park_token（权限 640），不要写在这里。")}
# uplinks:
#   - name: park
#     type: http
#     url: https://park.example/ingest
#     token: !secret park_token
"""


def _device(answers: Answers) -> str:
    station = ""
    if answers.station is not None:
        station = (
            f"station: {answers.station:<20} # {say('number of the device on that link', '该链路上的站号')}\n"
        )
    if answers.bus is not None:
        same = say("the same in every device on the bus", "总线上每台设备都一样")
        station += f"baud: {answers.bus[0]:<23} # {same}\nparity: {answers.bus[1]}\n"
    return f"""\
# yaml-language-server: $schema=../schema/device.schema.json
# {_schema("../schema")}
#
# {say("One device. Its tags stand in", "一台设备一个文件；点表在")} tags.d/{answers.device}.csv

device: {answers.device}
driver: {answers.driver}
link: {_text(answers.link)}
{station}
# {
        say(
            "How often its tags are read. Several groups: poll: {fast: 200ms, slow: 5s}, with column group",
            "读取周期。多个组写成 poll: {fast: 200ms, slow: 5s}，并在点表的 group 列注明",
        )
    }
poll: 1s

# {say("When a value counts as normal; limits are in the unit of the tag.", "工艺窗口：限值的单位与点相同。")}
# windows:
#   - tag: first_value
#     low: 0
#     high: 100
#     on_delay: 2s             # {say("outside for so long before it is told", "持续超限多久才报警")}
"""


def _schema(folder: str) -> str:
    command = f"edge-agent schema --write {folder}"
    return say(
        f"An editor with a YAML plug-in completes the keys once this has been run here: {command}",
        f"编辑器（带 YAML 插件）自动补全：先在本文件所在目录执行一次 {command}",
    )


def _table(answers: Answers) -> str:
    """With the mark at its begin without which Excel and WPS do not see that it is UTF-8."""
    address, kind = answers.first
    told = say("replace it by your own tags", "请改为实际的点")
    return f"\ufeffname,address,type,unit,description,scale\nfirst_value,{address},{kind},,{told},\n"


def _text(value: str) -> str:
    """As YAML reads it back, whatever is in it."""
    return json.dumps(value, ensure_ascii=False)
