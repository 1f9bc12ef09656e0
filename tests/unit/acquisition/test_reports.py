"""What is counted of a failure."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.acquisition.reports import Reports
from edge_agent.errors import BadReply, Unproven


@pytest.mark.parametrize(
    ("kind", "reason", "mismatches"),
    [
        (BadReply, "mismatch", 1),
        (BadReply, "checksum", 1),
        (Unproven, "checksum", 0),
        (Unproven, "timeout", 0),
    ],
)
def test_what_was_never_answered_is_no_reply_that_does_not_fit(
    kind: type[BadReply], reason: str, mismatches: int
) -> None:
    """A station that may not be asked, because it has not proved itself, has said nothing wrong."""
    station: Any = SimpleNamespace(row=SimpleNamespace(failures=Counter(), mismatches=0))
    Reports(SimpleNamespace(), "bus").failed(station, kind("no", reason=reason))  # type: ignore[arg-type]
    assert (station.row.failures[reason], station.row.mismatches) == (1, mismatches)
