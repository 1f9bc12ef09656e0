"""A snapshot as ``prometheus_client`` writes it: what our own writer is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from prometheus_client import generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric, Sample
from prometheus_client.registry import Collector

from edge_agent.metrics import Snapshot
from edge_agent.metrics.names import Name
from edge_agent.metrics.text import Row


def written_by_the_client(snapshot: Snapshot) -> str:
    return generate_latest(_Scrape(snapshot)).decode()  # type: ignore[arg-type]  # it only asks collect


class _Scrape(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        for name, rows in self._snapshot.families:
            metric = _histogram(name, rows) if name.kind == "histogram" else _numbers(name, rows)
            if metric.samples:
                yield metric


def _numbers(name: Name, rows: Iterable[Row]) -> Metric:
    # The client appends _total to a counter's family name when it writes the text.
    metric = Metric(name.name.removesuffix("_total"), name.help, name.kind)
    for values, value in rows:
        labels = {key: text for key, text in zip(name.labels, values, strict=True) if text}
        metric.samples.append(Sample(name.name, labels, value))
    return metric


def _histogram(name: Name, rows: Iterable[Row]) -> Metric:
    metric = HistogramMetricFamily(name.name, name.help, labels=name.labels)
    for values, (bounds, counts, total) in rows:
        cumulated, buckets = 0, []
        for bound, count in zip((*bounds, inf), counts, strict=True):
            cumulated += count
            buckets.append(("+Inf" if bound == inf else repr(bound), float(cumulated)))
        metric.add_metric(values, buckets, total)
    return metric
