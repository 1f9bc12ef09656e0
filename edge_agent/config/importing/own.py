"""Lineside's own tables, CSV or xlsx: what ``tags export`` wrote and somebody edited."""

from __future__ import annotations

from edge_agent.config.importing.rows import Imported, ImportedRow
from edge_agent.config.importing.sheets import is_excel
from edge_agent.config.located import Collector, Source
from edge_agent.config.sources import decode
from edge_agent.config.table import Table, read_table
from edge_agent.config.workbook import read_workbook


def read(name: str, data: bytes, device: str = "") -> Imported:
    """Every row with a name; the rows' own mistakes are among the problems. ``device``: the sheet to take."""
    collector = Collector()
    if is_excel(data):
        table = read_workbook(name, data, collector, sheet=device)
    else:
        decoded = decode(data)
        table = read_table(Source(name, decoded.text or ""), decoded, collector)
    rows = tuple(_row(table, tag) for tag in table.names) if table.usable else ()
    return Imported("lineside", rows, collector.all(), table.source)


def _row(table: Table, tag: str) -> ImportedRow:
    row = table.names[tag]
    cells = {column: table.cell(row, column) for column in table.columns} | {"name": tag}
    places = {column: row.position(index)[1] for column, index in table.columns.items()}
    return ImportedRow(cells, row.position(table.columns["name"]), places)
