"""An answer of the running agent, which may be of another version than this command."""

from __future__ import annotations

from typing import Any

from edge_agent.cli.say import say
from edge_agent.errors import LinesideError


class OtherVersion(LinesideError):
    """The agent does not say, or does not know, what this command needs."""

    exit_code = 1

    def __init__(self, missing: object) -> None:
        super().__init__(
            say(
                "the running agent is of another version than this command: restart it "
                f"(systemctl restart edge-agent). Missing: {missing!r}.",
                "正在运行的代理与本命令版本不同：请重启代理(systemctl restart edge-agent)。"
                f"缺少 {missing!r}。",
            )
        )


class Answer(dict[str, Any]):
    """A JSON object; asked for what is not in it, it raises ``OtherVersion``, which is told as a sentence."""

    def __missing__(self, key: str) -> Any:
        raise OtherVersion(key)
