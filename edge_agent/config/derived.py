"""``derived.d/*.yaml`` -> the virtual device: derived tags, counters, figures, and windows on all of them.

keys of each file -> counters -> formulas together -> figures -> a draft for the windows; then, with the
hidden tags of conditions, the ``Derivation``. Mistakes in one item hide nothing in the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from edge_agent.config import catalogue as c
from edge_agent.config.derivation import Counter, Derivation, DerivedTag, PeriodFigure
from edge_agent.config.derived_conditions import Conditions
from edge_agent.config.derived_counters import CounterMaker, zone_of
from edge_agent.config.derived_operands import UNKNOWN, Operands
from edge_agent.config.derived_shapes import CounterFile, DerivedFile, DerivedTagFile, FigureFile
from edge_agent.config.devices import Draft
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.fields import is_name, name_guess
from edge_agent.config.located import Collector, Path
from edge_agent.config.plugins import Keys
from edge_agent.config.process import Window
from edge_agent.config.suggest import NOTHING, hint, listed
from edge_agent.config.virtual import PERIODS_S, groups_of, total_name
from edge_agent.config.window_shapes import WindowFile
from edge_agent.expression import (
    Compiled,
    Definition,
    Formula,
    Mistake,
    Operand,
    compile_formula,
    compile_together,
)
from edge_agent.expression import mistakes as m
from edge_agent.expression.mistakes import Mistakes
from edge_agent.model import ValueType
from edge_agent.settings import Text

M = TypeVar("M", bound=BaseModel)

DEFAULT_DEVICE = "derived"
LISTS = ("tags", "counters", "figures", "windows", "periods")
_WANTED = {
    "tags": Text("a derived tag ('name: ...' and 'formula: ...')", "计算点（'name: ...' 和 'formula: ...'）"),
    "counters": Text(
        "a counter ('tag: ...' and 'nameplate: ...')", "计数器（'tag: ...' 和 'nameplate: ...'）"
    ),
    "figures": Text("a figure ('name: ...' and 'formula: ...')", "指标（'name: ...' 和 'formula: ...'）"),
    "windows": Text("a window ('tag: ...' and its limits)", "窗口（'tag: ...' 及其限值）"),
}
_LIST = Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）")


@dataclass(slots=True)
class _Item:
    """One entry of a list that is sound by itself."""

    document: Document
    path: Path
    model: Any

    def key(self, name: str) -> Path:
        return (*self.path, name)


@dataclass(slots=True)
class _Parts:
    """``open``: names of items with a mistake, so that nobody is told there is no such name;
    ``open_counters``: those of counters."""

    tags: list[_Item] = field(default_factory=list)
    counters: list[tuple[_Item, Counter]] = field(default_factory=list)
    figures: list[_Item] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    open_counters: set[str] = field(default_factory=set)


class Derived:
    """Everything of ``derived.d``. ``conditions`` takes what other files say of conditions; ``drafts``: one
    for each file, the virtual device as the windows see it; ``derivation``, last of all, is None where there
    is nothing to calculate. ``whole``: every file of derived.d could be read."""

    def __init__(
        self,
        documents: Sequence[Document],
        devices: Mapping[str, Draft],
        complete: bool,
        collector: Collector,
        *,
        whole: bool = True,
    ) -> None:
        self.collector = collector
        self._whole = whole
        self.device, self.description, self.zone_s = DEFAULT_DEVICE, "", 28_800
        self._devices = dict(devices)
        self._complete = complete
        self._names: dict[str, str] = {}
        self._parts = _Parts()
        self._head(documents)
        windows = [(document, self._read(document)) for document in documents]
        counters = {one.name: str(one.tag) for _, one in self._parts.counters}
        self._operands = Operands(self._devices, complete, collector, counters)
        self._derived = self._compile() if self._parts.tags else []
        self._figures = [f for item in self._parts.figures if (f := self._figure(item)) is not None]
        other = self._devices.get(self.device) if not documents else None
        taken = _place(other.document, ("device",)) if other is not None else ""
        self.conditions = Conditions(self.device, self._operands, taken=taken)
        self.drafts = [self._draft(document, own) for document, own in windows]

    @property
    def counters(self) -> dict[str, Counter]:
        """By name."""
        return {counter.name: counter for _, counter in self._parts.counters}

    def derivation(self) -> Derivation | None:
        """Call it when every condition has been added."""
        found = Derivation(
            self.device,
            (*self._derived, *self.conditions.tags),
            tuple(counter for _, counter in self._parts.counters),
            tuple(self._figures),
            {},
            self.zone_s,
            self.description,
        )
        if not found.derived and not found.counters:
            return None
        own = {f"{self.device}.{tag.name}" for tag in found.derived}
        read = dict.fromkeys(slot.name for tag in found.derived for slot in tag.formula.slots)
        sources = {key: self._operands.feed(key) for key in read if key not in own}
        return Derivation(
            found.device,
            found.derived,
            found.counters,
            found.figures,
            sources,
            found.zone_s,
            found.description,
        )

    # --- files ---------------------------------------------------------------------------------------------

    def _head(self, documents: Sequence[Document]) -> None:
        """The keys that are said once for all files."""
        said: dict[str, tuple[Any, str]] = {}
        for document in documents:
            keys = Keys(document, (), document.data, DerivedFile, DerivedFile, self.collector)
            keys.report_unknown()
            if keys.typos:  # perhaps of a list, whose items nobody knows
                self._whole = False
            head, bad = keys.read(DerivedFile, without=LISTS)
            for key in ("device", "zone", "description"):
                if head is None or key in bad or document.data.get(key) is None:
                    continue
                value, place = getattr(head, key), _place(document, (key,))
                first = said.setdefault(key, (value, place))
                if first[0] != value:
                    self._add(document, (key,), c.SAID_TWICE, key=key, other=first[1])
                elif first[1] == place:
                    self._set(document, key, value)
        if self.device != DEFAULT_DEVICE:
            for document in documents:
                if document.data.get("device") is None:
                    values: dict[str, object] = {"device": self.device, "other": said["device"][1]}
                    self._add(document, ("device",), c.DEVICE_UNSAID, **values)
        if documents and self.device in self._devices:
            place = _place(self._devices[self.device].document, ("device",))
            self._add(documents[0], ("device",), c.VIRTUAL_TAKEN, name=self.device, other=place)

    def _set(self, document: Document, key: str, value: Any) -> None:
        if key == "zone":
            zone_s = zone_of(value)
            if zone_s is None:
                self._add(document, ("zone",), c.ZONE, found=value)
            else:
                self.zone_s = zone_s
        elif key == "device":
            self.device = value
        else:
            self.description = value

    def _read(self, document: Document) -> list[tuple[int, WindowFile]]:
        """One file's items; its windows are read later."""
        parts = self._parts
        for number, tag in self._items(document, "tags", DerivedTagFile):
            item = _Item(document, ("tags", number), tag)
            if self._is_new(item, tag.name, "name"):
                parts.tags.append(item)
        maker = CounterMaker(document, self._devices, self._complete, self.zone_s, self.collector)
        for number, counter in self._items(document, "counters", CounterFile):
            self._counter(maker, _Item(document, ("counters", number), counter))
        for number, figure in self._items(document, "figures", FigureFile):
            item = _Item(document, ("figures", number), figure)
            if self._is_new(item, figure.name, "name"):
                parts.figures.append(item)
        return list(self._items(document, "windows", WindowFile))

    def _items(self, document: Document, key: str, model: type[M]) -> Iterator[tuple[int, M]]:
        items = document.data.get(key)
        if items is not None and not isinstance(items, list):
            self._wrong_type(document, (key,), items, _LIST)
            self._whole = self._whole and key == "windows"
            return
        for number, item in enumerate(items or ()):
            path = (key, number)
            if not isinstance(item, dict):
                self._wrong_type(document, path, item, _WANTED[key])
                self._whole = self._whole and key == "windows"
                continue
            torn = [key for key, value in item.items() if value is None and ")" in str(key)]
            if torn:
                self._torn(document, (*path, torn[0]))
                self._open(key, item)
                continue
            keys = Keys(document, path, item, model, model, self.collector)
            keys.report_unknown()
            made, bad = keys.read(model)
            if made is not None and not bad and not keys.typos:
                yield number, made
            else:
                self._open(key, item)

    def _open(self, key: str, item: Mapping[str, Any]) -> None:
        """What a faulty item would have been called."""
        if key != "windows":
            tag = str(item.get("tag", "")).partition(".")[2] if key == "counters" else ""
            name = str(item.get("name") or tag)
            self._whole = self._whole and name != ""
            self._parts.open.add(name)
            if key == "counters":
                self._parts.open_counters.add(name)

    def _torn(self, document: Document, path: Path) -> None:
        """A formula with a comma, unquoted within braces: what is behind the comma became a key."""
        self.collector.add(document.source, document.key(path), c.FLOW_COMMA, path, key=path[-1])

    def _counter(self, maker: CounterMaker, item: _Item) -> None:
        written: CounterFile = item.model
        name = written.name or written.tag.partition(".")[2]
        key = "name" if written.name else "tag"
        if name and not is_name(name):
            self._add(item.document, item.key(key), c.BAD_NAME, name=name, guess=name_guess(name))
            return
        if name and not self._is_new(item, name, key):
            return
        counter = maker.make(item.path, written)
        if counter is None:
            self._parts.open.add(name)
            self._parts.open_counters.add(name)
            return
        for other, known in self._parts.counters:
            if known.tag == counter.tag:
                place = _place(other.document, other.key("tag"))
                self._add(item.document, item.key("tag"), c.COUNTER_TWICE, tag=written.tag, other=place)
                return
        self._parts.counters.append((item, counter))

    def _is_new(self, item: _Item, name: str, key: str) -> bool:
        if name in self._names:
            self._add(item.document, item.key(key), c.DERIVED_TWICE, name=name, other=self._names[name])
            return False
        self._names[name] = _place(item.document, item.key(key))
        return True

    # --- formulas ------------------------------------------------------------------------------------------

    def _compile(self) -> list[DerivedTag]:
        items = {item.model.name: item for item in self._parts.tags}
        open_names = {name: Operand("", None) for name in self._parts.open}
        known = {**open_names, **{f"{self.device}.{name}": one for name, one in open_names.items()}}
        known |= self._operands.named()
        definitions = [Definition(name, i.model.formula, i.model.unit) for name, i in items.items()]
        compiled = compile_together(definitions, known, self.device)
        found = []
        for name, formula in compiled.formulas.items():
            item, tag = items[name], items[name].model
            path = item.key("formula")
            self._operands.off(formula, item.document.source, item.document.value(path), path)
            found.append(DerivedTag(name, formula, tag.description, tag.metric))
        for name, mistakes in compiled.mistakes.items():
            self._tell(items[name], "formula", mistakes)
        self._know(compiled, items)
        return found

    def _know(self, compiled: Compiled, items: Mapping[str, _Item]) -> None:
        """Derived tags may be read by conditions."""
        for name in items:
            key, made = f"{self.device}.{name}", compiled.formulas.get(name)
            self._operands.derived[key] = (
                Operand(key, None) if made is None else Operand(key, made.type, made.unit)
            )

    def _figure(self, item: _Item) -> PeriodFigure | None:
        written: FigureFile = item.model
        known = {name: Operand("", None) for name in self._parts.open_counters if name}
        for _, counter in self._parts.counters:
            operand = Operand(str(counter.tag), ValueType.FLOAT64, counter.unit)
            known |= {counter.name: operand, operand.key: operand}
        formula = compile_formula(written.formula, known, written.unit, spans=False)
        if isinstance(formula, Formula) and formula.type is ValueType.BOOL:
            formula = _told(m.NOT_NUMBER, written.formula, Text("a figure", "指标"))
        condition: Formula | list[Mistake] | None = None
        if written.only_if is not None:
            condition = compile_formula(written.only_if, known, spans=False)
            if isinstance(condition, Formula) and condition.type is not ValueType.BOOL:
                condition = _told(m.NOT_BOOL, written.only_if, Text("'only_if'", "only_if"))
        for key, made in (("formula", formula), ("only_if", condition)):
            if isinstance(made, list):
                text = getattr(written, key)
                self._tell(item, key, [_of_counters(mistake, text, known) for mistake in made])
        if not isinstance(formula, Formula) or isinstance(condition, list):
            return None
        return PeriodFigure(written.name, formula, condition, written.description)

    def _tell(self, item: _Item, key: str, mistakes: Sequence[Mistake]) -> None:
        path = item.key(key)
        at, text = item.document.value(path), getattr(item.model, key)
        self._operands.tell(mistakes, item.document.source, at, path, text)

    # --- windows -------------------------------------------------------------------------------------------

    def windows(self, read: Callable[[Draft], Sequence[Window]]) -> tuple[Window, ...]:
        """Those of all files; ``read`` makes the windows of one."""
        found: dict[str, tuple[Window, str]] = {}
        for draft in self.drafts:
            places = {w.name or w.tag: ("windows", n, "name" if w.name else "tag") for n, w in draft.windows}
            for window in read(draft):
                name = window.name.partition(".")[2]
                path = places.get(name, ("windows",))
                if window.name in found:
                    other = found[window.name][1]
                    self._add(draft.document, path, c.DUPLICATE_WINDOW, name=name, other=other)
                else:
                    found[window.name] = window, _place(draft.document, path)
        return tuple(window for window, _ in found.values())

    def _draft(self, document: Document, windows: list[tuple[int, WindowFile]]) -> Draft:
        draft = Draft(document, self.device, windows=windows, description=self.description)
        found = self.derivation()
        for name, group in groups_of(found).items() if found is not None else ():
            draft.tags |= {tag.name: tag for tag in group.tags}
            draft.periods_s[name] = group.period_s
            draft.ages_s[name] = group.max_age_s
        draft.listed_in = document.source.name if self._whole else ""
        draft.unsound = frozenset(self._unsound())
        return draft

    def _unsound(self) -> Iterator[str]:
        """Tags that would be there but for a mistake: of items, of formulas."""
        made = {one.name for one in self._derived} | {one.name for one in self._figures}
        missing = {item.model.name for item in (*self._parts.tags, *self._parts.figures)} - made
        for name in missing | self._parts.open:
            yield name
            for period in PERIODS_S:
                yield from (total_name(name, period), total_name(f"{name}.coverage", period))

    def _wrong_type(self, document: Document, path: Path, found: Any, wanted: Text) -> None:
        values: dict[str, object] = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
        self._add(document, path, c.WRONG_TYPE, key=path[0], **values)

    def _add(self, document: Document, path: Path, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(document.source, document.value(path), entry, path, **values)


def _place(document: Document, path: Path) -> str:
    return f"{document.source.name}:{document.value(path)[0]}"


def _of_counters(mistake: Mistake, text: str, known: Mapping[str, Operand]) -> Mistake:
    """A name that is unknown to a figure: only counters are meant."""
    if mistake.code != UNKNOWN:
        return mistake
    name = text[mistake.column - 1 : mistake.column - 1 + mistake.length]
    counters = [one for one in known if "." not in one]
    values: dict[str, object] = {"name": name, "hint": hint(name, counters), "known": listed(counters)}
    message, cure = c.NOT_A_COUNTER.texts(values)
    return replace(mistake, code=c.NOT_A_COUNTER.code, message=message, cure=cure)


def _told(kind: m.Kind, text: str, user: Text) -> list[Mistake]:
    told = Mistakes()
    told.add(kind, 0, len(text), part=text, user=user)
    return told
