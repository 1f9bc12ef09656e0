"""The comparison itself: what it lets pass and what it does not."""

from __future__ import annotations

import pytest

from tests.docs.shell import matches


@pytest.mark.parametrize(
    ("shown", "printed", "about", "same"),
    [
        ("a  b\n\nc", "a b\nc\n", False, True),
        ("a 1", "a 2", False, False),
        ("a 1.5 -7 2e+09", "a 2.25 3 -1.883367e-25", True, True),
        ("good 1", "bad 1", True, False),
        ("version 3cd6fbf81b9c: ok", "version 14ab0c98a67a: ok", True, True),
        ("since 2026-11-22 09:34:46+08:00 x", "since 2027-01-01 00:00:00+00:00 x", True, True),
        ("E-CFG-026 the time", "E-CFG-027 the time", True, False),
        ("press-1 up", "press-2 up", True, False),
        ("...\nb\n...", "a\na\nb\n", False, True),
        ("...\nb\n...", "a\nc\n", False, False),
        ("a ... c", "a b c", False, True),
        ("a ... c", "a c", False, True),
        ("a ... c", "ab c", False, False),
        ("a ...", "a", False, True),
        ("a", "a\nb", False, False),
    ],
)
def test_matches(shown: str, printed: str, about: bool, same: bool) -> None:
    assert matches(shown, printed, about=about) is same
