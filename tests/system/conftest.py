"""A plant per test: a park, a simulated press and an agent's files, all on loopback and on free ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.site import Site


@pytest.fixture
def park(tmp_path: Path) -> Iterator[Park]:
    park = Park(tmp_path)
    yield park
    park.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """One Modbus controller that leaves its window only when told."""
    line = Line(tmp_path, "modbus", *CALM)
    yield line
    line.close()


@pytest.fixture
def site(tmp_path: Path, line: Line, park: Park) -> Iterator[Site]:
    """The press as the only device; the agent is not started. Closed before line and park are."""
    site = Site(tmp_path / "site", park.url, flush="500ms")
    site.press(line.link())
    yield site
    site.close()
