"""A file that holds a little of the disk, to be given up when the disk is full.

On a full disk SQLite can neither delete a row nor empty its log: both need room first. Measured: half a
megabyte is enough. The file is allocated, not written: it costs the card nothing. Blocking.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SIZE = 8 * 1024 * 1024
_BLOCK = 512  # the unit of st_blocks, whatever the file system


@dataclass(frozen=True, slots=True)
class Disk:
    """What statvfs(2) says; ``free`` is what this user may take."""

    total: int
    free: int

    @classmethod
    def of(cls, directory: Path) -> Disk:
        found = os.statvfs(directory)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class Ballast:
    """``DIRECTORY/ballast``, shared by all stores there: any may release it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ballast"

    @property
    def there(self) -> bool:
        try:
            return self.path.stat().st_blocks * _BLOCK >= SIZE
        except OSError:
            return False

    def make(self, disk: Disk, floor: int) -> bool:
        """Made again only where as much room stays free beside it as it takes, and the floor."""
        if self.there:
            return True
        if disk.free < SIZE + max(floor, SIZE):
            return False
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, SIZE)
            finally:
                os.close(handle)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """True if that gave room."""
        held = self.there
        with suppress(OSError):
            self.path.unlink()
            return held
        return False
