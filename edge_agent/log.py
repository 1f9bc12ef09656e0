"""Logs: few, wide lines on stderr, one per event. There are no log files: journald keeps them.

    logger = logging.getLogger(__name__)
    logger.warning("link lost", extra=fields(device="press-1", reason="reset"))

Under systemd    <4>level=warning logger=edge_agent.acquisition.link msg="link lost" device=press-1
In a pipe        time=2026-01-01T00:00:00.123Z level=warning logger=... msg="link lost" device=press-1 ...
On a terminal    08:00:00.123+08:00 WARNING link lost  device=press-1 reason=reset
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

FORMATS = ("auto", "text", "logfmt", "json")
_OURS = ("edge_agent", "drivers", "hardware_mocks", "__main__")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


def fields(**named: Any) -> dict[str, Any]:
    """The ``extra=`` of a log call: facts beside the message, one key each."""
    return {"fields": named}


def configure(
    level: str = "info",
    format: str = "auto",  # noqa: A002  # the name of the command line option
    *,
    stream: IO[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Sends all logging to stderr. May be called again (a reload may change the level).

    ``level``: debug, info, warning or error. Libraries speak from warning on, below that only with debug.
    ``format``: auto (text on a terminal, else logfmt), text, logfmt or json. Raises ValueError for others.
    """
    out = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None or format not in FORMATS:
        raise ValueError(f"no such log level or format: {level!r}, {format!r}")
    journal = _is_journal(out, os.environ if environ is None else environ)
    if format == "auto":
        format = "text" if out.isatty() and not journal else "logfmt"  # noqa: A001
    handler = LogHandler(out)
    handler.setFormatter(_formatter(format, journal))
    handler.addFilter(_quieter_libraries)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, LogHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)


class LogHandler(logging.StreamHandler[IO[str]]):
    """The one handler ``configure`` installs; its class is how it is found again."""


def _formatter(format_: str, journal: bool) -> logging.Formatter:
    if format_ == "text":
        return TextFormatter()
    return JsonFormatter(journal) if format_ == "json" else LogfmtFormatter(journal)


def _quieter_libraries(record: logging.LogRecord) -> bool:
    if logging.getLogger().level <= logging.DEBUG:
        return True
    if record.levelno >= logging.WARNING:
        # asyncua reports every refused node and late reply by itself; the driver says what matters of it.
        return record.levelno >= logging.CRITICAL or not record.name.startswith("asyncua")
    return record.name.partition(".")[0] in _OURS


def _is_journal(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether the stream is the very one systemd connected to the journal: JOURNAL_STREAM is device:inode and
    is inherited by children whose stderr may have gone elsewhere."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    named = getattr(record, "fields", None)
    return dict(named) if isinstance(named, Mapping) else {}


def _utc(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _priority(record: logging.LogRecord, journal: bool) -> str:
    if not journal:
        return ""
    return f"<{next((p for level, p in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)}>"


class _OneLine(logging.Formatter):
    """One record is one line, whatever stands in it. The journal keeps the time itself."""

    def __init__(self, journal: bool = False) -> None:
        super().__init__()
        self.journal = journal

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        facts: dict[str, Any] = {} if self.journal else {"time": _utc(record)}
        facts |= {"level": record.levelname.lower(), "logger": record.name, "msg": record.getMessage()}
        for key, value in _facts(record).items():
            facts[f"{key}_" if key in facts else key] = value
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return facts


class LogfmtFormatter(_OneLine):
    def format(self, record: logging.LogRecord) -> str:
        pairs = " ".join(f"{_key(k)}={_value(v)}" for k, v in self.facts(record).items())
        return _priority(record, self.journal) + pairs


class JsonFormatter(_OneLine):
    def format(self, record: logging.LogRecord) -> str:
        return _priority(record, self.journal) + json.dumps(self.facts(record), default=str)


class TextFormatter(logging.Formatter):
    """For a person at a terminal: local time with its offset, exceptions as Python prints them."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        stamp = when.strftime("%H:%M:%S.") + f"{when.microsecond // 1000:03d}" + _offset(when)
        line = f"{stamp} {record.levelname:<7} {_printable(record.getMessage())}"
        pairs = " ".join(f"{_key(k)}={_value(v)}" for k, v in _facts(record).items())
        line += f"  {pairs}" if pairs else ""
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _offset(when: datetime) -> str:
    return when.isoformat()[-6:]


def _key(text: str) -> str:
    return "".join(c if c.isprintable() and c not in ' ="' else "_" for c in text) or "_"


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if text and text.isprintable() and not any(c in ' ="\\' for c in text):
        return text
    return '"' + _printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _printable(text: str) -> str:
    """Without line ends and control characters: what a device sends as text must neither forge a line nor
    steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class Once:
    """Speaks once when something breaks and once when it heals; repeats in between go to DEBUG.

    ``key`` names the thing ("link tcp://10.0.0.21:502"). ``mono_ns`` tells how long it lasted.
    """

    def __init__(self, logger: logging.Logger, mono_ns: Callable[[], int]) -> None:
        self._logger = logger
        self._mono_ns = mono_ns
        self._broken: dict[str, tuple[int, int]] = {}  # since when, how many repeats

    def broke(self, key: str, message: str, /, **named: Any) -> None:
        """Says ``message`` at WARNING if ``key`` was well until now, else at DEBUG with a count."""
        since_ns, repeats = self._broken.get(key, (self._mono_ns(), -1))
        self._broken[key] = since_ns, repeats + 1
        if repeats < 0:
            self._logger.warning("%s", message, extra=fields(**named))
        else:
            self._logger.debug("%s", message, extra=fields(**{**named, "repeats": repeats + 1}))

    def healed(self, key: str, message: str, /, **named: Any) -> None:
        """Says ``message`` at INFO with ``lasted_s`` and ``repeats`` if ``key`` was broken, else nothing."""
        if key not in self._broken:
            return
        since_ns, repeats = self._broken.pop(key)
        lasted = {"lasted_s": round((self._mono_ns() - since_ns) / 1e9, 3), "repeats": repeats}
        self._logger.info("%s", message, extra=fields(**{**named, **lasted}))

    def broken(self, key: str) -> bool:
        return key in self._broken

    def forget(self, key: str) -> None:
        """Of a thing that is gone (a link removed by a reload): neither broken nor healed."""
        self._broken.pop(key, None)
