"""Units -> lines. A hot path: one reading of a poll group is one line, filled into a pattern made once for
its schema; Python runs per value only where one has to be converted (scaling, booleans, text).

    press-1,device=press-1,group=fast,line=press-line-1 pressure=0.41,polls=8502i 1795305595000000000

- A float is written as ``repr`` does, so that reading it gives the same bits; an integer whole, with ``i``.
- A reading of very many tags is cut into lines of the same series and time: servers bound a line's length.
- The type of a field follows from the tag's configuration alone, never from a value: these servers refuse a
  field that changes its type.
- What has no value (bad quality, NaN, infinity) is left out. Values of uncertain quality go in a line of
  their own with the tag ``quality``, so that nobody takes them for good ones by accident.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.model import Batch, Event, Quality, Schema, Value, ValueType, engineering
from edge_agent.uplink import Envelope, Stream
from edge_agent.uplinks.influx import escape

MAX_CACHED_SCHEMAS = 1024
MOST_FIELDS = 1000
_MOST_SIGNED = 2**63 - 1
_UNCERTAIN = {int(q): q.name.lower() for q in Quality if not q.is_good and not q.is_bad and q < Quality.BAD}

_Convert = Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Naming:
    """How series are called. ``line``: of the production line; "" leaves the tag out. ``unsigned``: write
    ``u`` behind unsigned 64-bit integers. ``strings``: whether the server keeps text."""

    line: str = ""
    measurement: str = "{{device}}"
    period_measurement: str = "{{device}}_periods"
    event_measurement: str = "events"
    tags: Mapping[str, str] = field(default_factory=dict)
    unsigned: bool = False
    strings: bool = True


class NotSendable(ValueError):
    """The protocol has no form for a value; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    pattern: str  # of one field, for ``%``
    convert: _Convert | None
    is_float: bool


