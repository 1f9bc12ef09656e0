"""``browse`` shows what is in a device, and what it writes as a tag table passes ``check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardware_mocks.faults import Behaviour, Fault
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.opcua import NAMESPACE, OpcUaServer
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit
from hardware_mocks.s7 import S7Server
from hardware_mocks.s7areas import ACCESS_DENIED, DB
from tests.plant.site import free_port
from tests.unit.cli.beside import Beside, run

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_LANGUAGE", "en")


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_how_long_it_takes_is_told_once_somebody_is_there(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    server = plant.start(ModbusServer.of_line(Process(1)))
    words = ("browse", "modbus", f"127.0.0.1:{server.port}", "--from", "38", "--count", "6")
    assert run(*words) == 0
    assert capsys.readouterr().err.count("At most") == 1
    assert run("browse", "modbus", f"127.0.0.1:{free_port()}", *words[3:]) == 4
    assert "At most" not in capsys.readouterr().err


def test_a_tree_becomes_a_tag_table_that_check_passes(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = plant.start(OpcUaServer(Process()))
    folder = tmp_path / "line"
    (folder / "devices.d").mkdir(parents=True)
    (folder / "tags.d").mkdir()
    table = folder / "tags.d" / "oven.csv"
    where = f"opc.tcp://127.0.0.1:{server.port}"
    assert run("browse", "opcua", where, "--csv", str(table)) == 0
    assert "tags written" in capsys.readouterr().out
    (folder / "edge-agent.yaml").write_text(f"line: line-1\nstate_dir: {tmp_path}\n", encoding="utf-8")
    (folder / "devices.d" / "oven.yaml").write_text(
        f"device: oven\ndriver: opcua\nlink: {where}\npoll: {{fast: 1s}}\ntags: oven.csv\n", encoding="utf-8"
    )
    assert run("check", "--config", str(folder)) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert run("read", "oven", "line_press_pressure", "--config", str(folder), "--json") == 0
    (row,) = answer(capsys)["tags"]
    assert row["quality"] == "good"
    assert run("browse", "opcua", where, "--csv", str(table)) == 1, "nothing is overwritten"
    assert "exists" in capsys.readouterr().err
    assert run("browse", "oven", "--config", str(folder), "--json") == 0
    names = [tag["name"] for tag in answer(capsys)["tags"]]
    assert "line_fan_speed" in names and len(names) == len(set(names))
    assert server.writes == 0


def test_a_part_of_a_tree(plant: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    server = plant.start(OpcUaServer(Process()))
    where = f"opc.tcp://127.0.0.1:{server.port}"
    assert run("browse", where, "--from", "i=2254", "--json") == 1
    assert "no readable variables" in capsys.readouterr().err
    assert run("browse", where, "--from", "what?") == 1
    assert "not a node id" in capsys.readouterr().err
    assert run("browse", where, "--from", f"nsu={NAMESPACE};s=Line.Fan.Speed") == 1


def test_the_blocks_of_a_controller(plant: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    server = plant.start(S7Server(Process(1)))
    server.areas.blocks |= {number: bytearray(2 * number) for number in range(100, 300)}
    server.told.piece = 64
    where = f"127.0.0.1:{server.port}"
    assert run("browse", "s7", where, "--json") == 0
    told = {place["block"]: place["size_bytes"] for place in answer(capsys)["places"]}
    assert told == {f"DB{n}": size for n, size in server.areas.lengths().items()}
    assert server.write_requests == 0


def test_a_cpu_that_does_not_list_its_blocks(plant: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    server = plant.start(S7Server(Process(1)))
    server.told.blocks = False
    server.areas.blocks[57] = bytearray(1023)
    server.areas.item_errors[(DB, 3)] = ACCESS_DENIED
    where = f"127.0.0.1:{server.port}"
    assert run("browse", "s7", where, "--json") == 0
    told = answer(capsys)
    assert {p["block"]: p["size_bytes"] for p in told["places"]} == {
        "DB1": 128, "DB2": 512, "DB4": 12, "DB57": 1023,
    }  # fmt: skip
    assert "does not tell its blocks" in told["notes"][0]
    assert server.requests < 5 + 4 * 20, "twenty blocks in a request, lengths by halving"


@pytest.mark.parametrize("told", [True, False])
def test_the_bytes_of_a_block_and_what_they_may_mean(
    told: bool, plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    server = plant.start(S7Server(Process(1)))
    server.told.blocks = told
    server.areas.blocks[7] = bytearray.fromhex("41200000 fffe0001 4f4b2100 07")
    where = f"127.0.0.1:{server.port}"
    assert run("browse", "s7", where, "--db", "7", "--json") == 0
    places = answer(capsys)["places"]
    assert [p["address"] for p in places] == ["DB7.DBB0", "DB7.DBB4", "DB7.DBB8", "DB7.DBB12"]
    assert places[0]["real"] == 10.0 and places[0]["dint"] == 0x41200000
    assert (places[1]["int"], places[1]["int+2"]) == (-2, 1)
    assert places[2]["text"] == "OK!." and places[3]["raw"] == "07"
    assert run("browse", "s7", where, "--db", "2", "--from", "300", "--size", "300", "--json") == 0
    places = answer(capsys)["places"]
    shown = bytes.fromhex("".join(p["raw"] for p in places))
    assert shown == bytes(n % 256 for n in range(300, 512)), "over several requests, to the block's end"
    assert run("browse", "s7", where, "--db", "99", "--lang", "zh") == 4
    assert "优化的块访问" in capsys.readouterr().err


def test_registers_that_answer_and_what_they_read_as(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    server = plant.start(ModbusServer({1: LineUnit(Process(1))}))
    where = f"127.0.0.1:{server.port}"
    words = ("browse", "modbus", where, "--unit", "1", "--table", "hr")
    assert run(*words, "--from", "0", "--count", "200", "--json") == 0
    told = answer(capsys)
    places = {place["address"]: place for place in told["places"]}
    exist = {*range(30), *range(40, 54), *range(100, 200)}
    assert set(places) == {f"hr:{offset}" for offset in exist}
    assert places["hr:40"]["float32"] == pytest.approx(123.456)
    assert places["hr:42"]["float32_cdab"] == pytest.approx(123.456)
    assert places["hr:48"]["int32"] == -123456
    assert (places["hr:124"]["uint16"], places["hr:125"]["uint16"]) == (1124, 1125)
    assert places["hr:124"]["int32"] == 1124 << 16 | 1125, "a value across two requests"
    assert "float32" not in places["hr:29"], "its second register does not exist"
    assert "56 of 200" in told["notes"][0]
    assert server.writes.total() == 0
    assert run(*words, "--from", "30", "--count", "5") == 4
    assert run("browse", "modbus", where, "--table", "co", "--count", "8", "--json") == 0
    assert [p["address"] for p in answer(capsys)["places"]] == [f"co:{n}" for n in range(8)]


def test_put_get_off_is_named(plant: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    server = plant.start(S7Server(Process(1)))
    plant.call(server.set_fault(None, Behaviour(Fault.PUT_GET_OFF)))
    for language, cure in (("en", "Permit PUT/GET"), ("zh", "请在 CPU 属性中允许 PUT/GET")):
        assert run("browse", "s7", f"127.0.0.1:{server.port}", "--db", "1", "--lang", language) == 1
        assert cure in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    for words in (
        ("opcua", f"127.0.0.1:{port}"),
        ("s7", f"127.0.0.1:{port}"),
        ("modbus", f"127.0.0.1:{port}"),
    ):
        assert run("browse", *words) == 4
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("s7",),
        ("ads", "127.0.0.1"),
        ("10.0.0.5",),
        ("s7", "127.0.0.1", "--db", "x"),
        ("modbus", "127.0.0.1", "--csv", "new.csv"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_cannot_be_meant(
    words: tuple[str, ...], language: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("browse", *words, "--lang", language) == 2
    assert "Traceback" not in capsys.readouterr().err
