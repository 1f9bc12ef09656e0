"""The listening socket: opened at start, closed at the end, never a reason for the agent not to run."""

from __future__ import annotations

import errno
import logging
import socket

from aiohttp import web

from edge_agent.config.model import WebConfig
from edge_agent.settings import Text
from edge_agent.web.guard import HostNames, add_headers, refuse_strangers
from edge_agent.web.routes import Routes, Sources

log = logging.getLogger(__name__)


class Web:
    """``config.port`` 0 takes a free port; ``port`` then tells which. ``start`` may be called again after
    ``close`` or after it returned False (a port that has come free)."""

    def __init__(self, config: WebConfig, sources: Sources) -> None:
        self._config = config
        self._routes = Routes(sources, lambda: self._config)
        self._runner: web.AppRunner | None = None
        self.problem: Text | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 when none is."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else 0

    async def start(self) -> bool:
        """Listens; True when it does. A failure is logged with its cure, kept in ``problem``, and raises
        nothing: devices are polled and windows checked without a page too."""
        if self._runner is not None:
            return True
        runner = web.AppRunner(
            self._application(), access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._config.host, self._config.port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            self.problem = bind_problem(self._config, error)
            log.error("%s", self.problem.en)
            return False
        self._runner, self.problem = runner, None
        return True

    async def close(self) -> None:
        """Idempotent; also without start. Requests under way get a second to end."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def reconfigure(self, config: WebConfig) -> None:
        """Takes over what can change while listening (``tags``, ``max_series``); host and port need a
        restart."""
        self._config = config

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[refuse_strangers(HostNames(self._config.host))])
        application.on_response_prepare.append(add_headers)
        application.add_routes(self._routes.table())
        return application


def bind_problem(config: WebConfig, error: Exception) -> Text:
    """Why host:port cannot be listened on, and the cure."""
    host, port = config.host, config.port
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror) or code == errno.EADDRNOTAVAIL:
        why = Text("this machine has no such address", "本机没有这个地址")
        cure = Text(
            f"set web.host to 127.0.0.1 or to an address that `ip address` lists, not {host}",
            f"请把 web.host 改为 127.0.0.1 或 `ip address` 列出的地址，而不是 {host}",
        )
    elif code == errno.EADDRINUSE:
        why = Text("another program listens there already", "已被另一个程序占用")
        cure = Text(
            f"end it (`ss -ltnp sport = :{port}` names it) or set another web.port",
            f"请结束该程序(`ss -ltnp sport = :{port}` 可查出是谁)，或改用别的 web.port",
        )
    elif code == errno.EACCES:
        why = Text("the service's user may not use this port", "服务用户无权使用该端口")
        cure = Text("set web.port to a number above 1023", "请把 web.port 设为 1023 以上的数")
    else:
        why = Text(str(error), str(error))
        cure = Text("check web.host and web.port", "请检查 web.host 和 web.port")
    return Text(
        f"cannot listen on {host}:{port}: {why.en}. Metrics and status are off, all else runs. "
        f"Cure: {cure.en}, then restart the agent.",
        f"无法监听 {host}:{port}：{why.zh}。指标和状态页不可用，其余功能照常运行。"
        f"处理办法：{cure.zh}，然后重启。",
    )
