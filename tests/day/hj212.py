"""The day over HJ 212: readings -> period values -> store -> forwarder -> uplink -> a host on the loopback
that loses one acknowledgement in ten. Two disconnections, one restart over the same state directory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.accounting.period_values import PeriodProducer
from edge_agent.buffer import Buffer, Notes
from edge_agent.config.model import BufferConfig, UplinkConfig
from edge_agent.config.period_values import Mean, PeriodTag, PeriodValues
from edge_agent.config.process import TagRef
from edge_agent.forwarding import Forwarder, Hooks
from edge_agent.model import ValueType
from edge_agent.status import UplinkRow
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Host, Stream, UplinkPlugin
from edge_agent.uplinks.hj212 import PLUGIN
from edge_agent.uplinks.hj212.settings import Hj212Settings
from edge_agent.uplinks.hj212.start import Run
from edge_agent.uplinks.hj212.uplink import Hj212Uplink
from hardware_mocks.hj212_host import Hj212Host
from hardware_mocks.hj212_ledger import STEPS
from tests.day.readings import MINUTES, PER_MINUTE, STEP_S, TAGS, Reading, Told, day, expected

NAME = "park"
MN = "010000A8900016F000169DC0"
BEGIN_NS = 1_767_196_800_000_000_000  # 2026-01-01 00:00 in Beijing
BOOT_NS = 3_600_000_000_000
CODES = {"so2": "a21026", "dust": "a34013"}
FORMATS = {"so2": "N5.2", "dust": "N5.1"}
GRACE_S = 5.0
PATIENCE_S = 20.0
CUT_AT, DOWN_AT, DOWN_FOR, RESTART_AT = 300, 615, 25, 1003  # minutes of the day
QUIET_TURNS = 40
_BEIJING_DAY = datetime(2026, 1, 1)


@dataclass
class Result:
    """``wrong``: what does not agree with the recomputation, in words."""

    seed: int
    minutes: int = 0
    hours: int = 0
    days: int = 0
    missing: int = 0
    unexpected: int = 0
    wrong: list[str] = field(default_factory=list)
    duplicates_after_dedup: int = 0
    duplicates_on_the_wire: int = 0
    acknowledgements_lost: int = 0
    connections: int = 0
    restarts: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    left: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Agent:
    """What of the agent stands between readings and the platform, over one state directory."""

    def __init__(self, state: Path, clock: ManualClock, platform: Hj212Host, seed: int) -> None:
        self._state = state
        self._clock = clock
        self._random = Random(seed)
        self._settings = _settings(platform)
        self._opened: list[Hj212Uplink] = []
        self._running: asyncio.Task[None] | None = None
        self._starts = 0
        self.rows: dict[str, Any] = {}

    async def start(self) -> None:
        self._starts += 1
        run = Run(f"start {self._starts}", self._clock.mono_ns())

        def opened(settings: Hj212Settings, host: Host) -> Hj212Uplink:
            self._opened.append(Hj212Uplink(settings, host, self._clock, run))
            return self._opened[-1]

        self.producer = PeriodProducer(_plan(), "day")
        assert self.producer.restore_rows(self.rows) == []
        self.producer.went_on()
        self.samples = await Buffer.open(self._state, BufferConfig(), self._clock, ())
        self.store = await Buffer.open(
            self._state, BufferConfig(), self._clock, (NAME,),
            name="periods.db", stream=Stream.PERIODS, beside=self.samples,
        )  # fmt: skip
        notes = Notes(self._state / "uplinks")
        plugin = UplinkPlugin(PLUGIN.settings, opened, PLUGIN.endpoint, PLUGIN.streams)
        forwarder = Forwarder(
            UplinkConfig(NAME, "hj212", plugin, self._settings),
            [self.store],
            agent=lambda: self.samples.agent,
            line="stack",
            clock=self._clock,
            row=UplinkRow(NAME, "hj212", ""),
            log=_Silent(),
            hooks=Hooks(event=lambda *_: None, keep=notes.keep, recall=notes.recall),
            random=self._random,
        )
        self._running = asyncio.create_task(forwarder.run())

    async def stop(self) -> None:
        """What is under way stays unconfirmed: the next start sends it again."""
        assert self._running is not None
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self.rows = self.producer.rows()
        await self.store.close()
        await self.samples.close()

    def take(self, reading: Reading) -> None:
        self.producer.on_batch(reading.batch(self._clock.mono_ns()))

    async def close_periods(self) -> None:
        for batch in self.producer.tick(self._clock.mono_ns(), self._clock.time_ns()).batches:
            self.store.append(batch)
        await self.store.flush()

    @property
    def pending(self) -> int:
        return int(self.store.info()["uplinks"][NAME]["pending_segments"])

    def waits_for_the_clock(self, platform: Hj212Host) -> bool | None:
        """Whether nothing more can happen before time passes: every packet is at the platform, and what it
        has not acknowledged it never will. None without a connection: nobody can tell."""
        connection = self._opened[-1].connection if self._opened else None
        if connection is None or connection.over:
            return None
        session = connection.session
        return session.idle and bool(session.unanswered) and session.unanswered <= platform.mute


class _Silent:
    def broke(self, key: str, message: str, /, **named: object) -> None: ...

    def healed(self, key: str, message: str, /, **named: object) -> None: ...


async def run_day(state: Path, seed: int) -> Result:
    began_s = time.monotonic()
    clock = ManualClock(BEGIN_NS, BOOT_NS)
    platform = Hj212Host(MN, "123456", "31")
    platform.manners.random, platform.manners.lose_share = Random(seed), 0.1
    await platform.start()
    agent = Agent(state, clock, platform, seed)
    readings = list(day(BEGIN_NS, seed))
    restarts = 0
    try:
        await agent.start()
        for minute in range(MINUTES):
            for reading in readings[minute * PER_MINUTE : (minute + 1) * PER_MINUTE]:
                await _pass(clock, reading.time_ns)
                agent.take(reading)
            await _pass(clock, BEGIN_NS + (minute + 1) * 60 * 10**9 + round(GRACE_S * 1e9))
            await agent.close_periods()
            if minute == CUT_AT:
                await platform.cut()
            if minute == DOWN_AT:
                await platform.close()
            if minute == DOWN_AT + DOWN_FOR:
                await platform.start()
            await _settled(agent, platform)
            if minute == RESTART_AT:
                await agent.stop()
                await agent.start()
                restarts += 1
        for _ in range(120):
            if not agent.pending:
                break
            await clock.advance(5)
            await _settled(agent, platform)
        left = agent.store.info()["uplinks"][NAME]
        await agent.stop()
    finally:
        await platform.close()
    return _judge(
        Result(seed, restarts=restarts, left={k: left[f"{k}_segments"] for k in ("pending", "quarantined")}),
        platform, readings, time.monotonic() - began_s,
    )  # fmt: skip


async def _pass(clock: ManualClock, to_ns: int) -> None:
    if to_ns > clock.time_ns():
        await clock.advance((to_ns - clock.time_ns()) / 1e9)


async def _settled(agent: Agent, platform: Hj212Host) -> None:
    """Returns when all that was stored is confirmed, or when only time can bring it on."""
    end_s = time.monotonic() + PATIENCE_S
    quiet = 0
    while agent.pending and time.monotonic() < end_s:
        waits = agent.waits_for_the_clock(platform)
        quiet = quiet + 1 if waits is None else 0
        if waits or quiet > QUIET_TURNS:
            return
        await asyncio.sleep(0.0005)


def _judge(result: Result, platform: Hj212Host, readings: list[Reading], seconds: float) -> Result:
    ledger = platform.ledger
    result.minutes, result.hours, result.days = (len(ledger.times(cn)) for cn in STEPS)
    result.duplicates_on_the_wire = ledger.duplicates
    result.acknowledgements_lost = platform.lost_acks
    result.connections, result.violations = platform.connections, platform.violations
    result.report, result.seconds = ledger.report(), round(seconds, 1)
    told = [expected(readings, place) for place in range(len(TAGS))]
    wanted = {(cn, _stamp(cn, n)): n for cn in STEPS for n in range(len(told[0][cn]))}
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for (_, cn, data_time, _), packet in ledger.records.items():
        if cn in STEPS:
            found.setdefault((cn, data_time), []).append(packet.data)
    result.missing = len(wanted.keys() - found.keys())
    result.unexpected = len(found.keys() - wanted.keys())
    result.duplicates_after_dedup = sum(len(packets) - 1 for packets in found.values())
    for (cn, data_time), n in wanted.items():
        for data in found.get((cn, data_time), ()):
            for place, tag in enumerate(TAGS):
                result.wrong += _differences(f"{cn} {data_time} {tag}", told[place][cn][n], tag, data)
    return result


def _stamp(cn: str, number: int) -> str:
    return f"{_BEIJING_DAY + number * STEPS[cn]:%Y%m%d%H%M%S}"


def _differences(what: str, told: Told, tag: str, data: Mapping[str, str]) -> list[str]:
    code = CODES[tag]
    wrong = [f"{what}: Flag {data.get(f'{code}-Flag')}, not {told.flag}"] if (
        data.get(f"{code}-Flag") != told.flag
    ) else []  # fmt: skip
    unit = Fraction(1, 10 ** int(FORMATS[tag][-1]))
    for name, value in (("Avg", told.avg), ("Min", told.low), ("Max", told.high)):
        text = data.get(f"{code}-{name}")
        same = text is None if value is None else text is not None and _rounds_to(value, text, unit)
        wrong += [] if same else [f"{what}: {name} {text}, not {value}"]
    return wrong


def _rounds_to(value: Fraction | int, text: str, unit: Fraction) -> bool:
    return abs(Fraction(text) - value) <= unit / 2 + Fraction(1, 10**9)


def _plan() -> PeriodValues:
    return PeriodValues(
        tuple(
            PeriodTag(
                TagRef("stack", tag), TagRef("stack", tag), ValueType.INT32, "mg/m3",
                mean=Mean.SAMPLES, max_age_s=3.0 * STEP_S,
            )
            for tag in TAGS
        ),
        GRACE_S,
    )  # fmt: skip


def _settings(platform: Hj212Host) -> Hj212Settings:
    return Hj212Settings.model_validate(
        {
            "address": f"tcp://127.0.0.1:{platform.port}", "mn": MN, "pw": "123456", "st": "31",
            "factors": [
                {"tag": f"stack.{tag}", "code": CODES[tag], "format": FORMATS[tag]} for tag in TAGS
            ],
        }
    )  # fmt: skip
