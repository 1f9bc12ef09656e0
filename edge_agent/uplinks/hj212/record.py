"""Batches -> what stands between the && of one packet. Pure; the same batch always gives the same text.

Real-time data (2011) come from batches of readings. Minute, hour and day data (2051, 2061, 2031) come from
batches of period values: ``time_ns`` is the START of the period and the columns of a tag are ``TAG.avg``,
``TAG.min``, ``TAG.max``, ``TAG.cou`` and ``TAG.coverage`` (percent of the sub-periods that were normal). A
column ``TAG.hour`` (the agent's totals of counters) is a ``Cou``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.model import Batch, Schema, engineering
from edge_agent.uplink import Stream
from edge_agent.uplinks.hj212 import flags
from edge_agent.uplinks.hj212.fields import group_text
from edge_agent.uplinks.hj212.number import DoesNotFit, Format
from edge_agent.uplinks.hj212.profile import Version

COMMANDS: Mapping[str, str] = {
    Stream.SAMPLES: "2011",
    Stream.MINUTE: "2051",
    Stream.HOUR: "2061",
    Stream.DAY: "2031",
}
_SUFFIXES = (("cou", "Cou"), ("min", "Min"), ("avg", "Avg"), ("max", "Max"))
_COVERAGE = "coverage"


class WrongUnit(ValueError):
    """The tag is not in the unit in which the destination expects the factor."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """``tag``: ``device.tag``. ``unit``: empty when any will do."""

    tag: str
    code: str
    format: Format
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Column:
    index: int
    suffix: str


class Recorder:
    """Remembers which columns of a schema are which factors. ``texts`` gives code -> text, in the order of
    the configuration; nothing for a batch without any mapped factor. WrongUnit as its name says."""

    def __init__(self, factors: Sequence[Mapped], version: Version) -> None:
        self._factors = factors
        self._version = version
        self._plans: dict[tuple[str, str], list[tuple[Mapped, list[_Column]]]] = {}
        self.order = {factor.code: place for place, factor in enumerate(factors)}

    def carries(self, schema: Schema, stream: str) -> bool:
        return bool(self._plan(schema, stream))

    def texts(self, batch: Batch, stream: str) -> dict[str, str]:
        found = {}
        for factor, columns in self._plan(batch.schema, stream):
            text = self._text(factor, columns, batch)
            if text:
                found[factor.code] = text
        return found

    def _plan(self, schema: Schema, stream: str) -> list[tuple[Mapped, list[_Column]]]:
        key = (schema.digest, stream)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= 256:  # a backlog across very many configurations
                self._plans.clear()
            plan = self._plans[key] = self._planned(schema, stream)
        return plan

    def _planned(self, schema: Schema, stream: str) -> list[tuple[Mapped, list[_Column]]]:
        where = {f"{schema.device}.{name}": index for index, name in enumerate(schema.names)}
        plan = []
        for factor in self._factors:
            wanted = self._wanted(factor, stream)
            columns = [_Column(where[name], suffix) for name, suffix in wanted if name in where]
            if all(c.suffix == _COVERAGE for c in columns):
                continue
            for column in columns:
                self._check_unit(factor, schema.units[column.index], column.suffix)
            plan.append((factor, columns))
        return plan

    def _wanted(self, factor: Mapped, stream: str) -> list[tuple[str, str]]:
        if stream == Stream.SAMPLES:
            return [(factor.tag, "Rtd")]
        totals = [(f"{factor.tag}.{stream}", "Cou"), (f"{factor.tag}.{stream}.{_COVERAGE}", _COVERAGE)]
        means = [(f"{factor.tag}.{name}", suffix) for name, suffix in _SUFFIXES]
        return [*means, *totals, (f"{factor.tag}.{_COVERAGE}", _COVERAGE)]

    def _check_unit(self, factor: Mapped, unit: str, suffix: str) -> None:
        if factor.unit and unit != factor.unit and suffix not in ("Cou", _COVERAGE):
            raise WrongUnit(
                f"{factor.tag} is in {unit or 'no unit'}, and {factor.code} is to be sent in {factor.unit}: "
                "derive a tag in that unit, or correct `unit` of the factor"
            )

    def _text(self, factor: Mapped, columns: Sequence[_Column], batch: Batch) -> str:
        pairs: list[tuple[str, str]] = []
        marks: list[str] = []
        for column in columns:
            quality = batch.quality[column.index]
            value = engineering(batch.values[column.index], batch.schema.scaling[column.index])
            if column.suffix == _COVERAGE:
                number = value if isinstance(value, (int, float)) else 0
                marks.append(flags.period_flag(factor.code, number, 100))
                continue
            mark = flags.flag_for(quality, self._version)
            if not mark:
                continue
            if flags.carries_value(quality):
                written, mark = _written(value, factor.format, mark)
                if written:
                    pairs.append((f"{factor.code}-{column.suffix}", written))
            marks.append(mark)
        if not marks:
            return ""
        worst = next((mark for mark in marks if mark != flags.NORMAL), flags.NORMAL)
        return group_text((*pairs, (f"{factor.code}-Flag", worst)))


def _written(value: object, form: Format, mark: str) -> tuple[str, str]:
    if not isinstance(value, (bool, int, float)):
        return "", flags.FAULT
    try:
        return form.write(value), mark
    except DoesNotFit:
        return "", flags.ABOVE
    except ValueError:
        return "", flags.FAULT
