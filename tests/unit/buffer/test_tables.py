"""The SQL beside the shapes is what sqlite-utils makes of them, and a file made with it has the shape."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_agent.buffer import tables


@pytest.mark.parametrize("shape", [tables.SAMPLES, tables.EVENTS], ids=lambda s: s.name)
def test_the_sql_is_in_step(shape: tables.Shape) -> None:
    kept = Path(tables.__file__).with_name(f"{shape.name}.sql").read_text(encoding="utf-8")
    assert kept == tables.statements(shape)


@pytest.mark.parametrize("shape", [tables.SAMPLES, tables.EVENTS], ids=lambda s: s.name)
def test_a_new_file_has_the_shape(shape: tables.Shape) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        tables.create(connection, shape)
        tables.verify(connection, shape)
    finally:
        connection.close()
