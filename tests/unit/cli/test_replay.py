"""``replay`` over a day that a real buffer has stored; what must differ is worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from edge_agent.buffer import Buffer
from edge_agent.cli import main
from edge_agent.cli.moments import BEIJING, length_ns, moment, moment_text
from edge_agent.cli.replay_sides import Comparison, Replay, Side
from edge_agent.config import load
from edge_agent.config.lastgood import save_last_good
from edge_agent.config.model import BufferConfig, Configuration, Limit, LimitKind, TagRef, Window
from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, Value, ValueType
from edge_agent.testing.clock import ManualClock

S = 1_000_000_000
START_NS = 1_767_225_600 * S  # 2026-01-01T08:00+08:00
STEP_S = 10
TAGS = [
    Tag("pressure", "0", ValueType.FLOAT64, group="fast", unit="bar"),
    Tag("level", "4", ValueType.INT16, group="fast", unit="m", scaling=Scaling(0.1, 0.0)),
]
PRESS = Schema.of("press-1", "fast", "v1", TAGS)
DEVICE = """\
device: press-1
driver: modbus
link: tcp://127.0.0.1:1
station: 1
poll: {{fast: 10s}}
tags: press-1.csv
windows:
{windows}
"""
TABLE = """name,address,type,unit,group,scale
pressure,400001,float64,bar,fast,
level,400005,int16,m,fast,{scale}
"""
LINE = """tags:
  - {{name: twice, formula: press-1.pressure * {factor}, unit: bar}}
windows:
  - {{tag: twice, high: 36, deadband: 1, max_age: 30s}}
"""
PRESSURE = "  - {{tag: pressure, high: {high}, deadband: 0.5, max_age: 30s{more}}}\n"
LEVEL = "  - {tag: level, high: 8, max_age: 30s}\n"


def config(folder: Path, windows: str, *, scale: float = 0.1, state_dir: Path | None = None) -> Path:
    for name in ("devices.d", "tags.d"):
        (folder / name).mkdir(parents=True)
    text = f"line: press-line-1\nstate_dir: {state_dir or folder / 'state'}\n"
    (folder / "edge-agent.yaml").write_text(text, encoding="utf-8")
    (folder / "devices.d" / "press-1.yaml").write_text(DEVICE.format(windows=windows), encoding="utf-8")
    (folder / "tags.d" / "press-1.csv").write_text(TABLE.format(scale=scale), encoding="utf-8")
    return folder


async def store(
    directory: Path, seconds: int, pressure: Callable[[int], float | None], level: Callable[[int], int]
) -> None:
    """A reading every ten seconds, as an agent would have stored it."""
    clock = ManualClock()
    buffer = await Buffer.open(directory, BufferConfig(), clock, ())
    for second in range(0, seconds, STEP_S):
        now_ns, mono_ns = START_NS + second * S, 1000 * S + second * S
        clock._time_ns, clock._mono_ns = now_ns, mono_ns
        value = pressure(second)
        quality = bytes([Quality.GOOD if value is not None else Quality.BAD_COMM, 0])
        values: tuple[Value, ...] = (value, level(second))
        buffer.append(Batch(PRESS, now_ns, mono_ns, values, quality))
        if second % 300 == 290:
            await buffer.flush()
    await buffer.close()


def wave(second: int) -> float:
    """Once an hour from 10 up to 20 and back."""
    phase = second % 3600
    return 10.0 + (phase if phase <= 1800 else 3600 - phase) / 180.0


def replayed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["replay", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield


SPAN = ("--from", "2026-01-01T08:00", "--to", "2026-01-02T08:00")


async def test_a_day_with_a_tightened_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Old limit 18: outside from 1450 s (18.0556) until it is 17.5 or below at 2250 s. New limit 15: from
    910 s (15.0556) until 14.5 at 2790 s. Both every hour, 24 times."""
    await store(tmp_path / "state", 86_400, wave, lambda s: 50)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more="") + LEVEL)
    new = config(tmp_path / "new", "  # a line more\n" + PRESSURE.format(high=15, more="") + LEVEL)
    state = ("--state-dir", str(tmp_path / "state"))
    report = replayed(capsys, "--config", str(new), "--old", str(old), *state, *SPAN)
    (alarm,) = report["changed"]
    assert alarm["alarm"] == "press-1.pressure.high"
    assert alarm["old"]["raised"] == alarm["new"]["raised"] == 24
    assert alarm["old"]["active_s"] == pytest.approx(24 * 800)
    assert alarm["new"]["active_s"] == pytest.approx(24 * 1880)
    assert alarm["old"]["raised_ns"][:2] == [START_NS + 1450 * S, START_NS + 5050 * S]
    assert alarm["differs"][:3] == [
        {"from_ns": START_NS + 910 * S, "to_ns": START_NS + 1450 * S, "active_in": "new"},
        {"from_ns": START_NS + 2250 * S, "to_ns": START_NS + 2790 * S, "active_in": "new"},
        {"from_ns": START_NS + 4510 * S, "to_ns": START_NS + 5050 * S, "active_in": "new"},
    ]
    assert len(alarm["differs"]) + alarm["more_differences"] == 48
    assert (report["windows_replayed"], report["windows_same"]) == (1, 1), "places in files do not count"
    assert report["only_old"] == report["only_new"] == report["same"] == []
    assert report["batches"] == 8640
    assert "1 alarms would have been different: raised 24 times" in report["summary"]


