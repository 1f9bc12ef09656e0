"""What is counted of a failure."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.acquisition.reports import Reports
from edge_agent.errors import BadReply


@pytest.mark.parametrize(("reason", "mismatches"), [("mismatch", 1), ("checksum", 1), ("timeout", 0)])
def test_what_was_never_answered_is_no_reply_that_does_not_fit(reason: str, mismatches: int) -> None:
    """A station that may not be asked, because it has not proved itself, has said nothing wrong."""
    station: Any = SimpleNamespace(row=SimpleNamespace(failures=Counter(), mismatches=0))
    Reports(SimpleNamespace(), "bus").failed(station, BadReply("no", reason=reason))  # type: ignore[arg-type]
    assert (station.row.failures[reason], station.row.mismatches) == (1, mismatches)
