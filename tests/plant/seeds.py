"""Seeds of random tests: new in every run, the same in all worker processes of one run, which must collect
the same tests. The seed is part of the test's name, so a failure prints it."""

from __future__ import annotations

import os
import random
import zlib


def fresh_seed() -> int:
    """0 to 2**32 - 1."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return zlib.crc32(run.encode()) if run else random.SystemRandom().randrange(1 << 32)
