"""Real time series databases, started for a test on free loopback ports and ended with it."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.plant.processes import eventually
from tests.plant.site import free_port

INFLUX_CONF = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


class Database:
    """A server process that can be ended and started again on the same port and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        eventually("the database answers", self._answers, 40.0)

    def stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL: what it has only in memory is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        with urllib.request.urlopen(f"{self.url}/health", timeout=2) as reply:
            return bool(reply.status == 200)

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _ask(self, path: str, **query: str) -> bytes:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return bytes(reply.read())


class Influx(Database):
    """InfluxDB 1.x with the database ``lineside``."""

    def start(self) -> None:
        super().start()
        body = urllib.parse.urlencode({"q": "CREATE DATABASE lineside"}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data=body, timeout=10) as reply:
            reply.read()

    def column(self, measurement: str, field: str) -> list[tuple[int, Any]]:
        """(time_ns, value), in order of time."""
        query = f'SELECT "{field}" FROM "{measurement}"'
        found = json.loads(self._ask("/query", db="lineside", epoch="ns", q=query))["results"][0]
        return [(time_ns, value) for time_ns, value in found.get("series", [{"values": []}])[0]["values"]]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as reply:
            return bool(reply.status == 204)

    def _command(self) -> Sequence[str]:
        conf = self.folder / "influxdb.conf"
        if not conf.exists():
            text = INFLUX_CONF.format(rpc=free_port(), port=self.port, folder=self.folder)
            conf.write_text(text, encoding="utf-8")
        return ["influxd", "-config", str(conf)]


class Victoria(Database):
    """VictoriaMetrics; its time stamps are milliseconds."""

    def column(self, measurement: str, field: str) -> list[tuple[int, Any]]:
        """(time_ms, value), in order of time."""
        self._ask("/internal/force_flush")  # what was written is visible a few seconds later otherwise
        match = f'{{__name__="{measurement}_{field}",db="lineside"}}'
        lines = self._ask("/api/v1/export", **{"match[]": match, "reduce_mem_usage": "1"}).splitlines()
        rows = [json.loads(line) for line in lines]
        return sorted(
            pair for row in rows for pair in zip(row["timestamps"], row["values"], strict=True)
        )  # fmt: skip

    def _command(self) -> Sequence[str]:
        return [
            "victoria-metrics",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-retentionPeriod=100y",
        ]
