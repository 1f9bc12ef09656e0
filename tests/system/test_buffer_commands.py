"""``edge-agent buffer`` on the files of a running agent, whose park refuses one of two devices."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved, command

pytestmark = pytest.mark.timeout(150)

USAGE = 2


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[tuple[Site, Park]]:
    line = Line(tmp_path, "modbus", *CALM, "--modbus-units", "2")
    park = Park(tmp_path)
    site = Site(tmp_path / "site", park.url, flush="500ms")
    site.press(line.link(), station=1)
    site.device(
        "refused-1", [("fan", "hr:10", "uint16")],
        driver="modbus", link=line.link(), station=2, poll="200ms",
    )  # fmt: skip
    park.mood("reject", devices=["refused-1"])
    site.start()
    try:
        eventually("units are set aside", lambda: site.uplink()["quarantined_segments"] >= 4, 40.0)
        yield site, park
    finally:
        site.close()
        park.close()
        line.close()


def run(site: Site, *words: str, code: int = 0) -> str:
    done = command("buffer", *words, "--config", site.config)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout


def aside(site: Site) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run(site, "quarantine", "list", "--json"))
    return rows


def test_seen_exported_sent_again_given_up(refused: tuple[Site, Park]) -> None:
    site, park = refused
    rows = aside(site)
    assert {row["uplink"] for row in rows} == {"park"} and all(row["reason"] for row in rows)
    shown = run(site, "quarantine", "list", "--lang", "zh")
    assert rows[0]["key"] in shown and "编号" in shown
    lines = [json.loads(text) for text in run(site, "quarantine", "export", "--out", "-").splitlines()]
    assert {line["device"] for line in lines} == {"refused-1"} and {line["tag"] for line in lines} == {"fan"}

    first, second = rows[0]["key"], rows[1]["key"]
    assert "--all" in command("buffer", "quarantine", "retry", "park", "--config", site.config).stderr
    run(site, "quarantine", "drop", "park", first, code=USAGE)  # why is not said
    assert "ledger" in run(site, "quarantine", "drop", "park", first, "--reason", "a test device")
    run(site, "quarantine", "drop", "park", first, "--reason", "twice", code=1)
    assert first not in {row["key"] for row in aside(site)}

    park.mood("ok")
    before = park.report()["stored"]
    run(site, "quarantine", "retry", "park", second)
    run(site, "quarantine", "retry", "park", "--all")
    eventually("they have arrived", lambda: not site.uplink()["quarantined_segments"], 20.0)
    eventually("and more", lambda: park.report()["stored"] >= before + len(rows) - 1, 20.0)
    eventually("all is delivered", lambda: site.uplink()["pending_segments"] <= 2, 20.0)
    assert_conserved(site.status())

    dropped = eventually("on record", lambda: park.events("quarantine_dropped"), 20.0)
    assert dropped[0]["detail"]["keys"] == [first] and dropped[0]["detail"]["comment"] == "a test device"
    assert len(park.events("quarantine_retried")) == 2
    ledger = json.loads(run(site, "info", "--json"))["samples"]["losses"]
    assert [row["uplink"] for row in ledger if row["reason"] == "dropped"] == ["park"]
    site.stop()
    report = park.report()
    assert sum(gap["missing"] for gap in report["gaps"] if gap["stream"] == "samples") <= 1


def test_info_verify_and_export(refused: tuple[Site, Park], tmp_path: Path) -> None:
    site, _ = refused
    info = json.loads(run(site, "info", "--json"))
    assert info["samples"]["uplinks"]["park"]["quarantined_samples"] > 0
    text = run(site, "info")
    assert "quarantine list" in text and "outage left" in text
    found = json.loads(run(site, "verify", "--json"))
    assert {f["file"] for f in found} >= {"buffer.db", "events.db"} and found[0]["units"] > 4
    assert not any(f["damaged"] or f["fault"] for f in found)

    target = tmp_path / "out.csv"
    run(site, "export", "--out", str(target), "--tag", "press-1.polls")
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"))))
    rows = [row for row in rows if row["quality"] == "good"]  # on a busy machine a poll may fail
    numbers = [int(row["value"]) for row in rows]
    assert len(numbers) > 3 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert rows[0]["quality"] == "good" and rows[0]["time"].endswith("+08:00")
    assert {(row["device"], row["tag"]) for row in rows} == {("press-1", "polls")}
    run(site, "export", "--out", str(target), code=1)  # not overwritten
    events = run(site, "export", "--what", "events", "--format", "jsonl", "--out", "-")
    assert all(json.loads(line)["kind"] for line in events.splitlines())
    site.stop()

    path = site.state / "buffer.db"
    data = path.read_bytes()
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as file:
        (body,) = file.execute("SELECT body FROM segment ORDER BY seq DESC LIMIT 1").fetchone()
    spot = len(body) // 2
    flipped = body[:spot] + bytes([body[spot] ^ 0xFF]) + body[spot + 1 :]
    assert body in data
    path.write_bytes(data.replace(body, flipped))  # also in pages that are free
    found = json.loads(run(site, "verify", "--json", code=1))
    assert found[0]["damaged"] or found[0]["fault"]
