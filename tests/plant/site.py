"""Configuration sets written for a test, and the agent run on them."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.plant.processes import Child, eventually, get


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A configuration directory, a state directory and, when started, an agent."""

    def __init__(
        self, root: Path, park_url: str | None, *, flush: str = "1s", uplink: Mapping[str, Any] = {}
    ) -> None:
        self.root = root
        self.config = root / "config"
        self.state = root / "state"
        self.log = root / "agent.log"
        self.web_port = free_port()
        for folder in ("devices.d", "tags.d"):
            (self.config / folder).mkdir(parents=True, exist_ok=True)
        self.main = {
            "line": "test-line",
            "state_dir": str(self.state),
            "web": {"port": self.web_port},
            "buffer": {"flush": flush},
            "uplinks": [{"name": "park", "type": "http", "url": park_url, **uplink}] if park_url else [],
        }
        self.write_main()
        self.agent: Child | None = None

    def write_main(self, **changes: Any) -> None:
        self.main |= changes
        text = yaml.safe_dump(self.main, allow_unicode=True, sort_keys=False)
        (self.config / "edge-agent.yaml").write_text(text, encoding="utf-8")

    def device(self, name: str, tags: Sequence[tuple[str, str, str]], **settings: Any) -> None:
        """``tags``: (name, address, type), in the poll group ``default``."""
        document = {"device": name, "tags": f"{name}.csv", **settings}
        path = self.config / "devices.d" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        rows = ["name,address,type", *(",".join(tag) for tag in tags)]
        (self.config / "tags.d" / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def start(self, *, wait: bool = True) -> Child:
        self.agent = Child(
            ["edge_agent", "run", "--config", str(self.config), "--log-format", "json"], self.log, ready=False
        )
        if wait:
            eventually("the agent is ready", lambda: self.status(), 20)
        return self.agent

    def status(self) -> Any:
        return get(f"http://127.0.0.1:{self.web_port}/api/v1/status")

    def row(self, device: str) -> Any:
        return next(d for d in self.status()["devices"] if d["name"] == device)
