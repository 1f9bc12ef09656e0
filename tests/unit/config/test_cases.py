"""Deliberately broken sets: each yields exactly the mistakes its expected.txt lists, in both languages."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from edge_agent.config import ConfigurationError, Located, load_with_warnings, places_of

CASES = Path(__file__).parents[2] / "cases" / "config"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def problems_of(case: str, directory: Path) -> tuple[Located, ...]:
    """Loads a copy in which every secret is readable for all, except those called private*."""
    shutil.copytree(CASES / case, directory)
    for secret in directory.glob("secrets/*"):
        secret.chmod(0o640 if secret.name.startswith("private") else 0o644)
    try:
        _, warnings = load_with_warnings(directory, environ={})
    except ConfigurationError as error:
        found = places_of(error)
        assert len(found) == len(error.problems)
        assert any(not problem.warning for problem in found)
        return found
    assert all(problem.warning for problem in warnings)
    return warnings


@pytest.mark.parametrize("case", NAMES)
def test_exactly_the_expected_mistakes(case: str, tmp_path: Path) -> None:
    expected = (CASES / case / "expected.txt").read_text(encoding="utf-8").splitlines()
    found = problems_of(case, tmp_path / case)
    assert [f"{problem.place} {problem.code}" for problem in found] == expected


@pytest.mark.parametrize("case", NAMES)
def test_every_mistake_speaks_both_languages(case: str, tmp_path: Path) -> None:
    for problem in problems_of(case, tmp_path / case):
        for text in (problem.message, problem.cure):
            assert text.en and text.zh
            assert "None" not in text.en
        assert re.search(r"[\u4e00-\u9fff]", problem.message.zh)
        assert re.search(r"[\u4e00-\u9fff]", problem.cure.zh) or problem.code.startswith("E-MB")
        assert problem.warning == problem.code.startswith("W-")
        for language in ("en", "zh"):
            assert problem.render(language).startswith(f"{problem.place}: {problem.code} ")
            json.dumps(problem.as_dict(language))


def test_there_are_enough_of_each_kind() -> None:
    typed = r"full-width|curly|odd-spaces|gbk|[0-9]-tab|typing|no-space|special-characters"
    typing = [name for name in NAMES if re.search(typed, name)]
    tables = [name for name in NAMES if "-csv-" in name]
    broken = [name for name in NAMES if (CASES / name / "expected.txt").read_text(encoding="utf-8")]
    assert len(broken) >= 80
    assert len(typing) >= 20
    assert len(tables) >= 15
