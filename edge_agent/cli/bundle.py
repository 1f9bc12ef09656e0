"""What a support bundle holds: each part collected by itself, so that one that fails takes no other along."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli.moments import BEIJING
from edge_agent.cli.redaction import Redaction, known_secrets
from edge_agent.cli.say import say
from edge_agent.errors import LinesideError

if TYPE_CHECKING:
    import click

TOTAL_MOST = 19_000_000  # bytes before compression: the file is never larger than 20 MB
LOG_MOST = 8_000_000
PART_MOST = 4_000_000
_COMMAND_S = 60.0
_READABLE = frozenset({".yaml", ".yml", ".csv"})
_PRIVATE = frozenset({"secrets", "pki", "private", "own"})  # folders that are not looked into
_UNIT = "edge-agent.service"
_UNIT_PLACES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


class Unwritable(LinesideError):
    exit_code = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    context: click.Context
    config_dir: Path
    url: str | None
    socket_path: Path | None
    since_ns: int
    log_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """``problem``: why it is not there or not whole, "" where it is."""

    name: str
    what: str
    what_zh: str
    data: bytes = b""
    problem: str = ""


Maker = Callable[[Wanted, Redaction], Iterator[Part]]


def collect(wanted: Wanted) -> tuple[list[Part], int]:
    """All parts, masked and within their sizes, the manifest first; and how many places were masked."""
    redaction = Redaction(known_secrets(wanted.config_dir))
    parts: list[Part] = []
    left = TOTAL_MOST
    for make in _MAKERS:
        try:
            for part in make(wanted, redaction):
                parts.append(_within(part, min(left, LOG_MOST if part.name.startswith("log") else PART_MOST)))
                left -= len(parts[-1].data)
        except Exception as error:  # noqa: BLE001 - outermost: one part must not take the bundle with it
            reason = redaction.text(f"{type(error).__name__}: {error}")[:300]
            parts.append(Part(f"{make.__name__.strip('_')}.txt", "not collected", "未能收集", problem=reason))
    return [_manifest(parts, redaction.masked), *parts], redaction.masked


def write(parts: list[Part], out: Path | None) -> Path:
    """The bundle, readable by its owner alone. Raises Unwritable."""
    stamp = datetime.now(BEIJING).strftime("%Y%m%d-%H%M%S")
    path = out or Path(f"lineside-support-{stamp}.tar.gz")
    folder = path.name.partition(".")[0]
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for part in parts:
                entry = tarfile.TarInfo(f"{folder}/{part.name}")
                entry.size, entry.mtime, entry.mode = len(part.data), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(part.data))
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unwritable(
            say(
                f"{path} cannot be written ({reason}); name another place with --out",
                f"无法写入 {path}（{reason}）；请用 --out 指定其他位置",
            )
        ) from error
    return path


def _within(part: Part, most: int) -> Part:
    """The newest of a log, the beginning of anything else."""
    if len(part.data) <= most:
        return part
    cut = part.data[-most:] if part.name.startswith("log") else part.data[:most]
    return replace(part, data=cut if most > 0 else b"", problem=f"cut: it has {len(part.data):,} bytes")


def _manifest(parts: list[Part], masked: int) -> Part:
    content = {
        "lineside_support": 1,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "masked_places": masked,
        "parts": [
            {"name": p.name, "bytes": len(p.data), "what": p.what, "what_zh": p.what_zh, "problem": p.problem}
            for p in parts
        ],
    }
    return Part("MANIFEST.json", "what is in here", "内容清单", _json(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str).encode() + b"\n"


def _versions(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    import sqlite3
    from importlib.metadata import distributions

    from edge_agent import __version__

    libraries = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    facts = {
        "lineside": __version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": _first_line(Path("/etc/os-release")),
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "time_zone": time.tzname[0],
        "libraries": dict(sorted(libraries.items())),
    }
    yield Part("versions.json", "versions of everything", "各组件版本", _json(facts))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""


def _running(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    """What the agent says over its own HTTP."""
    from urllib.request import ProxyHandler, build_opener

    from edge_agent.cli import agent_api

    place = agent_api.locate(wanted.url, wanted.config_dir, wanted.context)
    pages = (
        ("status.json", "/api/v1/status", "status of the running agent", "运行中代理的状态"),
        ("tags.json", "/api/v1/tags", "the present values", "当前数值"),
        ("events.json", "/api/v1/events?limit=200", "the newest events", "最近事件"),
    )
    for name, path, what, what_zh in pages:
        try:
            answer = agent_api.ask(place, path)
        except agent_api.NoAgent as error:
            yield Part(name, what, what_zh, problem=redaction.text(str(error).partition("\n")[0]))
            return
        yield Part(name, what, what_zh, _json(redaction.data(answer)))
    with build_opener(ProxyHandler({})).open(f"{place}/metrics", timeout=agent_api.TIMEOUT_S) as reply:
        text = reply.read(PART_MOST).decode(errors="replace")
    yield Part("metrics.txt", "metrics of the running agent", "运行指标", redaction.text(text).encode())


def _configuration(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    """Files that are text; of the rest, and of folders that hold secrets, only that they are there."""
    from edge_agent.config.sources import decode

    folder, others = wanted.config_dir, []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder)
        if path.suffix.lower() not in _READABLE or _PRIVATE.intersection(name.parts[:-1]):
            others.append(f"{name}\t{path.stat().st_size}")
            continue
        text = decode(path.read_bytes()[:PART_MOST]).text
        if text is None:
            others.append(f"{name}\tnot text")
            continue
        shown = redaction.table(text) if path.suffix.lower() == ".csv" else redaction.text(text)
        what = ("configuration, secrets masked", "配置（密钥已遮盖）")
        yield Part(f"config/{name.as_posix()}", *what, shown.encode())
    listing = redaction.text("\n".join(others)).encode() + b"\n"
    yield Part("config-other-files.txt", "names of other files there", "其他文件名（不含内容）", listing)


def _problems(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    from edge_agent.config import load_with_warnings, places_of
    from edge_agent.errors import ConfigurationError

    version = None
    try:
        configuration, found = load_with_warnings(wanted.config_dir)
        version, problems = configuration.version, [problem.as_dict("en") for problem in found]
    except ConfigurationError as error:
        problems = [problem.as_dict("en") for problem in places_of(error)]
    content = redaction.data({"version": version, "problems": problems})
    yield Part("check.json", "what check says of the configuration", "配置检查结果", _json(content))


def _state_dir(wanted: Wanted) -> Path | None:
    from edge_agent.cli.whereabouts import DEFAULT_STATE, of_directory

    return of_directory(wanted.config_dir).state_dir or (DEFAULT_STATE if DEFAULT_STATE.is_dir() else None)


def _last_good(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    """Names only: the files themselves are as they were written."""
    from edge_agent.config import last_good_marker

    directory = _state_dir(wanted)
    marker = last_good_marker(directory) if directory is not None else None
    if directory is None or marker is None:
        yield Part("last-good.json", "last good configuration", "上次有效的配置", problem="there is none")
        return
    kept = json.loads((directory / "last-good.json").read_bytes())["content"]["files"]
    facts = {
        "saved": datetime.fromtimestamp(marker.saved_ns / 1e9, UTC).isoformat(timespec="seconds"),
        "version": marker.version,
        "directory": str(marker.directory),
        "files": sorted(kept),
    }
    yield Part("last-good.json", "last good configuration: names", "上次有效的配置（仅文件名）", _json(facts))


def _plans(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    from edge_agent.cli.explain import device_report
    from edge_agent.config import load

    configuration = load(wanted.config_dir)
    plans = [device_report(configuration, device) for device in configuration.devices]
    yield Part(
        "plans.json", "requests of each device (explain)", "各设备的请求计划", _json(redaction.data(plans))
    )


def _buffer(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    from edge_agent.buffer import inspect

    directory = _state_dir(wanted)
    what = ("what the store holds", "缓存内容概况")
    if directory is None or not directory.is_dir():
        yield Part("buffer.json", *what, problem="there is no store yet")
        return
    report = redaction.data(inspect(directory))
    sizes = {p.name: p.stat().st_size for p in sorted(directory.iterdir()) if p.is_file()}
    yield Part("buffer.json", *what, _json({"files": sizes, "report": report}))


def _doctor(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    from edge_agent.cli.root import VERBS

    if "doctor" not in VERBS:
        return
    arguments = ["doctor", "self", "--json", "--config", str(wanted.config_dir)]
    done = _command([sys.executable, "-m", "edge_agent", *arguments])
    text = redaction.text(done)
    yield Part("doctor.json", "doctor self: this machine", "本机诊断（doctor self）", text.encode())


def _unit(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    what = ("the systemd unit as found", "systemd 服务单元")
    texts = []
    for place in map(Path, _UNIT_PLACES):
        files = [place / _UNIT, *sorted((place / f"{_UNIT}.d").glob("*.conf"))]
        texts += [
            f"# {path}\n{path.read_text(encoding='utf-8', errors='replace')}"
            for path in files
            if path.is_file()
        ]
    text = redaction.text("\n".join(texts))
    yield Part("unit.txt", *what, text.encode(), "" if texts else "there is none on this machine")


def _log(wanted: Wanted, redaction: Redaction) -> Iterator[Part]:
    what = ("log, secrets masked", "日志（密钥已遮盖）")
    if wanted.log_file is not None:
        with wanted.log_file.open("rb") as file:
            file.seek(max(0, wanted.log_file.stat().st_size - LOG_MOST))
            text = file.read(LOG_MOST).decode(errors="replace")
        yield Part("log.txt", *what, redaction.text(text).encode())
        return
    since_s = wanted.since_ns // 1_000_000_000
    arguments = ["journalctl", "--unit", _UNIT, "--no-pager", "--output=short-iso-precise"]
    try:
        text = _command([*arguments, f"--since=-{since_s}s", "--lines=50000"])
    except OSError:
        yield Part("log.txt", *what, problem="no journalctl here; name a log file with --log")
        return
    yield Part("log.txt", *what, redaction.text(text).encode())


def _command(arguments: list[str]) -> str:
    """Its output. Raises OSError where there is no such program."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, timeout=_COMMAND_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end within {_COMMAND_S:g} s"
    return (done.stdout + done.stderr).decode(errors="replace")


_MAKERS: tuple[Maker, ...] = (
    _versions,
    _running,
    _configuration,
    _problems,
    _last_good,
    _plans,
    _buffer,
    _doctor,
    _unit,
    _log,
)