async def test_alarms_of_one_side_only_and_delays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await store(tmp_path / "state", 7200, wave, lambda s: 50)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more="") + LEVEL)
    new = config(tmp_path / "new", PRESSURE.format(high=18, more=", low: 12, on_delay: 60s"))
    words = ["--config", str(new), "--old", str(old), "--state-dir", str(tmp_path / "state")]
    report = replayed(capsys, *words, "--from", "2026-01-01T08:00", "--to", "2026-01-01T10:00")
    (high,) = report["changed"]
    assert high["differs"][0] == {
        "from_ns": START_NS + 1450 * S, "to_ns": START_NS + 1510 * S, "active_in": "old"
    }  # fmt: skip
    (low,) = report["only_new"]
    assert low["alarm"] == "press-1.pressure.low" and low["new"]["raised"] == 3
    assert low["old"] == {
        "raised": 0, "active_s": 0.0, "active_at_begin": False, "active_at_end": False, "raised_ns": []
    }  # fmt: skip
    assert low["new"]["active_at_end"], "below 12 since 6840 s"
    assert report["removed"] == ["press-1.level.high"] and report["added"] == ["press-1.pressure.low"]


async def test_what_was_active_before_is_not_raised_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await store(tmp_path / "state", 7200, wave, lambda s: 50)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more=""))
    new = config(tmp_path / "new", PRESSURE.format(high=15, more=""))
    words = ["--config", str(new), "--old", str(old), "--state-dir", str(tmp_path / "state")]
    report = replayed(capsys, *words, "--from", "2026-01-01T08:25", "--to", "2026-01-01T09:00")
    (alarm,) = report["changed"]  # from 1500 s to 3600 s
    for half, active_s in (("old", 750), ("new", 1290)):
        assert alarm[half]["active_at_begin"] and alarm[half]["raised"] == 0
        assert alarm[half]["active_s"] == pytest.approx(active_s)
    assert alarm["differs"] == [
        {"from_ns": START_NS + 2250 * S, "to_ns": START_NS + 2790 * S, "active_in": "new"}
    ]


