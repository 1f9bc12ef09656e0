"""What an uplink wants to know after a restart: one small file per text, replaced whole.

``DIRECTORY/UPLINK.NAME``: the CRC of the text in 8 hex digits, a line feed, the text.
"""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

from edge_agent.buffer.database import storage_errors
from edge_agent.buffer.epoch import sync_directory, write_durably


class Notes:
    """``keep`` is durable on return and raises StorageError; ``recall`` gives "" for what is missing or
    damaged. Both work in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def keep(self, uplink: str, name: str, text: str) -> None:
        await asyncio.to_thread(self._keep, self._path(uplink, name), text.encode())

    async def recall(self, uplink: str, name: str) -> str:
        return await asyncio.to_thread(self._recall, self._path(uplink, name))

    def _path(self, uplink: str, name: str) -> Path:
        return self._directory / f"{uplink}.{name}"

    def _keep(self, path: Path, body: bytes) -> None:
        with storage_errors(path):
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, parents=True)
                sync_directory(path.parent.parent)
            write_durably(path, b"%08x\n%s" % (zlib.crc32(body), body))

    def _recall(self, path: Path) -> str:
        try:
            crc, _, body = path.read_bytes().partition(b"\n")
        except OSError:
            return ""
        try:
            return body.decode() if int(crc, 16) == zlib.crc32(body) else ""
        except ValueError:
            return ""
