"""Base types of configuration, shared by the loader and by every plug-in's settings model.

A plug-in declares its keys as a pydantic model derived from ``DeviceSettings`` or ``UplinkSettings``; unknown
keys are mistakes. The model is used where files are read, in a process of its own; a running agent holds the
checked values as plain ``Record`` objects and does not import pydantic (10 MB). So that a plug-in's module
does not either, it may name its model with ``later``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.keys import ConfigPath as ConfigPath
    from edge_agent.keys import Delay as Delay
    from edge_agent.keys import Duration as Duration
    from edge_agent.keys import Secret as Secret
    from edge_agent.keys import Settings as Settings
    from edge_agent.keys import Size as Size
    from edge_agent.keys import parse_duration as parse_duration
    from edge_agent.keys import parse_size as parse_size

_PYDANTIC_HALF = frozenset(
    {"ConfigPath", "Delay", "Duration", "Secret", "Settings", "Size", "parse_duration", "parse_size"}
)


def __getattr__(name: str) -> Any:
    if name in _PYDANTIC_HALF:
        return getattr(import_module("edge_agent.keys"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Later:
    """A settings model, or another callable, by name: imported when it is first used; then it behaves as the
    thing itself."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def model(self) -> Any:
        module, _, name = self._where.partition(":")
        return getattr(import_module(module), name)

    def __call__(self, *arguments: Any, **keys: Any) -> Any:
        return self.model()(*arguments, **keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model(), name)


def later(where: str) -> Any:
    """``"package.module:name"`` -> what a plug-in gives as its ``settings``, or as a function that needs what
    checking a configuration does not: asyncio alone is a tenth of a second on a small machine."""
    return Later(where)


class Record:
    """Checked settings without their model: the same attributes, equal when all of them are."""

    __slots__ = ("__dict__",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, keys: dict[str, Any]) -> None:
        self.__dict__.update(keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.__dict__ == other.__dict__

    def model_copy(self, *, update: dict[str, Any]) -> Record:
        """As a model's: the same settings but for some."""
        return Record(self.__dict__ | update)

    def __repr__(self) -> str:
        return f"Record({self.__dict__!r})"


class Sealed:
    """A secret of a ``Record``; what pydantic's SecretStr is to a model. Never shows itself."""

    __slots__ = ("_secret",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def get_secret_value(self) -> str:
        return self._secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self._secret == other.get_secret_value()

    def __repr__(self) -> str:
        return "Sealed('**********')"


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for people, in both languages."""

    en: str
    zh: str

    def say(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


def whole_link(link: str, scheme: str, example: str) -> Text:
    """The address as it was probably meant, where only what stands in front of the host is missing or wrong
    (``10.0.0.9:502``, ``tcp//10.0.0.9``); else an example."""
    import re  # only where a mistake is told

    front = r"(?:(?:tcp|opc|opc\.tcp|modbus|s7|https?)(?::/?/?|//?))?"
    host = r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    found = re.fullmatch(rf"{front}{host}(:[0-9]{{1,5}})?/?", link.strip(), re.IGNORECASE)
    meant = f"{scheme}://{found[1]}{found[2] or ''}" if found else ""
    if found is None or meant == link.strip() or not 1 <= int((found[2] or ":1")[1:]) <= 65_535:
        return Text(f"such as {example}", f"例如 {example}")
    return Text(f"here {meant}", f"此处应为 {meant}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration, not yet located in a file.

    ``path`` says where: keys of the device (or uplink) document, such as ``("link",)`` or
    ``("windows", 0, "low")``; for a tag ``("tags", TAG_NAME, COLUMN)``, and the loader turns it into
    file:line:column. ``code`` is language-neutral and stable: technicians read it out over the phone.
    """

    code: str
    path: tuple[str | int, ...]
    message: Text
    cure: Text
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause that ``doctor`` names. ``code`` is language-neutral and stable. ``kind``: ``fault``;
    ``unreachable`` where nobody answers; ``permission`` where this user may not look; ``note`` for what is
    good to know and no fault."""

    code: str
    message: Text
    cure: Text
    kind: str = "fault"
