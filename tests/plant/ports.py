"""The port of the page that a person gets who sets none. Tests that run what a page of the documentation says
take it one after the other, whichever worker or checkout they belong to."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def usual_port() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / "lineside-tests-9713.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
