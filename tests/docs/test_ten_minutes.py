"""The first device in ten minutes, for somebody who reads every word and types every letter."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import CHINESE, ROOT, page

WORDS_PER_MIN = 180.0
CHINESE_PER_MIN = 300.0
TYPED_PER_MIN = 120.0  # a letter in half a second
WAITING_MIN = 0.5  # for programs: they take 10 s
LIMIT_MIN = 10.0


@pytest.mark.parametrize("ending", [".md", CHINESE])
def test_reading_and_typing_take_ten_minutes(ending: str) -> None:
    shown = page(ROOT / "docs" / f"first-device{ending}")
    lines = shown.path.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines, 1) if line.startswith("## 6."))
    prose = " ".join(line for number, line in shown.prose if number < end)
    blocks = [block for block in shown.blocks if block.line < end]
    printed = " ".join(block.text for block in blocks if block.mark.startswith("prints"))
    typed = sum(len(block.text) for block in blocks if block.mark.startswith(("runs", "file")))
    chinese = len(re.findall(r"[\u4e00-\u9fff]", prose))
    words = len(re.findall(r"[A-Za-z0-9][\w./:-]*", prose)) + len(printed.split()) / 3  # glanced over
    minutes = words / WORDS_PER_MIN + chinese / CHINESE_PER_MIN + typed / TYPED_PER_MIN + WAITING_MIN
    assert minutes <= LIMIT_MIN, f"{words:.0f} words, {chinese} 字, {typed} typed: {minutes:.1f} min"
