"""``counters list`` as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.cli import console_client, main

ROW = {
    "name": "water", "tag": "m-1.water", "unit": "m³", "time_ns": 1_795_400_000_000_000_000, "held": False,
    "declared": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("total", "display", "shown"),
    [
        ("0.319999999996", "100.32", "0.32"),
        ("123456.9", "123456.9", "123456.9"),
        ("0.0000004", "0.5", "0.0000004"),
        ("1200", None, "1200"),
        ("0", "123456789012345678", "0"),
        ("98765432109876.5", "5", "98765432109876"),
    ],
)
def test_a_total_is_shown_without_the_noise_of_floats(
    total: str, display: str | None, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    rows = [ROW | {"total": total, "display": display}]
    monkeypatch.setattr(console_client, "locate", lambda *_: None)
    monkeypatch.setattr(console_client, "ask", lambda *_: rows)
    assert main(["--lang", "en", "counters", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == shown
    assert main(["counters", "list", "--json"]) == 0
    assert f'"total": "{total}"' in capsys.readouterr().out
