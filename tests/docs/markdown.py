"""As much Markdown as these tests need: headings, fenced blocks with their marks, tables, links, code spans.

A mark is an HTML comment in the line before a fence; readers never see it:

    <!-- runs -->                          the block is executed; every command must succeed
    <!-- runs, exit 78 -->                 one command, with this exit code
    <!-- runs until it prints, 60 s -->    again and again until the output shown below it has come
    <!-- prints -->                        the output of the block before, exactly
    <!-- prints about -->                  the same, with other numbers, times and versions
    <!-- file PATH -->                     the block is the content of this file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHINESE = ".zh-CN.md"

_FENCE = re.compile(r"^(\s*)(`{3,})\s*(\S*)")
_MARK = re.compile(r"^\s*<!-- (.*?) -->\s*$")
_HEADING = re.compile(r"^(#{1,6}) (.+?)\s*#*$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """``line``: of its first line, from 1. ``mark``: the comment before it, or nothing."""

    language: str
    text: str
    line: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    path: Path
    headings: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    prose: list[tuple[int, str]] = field(default_factory=list)  # line number, line; nothing of the blocks

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def links(self) -> Iterator[tuple[int, str]]:
        for number, line in self.prose:
            for target in _LINK.findall(_CODE.sub("", line)):
                yield number, target

    def code(self) -> Iterator[tuple[int, str]]:
        for number, line in self.prose:
            for text in _CODE.findall(line):
                yield number, text

    def tables(self) -> Iterator[list[list[str]]]:
        """Rows of cells, without the heading and the line under it."""
        rows: list[list[str]] = []
        for _, line in [*self.prose, (0, "")]:
            if line.lstrip().startswith("|"):
                rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
            elif rows:
                yield rows[2:]
                rows = []

    def anchors(self) -> set[str]:
        return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in self.headings}


@cache
def page(path: Path) -> Page:
    found = Page(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if fence := _FENCE.match(line):
            number = _block(found, lines, number, fence)
            continue
        if heading := _HEADING.match(line):
            found.headings.append((len(heading[1]), heading[2]))
        found.prose.append((number + 1, line))
        number += 1
    return found


def _block(found: Page, lines: list[str], start: int, fence: re.Match[str]) -> int:
    """Adds the block whose fence stands at ``start``; returns the line after its end."""
    end = start + 1
    while end < len(lines) and not lines[end].strip().startswith(fence[2]):
        end += 1
    indent = len(fence[1])
    text = "\n".join(line[indent:] for line in lines[start + 1 : end])
    mark = _MARK.match(lines[start - 1]) if start else None
    found.blocks.append(Block(fence[3], text + "\n", start + 2, mark[1] if mark else ""))
    return end + 1


def codes(cell: str) -> list[str]:
    """The code spans of a table's cell."""
    return _CODE.findall(cell)


def pages() -> list[Page]:
    """Every page of the project."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("drivers/*/*.md")]
    return [page(path) for path in sorted([*found, *ROOT.glob("systemd/*.md")])]


def pairs() -> list[tuple[Page, Page]]:
    """(English, Chinese) of each page that exists in both languages."""
    return [
        (page(path.with_name(path.name.replace(CHINESE, ".md"))), page(path))
        for path in sorted([*ROOT.glob(f"*{CHINESE}"), *ROOT.glob(f"docs/*{CHINESE}")])
    ]
