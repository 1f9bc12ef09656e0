"""The agent as a process, a simulated press, Debian's mosquitto, a Sparkplug host application behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hardware_mocks.sparkplug_host import SparkplugHost
from hardware_mocks.sparkplug_wire import Value
from tests.plant.mocks import CALM, Line
from tests.plant.mosquitto import Mosquitto
from tests.plant.site import Site, assert_conserved

pytestmark = [pytest.mark.tool("mosquitto"), pytest.mark.timeout(240)]

PATIENCE_S = 100.0  # what was under way when a connection ended goes again after a minute
NODE = "park/hall-3"


class Plant:
    def __init__(self, folder: Path) -> None:
        self.line = Line(folder, "modbus", *CALM)
        self.broker = Mosquitto(folder / "mosquitto")
        self.broker.start()
        self.host = SparkplugHost(self.broker.port)
        self.site = Site(folder / "site", None, flush="500ms")
        uplink = {
            "name": "scada", "type": "sparkplug", "url": f"mqtt://127.0.0.1:{self.broker.port}",
            "group": "park", "node": "hall-3", "primary_host": "scada", "primary_wait": "2s",
            "keepalive": "2s", "confirm_after": "3s", "timeout": "2s",
        }  # fmt: skip
        self.site.write_main(uplinks=[uplink])
        self.site.press(self.line.link())

    @property
    def polls(self) -> list[Any]:
        return self.host.ledger.values("press-1", "polls")

    def missing(self, up_to: Value = None) -> int:
        """Readings of the press's own count of polls that the host application lacks."""
        polls = self.polls
        assert polls, "nothing has arrived"
        last = polls[-1] if up_to is None else up_to
        return len(set(range(polls[0], last)) - set(polls))

    async def status(self) -> Any:
        return await asyncio.to_thread(self.site.status)

    async def arrives(self, more: int) -> None:
        count = len(self.polls) + more
        await self.host.until(lambda: len(self.polls) >= count, f"no {count} readings", 30.0)


@pytest_asyncio.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    plant = await asyncio.to_thread(Plant, tmp_path)
    yield plant
    await plant.host.stop()
    await asyncio.to_thread(plant.site.close)
    plant.broker.stop()
    await asyncio.to_thread(plant.line.close)


async def test_an_outage_and_a_rebirth_cost_nothing(plant: Plant) -> None:
    host, ledger = plant.host, plant.host.ledger
    await host.start()
    await asyncio.to_thread(plant.site.start)
    await plant.arrives(5)
    await host.ask_rebirth(NODE)
    await host.until(lambda: ledger.nodes[NODE].births >= 2, "no rebirth")
    await plant.arrives(15)  # some of it is confirmed by now

    plant.broker.kill()
    await host.stop(orderly=False)
    before = plant.polls[-1]
    await asyncio.sleep(4)
    plant.broker.start()
    await host.start()
    await host.until(lambda: ledger.nodes[NODE].births >= 3, "not born again", 60.0)
    await plant.arrives(10)
    after = plant.polls[-1]
    await host.until(lambda: not plant.missing(after), "not all has arrived", PATIENCE_S)

    missed = [s for s in ledger.samples.values() if s.metric == "polls" and s.historical]
    assert len(missed) >= 10, "of 4 s at 5 readings a second"
    assert all(isinstance(s.value, int) and s.value >= before - 30 for s in missed)
    await plant.arrives(5)
    newest = max((s for s in ledger.samples.values() if s.metric == "polls"), key=lambda s: s.time_ms)
    assert not newest.historical
    assert (ledger.broken, ledger.gaps, ledger.changed, host.retained) == ([], 0, 0, 0)
    assert_conserved(await plant.status())
    acknowledged = plant.site.uplink()["acknowledged_samples"]
    assert acknowledged > 0, "nothing was ever outlived"

    await asyncio.to_thread(plant.site.stop)
    await host.until(lambda: not ledger.nodes[NODE].online, "no death")
    assert ledger.log[-1] == ("NDEATH", "")


async def test_data_is_held_back_until_the_primary_host_is_online(plant: Plant) -> None:
    host, ledger = plant.host, plant.host.ledger
    await host.start()
    await host.say(False)
    await asyncio.to_thread(plant.site.start)
    for _ in range(200):
        if "scada is not online" in plant.site.uplink()["reason"]:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(f"the status does not say why: {plant.site.uplink()}")
    assert not ledger.messages["NBIRTH"] + ledger.messages["DDATA"]
    await host.say(True)
    await host.until(lambda: ledger.messages["NBIRTH"], "not born", 60.0)
    await plant.arrives(10)
    after = plant.polls[-1]
    assert plant.polls[0] <= 3, "what was read while the host was away"
    await host.until(lambda: not plant.missing(after), "not all has arrived", PATIENCE_S)

    await host.say(False)
    await host.until(lambda: not ledger.nodes[NODE].online, "no death")
    count = ledger.messages["DDATA"]
    await asyncio.sleep(2)
    assert ledger.messages["DDATA"] == count, "data after the host had gone"
    await host.say(True)
    await plant.arrives(10)
    after = plant.polls[-1]
    await host.until(lambda: not plant.missing(after), "not all has arrived", PATIENCE_S)
    assert (ledger.broken, ledger.gaps, ledger.changed) == ([], 0, 0)


async def test_a_write_is_refused_and_on_record(plant: Plant) -> None:
    await plant.host.start()
    await asyncio.to_thread(plant.site.start)
    await plant.arrives(3)
    await plant.host.write(NODE, "press-1", "fan", 7)
    for _ in range(100):
        found = await asyncio.to_thread(plant.site.events)
        refused = [event for event in found if "refused" in event["kind"]]
        if refused:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(f"not on record: {found}")
    assert "press-1.fan" in str(refused)
    assert plant.host.ledger.broken == []


async def test_a_controller_that_goes_takes_its_device_with_it(plant: Plant) -> None:
    host, ledger = plant.host, plant.host.ledger
    await host.start()
    await asyncio.to_thread(plant.site.start)
    await plant.arrives(3)
    await asyncio.to_thread(plant.line.fault, "silent")
    await host.until(lambda: ("DDEATH", "press-1") in ledger.log, "no death of the device", 30.0)
    await asyncio.to_thread(plant.line.fault, "ok")
    await host.until(lambda: "press-1" in ledger.nodes[NODE].devices, "not born again", 30.0)
    await plant.arrives(5)
    await host.until(lambda: ledger.values("press-1", "pressure")[-1] is not None, "no value")
    assert (ledger.broken, ledger.gaps) == ([], 0)
