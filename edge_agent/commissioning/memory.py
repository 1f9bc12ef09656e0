"""Bytes that lie side by side, and every number that can be made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.driver import Prober
    from edge_agent.model import Tag, Value


@dataclass(frozen=True, slots=True)
class Run:
    """Cells without a gap. ``start``: the number of the first one in ``area``."""

    area: str
    start: int
    cells: tuple[Tag, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """One number at one place. ``size`` in bytes, ``place``: the number of its first cell in ``area``,
    ``cells``: how many it takes. ``data`` is empty where the protocol gives typed values."""

    address: str
    type: str
    order: str
    size: int
    value: int | float | None
    data: bytes = b""
    area: str = ""
    place: int = 0
    cells: int = 1

    @property
    def way(self) -> tuple[str, str]:
        """How the bytes are taken."""
        return self.type, self.order

    @property
    def key(self) -> tuple[str, str, str]:
        """The same in a later look at the same memory."""
        return self.address, self.type, self.order


def runs(prober: Prober, settings: Any, cells: Sequence[Tag], values: Sequence[Value]) -> list[Run]:
    """What was read, in order of addresses. A cell whose value is None ends a run; a cell that was read twice
    counts once."""
    found = {
        prober.place(settings, cell): (cell, value)
        for cell, value in zip(cells, values, strict=True)
        if isinstance(value, int)
    }
    pieces: list[list[tuple[str, int]]] = []
    for place in sorted(found):
        if pieces and pieces[-1][-1] == (place[0], place[1] - 1):
            pieces[-1].append(place)
        else:
            pieces.append([place])
    return [
        Run(
            piece[0][0],
            piece[0][1],
            tuple(found[place][0] for place in piece),
            b"".join(_bytes(found[place][1], prober.cell_bytes) for place in piece),
        )
        for piece in pieces
    ]


def _bytes(value: Value, size: int) -> bytes:
    assert isinstance(value, int)
    return value.to_bytes(size, "big")


def readings(prober: Prober, settings: Any, found: Sequence[Run]) -> list[Reading]:
    """Every form at every place where it may begin and lies in one run; in the order of the forms."""
    return list(_readings(prober, settings, found))


def _readings(prober: Prober, settings: Any, found: Sequence[Run]) -> Iterator[Reading]:
    step = prober.cell_bytes
    for form in prober.forms(settings):
        for run in found:
            first = -run.start * step % prober.align_bytes
            for at in range(first, len(run.data) - form.size + 1, prober.align_bytes):
                cell = run.cells[at // step]
                data = run.data[at : at + form.size]
                yield Reading(
                    prober.address(cell, form),
                    form.type,
                    form.order,
                    form.size,
                    form.decode(data),
                    data,
                    run.area,
                    run.start + at // step,
                    -(-form.size // step),
                )
