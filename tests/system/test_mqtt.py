"""A running agent, Debian's mosquitto, a platform that subscribes: outage, backlog, order, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import Line
from tests.plant.mosquitto import Mosquitto
from tests.plant.mqtt import MqttPark
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

pytestmark = [pytest.mark.tool("mosquitto"), pytest.mark.timeout(240)]
ACK = {"ack_topic": "lineside/{agent}/ack"}
WAYS = pytest.mark.parametrize(
    "keys", [{"version": "5"}, {"version": "3.1.1", **ACK}], ids=["5-puback", "3.1.1-acknowledged"]
)
PATIENCE_S = 40.0
SLOWLY_S = 60.0
"""A broker of MQTT 3.1.1 that closes three connections without a word is tried once a minute."""


@dataclass(frozen=True, slots=True)
class Plant:
    site: Site
    broker: Mosquitto
    park: MqttPark

    @property
    def row(self) -> Any:
        return self.site.uplink()

    def delivered(self, segments: int, within_s: float = PATIENCE_S) -> None:
        eventually(
            f"{segments} segments at the park",
            lambda: self.park.report()["segments"] >= segments,
            within_s,
        )

    def drained(self, within_s: float = PATIENCE_S) -> None:
        eventually("the backlog is delivered", lambda: self.row["pending_segments"] <= 2, within_s)
        assert_conserved(self.site.status())

    def check_complete(self) -> dict[str, Any]:
        """Stops the agent: every poll of the press is at the park, once, in order within each lane."""
        self.site.stop()
        eventually("the platform is told", lambda: set(self.park.report()["states"].values()) == {"offline"})
        report = self.park.report()
        assert report["conflicts"] == 0 and report["schema_conflicts"] == 0 and report["problems"] == []
        assert self.park.missing("press-1", "polls") == 0
        assert report["missing"] == 0, report["gaps"]
        assert self.park.events("data_lost") == []
        return report


@contextmanager
def plant(tmp_path: Path, line: Line, keys: dict[str, Any]) -> Iterator[Plant]:
    """The agent runs, and delivers."""
    broker = Mosquitto(tmp_path / "broker", persistent=True)
    level = "5" if keys["version"] == "5" else "4"
    site = None
    try:
        broker.start()
        acks = ("--ack-topic", ACK["ack_topic"]) if "ack_topic" in keys else ()
        park = MqttPark(tmp_path, broker.port, "--level", level, *acks)
        try:
            uplink = {"type": "mqtt", "max_segments": 5, **keys}
            site = Site(tmp_path / "site", park.url, flush="200ms", uplink=uplink)
            site.press(line.link(), poll="100ms")
            site.start()
            running = Plant(site, broker, park)
            running.delivered(5)
            yield running
        finally:
            if site is not None:
                site.close()
            park.close()
    finally:
        broker.stop()


@WAYS
def test_an_outage_loses_nothing(tmp_path: Path, line: Line, keys: dict[str, Any]) -> None:
    with plant(tmp_path, line, keys) as running:
        running.broker.stop()
        eventually("the outage is seen", lambda: not running.row["up"], PATIENCE_S)
        eventually("a backlog grows", lambda: running.row["pending_segments"] >= 20, PATIENCE_S)
        assert_conserved(running.site.status())
        running.broker.start()
        running.drained()
        assert running.row["up"]
        report = running.check_complete()
        assert report["lanes"]["backlog"] > 0
        assert report["order"]["backlog"]["descents"] == 0


@WAYS
def test_a_broker_that_restarts_again_and_again_while_the_backlog_drains(
    tmp_path: Path, line: Line, keys: dict[str, Any]
) -> None:
    within_s = PATIENCE_S if keys["version"] == "5" else PATIENCE_S + SLOWLY_S
    with plant(tmp_path, line, keys) as running:
        running.broker.stop()
        eventually("a backlog grows", lambda: running.row["pending_segments"] >= 60, PATIENCE_S)
        for _ in range(3):
            before = running.park.report()["segments"]
            running.broker.start()
            running.delivered(before + 1, within_s)
            running.broker.stop()
        running.broker.start()
        running.drained(within_s)
        running.check_complete()


def test_the_agent_killed_leaves_a_will(tmp_path: Path, line: Line) -> None:
    with plant(tmp_path, line, {"version": "5"}) as running:
        running.site.kill()
        eventually("the broker tells", lambda: set(running.park.report()["states"].values()) == {"offline"})
        running.site.start()
        eventually("it is back", lambda: set(running.park.report()["states"].values()) == {"online"})


def test_nobody_subscribed_is_shown_with_its_cure(tmp_path: Path, line: Line) -> None:
    with _unheard(tmp_path, line) as site:
        eventually("it is not up", lambda: "require_subscriber" in str(site.uplink()), PATIENCE_S)
        assert site.uplink()["acknowledged_segments"] == 0


@contextmanager
def _unheard(tmp_path: Path, line: Line) -> Iterator[Site]:
    broker = Mosquitto(tmp_path / "broker").start()
    site = Site(tmp_path / "site", f"mqtt://127.0.0.1:{broker.port}", flush="200ms", uplink={"type": "mqtt"})
    try:
        site.press(line.link(), poll="100ms")
        site.start()
        yield site
    finally:
        site.close()
        broker.stop()
