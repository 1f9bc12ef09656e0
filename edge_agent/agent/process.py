"""The process: signals, the last good configuration, exit codes. What `edge-agent run` calls."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent import log as logs
from edge_agent.agent.agent import Agent
from edge_agent.clock import SystemClock
from edge_agent.config.apart import Loaded, load_apart
from edge_agent.errors import ConfigurationError, LinesideError
from edge_agent.settings import Text
from edge_agent.systemd import Notifier

if TYPE_CHECKING:
    from edge_agent.settings import Problem
    from edge_agent.status import Board

log = logging.getLogger(__name__)


def run(config_dir: Path, *, log_level: str = "info", log_format: str = "auto") -> int:
    """Runs until SIGTERM or SIGINT; SIGHUP reloads. Returns an exit code.

    A configuration that cannot be used falls back to the last good one, and says so everywhere; without one
    the problems are raised as ConfigurationError.
    """
    logs.configure(log_level, log_format)
    asyncio.run(_Process(config_dir).serve())
    return 0


class StateUnusable(LinesideError):
    """The state directory is not for this process."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(Text(en, zh))


@contextmanager
def own_state(state_dir: Path) -> Iterator[None]:
    """Makes the state directory, private, and holds it for this process. LinesideError with a cure when it
    cannot be made or written, or when another agent holds it: two would give out the same keys. A file system
    that is read-only is no reason not to start: the agent then runs from memory and says so."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StateUnusable(
            f"the state directory {state_dir} cannot be made or opened ({error.strerror}): "
            "create it for this user, or set `state_dir` in edge-agent.yaml",
            f"无法创建或打开数据目录 {state_dir}（{error.strerror}）：请为本用户创建该目录，"
            "或在 edge-agent.yaml 中另设 `state_dir`",
        ) from None
    try:
        _check_owned(state_dir, handle)
        yield
    finally:
        os.close(handle)


def _check_owned(state_dir: Path, handle: int) -> None:
    read_only = os.fstatvfs(handle).f_flag & os.ST_RDONLY
    if not read_only and not os.access(state_dir, os.W_OK | os.X_OK):
        raise StateUnusable(
            f"the state directory {state_dir} cannot be written by this user: "
            "change its owner, or set `state_dir` in edge-agent.yaml",
            f"本用户无法写入数据目录 {state_dir}：请修改其属主，或在 edge-agent.yaml 中另设 `state_dir`",
        )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateUnusable(
            f"another agent is running on the state directory {state_dir}: end it, "
            "or set another `state_dir` in edge-agent.yaml",
            f"另一个代理正在使用数据目录 {state_dir}：请先停止它，或在 edge-agent.yaml 中另设 `state_dir`",
        ) from None
    except OSError:  # a file system without locks
        return


class _Process:
    """One agent under signals. Reloads run one after the other."""

    def __init__(self, config_dir: Path) -> None:
        self._config_dir = config_dir
        self._notifier = Notifier(os.environ)
        self._clock = SystemClock()
        self._hup = asyncio.Event()

    async def serve(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hup.set)
        loaded = await _unless(stop, load_apart(self._config_dir, fall_back=True))
        if loaded is not None:
            with own_state(loaded.configuration.state_dir):
                await self._run(loaded, stop)

    async def _run(self, loaded: Loaded, stop: asyncio.Event) -> None:
        agent = Agent(
            loaded.configuration,
            clock=self._clock,
            notifier=self._notifier,
            speaker=logs.Once(logging.getLogger("edge_agent"), self._clock.mono_ns),
            stop=stop,
            reload=self._reloads,
        )
        self._show(agent.board, loaded)
        if loaded.problems:
            said = logs.fields(problems=len(loaded.problems), version=loaded.configuration.version)
            log.error("the configuration cannot be used: running the last good one", extra=said)
        await agent.run()

    async def _reloads(self, agent: Agent) -> None:
        """The reload loop, run by the agent beside its other loops."""
        while True:
            await self._hup.wait()
            self._hup.clear()
            self._notifier.reloading()
            try:
                loaded = await load_apart(self._config_dir, fall_back=False)
            except ConfigurationError as error:
                self._refuse(agent.board, error.problems)
            except LinesideError as error:
                log.error(
                    "reload failed: the running configuration stays", extra=logs.fields(error=str(error))
                )
                agent.board.config_reload_ok = False
            else:
                from edge_agent.config.difference import describe_changes  # seldom, hence not at the start

                changes = describe_changes(agent.configuration, loaded.configuration).signs()
                await agent.apply(loaded.configuration)
                self._show(agent.board, loaded)
                said = logs.fields(
                    version=loaded.configuration.version, changed="; ".join(changes) or "nothing"
                )
                log.info("reloaded", extra=said)
            self._notifier.ready()

    def _show(self, board: Board, loaded: Loaded) -> None:
        board.config_source = loaded.source
        board.config_reload_ok = not loaded.problems
        board.config_directory = str(self._config_dir.absolute())
        _tell(board, loaded.problems)
        if not loaded.problems:
            board.config_reloaded_ns = self._clock.time_ns()
        if loaded.not_saved:
            said = logs.fields(error=loaded.not_saved)
            log.error("the last good configuration could not be saved", extra=said)

    def _refuse(self, board: Board, problems: Sequence[Problem]) -> None:
        board.config_reload_ok = False
        _tell(board, problems)
        log.error("reload refused: the running configuration stays")


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Loaded]) -> Loaded | None:
    """The result of ``work``; None when ``stop`` was set before: who stops us must not wait for it."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.wait((working, stopping))


def _tell(board: Board, problems: Sequence[Problem]) -> None:
    """Place, code and cause of each mistake, in both languages for page and status; the log is English."""
    board.config_problems = tuple(
        {"place": str(getattr(p, "place", "")), "code": p.code, "en": p.message.en, "zh": p.message.zh}
        for p in problems
        if not p.warning
    )
    for told in board.config_problems:
        log.error("%s: %s %s", told["place"], told["code"], told["en"])
