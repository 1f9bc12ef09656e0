"""Results of scenarios as a table, and as sentences about what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Result = dict[str, Any]
"""As `alone` prints it: id, title, error, done, figures, accounts; ``not_played``: why, if so."""

_LAW = ("unaccounted", "duplicates", "wrong_tag", "conflicts", "unordered", "overtold")


def problems(result: Result) -> list[str]:
    name = f"{result['id']} {result['title']}"
    found = [f"{name}: {result['error'].strip()[:500]}"] if result["error"] else []
    bad = [figure for figure in result["figures"] if not figure["good"]]
    found += [f"{name}: {figure['name']} is {figure['value']}, wanted {figure['bound']}" for figure in bad]
    if not result["figures"] and not found and not result.get("not_played"):
        found.append(f"{name}: no figures")
    return found


def table(results: Sequence[Result]) -> str:
    """One line per figure; those of the law are one line per scenario, and the law per uplink below."""
    rows: list[tuple[str, ...]] = [("F", "what was done", "figure", "value", "bound", "verdict")]
    for result in results:
        rows += _rows(result)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *_accounts(results)])


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    name, done = result["id"], f"{result['title']}: {result['done']}"
    done = done if len(done) <= 72 else done[:69] + "..."
    if result["error"] or result.get("not_played"):
        yield name, done, "", "", "", "FAILED" if result["error"] else f"not played: {result['not_played']}"
        name = done = ""
    for figure in result["figures"]:
        if figure["name"] not in _LAW:
            value = "none" if figure["value"] is None else str(figure["value"])
            verdict = "" if not figure["bound"] else "good" if figure["good"] else "FAILED"
            yield name, done, figure["name"], value, figure["bound"], verdict
            name = done = ""
    law = [figure for figure in result["figures"] if figure["name"] in _LAW]
    if law:
        broken = [f"{figure['name']} {figure['value']}" for figure in law if not figure["good"]]
        uplinks = len(result["accounts"])
        yield (
            name,
            done,
            f"the law, {uplinks} uplinks",
            ", ".join(broken) or "holds",
            "holds",
            ("FAILED" if broken else "good"),
        )


def _accounts(results: Sequence[Result]) -> Iterator[str]:
    names = ("served", "received", "pending", "quarantined", "ledger", "unknown", "in_flight", "failed",
             "unaccounted", "duplicates", "wrong_tag")  # fmt: skip
    rows = [("F", "uplink", "kind", *names)]
    rows += [
        (result["id"], account["uplink"], account["kind"], *(str(account[name]) for name in names))
        for result in results
        for account in result["accounts"]
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
