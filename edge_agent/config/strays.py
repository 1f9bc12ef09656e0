"""Files that a person means to be read and that are not: the wrong directory, the wrong ending."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path, PurePosixPath

from edge_agent.config import catalogue as c
from edge_agent.config.located import Collector, Source
from edge_agent.config.sources import Files
from edge_agent.settings import Text

_YAML = (".yaml", ".yml")
_TABLES = (".csv", ".xlsx")
_FOLDERS = {"devices.d": _YAML, "tags.d": _TABLES, "standards.d": _YAML, "derived.d": _YAML}
_PUT_ASIDE = (
    ".bak", ".backup", ".old", ".orig", ".save", ".off", ".disabled", ".swp", ".tmp", ".example", ".sample",
    ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".md",
)  # fmt: skip
"""Endings by which people and tools keep a file from being read."""


def is_yaml(name: str) -> bool:
    return name.endswith(_YAML)


def warn_of_strays(files: Files, read: Container[str], collector: Collector) -> None:
    """A warning for every file that lies where it would be read but for its ending: Notepad puts ``.txt``
    behind it, Windows shows no ending at all, and ``.YAML`` is not ``.yaml``."""
    for folder, endings in _FOLDERS.items():
        for name in files.names(folder):
            own = PurePosixPath(name).name
            if own.endswith(endings) or name in read or _put_aside(own):
                continue
            values = {"name": name, "endings": " / ".join(endings), "cure": _cure(own, endings)}
            collector.add(Source(name, ""), (1, 1), c.W_NOT_READ, **values)


def _put_aside(own: str) -> bool:
    return own.lower().endswith(_PUT_ASIDE) or own.lower().startswith("readme")


def _cure(own: str, endings: tuple[str, ...]) -> Text:
    stem, _, ending = own.removesuffix(".txt").removesuffix(".TXT").rpartition(".")
    if stem and f".{ending.lower()}" in endings:
        better = f"{stem}.{ending.lower()}"
        return Text(f"Rename it to {better}", f"请改名为 {better}")
    if endings is _TABLES:
        return Text(
            "Save it as CSV (UTF-8) or as an Excel workbook (.xlsx), or take it out of tags.d.",
            "请另存为 CSV（UTF-8）或 Excel 工作簿（.xlsx），或移出 tags.d。",
        )
    return Text(
        f"Rename it so that it ends in {endings[0]}, or take it out of this folder.",
        f"请改名，使其以 {endings[0]} 结尾，或移出此目录。",
    )


def not_there(directory: Path, file: str, near: str | None) -> tuple[Text, Text]:
    """What is missing, the file in the directory or the directory itself, and the cure. ``near``: a file of
    nearly that name."""
    if not directory.is_dir():
        there = directory.exists()
        what = Text(f"directory {directory} does not exist", f"目录 {directory} 不存在")
        return Text(f"{directory} is no directory", f"{directory} 不是目录") if there else what, _ELSEWHERE
    what = Text(f"no {file} in directory {directory}", f"目录 {directory} 中没有 {file}")
    return what, Text(f"Rename {near} to {file}.", f"请把 {near} 改名为 {file}。") if near else _ELSEWHERE


_ELSEWHERE = Text(
    "Name the directory of the configuration with --config DIRECTORY or in EDGE_AGENT_CONFIG, or write a "
    "first one: edge-agent init DIRECTORY",
    "请用 --config 目录 或环境变量 EDGE_AGENT_CONFIG 指明配置目录；还没有配置时请执行：edge-agent init 目录",
)
