"""All readings of one address and its neighbours, those first that look like process values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.commissioning.memory import Reading
from edge_agent.commissioning.plausible import Mark, plausible

_ELSEWHERE = 0.05  # what a neighbouring address loses against the one that was named
_OTHER_TYPE = 0.25
_ORDERS = {"": 0.0, "ABCD": 0.0, "CDAB": 0.01, "DCBA": 0.03, "BADC": 0.03}


@dataclass(frozen=True, slots=True)
class Trial:
    """``shift``: how many addresses behind the one that was named; -1 and 1 show a mistaken address base."""

    reading: Reading
    mark: Mark
    shift: int
    score: float


def trials(found: Sequence[Reading], at: tuple[str, int], step: int, wanted: str = "") -> list[Trial]:
    """Of the readings at the place and ``step`` cells before and behind it, the likeliest first. ``wanted``:
    the type that is expected, if any. Floats in few digits prove more than integers: nearly all of those
    look right. Of types that read the same, such as int16 and uint16, there is one."""
    near = [r for r in found if r.area == at[0] and abs(r.place - at[1]) in (0, step)]
    judged = [_judged(reading, reading.place - at[1], wanted) for reading in near]
    kept: dict[tuple[object, ...], Trial] = {}
    for trial in sorted(judged, key=lambda trial: -trial.score):
        one = trial.reading
        same = (one.place, one.size, one.order, isinstance(one.value, float), one.value)
        kept.setdefault(same if one.value is not None else (*same, one.type), trial)
    return list(kept.values())


def _judged(reading: Reading, shift: int, wanted: str) -> Trial:
    mark = plausible(reading)
    score = mark.score - _ORDERS.get(reading.order, 0.03)
    if shift:
        score -= _ELSEWHERE
    if wanted and reading.type != wanted:
        score -= _OTHER_TYPE
    if reading.size > 4:
        score -= 0.1
    return Trial(reading, mark, shift, score)
