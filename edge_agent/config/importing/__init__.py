"""Tag lists of other tools -> rows of a tag table. Pure: bytes in, rows and problems out; nothing is written.

    imported = read_export("press.csv", data, tool="auto", driver="modbus")
    imported.rows       -> rows with the place each came from
    imported.problems   -> mistakes (nothing can be applied), and what is not taken over, with its reason

``merging`` compares the rows with the table of a device and makes the new table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_agent.config import catalogue as c
from edge_agent.config.importing import ignition, kepware, neuron, own, tia
from edge_agent.config.importing.rows import Imported as Imported
from edge_agent.config.importing.rows import ImportedRow as ImportedRow
from edge_agent.config.importing.sheets import Grid, grid, is_excel
from edge_agent.config.located import Collector, Source
from edge_agent.config.sources import MAX_BYTES, decode
from edge_agent.config.workbook import Unreadable
from edge_agent.settings import Text

TOOLS = ("kepware", "neuron", "ignition", "tia", "lineside")
_TABLES: tuple[tuple[str, Sequence[str], Callable[[Grid, str], Imported]], ...] = (
    ("kepware", kepware.NEEDED, kepware.read),
    ("neuron", neuron.NEEDED, neuron.read),
    ("tia", tia.NEEDED, tia.read),
)


def read_export(
    name: str, data: bytes, *, tool: str = "auto", driver: str = "", device: str = ""
) -> Imported:
    """``driver``: of the device the rows are for, where addresses of several protocols look alike.
    ``device``: its name; of a workbook of ours with several sheets the one called so is read."""
    try:
        return _read(name, data, tool, driver, device)
    except Unreadable as error:
        return _failed(tool, name, error.entry, **error.values)


def _read(name: str, data: bytes, tool: str, driver: str, device: str) -> Imported:
    if len(data) > MAX_BYTES:
        return _failed(tool, name, c.TOO_LARGE, what=f"{len(data)} bytes")
    if tool == "lineside":
        return own.read(name, data, device)
    text = None if is_excel(data) else decode(data).text
    if tool == "ignition" or (tool == "auto" and text is not None and text.lstrip()[:1] in ("{", "[")):
        try:
            return ignition.read(name, text or "", driver)
        except ignition.NotIgnition as error:
            reason = Text(f"no tag export of Ignition ({error})", f"不是 Ignition 导出文件（{error}）")
            return _failed(tool, name, c.NOT_AN_EXPORT, name=name, reason=reason)
    for own_name, needed, reader in _TABLES:
        if tool in (own_name, "auto"):
            found = grid(name, data, needed)
            if found is not None:
                return reader(found, driver)
            if tool == own_name:
                wanted = ", ".join(needed)
                reason = Text(f"no header with {wanted}", f"没有含 {wanted} 的表头")
                return _failed(tool, name, c.NOT_AN_EXPORT, name=name, reason=reason)
    return own.read(name, data, device)


def _failed(tool: str, name: str, entry: c.Entry, /, **values: object) -> Imported:
    collector, source = Collector(), Source(name, "")
    collector.add(source, (1, 1), entry, ("tags",), **values)
    return Imported(tool, (), collector.all(), source)
