"""What the process says before it has an agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent.process import StateUnusable, own_state
from edge_agent.cli import tell


def test_a_state_directory_in_use_is_told_in_both_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with own_state(tmp_path / "s"), pytest.raises(StateUnusable) as caught, own_state(tmp_path / "s"):
        pass
    for language, words in (
        ("en", "another agent is running on the state"),
        ("zh", "另一个代理正在使用数据目录"),
    ):
        monkeypatch.setenv("EDGE_AGENT_LANGUAGE", language)
        assert tell(caught.value) == 1
        assert words in (told := capsys.readouterr().err) and str(tmp_path / "s") in told
    assert str(caught.value).startswith("another agent")  # as the log has it
