"""Guarded writes over real sockets: what arrives at a simulated controller, and above all what does not."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from drivers.opcua import PLUGIN as OPCUA
from drivers.s7 import PLUGIN as S7
from drivers.sim import PLUGIN as SIM
from edge_agent.acquisition import ConnectGate, JobFailed, WorkerHost
from edge_agent.agent.links import Links
from edge_agent.agent.tasks import Tasks
from edge_agent.agent.write_facts import moment
from edge_agent.clock import SystemClock
from edge_agent.config.model import Configuration, Device, LimitKind, WriteLevel
from edge_agent.control.alarms import AlarmCommand, Verb
from edge_agent.control.guard import Outcome, Permit, WriteRequest
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.status import Board
from edge_agent.systemd import Progress
from hardware_mocks.faults import Behaviour, Fault
from hardware_mocks.opcua import OpcUaServer
from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server
from tests.plant.writing import BEAT_S, PRESS, Mute, Plant, press, ref, writing

PATIENCE_S = 0.4  # of a controller whose fallback is looked at


@pytest_asyncio.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with press() as (server, process, configuration):
        async with Plant(server, process, configuration).running(tmp_path) as plant:
            await plant.beating()
            yield plant


@pytest_asyncio.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Plant]:
    """Without heartbeats and outputs: nothing is written but what the test asks for."""
    async with press() as (server, process, configuration):
        async with Plant(server, process, configuration).running(tmp_path, supervised=False) as plant:
            plant.writes.facts.heartbeat_ok = lambda device: True  # type: ignore[method-assign]
            yield plant


async def test_a_permitted_write_arrives_and_is_read_back(plant: Plant) -> None:
    on_disk: list[list[str]] = []
    plant.spy.before_write = lambda device, tag: on_disk.append(
        [e.kind for _, e in plant.store.recent(5)] if tag == "setpoint" else []
    )
    token = plant.arm()
    outcome = await plant.ask("setpoint", 0.42, token, comment="shift change")
    assert outcome.ok and outcome.kind == "write_done", outcome
    assert (outcome.before, outcome.value, outcome.raw) == (0.4, 0.42, 420)
    assert plant.process.pressure_setpoint_mpa == pytest.approx(0.42)
    assert next(kinds for kinds in on_disk if kinds)[0] == "write_intent", "on record before it was sent"
    assert plant.frames() - plant.frames(32) - plant.frames(33) == 1
    await plant.until(lambda: [e.kind for _, e in plant.store.recent(1)] == ["write_done"], "the end on disk")
    assert token not in repr(plant.said), "the token is nowhere in the record"


async def test_a_read_back_that_differs_locks_the_device_out(plant: Plant) -> None:
    token = plant.arm()
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_CLAMP, most=410))
    outcome = await plant.ask("setpoint", 0.42, token)
    assert outcome.kind == "write_mismatch" and not outcome.ok
    assert "0.42" in outcome.text.en and "0.41" in outcome.text.en
    assert {"write_mismatch", "write_locked"} <= set(plant.kinds())
    await plant.server.set_fault(1, Behaviour())
    sent = plant.frames(17)
    again = await plant.ask("setpoint", 0.41, token)
    assert (again.kind, again.reason) == ("write_refused", "locked_out")
    assert plant.frames(17) == sent == 1, "no second try"


async def test_a_value_that_is_acknowledged_and_not_taken_is_noticed(plant: Plant) -> None:
    token = plant.arm()
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_STUCK))
    assert (await plant.ask("setpoint", 0.42, token)).kind == "write_mismatch"


async def test_a_write_that_is_not_answered_is_not_repeated(quiet: Plant) -> None:
    """It took effect, as it may; the agent says that it does not know."""
    token = quiet.arm()
    await quiet.server.set_fault(1, Behaviour(Fault.WRITE_LOST))
    outcome = await quiet.ask("setpoint", 0.42, token)
    assert outcome.kind == "write_failed" and "nobody knows" in outcome.text.en
    failed = next(e for e in quiet.said if e.kind == "write_failed")
    assert failed.detail["certain"] is False
    await quiet.server.set_fault(1, Behaviour())
    await asyncio.sleep(0.5)
    assert quiet.frames() == quiet.frames(17) == 1
    assert quiet.process.pressure_setpoint_mpa == pytest.approx(0.42)
    facts = quiet.writes.facts
    await quiet.until(lambda: (facts.reading(ref("setpoint")) or (None,))[0] == 420, "seen by a poll")
    assert (await quiet.ask("setpoint", 0.43, token)).ok


async def test_without_a_record_nothing_is_written(plant: Plant) -> None:
    token = plant.arm()
    plant.refuses_commits = True
    outcome = await plant.ask("setpoint", 0.42, token)
    assert (outcome.kind, outcome.reason) == ("write_refused", "audit_unavailable")
    for _ in range(5):
        assert (await plant.ask("setpoint", 0.42, token)).reason == "audit_unavailable"
    assert plant.writes.guard.locked() == frozenset(), "the disk is at fault, not the device"
    plant.refuses_commits = False
    stuck = asyncio.Event()

    async def hang(events: Any, states: Any) -> bool:
        await stuck.wait()
        return True

    plant.writes._commit = hang
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    outcome = await plant.ask("setpoint", 0.42, token)
    assert outcome.reason == "audit_unavailable"
    assert 0.9 < loop.time() - began_s < 3.0
    assert plant.frames(17) == 0
    plant.writes._commit = plant.commit
    assert (await plant.ask("setpoint", 0.42, token)).ok


async def test_a_dry_run_does_everything_but_the_write(plant: Plant) -> None:
    token = plant.arm()
    outcome = await plant.ask("setpoint", 0.42, token, dry_run=True)
    assert outcome.kind == "write_dry_run" and outcome.ok and outcome.before == 0.4
    assert plant.frames(17) == 0


async def test_the_end_of_a_ttl_takes_the_value_back(plant: Plant) -> None:
    token = plant.arm()
    outcome = await plant.ask("fan", 1300, token)
    assert outcome.ok and plant.process.fan_setpoint_rpm == 1300
    await plant.until(lambda: "write_reverted" in plant.kinds(), "reverted")
    assert plant.process.fan_setpoint_rpm == 1450
    assert plant.frames(402) == 2


async def test_a_full_disk_does_not_keep_a_value_beyond_its_time(plant: Plant) -> None:
    token = plant.arm()
    assert (await plant.ask("fan", 1300, token)).ok
    plant.refuses_commits = True
    await plant.until(lambda: plant.process.fan_setpoint_rpm == 1450, "reverted all the same")


async def test_writes_to_one_device_follow_each_other(plant: Plant) -> None:
    token = plant.arm()
    asked = [plant.ask("setpoint", 0.40 + n / 1000, token) for n in range(1, 6)]
    outcomes = await asyncio.gather(*asked)
    assert [o.kind for o in outcomes] == ["write_done"] * 5, [o.text.en for o in outcomes]
    assert plant.frames(17) == 5


async def test_a_write_ends_with_the_link_it_was_on(quiet: Plant) -> None:
    """A reload takes the device away while its controller does not answer."""
    token = quiet.arm()
    await quiet.server.set_fault(1, Behaviour(Fault.WRITE_LOST))
    asking = asyncio.get_running_loop().create_task(quiet.ask("setpoint", 0.42, token))
    await quiet.until(lambda: quiet.frames(17) == 1, "it is on the wire")
    await quiet.links.apply(replace(quiet.configuration, devices=()))
    async with asyncio.timeout(5):
        outcome = await asking
    assert outcome.kind == "write_failed" and "nobody knows" in outcome.text.en
    assert quiet.writes.guard._open == {}, "the guard is not left waiting for its end"


async def test_a_value_is_not_written_by_another_table_than_it_was_judged_by(quiet: Plant) -> None:
    token = quiet.arm()
    configuration, press_device = quiet.configuration, quiet.configuration.devices[0]
    tags = tuple(replace(t, address="hr:402") if t.name == "setpoint" else t for t in press_device.tags)
    moved = replace(configuration, devices=(replace(press_device, tags=tags), configuration.devices[1]))

    async def commit_and_reload(events: Any, states: Any) -> bool:
        if not events:  # the last thing before the write
            quiet.writes.configure(moved)
        return await quiet.commit(events, states)

    quiet.writes._commit = commit_and_reload
    outcome = await quiet.ask("setpoint", 0.42, token)
    assert (outcome.kind, outcome.reason) == ("write_refused", "reconfigured")
    assert quiet.server.writes.total() == 0


async def test_a_write_that_the_agent_breaks_off_is_on_record(quiet: Plant) -> None:
    token = quiet.arm()
    await quiet.server.set_fault(1, Behaviour(Fault.WRITE_LOST))
    asking = asyncio.get_running_loop().create_task(quiet.ask("setpoint", 0.42, token))
    await quiet.until(lambda: quiet.frames(17) == 1, "it is on the wire")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    failed = [e for e in quiet.said if e.kind == "write_failed"]
    assert len(failed) == 1 and failed[0].detail["certain"] is False
    assert quiet.writes.guard._open == {}


async def test_in_local_nothing_is_written(plant: Plant) -> None:
    token = plant.arm()
    plant.process.remote = False
    facts = plant.writes.facts
    await plant.until(lambda: (facts.reading(ref("remote")) or (True,))[0] is False, "seen")
    outcome = await plant.ask("setpoint", 0.42, token)
    assert outcome.reason == "precondition_false"
    assert plant.frames(17) == 0


# Lock-outs are heard


async def test_a_lock_out_sounds_until_it_is_silenced_or_unlocked(plant: Plant) -> None:
    """On the very device that is locked out. Its heartbeat stops, so that it falls back."""
    token, process, guard = plant.arm(), plant.process, plant.writes.guard
    await plant.until(lambda: plant.frames(32) == 1 and plant.frames(33) == 1, "asserted at the start")
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_CLAMP, most=410))
    assert (await plant.ask("setpoint", 0.42, token)).kind == "write_mismatch"
    await plant.until(lambda: process.horn and process.lamp, "on without any alarm of a window")
    await plant.server.set_fault(1, Behaviour())
    assert [row["device"] for row in guard.status(moment(plant.clock))["locked"]] == [PRESS]
    beats = plant.frames(400)
    await asyncio.sleep(3 * BEAT_S)
    assert plant.frames(400) == beats, "no beat"
    assert (await plant.ask("fan", 1300, token)).reason == "locked_out"

    silence = AlarmCommand(Verb.SILENCE, user="li")
    plant.alarms.command(silence, moment(plant.clock))
    await plant.until(lambda: not process.horn, "silenced")
    assert process.lamp, "this one is not"
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: process.horn, "until something new")
    plant.alarm(LimitKind.HIGH, on=False)
    plant.alarms.command(AlarmCommand(Verb.ACK, name="press.pressure.high", user="li"), moment(plant.clock))
    await asyncio.sleep(0.6)
    assert process.horn and process.lamp, "the device is still locked out"
    audit = guard.unlock(PRESS, "li", "the valve was in manual", moment(plant.clock))
    plant.announce(audit.events, audit.states)
    await plant.until(lambda: not (process.horn or process.lamp), "off")
    await plant.until(lambda: plant.frames(400) > beats, "and it beats again")


async def test_a_new_lock_out_ends_a_silence(plant: Plant) -> None:
    token, process = plant.arm(), plant.process
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: process.horn, "on")
    plant.alarms.command(AlarmCommand(Verb.SILENCE, user="li"), moment(plant.clock))
    await plant.until(lambda: not process.horn, "silenced")
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_CLAMP, most=410))
    assert (await plant.ask("setpoint", 0.42, token)).kind == "write_mismatch"
    await plant.until(lambda: process.horn, "on again")


async def test_a_lock_out_sounds_again_after_a_restart(tmp_path: Path) -> None:
    async with press() as (server, process, configuration):
        async with Plant(server, process, configuration).running(tmp_path) as plant:
            await plant.beating()
            await server.set_fault(1, Behaviour(Fault.WRITE_CLAMP, most=410))
            assert (await plant.ask("setpoint", 0.42, plant.arm())).kind == "write_mismatch"
            await plant.until(lambda: process.horn, "on")
            await plant.until(lambda: "write_locked" in [e.kind for _, e in plant.store.recent(9)], "stored")
        await server.set_fault(1, Behaviour())
        process.horn = process.lamp = False
        async with Plant(server, process, configuration).running(tmp_path) as again:
            await again.until(lambda: process.horn and process.lamp, "on again")


# Heartbeat


async def test_without_the_agents_heartbeat_the_controller_falls_back(tmp_path: Path) -> None:
    """And a restarted agent beats again, but writes nothing until a person arms it."""
    async with press(heartbeat_s=PATIENCE_S) as (server, process, configuration):
        async with Plant(server, process, configuration).running(tmp_path) as plant:
            await plant.beating()
            token = plant.arm()
            assert (await plant.ask("setpoint", 0.42, token)).ok
            beats = process.heartbeat.beats
            await asyncio.sleep(5 * BEAT_S)
            assert process.heartbeat.beats >= beats + 3
            assert process.heartbeat.losses == 0
        stopped_s = process.time_s
        await plant.until(lambda: process.heartbeat.lost, "it falls back")
        assert process.time_s - stopped_s <= 3 * PATIENCE_S + 0.3
        assert process.pressure_setpoint_mpa == 0.40
        sent = plant.frames(17)

        async with Plant(server, process, configuration).running(tmp_path) as again:
            await again.beating()
            await again.until(lambda: not process.heartbeat.lost, "the controller hears it again")
            outcome = await again.ask("setpoint", 0.42, token)
            assert outcome.reason == "not_armed", "the token of the run before is worth nothing"
            await asyncio.sleep(3 * BEAT_S)
            assert process.pressure_setpoint_mpa == 0.40
            assert again.frames(17) == sent
            assert (await again.ask("setpoint", 0.42, again.arm())).ok


async def test_a_stuck_heartbeat_stops_writing(plant: Plant) -> None:
    token = plant.arm()
    await plant.server.set_fault(1, Behaviour(Fault.SILENT))
    await plant.until(lambda: not plant.writes.facts.heartbeat_ok(PRESS), "noticed")
    await plant.server.set_fault(1, Behaviour())
    await plant.until(lambda: plant.board.devices[PRESS].up, "it answers again")
    await plant.beating()
    assert (await plant.ask("setpoint", 0.42, token)).ok, "after it was written again"


async def test_the_kill_switch_ends_heartbeat_and_writes(plant: Plant) -> None:
    token = plant.arm()
    plant.process.heartbeat.period_s = PATIENCE_S
    audit = plant.writes.guard.kill("wang", True, moment(plant.clock))
    plant.announce(audit.events, audit.states)
    await asyncio.sleep(0.1)
    count = len(plant.server.written)
    await plant.until(lambda: plant.process.heartbeat.lost, "the controller is left to itself")
    plant.alarm(LimitKind.HIGH, on=True)
    assert (await plant.ask("setpoint", 0.42, token)).reason == "kill_switch"
    await asyncio.sleep(0.3)
    assert len(plant.server.written) == count


# Annunciation


async def test_horn_and_lamp_follow_the_alarms(plant: Plant) -> None:
    process = plant.process
    await plant.until(lambda: plant.frames(32) == 1 and plant.frames(33) == 1, "asserted at the start")
    assert not (process.horn or process.lamp)
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: process.horn and process.lamp, "on")
    at = moment(plant.clock)
    plant.alarms.command(AlarmCommand(Verb.ACK, name="press.pressure.high", user="li"), at)
    plant.writes.look()
    await plant.until(lambda: not process.horn, "the horn is off")
    assert process.lamp, "still active"
    plant.alarm(LimitKind.HIGH, on=False)
    await plant.until(lambda: not process.lamp, "the lamp is off")
    await asyncio.sleep(0.6)
    assert (plant.frames(32), plant.frames(33)) == (3, 3), "written when something changed, and only then"


async def test_an_output_is_told_again_when_its_device_comes_back(plant: Plant) -> None:
    process = plant.process
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: process.horn, "on")
    await plant.server.set_fault(None, Behaviour(Fault.REFUSE))
    await plant.until(lambda: not plant.board.devices[PRESS].up, "gone")
    process.horn = False  # it was restarted
    sent = len(plant.server.written)
    await asyncio.sleep(0.5)
    assert len(plant.server.written) == sent
    await plant.server.set_fault(None, Behaviour())
    await plant.until(lambda: process.horn, "on again", within_s=20)


async def test_an_output_that_somebody_else_drops_comes_back(plant: Plant) -> None:
    """A second master, or the PLC's own program, resets the coil; no connection is lost."""
    process, guard = plant.process, plant.writes.guard
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: process.horn and process.lamp, "on")
    await plant.until(lambda: (plant.writes.facts.reading(ref("horn")) or (None,))[0] is True, "polled")
    sent = plant.frames(32)
    reader, writer = await asyncio.open_connection("127.0.0.1", plant.server.port)
    try:
        writer.write(bytes.fromhex("0001 0000 0006 01 05 0020 0000"))
        await writer.drain()
        async with asyncio.timeout(5):
            assert await reader.readexactly(12) == bytes.fromhex("0001 0000 0006 01 05 0020 0000")
    finally:
        writer.close()
        await writer.wait_closed()
    assert not process.horn and plant.frames(32) == sent + 1
    await plant.until(lambda: process.horn, "on again")
    told = [e for e in plant.said if e.kind == "write_mismatch"]
    assert [(e.source, e.detail["cause"]) for e in told] == [("press.horn", "dropped")]

    def held() -> bool:
        return all(row["mismatch"] is None for row in guard.status(moment(plant.clock))["writables"])

    await plant.until(held, "confirmed")
    assert plant.frames(32) == sent + 2 and process.lamp, "once, and the lamp was left alone"
    assert guard.locked() == frozenset()