async def test_bad_and_missing_readings_are_the_same_for_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Down from 1500 s to 1700 s: alarms stay as they are."""
    await store(tmp_path / "state", 3600, lambda s: None if 1500 <= s < 1700 else wave(s), lambda s: 50)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more=""))
    new = config(tmp_path / "new", PRESSURE.format(high=15, more=""))
    words = ["--config", str(new), "--old", str(old), "--state-dir", str(tmp_path / "state")]
    (alarm,) = replayed(capsys, *words, "--from", "2026-01-01T08:00", "--to", "2026-01-01T09:00")["changed"]
    assert (alarm["old"]["raised"], alarm["old"]["active_s"]) == (1, 800.0)
    assert (alarm["new"]["raised"], alarm["new"]["active_s"]) == (1, 1880.0)


async def test_a_changed_scaling_is_applied_to_the_raw_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await store(tmp_path / "state", 3600, wave, lambda s: 60 if s < 1800 else 90)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more="") + LEVEL)
    new = config(tmp_path / "new", PRESSURE.format(high=18, more="") + LEVEL, scale=0.2)
    words = ["--config", str(new), "--old", str(old), "--state-dir", str(tmp_path / "state")]
    report = replayed(capsys, *words, "--from", "2026-01-01T08:00", "--to", "2026-01-01T09:00")
    (alarm,) = report["changed"]
    assert alarm["alarm"] == "press-1.level.high"
    assert (alarm["old"]["active_s"], alarm["new"]["active_s"]) == (1800.0, 3600.0)


async def test_derived_values_are_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was stored of the virtual device (here: nonsense) is not used. Old: twice the pressure, beyond 36
    from 1450 s to 2250 s; new: 2.4 times, beyond 36 from 910 s, 35 or below from 2780 s."""
    state = tmp_path / "state"
    await store(state, 3600, wave, lambda s: 50)
    clock = ManualClock(START_NS + 600 * S, 1600 * S)
    buffer = await Buffer.open(state, BufferConfig(), clock, ())
    tag = Tag("twice", "press-1.pressure * 2", ValueType.FLOAT64, group="press-1.fast", unit="bar")
    schema = Schema.of("derived", "press-1.fast", "v1", [tag])
    buffer.append(Batch(schema, clock.time_ns(), clock.mono_ns(), (9999.0,), bytes(1)))
    await buffer.close()
    old = config(tmp_path / "old", PRESSURE.format(high=18, more=""))
    new = config(tmp_path / "new", PRESSURE.format(high=18, more=""))
    for folder, factor in ((old, 2), (new, 2.4)):
        (folder / "derived.d").mkdir()
        (folder / "derived.d" / "line.yaml").write_text(LINE.format(factor=factor), encoding="utf-8")
    words = ["--config", str(new), "--old", str(old), "--state-dir", str(state)]
    report = replayed(capsys, *words, "--from", "2026-01-01T08:00", "--to", "2026-01-01T09:00")
    (alarm,) = report["changed"]
    assert alarm["alarm"] == "derived.twice.high"
    assert (alarm["old"]["raised"], alarm["old"]["active_s"]) == (1, 800.0)
    assert (alarm["new"]["raised"], alarm["new"]["active_s"]) == (1, 1870.0)
    assert report["windows_same"] == 1 and report["never_read"] == []


@pytest.mark.parametrize("quiet", [True, False])
def test_the_silence_of_a_subscription_means_unchanged(quiet: bool) -> None:
    """Signs of life are not stored. A source that reports changes is vouched for; one that is polled is not:
    there silence makes the window unknown, and an alarm of the window being unknown comes."""
    unknown = Limit(LimitKind.BAD_INPUT, on_delay_s=5.0)
    window = Window("w", TagRef("press-1", "pressure"), high=18.0, max_age_s=30.0, further=(unknown,))
    configuration = Configuration("line", "v1", Path())
    sides = Side(configuration, [window], START_NS), Side(configuration, [window], START_NS)
    comparison = Comparison(START_NS)
    run = Replay(sides, comparison, {("press-1", "fast")} if quiet else set())
    batches = [
        Batch(PRESS, START_NS + at * S, START_NS + at * S, (12.0, 50), bytes(2)) for at in (0, 10, 500, 510)
    ]
    run.run(batches, START_NS + 520 * S, lambda _: None)
    raised = {name: alarm.halves[0].raised for name, alarm in comparison.alarms.items()}
    assert raised == ({} if quiet else {"w.bad_input": 1})


