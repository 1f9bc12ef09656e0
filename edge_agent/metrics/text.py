"""The Prometheus text format, version 0.0.4, written by hand.

Most of a line is the same in every scrape: the name and the escaped labels. ``Writer`` keeps that part, so
that a line costs a look-up and the text of one number.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from edge_agent.metrics.names import Name

Row = tuple[tuple[str, ...], Any]
"""Label values in the order of ``Name.labels``, and a number; of a histogram (bounds, counts, sum), with one
count more than bounds, not cumulated."""


class Writer:
    """Thread-safe: what is kept only saves work."""

    def __init__(self) -> None:
        self._heads: dict[Name, dict[tuple[str, ...], Any]] = {}

    def write(self, families: Iterable[tuple[Name, Iterable[Row]]]) -> list[str]:
        """Pieces of text, each ending with its line. Families without a row are left out."""
        pieces: list[str] = []
        for name, rows in families:
            heads = self._heads.setdefault(name, {})
            lines = (_histograms if name.kind == "histogram" else _numbers)(name, rows, heads)
            if lines:
                pieces.append(header(name))
                pieces += lines
            if len(heads) > 2 * len(lines) + 16:  # most of them are of series that have ended
                heads.clear()
        return pieces


def _numbers(name: Name, rows: Iterable[Row], heads: dict[tuple[str, ...], str]) -> list[str]:
    known = heads.get
    lines = []
    for values, value in rows:
        head = known(values)
        if head is None:
            head = heads[values] = series(name.name, zip(name.labels, values, strict=True))
        lines.append(f"{head}{number(value)}\n")
    return lines


def _histograms(name: Name, rows: Iterable[Row], heads: dict[tuple[str, ...], Any]) -> list[str]:
    lines = []
    for values, (bounds, counts, total) in rows:
        found = heads.get(values)
        if found is None or found[0] != bounds:
            found = heads[values] = (bounds, _histogram_heads(name, values, bounds))
        *buckets, count_head, sum_head = found[1]
        cumulated = 0
        for head, count in zip(buckets, counts, strict=True):
            cumulated += count
            lines.append(f"{head}{number(cumulated)}\n")
        lines.append(f"{count_head}{number(cumulated)}\n{sum_head}{number(total)}\n")
    return lines


def _histogram_heads(name: Name, values: tuple[str, ...], bounds: tuple[float, ...]) -> list[str]:
    labels = list(zip(name.labels, values, strict=True))
    heads = [
        series(f"{name.name}_bucket", [*labels, ("le", "+Inf" if bound == inf else repr(bound))])
        for bound in (*bounds, inf)
    ]
    return [*heads, series(f"{name.name}_count", labels), series(f"{name.name}_sum", labels)]


def header(name: Name) -> str:
    help_ = name.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name.name} {help_}\n# TYPE {name.name} {name.kind}\n"


def series(name: str, labels: Iterable[tuple[str, str]]) -> str:
    """All of a line that stands before the value. A label without a value is left out."""
    shown = ",".join(f'{key}="{escape(value)}"' for key, value in sorted(labels) if value)
    return f"{name}{{{shown}}} " if shown else f"{name} "


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value: float) -> str:
    """As Go prints it, which is what the ecosystem expects: exponents from 1e+06 on."""
    text = repr(float(value))
    dot = text.find(".")
    if dot <= 6:
        return _SPECIAL.get(text, text) if dot < 0 else text
    if value < 0:
        return text
    digits = f"{text[0]}.{text[1:dot]}{text[dot + 1 :]}".rstrip("0").rstrip(".")
    return f"{digits}e+{dot - 1:02d}"


_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
