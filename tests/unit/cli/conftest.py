"""Fixtures of several files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.cli.beside import Beside, beside


@pytest.fixture
def plant() -> Iterator[Beside]:
    """Simulated devices that run beside a command."""
    with beside() as found:
        yield found