async def test_the_configuration_in_use_and_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    await store(state, 7200, wave, lambda s: 50)
    old = config(tmp_path / "old", PRESSURE.format(high=18, more=""), state_dir=state)
    new = config(tmp_path / "new", PRESSURE.format(high=15, more=""), state_dir=state)
    span = ["--from", "2026-01-01T08:00", "--to", "2026-01-01T10:00"]
    assert main(["replay", "--config", str(new), *span]) == 1
    assert "--old DIRECTORY" in capsys.readouterr().err
    save_last_good(load(old), state)
    assert main(["replay", "--config", str(new), *span]) == 0
    text = capsys.readouterr().out
    assert "press-1.pressure.high           2    2    26.7 min  62.7 min" in text
    assert "2026-01-01 08:15:10 only new 9.0 min" in text and "first differences (+08:00)" in text
    assert "From 2026-01-01 08:00:00+08:00 to 2026-01-01 10:00:00+08:00" in text
    assert "1 alarms would have been different: raised 2 times with the old" in text
    assert main(["--lang", "zh", "replay", "--config", str(new), *span]) == 0
    assert "有 1 个报警会不同" in capsys.readouterr().out
    assert main(["replay", "--config", str(old), *span]) == 0
    assert "nothing to replay" in capsys.readouterr().out
    report = replayed(capsys, "--config", str(old), *span, "--all")
    assert report["changed"] == [] and report["same"][0]["old"]["raised"] == 2


@pytest.mark.parametrize("with_old", [True, False])
async def test_a_new_configuration_has_no_store_of_its_own(
    tmp_path: Path, with_old: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its relative state_dir leads to nothing: the store is that of ``--old``, else that of the agent."""
    old = config(tmp_path / "old", PRESSURE.format(high=18, more=""), state_dir=Path("state"))
    new = config(tmp_path / "new", PRESSURE.format(high=15, more=""), state_dir=Path("state"))
    await store(old / "state", 7200, wave, lambda s: 50)
    span = ["--from", "2026-01-01T08:00", "--to", "2026-01-01T10:00"]
    monkeypatch.delenv("EDGE_AGENT_CONFIG", raising=False)
    assert main(["replay", "--config", str(new), *span]) == 1
    told = capsys.readouterr().err
    assert str(new / "state") in told and "--state-dir DIRECTORY" in told
    if with_old:
        words = ["--old", str(old)]
    else:
        save_last_good(load(old), old / "state")
        (old / "devices.d" / "press-1.yaml").write_text("broken： now\n")
        monkeypatch.setenv("EDGE_AGENT_CONFIG", str(old))
        words = []
    report = replayed(capsys, "--config", str(new), *words, *span)
    assert report["changed"][0]["alarm"] == "press-1.pressure.high"


async def test_mistakes_are_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config(tmp_path / "c", PRESSURE.format(high=18, more=""))
    same = ["--config", str(folder), "--old", str(folder)]
    for words, code, said in (
        (["--from", "yesterday"], 2, "is no time"),
        (["--from", "06:00", "--last", "8h"], 2, "not both"),
        (["--from", "now", "--to", "1h ago"], 2, "not before"),
        (["--last", "long"], 2, "no length"),
        (["--last", "8h"], 1, "nothing has been stored there yet"),
    ):
        assert main(["replay", *same, *words]) == code
        assert said in capsys.readouterr().err


def test_moments() -> None:
    where = BEIJING
    now_ns = round(datetime(2026, 11, 22, 3, 30, tzinfo=UTC).timestamp()) * S  # 11:30 local
    for text, expected in (
        ("now", "2026-11-22T11:30:00+08:00"),
        ("2h ago", "2026-11-22T09:30:00+08:00"),
        ("2h", "2026-11-22T09:30:00+08:00"),
        ("06:00", "2026-11-22T06:00:00+08:00"),
        ("18:00", "2026-11-21T18:00:00+08:00"),
        ("2026-11-20", "2026-11-20T00:00:00+08:00"),
        ("2026-11-20T06:00", "2026-11-20T06:00:00+08:00"),
        ("2026-11-20 06:00:30", "2026-11-20T06:00:30+08:00"),
        ("2026-11-20T06:00Z", "2026-11-20T14:00:00+08:00"),
    ):
        found = moment(text, now_ns, where)
        assert datetime.fromtimestamp(found / 1e9, where).isoformat() == expected, text
        assert moment(moment_text(found, where), now_ns, where) == found
    assert length_ns("8h") == 8 * 3600 * S
    for wrong in ("06:99", "2026-13-01", "h ago", ""):
        with pytest.raises(click.UsageError):
            moment(wrong, now_ns, where)
    assert math.isclose(wave(1800), 20.0)
