"""What a selection leaves of a stored unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.config.model import Selection
from edge_agent.testing.destination import ROWS, SCHEMA, incident, segment
from edge_agent.uplink import Envelope, Key, Lane

_S = 1_000_000_000


def every_second(count: int, start_s: int = 0, step_ns: int = _S) -> Envelope:
    item = segment(1, ROWS[:1])
    (batch,) = item.batches
    batches = tuple(replace(batch, time_ns=start_s * _S + n * step_ns) for n in range(count))
    return replace(item, batches=batches, samples=count * len(SCHEMA.names))


def test_everything_passes_untouched() -> None:
    for item in (segment(1), incident(1)):
        assert Selection().cut(item) is item
        assert Selection(tags=("*.*",)).cut(item) is item
    assert Selection(tags=("no.such",)).cut(incident(1)) == incident(1), "events are not concerned"


def test_columns_are_cut_and_the_key_stays() -> None:
    item = segment(7, ROWS)
    selection = Selection(tags=("press-1.t_uint16", "press-1.t_float*", "oven.*"))
    cut = selection.cut(item)
    assert cut.key == item.key and cut.lane is Lane.LIVE and cut.schema is not None
    assert cut.schema.names == ("t_uint16", "t_float32", "t_float64")
    assert cut.schema.units == ("MPa", "kW", "") and cut.schema.scaling == (SCHEMA.scaling[2], None, None)
    assert cut.schema.digest != SCHEMA.digest
    for before, after in zip(item.batches, cut.batches, strict=True):
        assert after.schema is cut.schema and after.time_ns == before.time_ns
        assert after.values == (before.values[2], before.values[6], before.values[7])
        assert after.quality == bytes([before.quality[2], before.quality[6], before.quality[7]])
    assert cut.samples == sum(b.samples for b in cut.batches)
    assert selection.cut(item) == cut, "the same unit is always cut in the same way"


def test_a_figure_of_a_tag_goes_with_its_tag() -> None:
    selection = Selection(tags=("press-1.kwh", "*.pressure.avg"))
    assert selection.selects("press-1", "kwh.day") and selection.selects("oven", "pressure.avg")
    assert not selection.selects("oven", "pressure.max") and not selection.selects("press-1", "kwh2")


@pytest.mark.parametrize(("start_s", "expected"), [(0, [0, 10, 20]), (3, [10, 20]), (1, [1, 10, 20])])
def test_one_reading_per_interval(start_s: int, expected: list[int]) -> None:
    selection = Selection(every_s=10, periods_s={("press-1", "fast"): 1.0})
    cut = selection.cut(every_second(28 - start_s, start_s))
    assert [b.time_ns // _S for b in cut.batches] == expected


def test_no_interval_is_left_out_where_segments_meet() -> None:
    """Segments of 5 s, polls that come up to 0.4 s late: every interval has one reading, seldom two."""
    selection = Selection(every_s=10, periods_s={("press-1", "fast"): 1.0})
    item = segment(1, ROWS[:1])
    (batch,) = item.batches
    times = [n * _S + (n * 37 % 5) * 100_000_000 for n in range(600)]
    kept: list[int] = []
    for first in range(0, 600, 5):
        part = replace(item, batches=tuple(replace(batch, time_ns=t) for t in times[first : first + 5]))
        kept += [b.time_ns // (10 * _S) for b in selection.cut(part).batches]
    assert sorted(set(kept)) == list(range(60)) and len(kept) <= 120


def test_periods_keep_every_value() -> None:
    selection = Selection(every_s=3600, periods_s={("press-1", "fast"): 1.0})
    item = replace(every_second(30), key=Key("periods", 1, 1))
    assert selection.cut(item) is item
