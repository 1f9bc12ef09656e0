"""Which tags and windows become series. ``web.max_series`` is an upper bound for both together.

Room is given by place in the configuration, whether a tag is live or not: a device that dies must not make
other series come and go. Where there is not enough for all, tags and windows get half of it each, and what
the one does not need goes to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.config.model import WebConfig
from edge_agent.metrics.names import SERIES_PER_WINDOW
from edge_agent.model import Scaling, Value, ValueType, engineering
from edge_agent.status import Board, DeviceRow, GroupRow, live_qualities

Labels = tuple[str, ...]
Column = tuple[int, Scaling | None, Labels]
Selected = Callable[[], Collection[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Selection:
    """``columns``: of each poll group of the board, in its order. ``windows``: so many of the first.
    ``dropped``: how many series there was no room for."""

    columns: tuple[tuple[Column, ...], ...]
    windows: int
    dropped: int


class Selector:
    """Keeps the selection while configuration and poll groups stay what they are: walking through thousands
    of tags for each scrape would hold up the event loop."""

    def __init__(self) -> None:
        self._reason: tuple[Any, ...] = ()
        self._selection = Selection((), 0, 0)

    def choose(
        self,
        board: Board,
        web: WebConfig,
        groups: Sequence[tuple[DeviceRow, GroupRow]],
        windows: int,
        selected: Selected,
    ) -> Selection:
        """``windows``: how many there are. ``selected``: the (device, tag) pairs that become series when
        ``web.tags`` is ``selected``; asked only when something has changed."""
        reason = (
            board.config_version, web.tags, web.max_series, windows,
            [(device.name, group.schema) for device, group in groups],
        )  # fmt: skip
        if reason != self._reason:
            self._selection = _select(web, groups, windows, selected)
            self._reason = reason
        return self._selection


def _select(
    web: WebConfig, groups: Sequence[tuple[DeviceRow, GroupRow]], windows: int, selected: Selected
) -> Selection:
    wanted = selected() if web.tags == "selected" else None
    found = [
        [] if web.tags == "off" else list(_columns(device.name, group, wanted)) for device, group in groups
    ]
    tags = sum(map(len, found))
    room = max(web.max_series // 2, web.max_series - tags)
    taken = min(windows, room // SERIES_PER_WINDOW)
    left = web.max_series - taken * SERIES_PER_WINDOW
    dropped = max(0, tags - left) + (windows - taken) * SERIES_PER_WINDOW
    columns = []
    for group_columns in found:
        columns.append(tuple(group_columns[:left]))
        left -= len(columns[-1])
    return Selection(tuple(columns), taken, dropped)


def _columns(device: str, group: GroupRow, wanted: Collection[tuple[str, str]] | None) -> Iterator[Column]:
    schema = group.schema
    for index, name in enumerate(schema.names):
        if index in group.hidden:
            continue
        if schema.types[index] is not ValueType.STRING and (wanted is None or (device, name) in wanted):
            yield index, schema.scaling[index], (device, name, schema.units[index])


class TagValues:
    """The good values of live poll groups. All of it is immutable, so it may be read in another thread."""

    def __init__(self, parts: Sequence[tuple[tuple[Value, ...], bytes, tuple[Column, ...]]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[tuple[Labels, float]]:
        for values, quality, columns in self._parts:
            for index, scaling, labels in columns:
                if quality[index] < 0x40:
                    value = engineering(values[index], scaling)
                    if isinstance(value, (bool, int, float)):
                        yield labels, value


def tag_values(groups: Sequence[tuple[DeviceRow, GroupRow]], selection: Selection, mono_ns: int) -> TagValues:
    parts = []
    for (device, group), columns in zip(groups, selection.columns, strict=True):
        if columns and device.up and group.latest is not None:
            parts.append((group.latest.values, live_qualities(group, mono_ns, up=True), columns))
    return TagValues(parts)
