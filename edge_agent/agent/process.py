"""The process: signals, the last good configuration, exit codes. What `edge-agent run` calls."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from edge_agent import config as configuration_files
from edge_agent import log as logs
from edge_agent.agent.agent import Agent
from edge_agent.clock import SystemClock
from edge_agent.errors import ConfigurationError, LinesideError
from edge_agent.systemd import Notifier

if TYPE_CHECKING:
    from edge_agent.config import Located
    from edge_agent.config.model import Configuration
    from edge_agent.status import Board

log = logging.getLogger(__name__)


DEFAULT_STATE = "/var/lib/edgeagent"


def run(config_dir: Path, *, log_level: str = "info", log_format: str = "auto") -> int:
    """Runs until SIGTERM or SIGINT; SIGHUP reloads. Returns an exit code.

    A configuration that cannot be used falls back to the last good one, and says so everywhere; without one
    the problems are raised as ConfigurationError.
    """
    logs.configure(log_level, log_format)
    configuration, problems = load_or_last_good(config_dir)
    open_state(configuration)
    asyncio.run(_Process(configuration, config_dir, problems).serve())
    return 0


def load_or_last_good(config_dir: Path) -> tuple[Configuration, tuple[Located, ...]]:
    """The configuration to run and, when that is the last good one, what is wrong with the files."""
    try:
        return configuration_files.load(config_dir), ()
    except ConfigurationError as error:
        configuration = _last_good(config_dir)
        if configuration is None:
            raise
        problems = configuration_files.located(error)
    for problem in problems:
        log.error("%s", _first_line(problem))
    log.error(
        "the configuration cannot be used: running the last good one",
        extra=logs.fields(problems=len(problems)),
    )
    return configuration, problems


def _last_good(config_dir: Path) -> Configuration | None:
    for state_dir in _state_dirs(config_dir):
        try:
            return configuration_files.load_last_good(state_dir)
        except (ConfigurationError, OSError):
            continue
    return None


def _state_dirs(config_dir: Path) -> Iterator[Path]:
    """Where a snapshot may be: what systemd says, what the main file says if that much of it can be read,
    the default place."""
    told = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if told:
        yield Path(told)
    try:
        document = yaml.safe_load((config_dir / "edge-agent.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("state_dir"), str):
        yield config_dir / document["state_dir"]
    yield Path(DEFAULT_STATE)


def open_state(configuration: Configuration) -> None:
    """Makes the state directory, private. Raises LinesideError with a cure."""
    try:
        configuration.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LinesideError(
            f"the state directory {configuration.state_dir} cannot be made ({error.strerror}): "
            "create it for this user, or set `state_dir` in edge-agent.yaml"
        ) from None


class _Process:
    """One agent under signals. Reloads run one after the other."""

    def __init__(self, configuration: Configuration, config_dir: Path, problems: tuple[Located, ...]) -> None:
        self._configuration = configuration
        self._config_dir = config_dir
        self._problems = problems
        self._notifier = Notifier(os.environ)
        self._clock = SystemClock()
        self._hup = asyncio.Event()

    async def serve(self) -> None:
        stop = asyncio.Event()
        agent = Agent(
            self._configuration,
            clock=self._clock,
            notifier=self._notifier,
            speaker=logs.Once(logging.getLogger("edge_agent"), self._clock.mono_ns),
            stop=stop,
            reload=self._reloads,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hup.set)
        self._show(agent.board, self._problems, source="last_good" if self._problems else "current")
        if not self._problems:
            await self._keep(self._configuration)
        await agent.run()

    async def _reloads(self, agent: Agent) -> None:
        """The reload loop, run by the agent beside its other loops."""
        while True:
            await self._hup.wait()
            self._hup.clear()
            self._notifier.reloading()
            try:
                configuration = await asyncio.to_thread(configuration_files.load, self._config_dir)
            except ConfigurationError as error:
                problems = configuration_files.located(error)
                self._show(agent.board, problems, source=agent.board.config_source)
                for problem in problems:
                    log.error("%s", _first_line(problem))
                log.error("reload refused: the running configuration stays")
            else:
                await agent.apply(configuration)
                await self._keep(configuration)
                self._show(agent.board, (), source="current")
                log.info("reloaded", extra=logs.fields(version=configuration.version))
            self._notifier.ready()

    def _show(self, board: Board, problems: tuple[Located, ...], *, source: str) -> None:
        board.config_source = source
        board.config_reload_ok = not problems
        board.config_problems = tuple(_first_line(p) for p in problems)
        if not problems:
            board.config_reloaded_ns = self._clock.time_ns()

    async def _keep(self, configuration: Configuration) -> None:
        """The snapshot for the next start. A disk that refuses it must not stop the agent."""
        save = configuration_files.save_last_good
        try:
            await asyncio.to_thread(save, configuration, configuration.state_dir)
        except OSError as error:
            log.error("the last good configuration could not be saved", extra=logs.fields(error=str(error)))


def _first_line(problem: Located) -> str:
    """Place, code and cause; logs are English, whatever the page speaks."""
    return problem.render("en").splitlines()[0]
