"""What uplinks keep: whole or not at all, one apart from the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.buffer import Notes
from edge_agent.errors import StorageError


async def test_kept_over_restarts(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "uplinks")
    assert await notes.recall("park", "qn") == ""
    await notes.keep("park", "qn", "1")
    await notes.keep("park", "qn", "二\n2")
    await notes.keep("mirror", "qn", "3")
    again = Notes(tmp_path / "uplinks")
    assert [await again.recall(name, "qn") for name in ("park", "mirror")] == ["二\n2", "3"]


@pytest.mark.parametrize("body", [b"", b"no crc", b"00000000\ntext", b"\xff\xfe", b"zz\n1"])
async def test_a_damaged_one_is_as_if_never_kept(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "park.qn").write_bytes(body)
    assert await Notes(tmp_path).recall("park", "qn") == ""


async def test_a_disk_that_refuses_is_told_and_the_old_text_stands(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    await notes.keep("park", "qn", "1")
    (tmp_path / "park.qn.new").mkdir()  # where the new text would be written first
    with pytest.raises(StorageError):
        await notes.keep("park", "qn", "2")
    assert await notes.recall("park", "qn") == "1"
