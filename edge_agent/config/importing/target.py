"""The device an import is for: its table as it stands, and what would be wrong with a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pydantic import SecretStr

from edge_agent.config import catalogue as c
from edge_agent.config.devices import DeviceReader, Draft
from edge_agent.config.document import parse
from edge_agent.config.importing.merging import Written
from edge_agent.config.importing.rows import Imported, ImportedRow
from edge_agent.config.loader import load_files
from edge_agent.config.located import Collector, Located, Source, places_of, sort
from edge_agent.config.plugins import InstalledPlugins, Plugins
from edge_agent.config.sources import DirectoryFiles, Files, decode
from edge_agent.config.table import Table, read_table
from edge_agent.config.workbook import is_workbook, read_workbook
from edge_agent.errors import ConfigurationError
from edge_agent.settings import Text


@dataclass(frozen=True, slots=True)
class Target:
    """``table``: its file, relative to the directory. ``old``, ``now``: its bytes and what they say; None
    while there is no such file. ``periods_s``: of every poll group that is written, also
    of one without a tag; empty where poll has a mistake. ``types``: names for column ``type``."""

    name: str
    driver: str
    table: str
    old: bytes | None
    now: Table | None
    periods_s: Mapping[str, float]
    station: int | None
    types: tuple[str, ...]
    problems: tuple[Located, ...]


def targets(directory: Path, *, plugins: Plugins | None = None) -> list[Target]:
    """Every device of a directory that has a name, also where its files have mistakes."""
    files = DirectoryFiles(directory.absolute())
    found: dict[str, Target] = {}
    for name in files.names("devices.d"):
        if name.endswith((".yaml", ".yml")):
            target = _target(files, name, plugins or InstalledPlugins())
            if target is not None:
                found.setdefault(target.name, target)
    return list(found.values())


def _target(files: Files, name: str, plugins: Plugins) -> Target | None:
    quiet = Collector()
    text = decode(files.read(name)).text or ""
    document = parse(Source(name, text), text, lambda *_: SecretStr(""), quiet, "device")
    if document is None:
        return None
    tables: dict[str, tuple[bytes, Table]] = {}
    own = Collector()

    def read(path: str) -> Table | None:
        try:
            data = files.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if is_workbook(path):
            table = read_workbook(path, data, own)
        else:
            decoded = decode(data)
            table = read_table(Source(path, decoded.text or ""), decoded, own)
        tables[path] = (data, table)
        return table

    names = [one.removeprefix("tags.d/") for one in files.names("tags.d")]
    draft = DeviceReader(plugins, read, names, quiet).read(document)
    if not draft.name:
        return None
    written = document.data.get("tags")
    usual = PurePosixPath(name).stem + ".csv"
    path = next(iter(tables), f"tags.d/{written if isinstance(written, str) else usual}")
    old, now = tables.get(path, (None, None))
    return _of(draft, path, old, now, own.all())


def _of(
    draft: Draft, path: str, old: bytes | None, now: Table | None, problems: tuple[Located, ...]
) -> Target:
    from edge_agent.model import ValueType

    types = [str(kind) for kind in ValueType if kind is not ValueType.STRING] + ["string[20]"]
    types += [name for name in (draft.plugin.types or {} if draft.plugin else {}) if name not in types]
    station = getattr(draft.salvaged, "station", None)
    return Target(
        draft.name, draft.driver, path, old, now, dict(draft.groups_s),
        station if isinstance(station, int) else None, tuple(types), problems,
    )  # fmt: skip


def fitted(imported: Imported, target: Target) -> Imported:
    """The rows that are this device's, in its poll groups. What other tools say of stations and rates has no
    column here."""
    if imported.tool == "lineside":
        return imported
    collector = Collector()
    rows: list[ImportedRow] = []
    told: set[tuple[str, float | None]] = set()
    for row in imported.rows:
        if row.station is not None and target.station is not None and row.station != target.station:
            _other_station(collector, imported.source, row, target)
            continue
        group = _group(row, target.periods_s)
        if group is None:
            group = _nearest(row, target)
            if (row.group, row.period_s) not in told:
                told.add((row.group, row.period_s))
                _no_group(collector, imported.source, row, target)
        rows.append(replace(row, cells={**row.cells, "group": group}) if group else row)
    problems = sort([*imported.problems, *collector.all()])
    return Imported(imported.tool, tuple(rows), problems, imported.source)


def _group(row: ImportedRow, periods_s: Mapping[str, float]) -> str | None:
    """Empty: nothing to say; None: there is none that fits."""
    if not row.group and row.period_s is None:
        return ""
    if row.group in periods_s:
        return row.group if len(periods_s) > 1 else ""
    fitting = [name for name, period_s in periods_s.items() if period_s == row.period_s]
    if fitting:
        return fitting[0] if len(periods_s) > 1 else ""
    return None


def _nearest(row: ImportedRow, target: Target) -> str:
    """For a new tag whose rate no group has: the group nearest to it. A tag that is in a group stays."""
    periods_s = target.periods_s
    there = target.now.names.get(row.name) if target.now is not None else None
    if len(periods_s) < 2 or (target.now is not None and there and target.now.cell(there, "group")):
        return ""
    wanted_s = row.period_s or max(periods_s.values())
    return min(periods_s, key=lambda name: max(periods_s[name] / wanted_s, wanted_s / periods_s[name]))


def _other_station(collector: Collector, source: Source, row: ImportedRow, target: Target) -> None:
    reason = Text(
        f"it belongs to station {row.station}, device {target.name} is station {target.station}",
        f"它属于站号 {row.station}，而设备 {target.name} 的站号是 {target.station}",
    )
    cure = Text(
        f"Make a device with station: {row.station} and import the same file for it.",
        f"请新建 station: {row.station} 的设备，并用同一文件为其导入。",
    )
    values = {"name": row.name, "reason": reason, "cure": cure}
    path = ("tags", row.name, "station")
    collector.add(source, row.place("address"), c.W_NOT_IMPORTED, path, **values)


def _no_group(collector: Collector, source: Source, row: ImportedRow, target: Target) -> None:
    known = ", ".join(f"{name} {period_s:g} s" for name, period_s in target.periods_s.items()) or "-"
    every = f"{row.period_s:g} s" if row.period_s is not None else "-"
    group = Text(f"poll group with a period of {every}", f"周期为 {every} 的轮询组")
    if row.group:
        named = f"'{row.group}'" + (f" ({every})" if row.period_s is not None else "")
        group = Text(f"poll group {named}", f"轮询组 {named}")
    what = Text(
        f"{target.name} has no {group.en}; there are: {known}",
        f"{target.name} 没有{group.zh}，现有：{known}",
    )
    cure = Text(
        "Tags that are there keep their group, new ones take the nearest; write a group under poll: in "
        "the device's file if another rate is needed.",
        "已有的点保持原轮询组，新增的点取最接近的轮询组；如需其他周期，请在设备文件的 poll: 下添加。",
    )
    collector.add(source, row.place("group"), c.W_NOTE, ("tags", what.en), what=what, cure=cure)


class _With:
    """The files of a directory, one of them replaced."""

    def __init__(self, files: Files, name: str, data: bytes) -> None:
        self._files = files
        self._name = name
        self._data = data

    @property
    def directory(self) -> Path:
        return self._files.directory

    def names(self, folder: str) -> list[str]:
        found = self._files.names(folder)
        if self._name.startswith(f"{folder}/") and self._name not in found:
            found = sorted([*found, self._name])
        return found

    def read(self, name: str) -> bytes:
        return self._data if name == self._name else self._files.read(name)


def mistakes_with(
    directory: Path,
    target: Target,
    written: Written,
    imported: Imported,
    *,
    plugins: Plugins | None = None,
) -> tuple[Located, ...]:
    """What would be wrong with the configuration once the table is written, and is not already. Mistakes of
    imported rows stand where they are in the imported file."""
    files = DirectoryFiles(directory.absolute())
    before = {_key(one) for one in _problems(files, plugins)}
    after = _problems(_With(files, target.table, written.data), plugins)
    fresh = [
        one
        for one in after
        if not one.warning and (_key(one) not in before or _imported_row(one, target, written) is not None)
    ]
    return sort(_back(one, target, written, imported) for one in fresh)


def _problems(files: Files, plugins: Plugins | None) -> Sequence[Located]:
    try:
        return load_files(files, plugins=plugins)[1]
    except ConfigurationError as error:
        return places_of(error)


def _key(problem: Located) -> tuple[object, ...]:
    return problem.file, problem.code, problem.path, problem.message.en


def _imported_row(problem: Located, target: Target, written: Written) -> ImportedRow | None:
    return written.lines.get(problem.line) if problem.file == target.table else None


def _back(problem: Located, target: Target, written: Written, imported: Imported) -> Located:
    row = _imported_row(problem, target, written)
    if row is None:
        return problem
    column = str(problem.path[2]) if len(problem.path) > 2 else "name"
    line, at = row.place(column)
    source = imported.source
    return replace(
        problem, file=source.name, line=line, column=at, sheet=source.sheet, source_line=source.line(line)
    )