async def test_a_full_disk_does_not_silence_the_horn(plant: Plant) -> None:
    plant.refuses_commits = True
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: plant.process.horn, "on")


async def test_a_horn_that_does_not_sound_is_told_again_and_stops_nothing_else(plant: Plant) -> None:
    token, process, guard = plant.arm(), plant.process, plant.writes.guard
    await plant.until(lambda: plant.frames(32) == 1 and plant.frames(33) == 1, "asserted at the start")
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_STUCK))
    plant.alarm(LimitKind.HIGH, on=True)

    def mismatches() -> dict[str, int]:
        rows = guard.status(moment(plant.clock))["writables"]
        return {row["tag"]: row["mismatch"]["times"] for row in rows if row["mismatch"]}

    await plant.until(lambda: len(mismatches()) == 2 and min(mismatches().values()) >= 2, "noticed, retried")
    assert sorted(e.source for e in plant.said if e.kind == "write_mismatch") == ["press.horn", "press.lamp"]
    assert "write_locked" not in plant.kinds() and guard.locked() == frozenset()
    assert plant.frames(32) <= 5, "politely"
    await plant.server.set_fault(1, Behaviour())
    assert (await plant.ask("setpoint", 0.42, token)).ok, "the set-point is written all the same"
    await plant.until(lambda: process.horn and process.lamp, "it sounds at last")
    await plant.until(lambda: mismatches() == {}, "and nothing is shown any more")


