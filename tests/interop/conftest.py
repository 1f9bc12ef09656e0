"""Run only when asked for: ``make test-interop``. What cannot be installed is skipped; CI=true: it fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop import cache

collect_ignore_glob = [] if os.environ.get("INTEROP") == "1" else ["test_*.py"]


@pytest.fixture(scope="session")
def python_peer() -> Path:
    return _installed(cache.python)


@pytest.fixture(scope="session")
def node_folder() -> Path:
    return _installed(cache.node)


def _installed(install: Callable[[], Path]) -> Path:
    try:
        return install()
    except cache.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; with CI=true a skip is a failure")
        pytest.skip(str(reason))
