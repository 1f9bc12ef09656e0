"""A configuration directory -> ``Configuration``, or one list of every mistake in all its files.

files -> lint -> YAML -> keys (pydantic) -> tag tables -> drivers' own checks -> derived -> windows -> links
-> writes
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from edge_agent.config import catalogue as c
from edge_agent.config.agent_file import read_agent
from edge_agent.config.canonical import version_of
from edge_agent.config.derived import Derived
from edge_agent.config.devices import DeviceReader, Draft
from edge_agent.config.document import Document, parse
from edge_agent.config.kinds import Kinds
from edge_agent.config.links import check_links, warn_of_load
from edge_agent.config.located import Collector, Located, Source
from edge_agent.config.model import (
    BufferConfig,
    Configuration,
    ConsoleConfig,
    Device,
    Shifts,
    UplinkConfig,
    WebConfig,
    Window,
)
from edge_agent.config.period_reader import PeriodReader, period_bytes
from edge_agent.config.period_values import PeriodValues
from edge_agent.config.plugins import InstalledPlugins, Plugins
from edge_agent.config.secrets import Secrets
from edge_agent.config.selecting import resolved
from edge_agent.config.shapes import AgentFile, BufferFile
from edge_agent.config.sources import MAX_BYTES, Decoded, DirectoryFiles, Files, ReadFiles, decode, user_name
from edge_agent.config.standards import Standards, StandardsReader, today
from edge_agent.config.strays import is_yaml, not_there, warn_of_strays
from edge_agent.config.table import Table, read_table
from edge_agent.config.tags import TagMaker
from edge_agent.config.windows import Note, WindowReader
from edge_agent.config.workbook import is_workbook, read_workbook
from edge_agent.config.writes import WriteReader
from edge_agent.errors import ConfigurationError
from edge_agent.settings import Text

AGENT_FILE = "edge-agent.yaml"


def load(
    directory: Path,
    *,
    plugins: Plugins | None = None,
    environ: Mapping[str, str] | None = None,
    day: date | None = None,
) -> Configuration:
    """Reads a configuration directory. ``ConfigurationError`` holds every mistake, warnings among them,
    each a ``Located``; nothing else is raised for what stands in the files. ``plugins``, ``environ`` and
    ``day`` stand in for the installed plug-ins, the process environment, and the day by which limits handed
    down are in force."""
    return load_with_warnings(directory, plugins=plugins, environ=environ, day=day)[0]


def load_with_warnings(
    directory: Path,
    *,
    plugins: Plugins | None = None,
    environ: Mapping[str, str] | None = None,
    day: date | None = None,
) -> tuple[Configuration, tuple[Located, ...]]:
    """``load``, and what is worth a warning in a configuration that can be used."""
    return load_files(DirectoryFiles(Path(directory).absolute()), plugins=plugins, environ=environ, day=day)


def load_files(
    files: Files,
    *,
    plugins: Plugins | None = None,
    environ: Mapping[str, str] | None = None,
    day: date | None = None,
) -> tuple[Configuration, tuple[Located, ...]]:
    """``load_with_warnings`` on files from anywhere."""
    found = _load(_Run(files, plugins or InstalledPlugins(), environ, day))
    return found.configuration, found.problems


def load_explained(
    directory: Path,
    *,
    plugins: Plugins | None = None,
    environ: Mapping[str, str] | None = None,
    day: date | None = None,
) -> Explained:
    """``load``, and of each window what set its limits."""
    files = DirectoryFiles(Path(directory).absolute())
    return _load(_Run(files, plugins or InstalledPlugins(), environ, day))


@dataclass(frozen=True, slots=True)
class Explained:
    """``notes``: by the full name of the window."""

    configuration: Configuration
    problems: tuple[Located, ...]
    notes: Mapping[str, Note]


def _load(run: _Run) -> Explained:
    configuration = run.configuration()
    problems = run.collector.all()
    if configuration is None or any(not problem.warning for problem in problems):
        raise ConfigurationError(problems)
    return Explained(configuration, problems, run.notes)


class _Run:
    """One load: every file is read once, mistakes are collected."""

    def __init__(
        self, files: Files, plugins: Plugins, environ: Mapping[str, str] | None, day: date | None
    ) -> None:
        self.files = files
        self.plugins = plugins
        self.day = day or today()
        self.notes: Mapping[str, Note] = {}
        self.collector = Collector()
        environ = os.environ if environ is None else environ
        self.secrets = Secrets(files.directory, environ, self.collector)
        self.read_files = ReadFiles(files.directory)
        self._tables: dict[str, Table | None] = {}

    def configuration(self) -> Configuration | None:
        """None when there are mistakes."""
        agent = self._agent()
        drafts, complete = self._drafts()
        warn_of_strays(self.files, self._tables, self.collector)
        by_name: dict[str, Draft] = {}
        for draft in drafts:
            by_name.setdefault(draft.name, draft)
        derived, whole = self._derived(by_name, complete)
        known = {draft.name: draft for draft in derived.drafts} | by_name
        standards = self._standards()
        windows = WindowReader(known, complete and whole, self.collector, standards, derived.conditions)
        found = [(draft, windows.read(draft)) for draft in drafts]
        derived_windows = derived.windows(windows.read)
        self.notes = windows.notes
        check_links([draft for draft in drafts if draft.enabled], self.collector)
        document, model, uplinks = agent or (None, None, ())
        writes = WriteReader(known, complete and whole, _uplink_names(document), self.collector)
        writing = writes.read(drafts, document, model.writing if model else None)
        periods = PeriodReader(known, complete and whole, derived.counters, self.collector)
        period_tags = periods.read(drafts, derived.drafts)
        uplinks = resolved(document, uplinks, known, self.collector, sure=complete and whole)
        if document is None or model is None or self.collector.has_errors():
            return None
        periods_bytes = period_bytes(model, period_tags, document, self.collector)
        devices = tuple(device for draft, own in found for device in _device(draft, own))
        warn_of_load(devices, by_name, self.collector)
        if not devices:
            self.collector.add(document.source, (1, 1), c.W_NO_DEVICE)
        derivation = derived.derivation()
        return Configuration(
            line=model.line,
            version=version_of(
                model,
                devices,
                uplinks,
                self.files.directory,
                derivation,
                derived_windows,
                standards.meaning(),
                writing,
                period_tags,
            ),
            state_dir=self.files.directory / model.state_dir,
            language=model.language,
            devices=devices,
            uplinks=uplinks,
            buffer=_buffer(model.buffer, periods_bytes),
            web=WebConfig(model.web.host, model.web.port, model.web.tags, model.web.max_series),
            files=self.read_files,
            shifts=Shifts(tuple(sorted((begin_s, name) for name, begin_s in model.shifts.items()))),
            console=_console(model, self.files.directory),
            derivation=derivation,
            derived_windows=derived_windows,
            writing=writing,
            periods=PeriodValues(period_tags, float(model.periods.grace)),
        )

    # --- files ---------------------------------------------------------------------------------------------

    def _read(self, name: str) -> tuple[Source, Decoded] | None:
        """A file's text; None when it cannot be read (reported) or does not exist (not reported)."""
        try:
            data = self.files.read(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            values: dict[str, object] = {"name": name, "reason": reason, "user": user_name()}
            self.collector.add(Source(name, ""), (1, 1), c.UNREADABLE, **values)
            return Source(name, ""), Decoded("")
        if len(data) > MAX_BYTES:
            self.collector.add(Source(name, ""), (1, 1), c.TOO_LARGE, what=f"{len(data)} bytes")
            return Source(name, ""), Decoded("")
        self.read_files[name] = data
        decoded = decode(data)
        return Source(name, decoded.text or ""), decoded

    def _document(self, name: str, first_key: str) -> Document | None:
        """One YAML file; None when it is absent or no mapping."""
        found = self._read(name)
        if found is None:
            return None
        source, decoded = found
        if name not in self.read_files:
            return None
        if decoded.text is None or decoded.encoding != "UTF-8":
            before = Source(name, self.read_files[name][: decoded.bad_at].decode("utf-8", "replace")).lines
            at = (len(before), len(before[-1].lstrip("\ufeff")) + 1)
            encoding = decoded.encoding if decoded.text is not None else Text("no text at all", "非文本内容")
            self.collector.add(source, at, c.NOT_UTF8, encoding=encoding)
        if decoded.text is None:
            return None
        document = parse(source, decoded.text, self.secrets.resolve, self.collector, first_key)
        if document is not None:
            document.directory, document.read = self.files.directory, self._named_file
        return document

    def _named_file(self, name: str) -> bytes:
        """A file that a plug-in's key names (a message template). Raises OSError."""
        data = self.files.read(name)
        self.read_files[name] = data
        return data

    def _table(self, name: str) -> Table | None:
        """A tag table, read once even when several devices share it."""
        if name not in self._tables:
            found = self._read(name)
            if found is None:
                self._tables[name] = None
            elif name not in self.read_files:  # unreadable, and reported as such
                self._tables[name] = Table(found[0], usable=False)
            elif is_workbook(name):
                self._tables[name] = read_workbook(name, self.read_files[name], self.collector)
            else:
                self._tables[name] = read_table(*found, self.collector)
        return self._tables[name]

    def _loose(self, table: Table | None) -> None:
        """The cells of a table of which it is not known whose it is."""
        if table is not None:
            for _ in TagMaker(table, Kinds(None), self.collector).made():
                pass

    def _agent(self) -> tuple[Document, AgentFile | None, tuple[UplinkConfig, ...]] | None:
        """None where there is no such file; without its own keys where they do not suffice."""
        document = self._document(AGENT_FILE, "line")
        if document is not None:
            return document, *read_agent(document, self.plugins, self.collector)
        if not self.collector.has_errors(AGENT_FILE):
            near = get_close_matches(AGENT_FILE, [n[2:] for n in self.files.names(".")], n=1, cutoff=0.7)
            what, cure = not_there(self.files.directory, AGENT_FILE, near[0] if near else None)
            self.collector.add(Source(AGENT_FILE, ""), (1, 1), c.NO_CONFIGURATION, what=what, cure=cure)
        return None

    # --- devices.d -----------------------------------------------------------------------------------------

    def _drafts(self) -> tuple[list[Draft], bool]:
        """All devices, and whether every file gave one with a name."""
        names = [name for name in self.files.names("devices.d") if is_yaml(name)]
        tables = [name.removeprefix("tags.d/") for name in self.files.names("tags.d")]
        reader = DeviceReader(self.plugins, self._table, tables, self.collector)
        documents = [self._document(name, "device") for name in names]
        drafts = [reader.read(document) for document in documents if document is not None]
        if len(drafts) < len(names):  # tables of devices whose file has no meaning are checked as well
            for table in tables:
                self._loose(self._table(f"tags.d/{table}"))
        first: dict[str, Draft] = {}
        for draft in drafts:
            other = first.setdefault(draft.name, draft) if draft.name else draft
            if other is not draft:
                at = other.document.value(("device",))
                place = f"{other.file}:{at[0]}"
                self.collector.add(
                    draft.document.source, draft.document.value(("device",)), c.DUPLICATE_DEVICE,
                    ("device",), name=draft.name, other=place,
                )  # fmt: skip
        return drafts, len(drafts) == len(names) and all(draft.name for draft in drafts)

    # --- standards.d ---------------------------------------------------------------------------------------

    def _standards(self) -> Standards:
        names = [name for name in self.files.names("standards.d") if is_yaml(name)]
        documents = [self._document(name, "standard") for name in names]
        return StandardsReader(self.collector, self.day).read(d for d in documents if d is not None)

    # --- derived.d -----------------------------------------------------------------------------------------

    def _derived(self, devices: Mapping[str, Draft], complete: bool) -> tuple[Derived, bool]:
        """The virtual device, and whether every file of it could be read."""
        names = [name for name in self.files.names("derived.d") if is_yaml(name)]
        documents = [self._document(name, "tags") for name in names]
        sound = [document for document in documents if document is not None]
        whole = len(sound) == len(names)
        return Derived(sound, devices, complete, self.collector, whole=whole), whole


def _uplink_names(agent: Document | None) -> list[str] | None:
    """As they are written, also where an uplink has a mistake; None where that cannot be told."""
    items = agent.data.get("uplinks") if agent is not None else None
    if agent is None or (items is not None and not isinstance(items, list)):
        return None
    names = [item.get("name") if isinstance(item, dict) else None for item in items or ()]
    found = [str(name) for name in names if isinstance(name, (str, int))]
    return found if len(found) == len(names) else None


def _buffer(file: BufferFile, periods_bytes: int) -> BufferConfig:
    return BufferConfig(
        flush_s=float(file.flush),
        quota_bytes=int(file.quota),
        memory_bytes=int(file.memory),
        free_bytes=None if file.free is None else int(file.free),
        events_bytes=int(file.events_quota),
        periods_bytes=periods_bytes,
        hold_s=float(file.hold_unsynchronised),
        daily_writes_bytes=int(file.daily_writes),
    )


def _console(model: AgentFile, directory: Path) -> ConsoleConfig:
    written = model.console.socket
    return ConsoleConfig(None if written is None else directory / written, model.console.group)


def _device(draft: Draft, windows: tuple[Window, ...]) -> Iterator[Device]:
    """The device of a draft without mistakes; none when it is switched off."""
    if draft.enabled and draft.plugin is not None and draft.settings is not None:
        tags = tuple(draft.tags.values())
        periods_s = dict(draft.periods_s)
        yield Device(
            draft.name,
            draft.driver,
            draft.plugin,
            draft.settings,
            tags,
            periods_s,
            windows,
            draft.description,
            draft.equipment,
        )
