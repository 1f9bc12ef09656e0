"""Which place in memory, read how, shows what a display shows.

Every reading that comes near enough is a candidate; what ranks them is how surprising the agreement is.
A 16-bit 237 for "23.7" turns up in any memory, a float 23.7 hardly ever by accident, a byte-swapped integer
that is divided by 1000 now and then. Scores are decades: a candidate with one more is ten times as likely.

Several values of one machine support each other: a PLC rarely mixes word orders. A second look after the
display has changed removes nearly all accidents, because what agreed by accident does not follow.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.commissioning.memory import Reading
from edge_agent.commissioning.plausible import few_digits
from edge_agent.commissioning.shown import Shown
from edge_agent.settings import Text

DIVISORS = (1, 10, 100, 1000)
_ORDERS = {"": 0.0, "ABCD": 0.0, "CDAB": -0.2, "DCBA": -0.6, "BADC": -0.8}
_TYPES = {
    "float32": 0.3, "real": 0.3, "int16": 0.0, "int": 0.0, "uint16": -0.1, "word": -0.15, "int32": -0.3,
    "dint": -0.3, "uint32": -0.4, "dword": -0.4, "float64": -0.3, "lreal": -0.3, "int64": -1.0,
    "uint64": -1.0,    "bcd16": -0.8, "bcd32": -1.0, "s5time": -0.8,
}  # fmt: skip
_STRANGE_TYPE = -0.2
_NOT_ROUNDED = -1.0  # nearer than the tolerance, but not what the display would show
_SCALED_FLOAT = -1.5
_MOST_SURPRISE = 6.0
_ZERO_BY_CHANCE = 0.3
_NOTHING = 3.0  # the score of "it is none of these"
_PARTNERS_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Search:
    """What is known beside the values. ``near``: area and number of the place a manual names. ``later``:
    readings by key of a second look, ``after``: what the display showed then, per value."""

    near: tuple[str, int] | None = None
    later: Mapping[tuple[str, str, str], Reading] | None = None
    after: Sequence[Shown] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """``value`` is what it shows: the number divided by ``divisor``. ``likely``: its share among everything
    it could be, 0 to 1. ``also``: other types and orders that read the same there."""

    reading: Reading
    divisor: int
    value: float
    score: float
    reasons: tuple[Text, ...]
    likely: float = 0.0
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class Guessed:
    """Of one shown value. ``accidents``: how many places agree by chance alone in memory full of noise.
    ``after``: what was shown at the second look, from which the readings then are."""

    shown: Shown
    candidates: list[Candidate] = field(default_factory=list)
    accidents: float = 0.0
    after: Shown | None = None


def guess(found: Sequence[Reading], values: Sequence[Shown], search: Search | None = None) -> list[Guessed]:
    """Per value its candidates, the likeliest first."""
    known = search or Search()
    memory = {(r.type, r.order, r.area, r.place): r.value for r in found if r.data}
    guessed = []
    for number, value in enumerate(values):
        after = known.after[number] if number < len(known.after) else None
        every = [c for r in found for c in _matches(r, value, after, known, memory)]
        guessed.append(Guessed(value, every, _accidents(found, value), after))
    lists = [one.candidates for one in guessed]
    for number, one in enumerate(guessed):
        others = [c for at, candidates in enumerate(lists) if at != number for c in _best(candidates)]
        one.candidates = _ranked([_supported(candidate, others) for candidate in lists[number]])
    return guessed


def _best(candidates: Sequence[Candidate]) -> list[Candidate]:
    most = max((c.score for c in candidates), default=0.0)
    return [c for c in candidates if c.score >= most - _PARTNERS_WITHIN]


def _matches(
    reading: Reading,
    value: Shown,
    after: Shown | None,
    search: Search,
    memory: Mapping[tuple[str, str, str, int], int | float | None],
) -> list[Candidate]:
    raw = reading.value
    if raw is None or not math.isfinite(raw):
        return []
    close = value.tolerance * (1 + 1e-6) + 1e-12
    found = []
    for divisor in DIVISORS:
        engineering = raw / divisor
        if abs(engineering - value.value) > close:
            continue
        score, reasons = _judged(reading, divisor, engineering, value)
        bonus, more = _surroundings(reading, search, memory)
        candidate = Candidate(reading, divisor, engineering, score + bonus, (*reasons, *more))
        if after is None or search.later is None:
            found.append(candidate)
        elif (later := search.later.get(reading.key)) is not None:
            found += _followed(candidate, later, value, after)
    return found


def _followed(candidate: Candidate, later: Reading, value: Shown, after: Shown) -> list[Candidate]:
    """The candidate as it reads at the second look; nothing where it has not gone with the display."""
    now, before, divisor = later.value, candidate.reading.value, candidate.divisor
    if now is None or before is None or not math.isfinite(now):
        return []
    if abs(now / divisor - after.value) > after.tolerance * (1 + 1e-6) + 1e-12:
        return []
    score, moved = candidate.score, abs(after.value - value.value)
    if not moved:
        why = Text("still agrees, but the display has not changed", "仍然吻合，但显示值没有变化")
    elif now != before:
        score += 0.7 * _surprise(later, divisor, after)
        why = Text(f"follows the display to {after.text}", f"随显示变化到 {after.text}")
    elif moved < _step(later) / divisor * (1 - 1e-6):
        why = Text("cannot show so small a change", "分辨率不足以反映这么小的变化")
    else:
        return []
    reasons = (*candidate.reasons, why)
    return [replace(candidate, reading=later, value=now / divisor, score=score, reasons=reasons)]


def _step(reading: Reading) -> float:
    """The least by which the number at that place can change."""
    value = reading.value
    if not isinstance(value, float):
        return 1.0
    return 2.0 ** (math.floor(math.log2(max(abs(value), 1e-30))) - (23 if reading.size == 4 else 52))


def _judged(reading: Reading, divisor: int, engineering: float, value: Shown) -> tuple[float, list[Text]]:
    reasons: list[Text] = []
    score = _TYPES.get(reading.type, _STRANGE_TYPE) + _ORDERS.get(reading.order, -0.8)
    score += _surprise(reading, divisor, value)
    raw = reading.value
    if isinstance(raw, float):
        if divisor > 1:
            score += _SCALED_FLOAT
        elif few_digits(raw, reading.size) and _is_exactly(raw, value, reading.size):
            score += 0.5
            reasons.append(Text(f"exactly {value.text}", f"恰为 {value.text}"))
    else:
        score += _decimals(divisor, value, reasons)
        if reading.size > 2 and 0 <= (raw or 0) <= 0xFFFF:
            score -= 0.7
            reasons.append(Text("its high word is zero: 16 bits may do", "高字为零：也可能只是 16 位"))
    if abs(engineering - value.value) > value.half * (1 + 1e-6) + 1e-12:
        score += _NOT_ROUNDED
        reasons.append(
            Text(
                f"{engineering:.6g} would not be rounded to {value.text}",
                f"{engineering:.6g} 四舍五入不是 {value.text}",
            )
        )
    return score, reasons


def _decimals(divisor: int, value: Shown, reasons: list[Text]) -> float:
    """Of an integer: a display usually shows exactly the digits that there are."""
    digits = int(math.log10(divisor) + 0.5)
    if digits == value.decimals:
        if digits:
            reasons.append(Text(f"whole number with {digits} decimals", f"整数，隐含 {digits} 位小数"))
        return 0.0
    if digits > value.decimals:
        return -0.5 * (digits - value.decimals)
    return -0.8


def _is_exactly(raw: float, value: Shown, size: int) -> bool:
    if size == 4:
        return bool(struct.unpack(">f", struct.pack(">f", value.value))[0] == raw)
    return raw == value.value


def _surprise(reading: Reading, divisor: int, value: Shown) -> float:
    """Decades: how rarely bytes that mean something else agree."""
    return min(_MOST_SURPRISE, -math.log10(_chance(reading, divisor, value)))


def _chance(reading: Reading, divisor: int, value: Shown) -> float:
    """Half of memory is taken for noise, half for small numbers, which are what PLCs are full of."""
    centre, width = abs(value.value * divisor), 2 * value.tolerance * divisor
    if centre <= width:
        return _ZERO_BY_CHANCE
    uniform = _uniform(reading, divisor, value)
    if isinstance(reading.value, float):
        return min(1.0, uniform)
    small = max(1.0, width) / (max(centre, 10.0) * 2 * math.log(2.0 ** (8 * reading.size)))
    return min(1.0, uniform / 2 + small / 2)


def _uniform(reading: Reading, divisor: int, value: Shown) -> float:
    centre, width = abs(value.value * divisor), 2 * value.tolerance * divisor
    if isinstance(reading.value, float):
        mantissa = 23 if reading.size == 4 else 52
        spacing = 2.0 ** (math.floor(math.log2(max(centre, width, 1e-30))) - mantissa)
        return max(1.0, width / spacing) / 2.0 ** (8 * reading.size)
    return max(1.0, width) / 2.0 ** (8 * reading.size)


def _accidents(found: Sequence[Reading], value: Shown) -> float:
    kinds = {(r.size, isinstance(r.value, float)): r for r in found}
    counts = Counter((r.size, isinstance(r.value, float)) for r in found if r.value is not None)
    return sum(
        count * _uniform(kinds[kind], divisor, value)
        for kind, count in counts.items()
        for divisor in DIVISORS
    )


def _surroundings(
    reading: Reading, search: Search, memory: Mapping[tuple[str, str, str, int], int | float | None]
) -> tuple[float, list[Text]]:
    score, reasons = 0.0, []
    if search.near is not None and search.near[0] == reading.area:
        away = reading.place - search.near[1]
        if away == 0:
            score += 0.8
            reasons.append(Text("exactly where you said", "正是所给的地址"))
        elif away in (-1, 1):
            score += 0.4
            reasons.append(_base(away))
    if isinstance(reading.value, float) and reading.data:
        around = [
            memory.get((reading.type, reading.order, reading.area, reading.place + step * reading.cells))
            for step in (-3, -2, -1, 1, 2, 3)
        ]
        counted = [v for v in around if v is not None and v != 0]
        good = sum(1e-3 <= abs(v) < 1e6 for v in counted)
        if good >= 2 and good > 0.5 * len(counted):
            score += 0.2 * good
            reasons.append(
                Text(f"{good} values beside it read well so, too", f"旁边 {good} 个值按此方式读取也合理")
            )
    return score, reasons


def _base(away: int) -> Text:
    if away < 0:
        return Text(
            "one place before the one you named: the manual counts from 1 where you counted from 0",
            "比所给地址小 1：手册从 1 起计数，而所给地址按从 0 起理解",
        )
    return Text(
        "one place behind the one you named: the manual counts from 0 where the notation counts from 1",
        "比所给地址大 1：手册从 0 起计数，而所用写法从 1 起",
    )


def _supported(candidate: Candidate, others: Sequence[Candidate]) -> Candidate:
    """With what speaks for it in the candidates of the other values."""
    mine = candidate.reading
    apart = [o for o in others if (o.reading.area, o.reading.place) != (mine.area, mine.place) and mine.order]
    if any(o.reading.way == mine.way for o in apart):
        bonus = 0.6
    elif mine.size > 2 and any(o.reading.order == mine.order and o.reading.size > 2 for o in apart):
        bonus = 0.3
    else:
        return candidate
    why = Text("another value reads well the same way", "另一个值按同样方式读取也吻合")
    return replace(candidate, score=candidate.score + bonus, reasons=(*candidate.reasons, why))


def _ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The likeliest first, those that read the same bytes to the same number as one."""
    kept: dict[tuple[str, str, int, int, int, float], Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: -c.score):
        reading = candidate.reading
        address = "" if reading.area else reading.address
        key = (reading.area, address, reading.place, reading.size, candidate.divisor, candidate.value)
        if key not in kept:
            kept[key] = candidate
            continue
        other = f"{reading.type} {reading.order}".strip()
        kept[key] = replace(kept[key], also=(*kept[key].also, other))
    total = 10**_NOTHING + sum(10**c.score for c in kept.values())
    twins = _twins(list(kept.values()))
    return [
        replace(c, likely=10**c.score / total, reasons=(*c.reasons, _TWIN) if at in twins else c.reasons)
        for at, c in enumerate(kept.values())
    ]


_REVERSED = {"ABCD": "CDAB", "CDAB": "ABCD", "DCBA": "BADC", "BADC": "DCBA"}
_TWIN = Text(
    "shares its high word with a neighbour in reversed word order: more digits decide",
    "与相邻地址的反字序读法共用高字：需要更多位数才能判定",
)


def _twins(candidates: Sequence[Candidate]) -> set[int]:
    """Floats that overlap by their high word: with the few digits of a display, the low words make no
    difference, and nothing but a display with more digits tells one from the other."""
    found = set()
    for at, one in enumerate(candidates):
        for other in candidates:
            mine, yours = one.reading, other.reading
            if (
                isinstance(mine.value, float)
                and mine.type == yours.type
                and mine.area == yours.area
                and abs(mine.place - yours.place) == mine.cells // 2
                and _REVERSED.get(mine.order) == yours.order
            ):
                found.add(at)
    return found
