"""Period values by adding up every sample anew, written from the rules and not from the program."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from edge_agent.model import Quality

S = 10**9
MINUTE = 60 * S
HOUR = 3600 * S
DAY = 86_400 * S


@dataclass
class Rule:
    """``kind``: samples or time."""

    kind: str = "samples"
    minute_ns: int = MINUTE
    min_samples: int = 0
    share: float = 75.0
    valid_minutes: int = 0
    valid_hours: int = 0
    uncertain: bool = False
    integral_s: float | None = None
    max_age_ns: int = 3 * S


@dataclass
class Found:
    flag: str
    avg: Any = None
    low: Any = None
    high: Any = None
    total: Any = None
    last: Any = None
    count: int = 0
    known_ns: int = 0
    area: Any = 0
    parts: list[Found] = field(default_factory=list)


Sample = tuple[int, Any, int]
"""Time, value, quality."""


def is_valid(sample: Sample, rule: Rule) -> bool:
    _, _, quality = sample
    return quality < 0x40 or (rule.uncertain and 0x40 <= quality < 0x80 and quality != 0x41)


def letter(votes: dict[str, int]) -> str:
    whole = sum(votes.values())
    for flag, count in votes.items():
        if count * 2 > whole:
            return flag
    return "D"


def minute(samples: list[Sample], start: int, rule: Rule) -> Found:
    """``samples``: all there are, in order of their times."""
    end = start + rule.minute_ns
    mine = [s for s in samples if start <= s[0] < end]
    valid = [s for s in mine if is_valid(s, rule)]
    wrong = [s for s in mine if not is_valid(s, rule)]
    found = Found("?", count=len(valid))
    held: list[tuple[Any, int]] = []
    for number, sample in enumerate(samples):
        until = min(
            samples[number + 1][0] if number + 1 < len(samples) else 2**62, sample[0] + rule.max_age_ns
        )
        span = min(until, end) - max(sample[0], start)
        if is_valid(sample, rule) and span > 0 and sample[0] < end:
            held.append((sample[1], span))
    found.known_ns = sum(span for _, span in held)
    found.area = sum(Fraction(value) * span for value, span in held)
    seen = [s[1] for s in valid] + ([v for v, _ in held] if rule.kind == "time" or rule.integral_s else [])
    if seen:
        found.low, found.high = min(seen), max(seen)
    if valid:
        found.last = valid[-1][1]
        found.total = sum(Fraction(s[1]) for s in valid)
    if rule.integral_s is not None:
        found.total = found.area / Fraction(rule.integral_s) / S if found.known_ns else None
    if rule.kind == "time":
        found.avg = found.area / found.known_ns if found.known_ns else None
        enough = found.known_ns > 0 and found.known_ns >= Fraction(rule.share) / 100 * rule.minute_ns
    else:
        found.avg = sum(Fraction(s[1]) for s in valid) / len(valid) if valid else None
        enough = len(valid) > 0 and len(valid) >= Fraction(rule.share) / 100 * len(mine)
    if enough and len(valid) >= rule.min_samples:
        found.flag = "N"
    elif not mine and not held:
        found.flag = "B"
    else:
        comm = sum(s[2] == Quality.BAD_COMM for s in wrong)
        stopped = sum(s[2] == Quality.UNCERTAIN_STOPPED for s in wrong)
        found.flag = letter({"B": comm, "F": stopped, "D": len(wrong) - comm - stopped})
    return found


def whole(parts: list[Found], count: int, length_ns: int, needed: int, rule: Rule) -> Found:
    normal = [p for p in parts if p.flag == "N"]
    found = Found(
        "?", count=sum(p.count for p in parts), known_ns=sum(p.known_ns for p in parts), parts=parts
    )
    found.area = sum(p.area for p in parts)
    lows, highs = [p.low for p in parts if p.low is not None], [p.high for p in parts if p.high is not None]
    totals, lasts = (
        [p.total for p in parts if p.total is not None],
        [p.last for p in parts if p.last is not None],
    )
    found.low, found.high = min(lows, default=None), max(highs, default=None)
    found.total = sum(totals) if totals else None
    found.last = lasts[-1] if lasts else None
    if rule.kind == "time":
        found.avg = found.area / found.known_ns if found.known_ns else None
        enough = found.known_ns > 0 and found.known_ns >= Fraction(rule.share) / 100 * length_ns
    else:
        found.avg = sum(p.avg for p in normal) / len(normal) if normal else None
        enough = bool(normal) and len(normal) >= Fraction(rule.share) / 100 * count
    if enough and len(normal) >= needed:
        found.flag = "N"
    else:
        votes: dict[str, int] = {}
        for part in parts:
            if part.flag != "N":
                votes[part.flag] = votes.get(part.flag, 0) + 1
        found.flag = letter(votes)
    return found


def hour(samples: list[Sample], start: int, first: int, rule: Rule) -> Found:
    """``first``: the start of the first minute there is."""
    starts = range(max(start, first), start + HOUR, rule.minute_ns)
    parts = [minute(samples, at, rule) for at in starts]
    return whole(parts, HOUR // rule.minute_ns, HOUR, rule.valid_minutes, rule)
