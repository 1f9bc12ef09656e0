"""`edge-agent demo`: the simulated line over real protocols, this agent, a park, and a live view of it all.

The line and the park run as a process of their own (``python -m hardware_mocks``): nothing here shares code
with them. Everything is on loopback, on ports that were free, in a folder that is removed afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_agent import log as logs
from edge_agent.agent import Agent
from edge_agent.cli.demo_view import View
from edge_agent.clock import SystemClock
from edge_agent.config.apart import load_apart
from edge_agent.errors import LinesideError
from edge_agent.systemd import Notifier

READY_S = 30.0

# The ports in the demo's files, and under which name the simulated line reports the one it really has.
PORTS = {"15020": "modbus", "10102": "s7", "14840": "opcua", "18080": "park"}


def run_demo(seconds: float | None, *, language: str = "en", plain: bool = False) -> int:
    """Runs until Ctrl-C, or for ``seconds``. At the end the account for people; the last line on stdout is
    the same as one JSON object."""
    logs.configure("error", "auto")
    with tempfile.TemporaryDirectory(prefix="edge-agent-demo-") as folder:
        view = View(language, plain=plain)
        account = asyncio.run(_demo(Path(folder), seconds, view))
    view.close(account)
    sys.stdout.write(json.dumps(account) + "\n")
    sys.stdout.flush()
    return 0


async def _demo(folder: Path, seconds: float | None, view: View) -> dict[str, Any]:
    stop = asyncio.Event()
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with _simulated_line() as ports:
        _write_files(folder, ports)
        configuration = (await load_apart(folder / "config", fall_back=False)).configuration
        agent = Agent(
            configuration,
            clock=clock,
            notifier=Notifier({}),
            speaker=logs.Once(logging.getLogger("edge_agent"), clock.mono_ns),
            stop=stop,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(agent.run())
            showing = group.create_task(view.show(agent))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
            stop.set()
            await running
            showing.cancel()
    return agent.figures.account


@asynccontextmanager
async def _simulated_line() -> AsyncIterator[dict[str, int]]:
    """Line and park in a process of their own; ends with this block, and also if we die."""
    arguments = ["all", "--with-parent"]
    for option in ("modbus", "s7", "opcua", "control", "park", "park-control"):
        arguments += [f"--{option}-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hardware_mocks",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # Ctrl-C in the terminal is for us; we end the line after the agent
    )
    try:
        assert process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
        if not line:
            raise LinesideError(
                "the simulated line did not start: run `python -m hardware_mocks all` to see why"
            )
        yield json.loads(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _write_files(folder: Path, ports: dict[str, int]) -> None:
    """Copies the demo's configuration, with the ports that the line really has."""
    shutil.copytree(_demo_files(), folder / "config")
    for path in (folder / "config").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for written, name in PORTS.items():
            text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{ports[name]}")
        path.write_text(text, encoding="utf-8")
    main = folder / "config" / "edge-agent.yaml"
    lines = [
        line for line in main.read_text(encoding="utf-8").splitlines() if not line.startswith("state_dir:")
    ]
    main.write_text("\n".join([*lines, f"state_dir: {folder / 'state'}", ""]), encoding="utf-8")


def _demo_files() -> Path:
    """In an installed wheel beside this package, in a checkout under config/."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_demo"
    return installed if installed.is_dir() else package.parent / "config" / "demo"