async def test_a_read_back_that_lasts_does_not_hold_up_the_horn(plant: Plant) -> None:
    """The set-point is acknowledged and not taken, so that its read-back lasts as long as it may."""
    token = plant.arm()
    await plant.until(lambda: plant.frames(32) == 1 and plant.frames(33) == 1, "asserted at the start")
    guard = plant.writes.guard
    guard._list[ref("setpoint")] = replace(guard._list[ref("setpoint")], verify_within_s=3.0)
    plant.writes._writing = replace(plant.writes._writing, writables=tuple(guard._list.values()))
    await plant.server.set_fault(1, Behaviour(Fault.WRITE_STUCK, times=1))
    plant.writes.facts.beats.due = lambda at: []  # type: ignore[method-assign] # a beat would take the fault
    asking = asyncio.get_running_loop().create_task(plant.ask("setpoint", 0.42, token))
    await plant.until(lambda: plant.frames(17) == 1, "it is on the wire")
    plant.alarm(LimitKind.HIGH, on=True)
    await plant.until(lambda: plant.process.horn and plant.process.lamp, "on", within_s=2)
    assert not asking.done()
    assert (await asking).kind == "write_mismatch"


async def test_a_horn_in_between_takes_nobody_the_turn(plant: Plant) -> None:
    token, go_on, read = plant.arm(), asyncio.Event(), plant.spy.read
    await plant.until(lambda: plant.frames(32) == 1 and plant.frames(33) == 1, "asserted at the start")

    async def slow(device: str, tag_name: str) -> Any:
        if tag_name == "setpoint" and plant.frames(17):
            await go_on.wait()
        return await read(device, tag_name)

    plant.spy.read = slow  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    first = loop.create_task(plant.ask("setpoint", 0.41, token))
    await plant.until(lambda: plant.frames(17) == 1, "it is on the wire")
    plant.alarm(LimitKind.HIGH, on=True)
    rows = plant.writes.outputs.rows
    await plant.until(lambda: all(row["wanted"] and row["told"] for row in rows()), "horn and lamp are on")
    second = loop.create_task(plant.ask("setpoint", 0.42, token))
    await asyncio.sleep(0.1)
    assert not second.done(), "it waits for the first"
    go_on.set()
    assert (await first).ok and (await second).ok


