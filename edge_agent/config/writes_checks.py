"""Whether an entry of ``writes`` is whole and consistent in itself."""

from __future__ import annotations

from fractions import Fraction

from edge_agent.config import catalogue as c
from edge_agent.config.writes_place import WritePlace
from edge_agent.config.writes_shapes import NO_TTL, WriteFile
from edge_agent.config.writing import WriteLevel
from edge_agent.model import Scaling, Tag, ValueType

_BITS = {
    ValueType.INT8: (True, 8),
    ValueType.UINT8: (False, 8),
    ValueType.INT16: (True, 16),
    ValueType.UINT16: (False, 16),
    ValueType.INT32: (True, 32),
    ValueType.UINT32: (False, 32),
    ValueType.INT64: (True, 64),
    ValueType.UINT64: (False, 64),
}
_FLOAT32_MOST = float.fromhex("0x1.fffffep+127")


def check_parts(
    place: WritePlace, written: WriteFile, level: WriteLevel, who: tuple[str, ...], beats: bool
) -> None:
    """Every part that levels setpoint and request need, each by name. Not for outputs of alarms."""
    if level < WriteLevel.SETPOINT or set(who) <= {"annunciation"}:
        return
    parts = {
        "heartbeat": beats,
        "when": bool(written.when),
        "inputs": bool(written.inputs),
        "ttl": written.ttl is not None,
        "verify": written.verify is not None,
    }
    missing = [part for part, there in parts.items() if not there]
    if missing:
        values = {"tag": written.tag, "level": level.name.lower(), "missing": ", ".join(missing)}
        place.add("tag", c.WRITE_PARTS, **values)


def check_times(place: WritePlace, written: WriteFile) -> bool:
    if written.revert is not None and written.ttl in (None, NO_TTL):
        place.add("revert", c.WRITE_REVERT_ALONE)
        return False
    if written.ttl in (None, NO_TTL) or written.verify is None:
        return True
    if float(written.ttl) > float(written.verify.within):
        return True
    values = {"ttl": f"{float(written.ttl):g}s", "within": f"{float(written.verify.within):g}s"}
    place.add("ttl", c.WRITE_TTL, **values)
    return False


def check_envelope(place: WritePlace, written: WriteFile, tag: Tag) -> bool:
    flag = tag.type is ValueType.BOOL
    low = 0.0 if flag and written.low is None else written.low
    high = 1.0 if flag and written.high is None else written.high
    for key, limit in (("low", low), ("high", high)):
        if limit is None:
            place.add("tag", c.WRITE_ENVELOPE, tag=tag.name, key=key)
    if low is None or high is None:
        return False
    if low > high or (low == high and not flag):
        key = "low" if written.low is not None else "high"
        place.add(key, c.LOW_HIGH, low=f"{low:g}", high=f"{high:g}")
        return False
    sound = _fits(place, "low", low, tag) and _fits(place, "high", high, tag)
    if written.revert is not None and not low <= written.revert <= high:
        values = {"revert": f"{written.revert:g}", "low": f"{low:g}", "high": f"{high:g}"}
        place.add("revert", c.WRITE_REVERT, **values)
        sound = False
    return _step_fits(place, written, tag) and sound


def _fits(place: WritePlace, key: str, limit: float, tag: Tag) -> bool:
    least, most = _range(tag)
    if least <= limit <= most:
        return True
    values = {"least": f"{least:g}", "most": f"{most:g}", "limit": f"{limit:g}", "type": tag.type}
    place.add(key, c.WRITE_LIMIT, tag=tag.name, key=key, **values)
    return False


def _range(tag: Tag) -> tuple[float, float]:
    """What the type can hold, in engineering units."""
    if tag.type is ValueType.BOOL:
        return 0.0, 1.0
    if tag.type.is_float:
        most = _FLOAT32_MOST if tag.type is ValueType.FLOAT32 else float("inf")
        ends: tuple[float, float] = (-most, most)
    else:
        signed, bits = _BITS[tag.type]
        ends = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    scaling = tag.scaling or Scaling()
    one, two = (end * scaling.scale + scaling.offset for end in ends)
    return min(one, two), max(one, two)


def _step_fits(place: WritePlace, written: WriteFile, tag: Tag) -> bool:
    """A step below one raw count would let nothing through, nor take anything back."""
    if written.max_step is None or tag.type.is_float or tag.type is ValueType.BOOL:
        return True
    count = abs(tag.scaling.scale) if tag.scaling else 1.0
    if Fraction(str(written.max_step)) >= Fraction(str(count)):
        return True
    place.add("max_step", c.WRITE_STEP, tag=tag.name, step=f"{written.max_step:g}", count=f"{count:g}")
    return False
