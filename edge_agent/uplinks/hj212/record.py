"""Batches -> what stands between the && of one packet. Pure; the same batch always gives the same text.

Real-time data (2011) come from batches of readings. Minute, hour and day data (2051, 2061, 2031) come from
batches of period values: the level is the schema's ``group``, ``time_ns`` the START of the period, and a tag
has the columns ``TAG.avg``, ``TAG.min``, ``TAG.max`` and ``TAG.flag``, whose letter is sent as it stands. A
``Cou`` is the ``sum`` of the tag that the configuration declares as a total, and of no other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.model import Batch, ClockState, Level, Schema, engineering
from edge_agent.uplink import Stream
from edge_agent.uplinks.hj212 import flags
from edge_agent.uplinks.hj212.fields import group_text
from edge_agent.uplinks.hj212.number import DoesNotFit, Format
from edge_agent.uplinks.hj212.profile import Version

SAMPLES = "samples"
COMMANDS: Mapping[str, str] = {
    SAMPLES: "2011",
    Level.MINUTE: "2051",
    Level.HOUR: "2061",
    Level.DAY: "2031",
}
"""By kind of record: real-time, or the level of a period."""

TIME_UNSURE = "TIME"
"""The EFlag of values whose stamp comes from a clock that was not synchronised."""

_FIGURES = (("min", "Min"), ("avg", "Avg"), ("max", "Max"))
_COU, _FLAG = "Cou", "flag"
_LETTER = re.compile(r"[0-9A-Z]")


def kind_of(stream: str, schema: Schema) -> str:
    """One of ``COMMANDS``; "" for what HJ 212 does not carry."""
    if stream == Stream.SAMPLES:
        return SAMPLES
    if stream == Stream.PERIODS and schema.group != SAMPLES and schema.group in COMMANDS:
        return schema.group
    return ""


TOTAL_FORMAT = Format(12, 3)


class WrongUnit(ValueError):
    """The tag is not in the unit in which the destination expects the factor."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """``tag``: ``device.tag``. ``unit``: empty when any will do. ``total``: the tag of the same device whose
    sums are the factor's Cou; empty: it has none."""

    tag: str
    code: str
    format: Format
    unit: str = ""
    total: str = ""
    total_format: Format = TOTAL_FORMAT


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    suffix: str
    format: Format


class Recorder:
    """Remembers which columns of a schema are which factors. ``texts`` gives code -> text, in the order of
    the configuration; nothing for a batch without any mapped factor. WrongUnit as its name says."""

    def __init__(self, factors: Sequence[Mapped], version: Version) -> None:
        self._factors = factors
        self._version = version
        self._plans: dict[tuple[str, str], list[tuple[Mapped, list[_Column]]]] = {}
        self.order = {factor.code: place for place, factor in enumerate(factors)}
        self.devices = frozenset(factor.tag.partition(".")[0] for factor in factors)

    def carries(self, schema: Schema, kind: str) -> bool:
        return bool(self._plan(schema, kind))

    def texts(self, batch: Batch, kind: str) -> dict[str, str]:
        found = {}
        write = self._reading if kind == SAMPLES else self._period
        for factor, columns in self._plan(batch.schema, kind):
            pairs = write(factor, columns, batch)
            if pairs and batch.clock is ClockState.UNSYNCHRONISED:
                pairs.append((f"{factor.code}-EFlag", TIME_UNSURE))
            if pairs:
                found[factor.code] = group_text(tuple(pairs))
        return found

    def _plan(self, schema: Schema, kind: str) -> list[tuple[Mapped, list[_Column]]]:
        key = (schema.digest, kind)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= 256:  # a backlog across very many configurations
                self._plans.clear()
            plan = self._plans[key] = self._planned(schema, kind)
        return plan

    def _planned(self, schema: Schema, kind: str) -> list[tuple[Mapped, list[_Column]]]:
        where = {f"{schema.device}.{name}": index for index, name in enumerate(schema.names)}
        plan = []
        for factor in self._factors:
            wanted = _wanted(factor, kind)
            columns = [_Column(where[name], suffix, form) for name, suffix, form in wanted if name in where]
            if all(c.suffix == _FLAG for c in columns):
                continue
            for column in columns:
                self._check_unit(factor, schema.units[column.index], column.suffix)
            plan.append((factor, columns))
        return plan

    def _check_unit(self, factor: Mapped, unit: str, suffix: str) -> None:
        if factor.unit and unit != factor.unit and suffix not in (_COU, _FLAG):
            raise WrongUnit(
                f"{factor.tag} is in {unit or 'no unit'}, and {factor.code} is to be sent in {factor.unit}: "
                "derive a tag in that unit, or correct `unit` of the factor"
            )

    def _reading(self, factor: Mapped, columns: Sequence[_Column], batch: Batch) -> list[tuple[str, str]]:
        (column,) = columns
        quality = batch.quality[column.index]
        mark = flags.flag_for(quality, self._version)
        if not mark:
            return []
        written = ""
        if flags.carries_value(quality):
            written, mark = _written(_value(batch, column), column.format, mark)
        pairs = [(f"{factor.code}-Rtd", written)] if written else []
        return [*pairs, (f"{factor.code}-Flag", mark)]

    def _period(self, factor: Mapped, columns: Sequence[_Column], batch: Batch) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        letter, mark = flags.FAULT, ""
        for column in columns:
            value, known = _value(batch, column), flags.carries_value(batch.quality[column.index])
            if column.suffix == _FLAG:
                letter = value if known and isinstance(value, str) and _LETTER.fullmatch(value) else letter
            elif known:
                written, found = _written(value, column.format, flags.NORMAL)
                pairs += [(f"{factor.code}-{column.suffix}", written)] if written else []
                mark = found if found != flags.NORMAL and column.suffix != _COU else mark
        letter = flags.in_edition(letter, self._version)
        if letter == flags.NORMAL:  # a number that cannot be written, or none at all, is not normal
            letter = mark or (flags.NORMAL if pairs else flags.FAULT)
        return [*pairs, (f"{factor.code}-Flag", letter)]


def _wanted(factor: Mapped, kind: str) -> list[tuple[str, str, Format]]:
    if kind == SAMPLES:
        return [(factor.tag, "Rtd", factor.format)]
    total = [(f"{factor.total}.sum", _COU, factor.total_format)] if factor.total else []
    means = [(f"{factor.tag}.{name}", suffix, factor.format) for name, suffix in _FIGURES]
    return [*total, *means, (f"{factor.tag}.flag", _FLAG, factor.format)]


def _value(batch: Batch, column: _Column) -> object:
    return engineering(batch.values[column.index], batch.schema.scaling[column.index])


def _written(value: object, form: Format, mark: str) -> tuple[str, str]:
    if not isinstance(value, (bool, int, float)):
        return "", flags.FAULT
    try:
        return form.write(value), mark
    except DoesNotFit:
        return "", flags.ABOVE
    except ValueError:
        return "", flags.FAULT