class _Plan:
    """What is the same in every line of a schema."""

    def __init__(self, schema: Schema, naming: Naming, *, periods: bool) -> None:
        self.head = _head(schema, naming, periods=periods)
        self.columns = tuple(
            _column(name, kind, schema.scaling[index] is not None, naming)
            for index, (name, kind) in enumerate(zip(schema.names, schema.types, strict=True))
        )
        self._scaling = schema.scaling
        sent = tuple(i for i, column in enumerate(self.columns) if column.pattern)
        self._lines = tuple(
            self._line(sent[start : start + MOST_FIELDS]) for start in range(0, len(sent), MOST_FIELDS)
        )
        self._converted = tuple((i, c.convert) for i, c in enumerate(self.columns) if c.convert is not None)
        self._scaled = tuple(i for i in sent if schema.scaling[i] is not None)
        self._floats = tuple(i for i in sent if self.columns[i].is_float)

    def _line(self, indexes: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """A pattern, and which values go into it; the time stamp comes last."""
        fields = ",".join(self.columns[index].pattern for index in indexes)
        return f"{self.head.replace('%', '%%')} {fields} %d\n", indexes

    def lines(self, batch: Batch) -> str:
        """Of a reading in which every value is good; "" when they must be looked at one by one."""
        values: Sequence[Value] = batch.values
        if self._scaled or self._converted:
            values = list(values)
            for index in self._scaled:
                values[index] = engineering(values[index], self._scaling[index])
            for index, convert in self._converted:
                values[index] = convert(values[index])
        if self._floats and not math.isfinite(sum(values[i] for i in self._floats)):  # type: ignore[misc]
            return ""  # NaN, infinity, or merely a large sum
        if len(self._lines) == 1 and len(self._lines[0][1]) == len(values):
            return self._lines[0][0] % (*values, batch.time_ns)
        return "".join(
            pattern % (*(values[index] for index in indexes), batch.time_ns)
            for pattern, indexes in self._lines
        )

    def field(self, batch: Batch, index: int) -> str:
        """ "" where there is no value."""
        column, value = self.columns[index], batch.values[index]
        if value is None or not column.pattern:
            return ""
        value = engineering(value, self._scaling[index])
        if isinstance(value, float) and not math.isfinite(value):
            return ""
        if column.convert is not None:
            value = column.convert(value)
        return column.pattern % (value,)


class Lines:
    """Writes lines; keeps a pattern per schema."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._plans: dict[tuple[str, bool], _Plan] = {}
        self._shared = _tags({"line": naming.line, **naming.tags})

    def of(self, item: Envelope) -> str:
        """The lines of a unit, each with its end; "" where nothing of it can be sent. NotSendable where the
        protocol has no form for one of its values."""
        if item.event is not None:
            return self._event(item, item.event)
        if item.schema is None:
            return ""
        plan = self._plan(item.schema, periods=item.key.stream == Stream.PERIODS)
        out: list[str] = []
        for batch in item.batches:
            lines = "" if any(batch.quality) else plan.lines(batch)
            out += [lines] if lines else _apart(plan, batch)
        return "".join(out)

    def _plan(self, schema: Schema, *, periods: bool) -> _Plan:
        key = schema.digest, periods
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_CACHED_SCHEMAS:  # a backlog across very many configurations
                self._plans.clear()
            plan = self._plans[key] = _Plan(schema, self._naming, periods=periods)
        return plan

    def _event(self, item: Envelope, event: Event) -> str:
        """Two events of one source may bear the same time stamp: below the microsecond, the line's is the
        number of the event; the exact one is a field. For a server of numbers the event counts 1, with the
        numbers among its details."""
        measurement = escape.measurement(self._naming.event_measurement) or "events"
        tags = _tags({"kind": event.kind, "source": event.source})
        stamp = event.time_ns // 1000 * 1000 + item.key.seq % 1000
        fields = [f"time_ns={event.time_ns}i"]
        if self._naming.strings:
            detail = json.dumps(
                dict(event.detail), ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
            texts = {"key": str(item.key), "detail": detail, "config_version": event.config_version}
            fields += [f"{name}={escape.text(value)}" for name, value in texts.items()]
        else:
            fields += ["count=1i", *_numbers(event)]
        return f"{measurement}{tags}{self._shared} {','.join(fields)} {stamp}\n"


def _numbers(event: Event) -> list[str]:
    """As floats: what is whole in one event may not be in the next, and a field keeps its type."""
    return [
        f"{escape.key(name)}={float(value)!r}"
        for name, value in event.detail.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if escape.key(name) not in ("", "time", "time_ns", "count")
    ]


def _apart(plan: _Plan, batch: Batch) -> list[str]:
    """A reading in which not all is good: one line per quality."""
    found: dict[int, list[str]] = {}
    for index, code in enumerate(batch.quality):
        if code < Quality.BAD and (one := plan.field(batch, index)):
            found.setdefault(0 if code < Quality.UNCERTAIN else code, []).append(one)
    return [
        f"{plan.head}{_quality_tag(code)} {','.join(fields[start : start + MOST_FIELDS])} {batch.time_ns}\n"
        for code, fields in sorted(found.items())
        for start in range(0, len(fields), MOST_FIELDS)
    ]


def _quality_tag(code: int) -> str:
    return f",quality={_UNCERTAIN.get(code, format(code, '02x'))}" if code else ""


def _head(schema: Schema, naming: Naming, *, periods: bool) -> str:
    pattern = naming.period_measurement if periods else naming.measurement
    for word, text in (("device", schema.device), ("group", schema.group), ("line", naming.line)):
        pattern = pattern.replace(f"{{{{{word}}}}}", text)
    own = {"device": schema.device, "level" if periods else "group": schema.group}
    name = escape.measurement(pattern) or "samples"
    return name + _tags({**own, "line": naming.line, **naming.tags})


def _tags(tags: Mapping[str, str]) -> str:
    """``,key=value`` for each that has a value."""
    pairs = ((escape.key(name), escape.key(value)) for name, value in tags.items())
    return "".join(f",{name}={value}" for name, value in pairs if name and value)


def _column(name: str, kind: ValueType, scaled: bool, naming: Naming) -> _Column:
    written = escape.key(name)
    if written == "time":  # the protocol's own name for the time stamp: servers drop such a field
        written = "time_"
    before = f"{written.replace('%', '%%')}="
    if kind is ValueType.STRING:
        return _Column(name, f"{before}%s" if naming.strings else "", _text, False)
    if kind is ValueType.BOOL:
        return _Column(name, f"{before}%s", _bool, False)
    if kind.is_float or scaled:
        return _Column(name, f"{before}%r", None, True)
    if kind is ValueType.UINT64:
        if naming.unsigned:
            return _Column(name, f"{before}%du", None, False)
        return _Column(name, f"{before}%di", _within(name), False)
    return _Column(name, f"{before}%di", None, False)


def _bool(value: Value) -> Value:
    return "true" if value else "false"


def _text(value: Value) -> Value:
    return escape.text(str(value))


def _within(name: str) -> _Convert:
    def convert(value: Value) -> Value:
        if isinstance(value, int) and value > _MOST_SIGNED:
            raise NotSendable(
                f"{name} = {value} is larger than a signed integer of line protocol: set `unsigned: true` if "
                f"the server takes unsigned ones, or leave the tag out with `select`"
            )
        return value

    return convert
