"""What a reload changes: the agent touches only that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.config.model import Configuration


@dataclass(frozen=True, slots=True)
class Names:
    """Names that came, went, or mean something else now; each in the order of its configuration."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Difference:
    """``devices`` disregards windows: a new limit restarts no link. ``windows`` have their full names.
    ``agent``: the other keys that changed (line, language, state_dir, buffer, web,
    derivation, writing)."""

    devices: Names = field(default_factory=Names)
    uplinks: Names = field(default_factory=Names)
    windows: Names = field(default_factory=Names)
    agent: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.devices or self.uplinks or self.windows or self.agent)

    def signs(self) -> tuple[str, ...]:
        """One line per kind, the same in every language: ``devices +fan-1 ~press-1``; + came, - went, ~ means
        something else."""
        kinds = (("devices", self.devices), ("windows", self.windows), ("uplinks", self.uplinks))
        found = [f"{kind} {' '.join(_signs(names))}" for kind, names in kinds if names]
        return (*found, *(f"{key} ~" for key in self.agent))


def describe_changes(old: Configuration, new: Configuration) -> Difference:
    """Compares two configurations by meaning; a changed secret counts."""
    keys = ("line", "language", "state_dir", "buffer", "web", "derivation", "writing")
    return Difference(
        devices=_names(
            {device.name: replace(device, windows=()) for device in old.devices},
            {device.name: replace(device, windows=()) for device in new.devices},
        ),
        uplinks=_names({u.name: u for u in old.uplinks}, {u.name: u for u in new.uplinks}),
        windows=_names({w.name: w for w in old.windows}, {w.name: w for w in new.windows}),
        agent=tuple(key for key in keys if getattr(old, key) != getattr(new, key)),
    )


def _signs(names: Names) -> Iterator[str]:
    for sign, group in (("+", names.added), ("-", names.removed), ("~", names.changed)):
        yield from (f"{sign}{name}" for name in group)


def _names(old: Mapping[str, object], new: Mapping[str, object]) -> Names:
    return Names(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
    )
