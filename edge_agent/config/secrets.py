"""Secrets: named in the configuration, kept beside it, never printed.

``!secret NAME`` is looked up, in this order, in ``$CREDENTIALS_DIRECTORY/NAME`` (systemd), in
``<config>/secrets/NAME``, and in the environment variable ``EDGE_AGENT_SECRET_NAME``.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from edge_agent.config import catalogue as c
from edge_agent.config.located import Collector, Position, Source
from edge_agent.settings import Text

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_ABSENT = SecretStr("absent-secret-absent-secret")  # stands in so that no other rule complains as well


class Secrets:
    """Finds secrets; reports what is wrong with them at the place where they are named."""

    def __init__(self, directory: Path, environ: Mapping[str, str], collector: Collector) -> None:
        self._folder = directory / "secrets"
        self._environ = environ
        self._collector = collector

    def resolve(self, name: str, source: Source, position: Position) -> SecretStr:
        if not _NAME.fullmatch(name):
            reason = Text("the name is not a plain file name", "名称不是普通文件名")
            return self._bad(name, source, position, reason)
        for path in self._candidates(name):
            try:
                data = path.read_bytes()
                mode = path.stat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                reason = Text(
                    f"{path} cannot be read ({error.strerror})", f"无法读取 {path}（{error.strerror}）"
                )
                return self._bad(name, source, position, reason)
            return self._from_file(name, path, data, mode, source, position)
        value = self._environ.get(variable(name))
        if value:
            return SecretStr(value)
        place = self._folder / name
        self._collector.add(
            source, position, c.SECRET_MISSING, name=name, path=place, variable=variable(name)
        )
        return _ABSENT

    def _candidates(self, name: str) -> list[Path]:
        credentials = self._environ.get("CREDENTIALS_DIRECTORY")
        return [*([Path(credentials) / name] if credentials else []), self._folder / name]

    def _from_file(
        self, name: str, path: Path, data: bytes, mode: int, source: Source, position: Position
    ) -> SecretStr:
        try:
            value = data.decode("utf-8-sig").strip("\r\n")
        except UnicodeDecodeError:
            return self._bad(name, source, position, Text("it is not UTF-8 text", "不是 UTF-8 文字"))
        if not value.strip() or "\n" in value:
            reason = (
                Text("it is empty", "内容为空")
                if not value.strip()
                else Text("it has several lines", "有多行")
            )
            return self._bad(name, source, position, reason)
        if mode & stat.S_IROTH:
            self._collector.add(source, position, c.W_SECRET_READABLE, path=path)
        return SecretStr(value)

    def _bad(self, name: str, source: Source, position: Position, reason: Text) -> SecretStr:
        place = self._folder / (name if _NAME.fullmatch(name) else "NAME")
        self._collector.add(source, position, c.SECRET_BAD, name=name, reason=reason, path=place)
        return _ABSENT


def variable(name: str) -> str:
    """The environment variable that may hold a secret."""
    return "EDGE_AGENT_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
