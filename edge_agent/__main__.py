"""``python -m edge_agent`` is the command ``edge-agent``; with ``AS_AGENT`` it is the agent alone, what the
verb ``run`` turns its process into: parsing words and speaking two languages takes a megabyte that nobody
needs for months."""

import sys
from pathlib import Path

AS_AGENT = "--as-agent"


def _agent(config_dir: str, log_level: str, log_format: str) -> int:
    try:
        from edge_agent.agent import run

        return run(Path(config_dir), log_level=log_level, log_format=log_format)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the outermost edge: a person reads what leaves it
        from edge_agent.cli import tell

        return tell(error)


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_AGENT]:
        sys.exit(_agent(*sys.argv[2:]))
    from edge_agent.cli import main

    sys.exit(main())
