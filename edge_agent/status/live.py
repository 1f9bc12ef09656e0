"""What of a tag may be shown now: the last thing said of it, unless that is too old.

A poll speaks of every tag, a change report only of those that changed. ``keep`` merges reports into one view,
in which each tag has its value, its quality and its age.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from edge_agent.model import Batch, Quality, Value, engineering
from edge_agent.status.rows import GroupRow

_STALE = bytes([*[Quality.STALE] * 0x80, *range(0x80, 0x100)])


def keep(row: GroupRow, batch: Batch) -> Batch:
    """Makes the batch part of ``row.latest`` and returns that. UNCHANGED: what was said of the tag before is
    as young as this batch, if anything was. NOT_REPORTED: it stays as it was, with its age."""
    quality = batch.quality
    if not quality or max(quality) < Quality.NOT_REPORTED:
        row.latest, row.spoke_ns = batch, None
        return batch
    former, now_ns, width = row.latest, batch.mono_ns, len(quality)
    spoke: list[int | None]
    offsets: list[int | None] | None
    if former is None:
        values, merged, spoke = list(batch.values), bytearray([Quality.WAITING]) * width, [None] * width
        offsets = None if batch.offsets_ns is None else [None] * width
    else:
        values, merged = list(former.values), bytearray(former.quality)
        spoke = list(row.spoke_ns or (former.mono_ns,) * width)
        offsets = _shifted(former, batch)
    for index, said in enumerate(quality):
        if said < Quality.NOT_REPORTED:
            values[index], merged[index], spoke[index] = batch.values[index], said, now_ns
            if offsets is not None:
                offsets[index] = batch.offsets_ns[index] if batch.offsets_ns is not None else None
        elif said == Quality.UNCHANGED and spoke[index] is not None:
            spoke[index] = now_ns
    row.latest = Batch(
        batch.schema,
        batch.time_ns,
        now_ns,
        tuple(values),
        bytes(merged),
        None if offsets is None else tuple(offsets),
        batch.clock,
    )
    row.spoke_ns = None if spoke.count(now_ns) == width else tuple(spoke)
    return row.latest


def _shifted(former: Batch, batch: Batch) -> list[int | None] | None:
    """The former source times as offsets to the new batch's stamp."""
    if former.offsets_ns is None:
        return None if batch.offsets_ns is None else [None] * len(batch.values)
    moved_ns = former.time_ns - batch.time_ns
    return [None if offset is None else offset + moved_ns for offset in former.offsets_ns]


def max_age_ns(row: GroupRow) -> int:
    """A tag is stale after three poll periods, but not before one second. A device that reports changes is
    believed until it should have given a sign of life."""
    return int(max(3 * row.period_s, 1.0, row.liveness_s) * 1e9)


def live_qualities(row: GroupRow, mono_ns: int, *, up: bool) -> bytes:
    """The quality of every tag as a reader must show it now: the last one said, or STALE once that is too
    old. What a device said before it went (not ``up``) is old, however young."""
    latest = row.latest
    if latest is None:
        return bytes([Quality.WAITING]) * len(row.schema.names)
    oldest_ns = mono_ns - max_age_ns(row)
    if not up or latest.mono_ns < oldest_ns:
        return latest.quality.translate(_STALE)
    if row.spoke_ns is None:
        return latest.quality
    return bytes(
        [
            said if said >= 0x80 or (at_ns is not None and at_ns >= oldest_ns) else Quality.STALE
            for said, at_ns in zip(latest.quality, row.spoke_ns, strict=True)
        ]
    )


def live_quality(row: GroupRow, index: int, mono_ns: int, *, up: bool) -> Quality:
    """Of one tag, as ``live_qualities`` has it."""
    return _by_severity(live_qualities(row, mono_ns, up=up)[index])


def _by_severity(byte: int) -> Quality:
    """A plug-in's own reason, which has no name here, counts as what its high bits say."""
    try:
        return Quality(byte)
    except ValueError:
        return (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.NOT_REPORTED)[byte >> 6]


def quality_counts(row: GroupRow, mono_ns: int, *, up: bool) -> dict[str, int]:
    """How many of the tags that are shown are good, uncertain, bad, stale at this moment."""
    counts = {"good": 0, "uncertain": 0, "bad": 0, "stale": 0}
    quality, own = live_qualities(row, mono_ns, up=up), None if row.latest is None else row.latest.quality
    if row.hidden:
        quality = _shown(row, quality)
        own = None if own is None else _shown(row, own)
    counts["good"] = quality.count(0)
    for byte, count in Counter(quality.translate(None, b"\x00")).items():  # nearly always none
        if byte == Quality.STALE:
            said = 0 if own is None else own.count(byte)  # by the device itself
            counts["stale"] += count - said
            counts["bad"] += said
        elif byte >= 0x80:
            counts["bad"] += count
        else:
            counts["good" if byte < 0x40 else "uncertain"] += count
    return counts


def _shown(row: GroupRow, quality: bytes) -> bytes:
    return bytes(byte for index, byte in enumerate(quality) if index not in row.hidden)


def live_values(
    row: GroupRow, mono_ns: int, *, up: bool, most: int | None = None
) -> Sequence[dict[str, Any]]:
    """One plain row per tag that is shown, in engineering units; of the first ``most`` of them only."""
    schema, latest = row.schema, row.latest
    qualities = live_qualities(row, mono_ns, up=up)
    return [
        {
            "tag": name,
            "unit": schema.units[index],
            "type": str(schema.types[index]),
            "quality": (quality := _by_severity(qualities[index])).name.lower(),
            "value": engineering(latest.values[index], schema.scaling[index])
            if latest is not None and quality < 0x80
            else None,
            **_when(row, index, mono_ns),
            **_label(row, index, shown=quality < 0x80),
        }
        for index, name in islice(
            ((i, name) for i, name in enumerate(schema.names) if i not in row.hidden), most
        )
    ]


def meaning(labels: Mapping[int, str], raw: Value) -> str | None:
    """What a raw number means by the labels of its tag; None where they do not say, or it is no number."""
    return labels.get(raw) if isinstance(raw, int) else None  # True and False stand for 1 and 0


def _label(row: GroupRow, index: int, *, shown: bool) -> dict[str, Any]:
    """A member ``label``, only for tags that have labels at all."""
    labels = row.labels.get(index)
    if labels is None:
        return {}
    return {"label": meaning(labels, row.latest.values[index]) if row.latest and shown else None}


def _when(row: GroupRow, index: int, mono_ns: int) -> dict[str, Any]:
    latest = row.latest
    at_ns = None if latest is None else latest.mono_ns if row.spoke_ns is None else row.spoke_ns[index]
    if latest is None or at_ns is None:
        return {"time_ns": None, "age_s": None}
    return {
        "time_ns": latest.time_ns - (latest.mono_ns - at_ns),
        "age_s": round((mono_ns - at_ns) / 1e9, 3),
    }
