"""The demonstration in the language of its reader."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.cli.demo_view import View, _Collect
from tests.unit.metrics.board import MONO_NS, TIME_NS, make_board

ACCOUNT = {
    "devices_up": 3, "samples_read": 600, "samples_delivered": 580, "samples_buffered": 20,
    "samples_quarantined": 0, "samples_lost": 0, "excursions": 1,
}  # fmt: skip


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> Iterator[View]:
    monkeypatch.setenv("EDGE_AGENT_LANGUAGE", "zh")
    yield View("zh", plain=True)


def _agent(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("time.time_ns", lambda: TIME_NS)
    monkeypatch.setattr("time.monotonic_ns", lambda: MONO_NS)
    return SimpleNamespace(board=make_board())


def test_states_headings_and_qualities(chinese: View, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = _agent(monkeypatch)
    assert chinese._devices(agent)[0].startswith("press-1 (modbus) 正常  pressure 0.41 MPa")
    table = chinese._table(agent).renderables[0]
    assert [column.header for column in table.columns] == ["设备", "变量", "值", "质量", "窗口"]
    cells = [list(column.cells) for column in table.columns]
    assert "oven-1 (s7) 未连接" in cells[0] and {"良好", "通信失败"} <= set(cells[3]) and "正常" in cells[4]


def test_events(chinese: View) -> None:
    said: list[str] = []
    record = logging.LogRecord("x", logging.INFO, "", 0, "excursion_begin", (), None)
    record.fields = {
        "source": "press-1.pressure",
        "value": 0.5199999809265137,
        "unit": "MPa",
        "reason": "high",
    }
    _Collect(said.append, "zh").emit(record)
    assert said[0].partition(" * ")[2] == "超限开始 press-1.pressure 值=0.52 单位=MPa 原因=上限"


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh", ["演示结束：", "  已连接设备: 3"]), ("en", ["The demo has ended:", "  devices connected: 3"])],
)
def test_the_closing_account(language: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    View(language, plain=True).close(ACCOUNT)
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == words and len(shown) == 8 and shown[3].endswith(": 580")
