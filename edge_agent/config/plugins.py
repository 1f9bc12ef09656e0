"""The plug-ins the loader asks for by name, and plug-in settings out of a document."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from edge_agent import registry
from edge_agent.config import catalogue as c
from edge_agent.config.document import Document
from edge_agent.config.explain import Explainer
from edge_agent.config.located import Collector, Path
from edge_agent.config.suggest import hint, listed, nearest
from edge_agent.driver import DriverPlugin
from edge_agent.registry import BrokenPlugin, UnknownPlugin
from edge_agent.settings import Text
from edge_agent.uplink import UplinkPlugin

DRIVER = Text("driver", "驱动")
UPLINK = Text("uplink type", "上行类型")

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P")


class Plugins(Protocol):
    """Where drivers and uplinks come from; raise ``UnknownPlugin`` or ``BrokenPlugin``."""

    def driver(self, name: str) -> DriverPlugin: ...

    def uplink(self, name: str) -> UplinkPlugin: ...


class InstalledPlugins:
    """Those that packages registered as entry points; a module is imported when a file names it. The registry
    is asked once per name: twenty devices with one driver are one look through the installed packages."""

    def __init__(self) -> None:
        self._drivers: dict[str, DriverPlugin] = {}
        self._uplinks: dict[str, UplinkPlugin] = {}

    def driver(self, name: str) -> DriverPlugin:
        if name not in self._drivers:
            self._drivers[name] = registry.load_driver(name)
        return self._drivers[name]

    def uplink(self, name: str) -> UplinkPlugin:
        if name not in self._uplinks:
            self._uplinks[name] = registry.load_uplink(name)
        return self._uplinks[name]


def find(
    load: Callable[[str], P], kind: Text, document: Document, path: Path, name: object, collector: Collector
) -> P | None:
    """A plug-in by the name in the document; what is wrong is reported at that name."""
    if not isinstance(name, str):
        return None  # its type is reported with the other keys
    try:
        return load(name)
    except UnknownPlugin as error:
        values: dict[str, object] = {"hint": hint(name, error.known), "known": listed(error.known)}
        collector.add(
            document.source, document.value(path), c.UNKNOWN_DRIVER, path, kind=kind, name=name, **values
        )
    except BrokenPlugin as error:
        reason = str(error)
        collector.add(
            document.source, document.value(path), c.BROKEN_DRIVER, path, kind=kind, name=name, reason=reason
        )
    return None


class Keys:
    """The keys of one block that two models share: those of the agent and those of a plug-in."""

    def __init__(
        self, document: Document, prefix: Path, data: dict[str, Any],
        common: type[BaseModel], plugin: type[BaseModel] | None, collector: Collector,
    ) -> None:  # fmt: skip
        self.document = document
        self.prefix = prefix
        self.data = data
        self.common = common
        self.plugin = plugin
        self.collector = collector
        self.typos: set[Path] = set()

    def report_unknown(self) -> None:
        """Keys that neither model has. Without a plug-in only clear misspellings of the agent's own keys."""
        known = list(dict.fromkeys([*keys_of(self.common), *(keys_of(self.plugin) if self.plugin else ())]))
        for key in self.data:
            if key in known:
                continue
            guess = nearest(key, known)
            if self.plugin is None and (guess is None or guess in self.data):
                continue
            if guess and guess not in self.data:
                self.typos.add((*self.prefix, guess))
            path = (*self.prefix, key)
            at = self.document.key(path)
            values: dict[str, object] = {"hint": hint(key, known), "known": listed(known)}
            self.collector.add(self.document.source, at, c.UNKNOWN_KEY, path, key=key, **values)

    def read(self, model: type[M], *, without: Collection[str] = ()) -> tuple[M | None, set[str]]:
        """(the model, keys with a mistake). After a mistake the sound keys alone are tried, so that what
        hangs on them can still be checked; None when that is not enough."""
        required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
        own = {
            key: value
            for key, value in self.data.items()
            if key in keys_of(model) and key not in without and (value is not None or key in required)
        }  # a key with nothing behind it (all its lines are comments) means its default
        context = {"directory": self.document.directory, "read": self.document.read}
        try:
            return model.model_validate(own, context=context), set()
        except ValidationError as error:
            explainer = Explainer(self.document, self.collector, model, self.prefix)
            explainer.explain(error, self.typos)
            bad = {str(found["loc"][0]) for found in error.errors() if found["loc"]}
            return _salvage(model, own, bad, context), bad or {"*"}


def _salvage(model: type[M], data: dict[str, Any], bad: set[str], context: dict[str, Any]) -> M | None:
    """The sound keys, and for required ones with a mistake the example of the model."""
    rest = {key: value for key, value in data.items() if key not in bad}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if field.is_required() and key not in rest and field.examples:
            rest[key] = field.examples[0]
    try:
        return model.model_validate(rest, context=context)
    except ValidationError:
        return None


def keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def warn_inline_secrets(document: Document, prefix: Path, settings: BaseModel, collector: Collector) -> None:
    """Secrets that stand openly in the file."""
    for path in secret_paths(settings):
        full = (*prefix, *path)
        value = document.get(full)
        if value is not None and not isinstance(value, SecretStr):
            key = str(path[-1])
            collector.add(document.source, document.value(full), c.W_SECRET_INLINE, full, key=key)


def secret_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where in settings a secret is set."""
    if isinstance(value, SecretStr):
        yield path
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from secret_paths(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from secret_paths(inner, (*path, key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from secret_paths(inner, (*path, number))
