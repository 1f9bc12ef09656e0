"""The list of verbs. A verb's module is imported when it is needed, and imports nothing heavy at its top."""

from __future__ import annotations

from importlib import import_module

import click

from edge_agent.cli.say import Family

VERBS = {  # verb -> module of edge_agent.cli in which it is a command object of the same name
    "init": "init",
    "check": "configuration",
    "run": "running",
    "demo": "running",
    "status": "status",
    "watch": "watch",
    "alarms": "alarms",
    "counters": "counters",
    "report": "report",
    "writes": "writes",
    "write": "writes",
    "scan": "scan",
    "browse": "browse",
    "read": "read",
    "guess": "guess",
    "explain": "explain",
    "tags": "tags",
    "doctor": "doctor",
    "drivers": "plugins",
    "buffer": "storage",
    "replay": "replay",
    "debug": "debug",
    "record": "debug",
    "support": "support",
    "schema": "configuration",
    "version": "about",
    "completion": "about",
}


class Root(Family):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"edge_agent.cli.{VERBS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """click looks for similar names among commands that are loaded, and none of ours is."""
        name = args[0]
        if name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(name, VERBS, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {name!r}.{meant}", ctx)


ROOT = Root(
    "edge-agent",
    help="Lineside: polls controllers, checks process windows, keeps every sample until it is confirmed.",
    zh="Lineside:采集控制器数据，检查工艺窗口，样本得到确认前绝不丢弃。",
    context_settings={"help_option_names": ["-h", "--help"]},
)