# Other drivers, by single reads and writes of their links


@asynccontextmanager
async def links_to(*devices: Device) -> AsyncIterator[Links]:
    clock, board = SystemClock(), Board()
    host = WorkerHost(
        clock, board, ConnectGate(clock), Mute(), Random(1), board.record, lambda key: None
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        links = Links(host, Tasks(group), Progress())
        await links.apply(Configuration("line", "v1", Path(), devices=devices))
        async with asyncio.timeout(20):
            while not all(row.up for row in board.devices.values()):  # noqa: ASYNC110 - of links
                await asyncio.sleep(0.01)
        try:
            yield links
        finally:
            await links.stop()


async def test_a_bit_of_an_s7_controller_is_written_only_where_its_byte_is_exclusive() -> None:
    process = Process(1)
    server = S7Server(process)
    await server.start()
    settings = S7.settings.model_validate(
        {"link": f"tcp://127.0.0.1:{server.port}", "exclusive_bytes": ["DB4.DBB2"]}
    )
    tags = (
        Tag("horn", "DB4.DBX2.0", ValueType.BOOL, wire="bool"),
        Tag("remote", "DB4.DBX3.0", ValueType.BOOL, wire="bool"),
        Tag("pressure", "DB4.DBD4", ValueType.FLOAT32, wire="real"),
    )
    device = Device("oven", "s7", S7, settings, tags, {"default": 0.2})
    try:
        async with links_to(device) as links:
            await links.write("oven", "horn", True)
            assert process.horn
            assert await links.read("oven", "horn") == (True, Quality.GOOD)
            await links.write("oven", "pressure", 0.5)
            assert await links.read("oven", "pressure") == (0.5, Quality.GOOD)
            assert server.write_requests == 2
            with pytest.raises(JobFailed, match="exclusive_bytes") as caught:
                await links.write("oven", "remote", False)
            assert (caught.value.reason, caught.value.uncertain) == ("refused", False)
            assert server.write_requests == 2, "it was never sent"
    finally:
        await server.close()


async def test_a_node_of_an_opc_ua_server() -> None:
    server = OpcUaServer(Process(1))
    await server.start()
    settings = OPCUA.settings.model_validate({"link": f"opc.tcp://127.0.0.1:{server.port}"})
    tags = (
        Tag("free", "ns=2;s=Sample.Writable", ValueType.FLOAT32),
        Tag("fixed", "ns=2;s=Sample.Float", ValueType.FLOAT32),
    )
    device = Device("cell", "opcua", OPCUA, settings, tags, {"default": 0.2})
    try:
        async with links_to(device) as links:
            await links.write("cell", "free", 1.5)
            assert (await links.read("cell", "free"))[0] == 1.5
            with pytest.raises(JobFailed) as caught:
                await links.write("cell", "fixed", 1.5)
            assert (caught.value.reason, caught.value.uncertain) == ("refused", False)
        assert server.state()["writes"] == 2
    finally:
        await server.close()


async def test_the_driver_without_controllers_only_reads() -> None:
    settings = SIM.settings.model_validate({})
    device = Device("x", "sim", SIM, settings, (Tag("a", "constant:5", ValueType.INT16),), {"default": 1.0})
    async with links_to(device) as links:
        assert await links.read("x", "a") == (5, Quality.GOOD)
        with pytest.raises(JobFailed) as caught:
            await links.write("x", "a", 1)
        assert caught.value.reason == "not_writable"
        with pytest.raises(JobFailed) as caught:
            await links.read("y", "a")
        assert caught.value.reason == "unknown"


# What must never reach a controller


async def test_ten_thousand_forbidden_requests_leave_no_trace_on_the_wire(tmp_path: Path) -> None:
    """Every reason for which a request is refused while it is judged, again and again; the controller counts
    no request that writes. No heartbeat runs here, so that not one is to be expected."""
    async with press(level=WriteLevel.SETPOINT) as (server, process, configuration):
        plant = Plant(server, process, configuration)
        async with plant.running(tmp_path, supervised=False):
            seen: Counter[str] = Counter()
            beats: Counter[str] = Counter()
            async with asyncio.timeout(40):
                for number in range(10):
                    for tag, value, more in _forbidden_values():
                        where = beats if more["who"] == "heartbeat" else seen
                        _note(where, await plant.ask(tag, value, **more), "")
                    for situation in SITUATIONS:
                        await situation(plant, seen)
                    assert server.writes.total() == 0, f"round {number}"
            assert seen.total() + beats.total() >= 10_000, seen.total()
            assert seen.keys() >= EXPECTED, EXPECTED - seen.keys()
            guard = plant.writes.guard
            closed_by_hand = Counter(unreadable=10)  # in ``_moment``, once a round
            assert guard.journal.reasons == seen + closed_by_hand, "each is counted, but for beats"
            assert guard.journal.outcomes["refused"] == guard.journal.reasons.total()
            told = plant.kinds().count("write_refused")
            assert told < 400, f"{told} events"
            assert server.writes.total() == 0 and server.requests.total() > 0
            assert process.pressure_setpoint_mpa == 0.40


EXPECTED = {
    "writes_off", "not_listed", "who", "level", "incomplete", "kill_switch", "not_armed", "token_expired",
    "token_wrong", "locked_out", "type", "not_a_number", "type_range", "out_of_range", "device_down",
    "heartbeat_lost", "critical_alarm", "precondition_unknown", "precondition_false", "input_bad",
    "input_stale", "recommended", "approval_missing", "step", "rate", "busy", "interval", "budget_tag",
    "budget_all", "unreadable", "changed_meanwhile", "no_way_back",
}  # fmt: skip
EACH = 45


def _note(seen: Counter[str], outcome: Outcome, reason: str) -> None:
    assert outcome.kind == "write_refused", outcome
    assert not reason or outcome.reason == reason, f"{outcome.reason} instead of {reason}: {outcome.text.en}"
    seen[outcome.reason] += 1


async def _many(plant: Plant, seen: Counter[str], reason: str, tag: str, value: Any, **more: Any) -> None:
    for _ in range(EACH):
        _note(seen, await plant.ask(tag, value, **more), reason)


def _forbidden_values() -> list[tuple[str, Any, dict[str, Any]]]:
    """Without any token."""
    sources = ("operator", "uplink:park", "annunciation", "heartbeat", "spc", "")
    return [
        (tag, value, {"who": who, "device": device})
        for device in (PRESS, "other", "nobody")
        for tag in ("setpoint", "secret", "pressure", "nothing")
        for value in (0.42, 1e9, -1, math.nan, math.inf, True, "0.42", None)
        for who in sources
    ]


async def _not_armed(plant: Plant, seen: Counter[str]) -> None:
    await _many(plant, seen, "not_listed", "secret", 100)
    await _many(plant, seen, "who", "setpoint", 0.42, who="uplink:park")
    await _many(plant, seen, "not_armed", "setpoint", 0.42)
    await _many(plant, seen, "not_armed", "setpoint", 0.42, token="guess")


async def _armed(plant: Plant, seen: Counter[str]) -> None:
    guard = plant.writes.guard
    token = plant.arm()
    await _many(plant, seen, "token_wrong", "setpoint", 0.42, token="guess")
    await _many(plant, seen, "heartbeat_lost", "setpoint", 0.42, token=token)
    for value, reason in ((math.nan, "not_a_number"), (math.inf, "not_a_number"), ("0.4", "type"),
                          (1e6, "type_range"), (0.46, "out_of_range"), (0.2, "out_of_range")):  # fmt: skip
        await _many(plant, seen, reason, "setpoint", value, token=token)
    beats, plant.writes.facts.heartbeat_ok = plant.writes.facts.heartbeat_ok, lambda device: True  # type: ignore[method-assign]
    plant.alarm(LimitKind.HIHI, on=True)
    await _many(plant, seen, "critical_alarm", "setpoint", 0.42, token=token)
    plant.alarm(LimitKind.HIHI, on=False)
    await _process(plant, seen, token)
    await _many(plant, seen, "step", "setpoint", 0.31, token=token)
    await _many(plant, seen, "approval_missing", "zone1", 851, token=token)
    plant.writes.facts.heartbeat_ok = beats  # type: ignore[method-assign]
    old, guard.arming._until_mono_ns = guard.arming._until_mono_ns, 1
    await _many(plant, seen, "token_expired", "setpoint", 0.42, token=token)
    guard.arming._until_mono_ns = old
    guard.disarm("li", moment(plant.clock))


async def _process(plant: Plant, seen: Counter[str], token: str) -> None:
    """What is read of the process forbids it."""
    plant.process.remote = False
    facts, board = plant.writes.facts, plant.board.devices
    await plant.until(lambda: (facts.reading(ref("remote")) or (True,))[0] is False, "local is seen")
    await _many(plant, seen, "precondition_false", "setpoint", 0.42, token=token)
    plant.process.remote = True
    for device in (PRESS, "other"):
        remote = ref("remote", device)
        await plant.until(lambda r=remote: (facts.reading(r) or (False,))[0] is True, "remote is seen")  # type: ignore[misc]
    row = board[PRESS].groups["default"]
    latest = row.latest
    assert latest is not None
    for tag, reason in (("remote", "precondition_unknown"), ("pressure", "input_bad")):
        quality = bytearray(latest.quality)
        quality[latest.schema.names.index(tag)] = 0x84
        row.latest = replace(latest, quality=bytes(quality))
        await _instantly(plant, seen, reason, token)
    row.latest = replace(latest, mono_ns=latest.mono_ns - 60_000_000_000)
    await _instantly(plant, seen, "precondition_unknown", token)
    list_ = plant.writes.guard._list
    listed = list_[ref("setpoint")]
    list_[ref("setpoint")] = replace(listed, when=())
    row.latest = replace(latest, mono_ns=latest.mono_ns - 60_000_000_000)
    await _instantly(plant, seen, "incomplete", token)
    list_[ref("setpoint")] = replace(listed, when=(ref("remote", "other"),))
    row.latest = replace(latest, mono_ns=latest.mono_ns - 60_000_000_000)
    await _instantly(plant, seen, "input_stale", token)
    list_[ref("setpoint")] = listed
    state, board[PRESS].state = board[PRESS].state, "silent"
    await _instantly(plant, seen, "device_down", token)
    board[PRESS].state = state
    row.latest = latest
    await plant.until(lambda: row.latest is not latest, "polled again")


async def _instantly(plant: Plant, seen: Counter[str], reason: str, token: str) -> None:
    """Judged without giving the event loop a turn, so that no poll mends what was made up."""
    for _ in range(EACH):
        request = WriteRequest(ref("setpoint"), 0.42, user="li", token=token)
        coroutine = plant.writes.execute(request)
        try:
            coroutine.send(None)
        except StopIteration as end:
            _note(seen, end.value, reason)
        else:
            coroutine.close()
            pytest.fail(f"a request that should have been refused ({reason}) waits for something")


async def _locked(plant: Plant, seen: Counter[str]) -> None:
    guard = plant.writes.guard
    token = plant.arm()
    guard.books.device(PRESS).lock("a mismatch", 1)
    await _many(plant, seen, "locked_out", "setpoint", 0.42, token=token)
    guard.unlock(PRESS, "li", "found", moment(plant.clock))
    guard.kill("li", True, moment(plant.clock))
    await _many(plant, seen, "kill_switch", "setpoint", 0.42, token=token)
    guard.kill("li", False, moment(plant.clock))
    await _many(plant, seen, "not_armed", "setpoint", 0.42, token=token)


async def _levels(plant: Plant, seen: Counter[str]) -> None:
    guard, at = plant.writes.guard, moment(plant.clock)
    usual, tags = guard.writing, guard._tags
    reasons = {
        WriteLevel.OBSERVE: "writes_off",
        WriteLevel.ALARM: "level",
        WriteLevel.RECOMMEND: "recommended",
    }
    for level, reason in reasons.items():
        guard.reconfigure(writing(level=level), tags, "v1", at)
        await _many(plant, seen, reason, "setpoint", 0.42)
    guard.reconfigure(usual, tags, "v1", at)


async def _moment(plant: Plant, seen: Counter[str]) -> None:
    """Not now: another write, one just before, budgets that are used up."""
    guard, facts = plant.writes.guard, plant.writes.facts
    token = plant.arm()
    beats, facts.heartbeat_ok = facts.heartbeat_ok, lambda device: True  # type: ignore[method-assign]
    listed = guard._list[ref("setpoint")]
    permit = guard.judge(
        WriteRequest(ref("setpoint"), 0.41, user="li", token=token), facts, moment(plant.clock)
    )
    assert isinstance(permit, Permit)
    await _many(plant, seen, "busy", "setpoint", 0.42, token=token)
    guard.before(permit, None, moment(plant.clock), Quality.BAD)
    guard.books.tag(ref("setpoint")).sent_mono_ns = plant.clock.mono_ns()
    guard._list[ref("setpoint")] = replace(listed, min_interval_s=600)
    await _many(plant, seen, "interval", "setpoint", 0.42, token=token)
    guard._list[ref("setpoint")] = replace(listed, max_rate=1e-6)
    await _many(plant, seen, "rate", "setpoint", 0.42, token=token)
    guard._list[ref("setpoint")] = replace(listed, per_day=0)
    await _many(plant, seen, "budget_tag", "setpoint", 0.42, token=token)
    guard._list[ref("setpoint")] = listed
    guard.books.tags.clear()
    usual, guard.writing = guard.writing, replace(guard.writing, per_day=0)
    await _many(plant, seen, "budget_all", "setpoint", 0.42, token=token)
    guard.writing = usual
    await _found(plant, seen, token)
    facts.heartbeat_ok = beats  # type: ignore[method-assign]
    guard.disarm("li", moment(plant.clock))


async def _found(plant: Plant, seen: Counter[str], token: str) -> None:
    """Read before the write, the controller turns out not to be as it was taken to be."""
    process, facts = plant.process, plant.writes.facts

    def shows(tag: str, raw: int) -> bool:
        return (facts.reading(ref(tag)) or (None,))[0] == raw

    for _ in range(5):
        await plant.until(lambda: shows("setpoint", 400), "polled")
        process.pressure_setpoint_mpa = 0.41  # at the panel, between two polls
        process.step(0.0)  # the registers show it
        _note(seen, await plant.ask("setpoint", 0.42, token), "changed_meanwhile")
        process.pressure_setpoint_mpa = 0.40
    process.fan_setpoint_rpm = 1700.0
    await plant.until(lambda: shows("fan", 1700), "polled")
    for _ in range(5):
        _note(seen, await plant.ask("fan", 1300, token), "no_way_back")
    process.fan_setpoint_rpm = 1450.0
    await plant.until(lambda: shows("setpoint", 400) and shows("fan", 1450), "polled")
    read = plant.spy.links

    class Deaf:
        async def read(self, device: str, tag_name: str) -> Any:
            raise JobFailed("no answer", reason="timeout")

    plant.spy.links = Deaf()  # type: ignore[assignment]
    for _ in range(5):
        _note(seen, await plant.ask("setpoint", 0.42, token), "unreadable")
    plant.spy.links = read


SITUATIONS = (_not_armed, _armed, _locked, _levels, _moment)
