"""``edge-agent doctor``: a fault is planted, its cause is named; nothing planted, nothing said."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import ROOT, Child, eventually, post
from tests.plant.site import Site, command, free_port

OK, FINDINGS, USAGE, UNREACHABLE, PERMISSION, UNUSABLE = 0, 1, 2, 4, 5, 78
NODE = "nsu=urn:lineside:simulated-line;s=Line"
HOLDS_A_PORT = """
import serial, sys, time
port = serial.Serial(sys.argv[1], exclusive=True)
print("ready", flush=True)
time.sleep(60)
"""
FLOATS = [("pressure", "hr:2", "float32"), ("fan", "hr:10", "uint16"), ("planted", "hr:40", "float32")]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """One controller of each protocol."""
    line = Line(tmp_path_factory.mktemp("line"), "line", *CALM)
    yield line
    line.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    """Files only; the agent is not started unless a test does."""
    site = Site(tmp_path / "site", None)
    yield site
    site.close()


def doctor(site: Site, *names: str, code: int, **how: Any) -> dict[str, dict[str, Any]]:
    """Verdicts by subject; each device's findings without notes as codes under ``codes``."""
    done = command("doctor", *names, "--config", site.config, "--json", timeout_s=90, **how)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    found = {verdict["subject"]: verdict for verdict in json.loads(done.stdout)["verdicts"]}
    for verdict in found.values():
        verdict["codes"] = [f["code"] for f in verdict["findings"] if f["kind"] != "note"]
    return found


def doctor_codes(site: Site, name: str) -> list[str]:
    done = command("doctor", name, "--config", site.config, "--json", timeout_s=90)
    return [finding["code"] for finding in json.loads(done.stdout)["verdicts"][0]["findings"]]


def only(site: Site, name: str, code: int, **how: Any) -> dict[str, Any]:
    """The one finding about the one device."""
    verdict = doctor(site, name, code=code, **how)[name]
    findings = [f for f in verdict["findings"] if f["kind"] != "note"]
    assert len(findings) == 1, verdict
    found: dict[str, Any] = findings[0]
    return found


# -- nothing planted


def test_healthy_devices_have_no_finding(plant: Line, place: Site) -> None:
    place.device("press-1", FLOATS, driver="modbus", link=plant.link())
    place.device("press-2", [("cdab", "hr:42", "float32")], driver="modbus", link=plant.link(), station=2,
                 byte_order="CDAB")  # fmt: skip
    place.device("furnace-1", [("setpoint", "DB1.DBD16", "float32"), ("running", "DB1.DBX44.0", "bool")],
                 driver="s7", link=plant.link("s7"))  # fmt: skip
    place.device(
        "meters-1", [("running", f"{NODE}.Running", "bool")], driver="opcua", link=plant.link("opcua")
    )
    names = ("press-1", "press-2", "furnace-1", "meters-1")
    for _ in range(3):
        verdicts = doctor(place, *names, code=OK)
        assert {name: verdict["findings"] for name, verdict in verdicts.items()} == {
            name: [] for name in names
        }


def test_the_devices_are_asked_little(plant: Line, place: Site) -> None:
    """One read of what is configured, and one more look at the floats."""
    place.device("press-1", FLOATS, driver="modbus", link=plant.link(), max_gap=0)
    before = plant.state()["requests"]
    doctor(place, "press-1", code=OK)
    assert plant.state()["requests"] - before <= 6
    eventually("it has hung up", lambda: plant.state()["connections"] == 0)


# -- Modbus


@pytest.mark.parametrize("order", ["CDAB", "BADC", "DCBA"])
def test_wrong_byte_order(plant: Line, place: Site, order: str) -> None:
    place.device("press-1", FLOATS, driver="modbus", link=plant.link(), byte_order=order)
    finding = only(place, "press-1", FINDINGS)
    assert finding["code"] == "modbus_byte_order"
    assert "ABCD" in finding["cure"] and "--try-orders" in finding["cure"] and "press-1" in finding["cure"]
    assert "123.456" in finding["message"]


def test_wrong_address_base_where_the_address_is_refused(plant: Line, place: Site) -> None:
    """400350 is hr:349, the last there is; who takes the number for one from zero asks for hr:350."""
    tags = [("last", "hr:350", "uint16"), ("first", "hr:100", "uint16")]
    place.device("press-1", tags, driver="modbus", link=plant.link())
    finding = only(place, "press-1", FINDINGS)
    assert finding["code"] == "modbus_address_base"
    assert "hr:349" in finding["message"] and "last" in finding["message"]


def test_wrong_address_base_where_another_value_is_read(plant: Line, place: Site) -> None:
    place.device("press-1", [("planted", "hr:41", "float32")], driver="modbus", link=plant.link())
    finding = only(place, "press-1", FINDINGS)
    assert finding["code"] == "modbus_address_base"
    assert "hr:40" in finding["message"] and "123.456" in finding["message"]


def test_the_other_table(plant: Line, place: Site) -> None:
    """Input registers begin where holding registers have a hole: the temperature of ir:0 written as a coil's
    place is refused, and so is one far away."""
    place.device("press-1", [("far", "hr:9000", "uint16")], driver="modbus", link=plant.link())
    assert only(place, "press-1", FINDINGS)["code"] == "modbus_no_address"


def test_dead_station(plant: Line, place: Site) -> None:
    place.device("press-1", FLOATS, driver="modbus", link=plant.link(), station=77)
    finding = only(place, "press-1", UNREACHABLE)
    assert finding["code"] == "modbus_station_silent"
    assert "77" in finding["message"] and "1" in finding["message"]


def test_a_station_that_says_nothing(plant: Line, place: Site) -> None:
    place.device("press-3", FLOATS, driver="modbus", link=plant.link(), station=3)
    plant.fault("silent", unit=3)
    try:
        assert only(place, "press-3", UNREACHABLE)["code"] == "modbus_station_silent"
    finally:
        plant.fault("ok", unit=3)


# -- the network


def test_the_network(place: Site) -> None:
    tags = [("fan", "hr:10", "uint16")]
    place.device("closed", tags, driver="modbus", link=f"tcp://127.0.0.1:{free_port()}")
    place.device(
        "closed-s7", [("x", "DB1.DBD0", "float32")], driver="s7", link=f"tcp://127.0.0.1:{free_port()}"
    )
    place.device("closed-ua", [("x", f"{NODE}.Running", "bool")], driver="opcua",
                 link=f"opc.tcp://127.0.0.1:{free_port()}")  # fmt: skip
    place.device("nameless", tags, driver="modbus", link="tcp://plc.invalid:502")
    verdicts = doctor(place, "closed", "closed-s7", "closed-ua", "nameless", code=UNREACHABLE)
    codes = {name: verdict["codes"] for name, verdict in verdicts.items()}
    assert codes == {"closed": ["net_refused"], "closed-s7": ["net_refused"], "closed-ua": ["net_refused"],
                     "nameless": ["net_dns"]}  # fmt: skip


# -- S7


def test_put_get_off(plant: Line, place: Site) -> None:
    place.device("furnace-1", [("setpoint", "DB1.DBD16", "float32")], driver="s7", link=plant.link("s7"))
    plant.fault("put_get_off", "s7")
    try:
        finding = only(place, "furnace-1", FINDINGS)
        assert finding["code"] == "s7_put_get" and "PUT/GET" in finding["cure"]
        text = command("doctor", "furnace-1", "--config", place.config, "--lang", "zh").stdout
        assert "s7_put_get" in text and "允许来自远程对象的 PUT/GET 通信访问" in text
    finally:
        plant.fault("ok", "s7")
    assert doctor(place, "furnace-1", code=OK)["furnace-1"]["findings"] == []


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [("password", "s7_password", "error 0xD602"), ("protected", "s7_access", "setpoint DB1.DBD16"),
     ("stopped", "s7_stop", "STOP")],
)  # fmt: skip
def test_what_the_cpu_denies(plant: Line, place: Site, fault: str, code: str, words: str) -> None:
    place.device("furnace-1", [("setpoint", "DB1.DBD16", "float32")], driver="s7", link=plant.link("s7"))
    plant.fault(fault, "s7")
    try:
        finding = only(place, "furnace-1", FINDINGS)
        assert finding["code"] == code and words in finding["message"]
    finally:
        plant.fault("ok", "s7")


def test_no_connection_left(plant: Line, place: Site) -> None:
    place.device("furnace-1", [("setpoint", "DB1.DBD16", "float32")], driver="s7", link=plant.link("s7"))
    plant.fault("no_connection", "s7")
    try:
        finding = only(place, "furnace-1", UNREACHABLE)
        assert finding["code"] == "s7_no_connection" and "none is free" in finding["message"]
        text = command("doctor", "furnace-1", "--config", place.config, "--lang", "zh").stdout
        assert "没有空闲的连接" in text and "congestion" not in text
    finally:
        plant.fault("ok", "s7")


@pytest.mark.parametrize(
    ("address", "slot", "code"),
    [("DB1.DBD126", 1, "s7_db_short"), ("DB9.DBD0", 1, "s7_optimised"), ("MD300", 1, "s7_no_address"),
     ("DB1.DBD16", 3, "s7_rack_slot")],
)  # fmt: skip
def test_what_else_an_s7_refuses(plant: Line, place: Site, address: str, slot: int, code: str) -> None:
    tags = [("wanted", address, "float32"), ("setpoint", "DB1.DBD16", "float32")]
    place.device("furnace-1", tags, driver="s7", link=plant.link("s7"), slot=slot)
    finding = only(place, "furnace-1", FINDINGS)
    assert finding["code"] == code
    if code == "s7_db_short":
        assert "128" in finding["message"] and "130" in finding["message"]
    if code == "s7_rack_slot":
        assert "slot 1" in finding["message"]


# -- OPC UA


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = Line(tmp_path_factory.mktemp("secured"), "opcua", "--user", "lineside:right", *CALM)
    yield line
    line.close()


def oven(site: Site, line: Line, **settings: Any) -> Path:
    """A device behind a secured server; the folder of its certificates."""
    pki = site.root / "pki"
    security = {"security_policy": "Basic256Sha256", "pki": str(pki)} | settings
    site.device(
        "oven-1",
        [("running", f"{NODE}.Running", "bool")],
        driver="opcua",
        link=line.link("opcua"),
        **security,
    )
    return pki


def trust(pki: Path) -> None:
    for file in (pki / "rejected").glob("*.der"):
        file.rename(pki / "trusted" / file.name)


def with_password(site: Site, secret: str) -> dict[str, Any]:
    folder = site.config / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "oven").write_text(secret, encoding="utf-8")
    (folder / "oven").chmod(0o600)
    return {"user": "lineside"}


def add_password(site: Site) -> None:
    """The writer of YAML cannot write the tag."""
    with (site.config / "devices.d" / "oven-1.yaml").open("a", encoding="utf-8") as file:
        file.write("password: !secret oven\n")


@pytest.mark.timeout(180)  # seven processes, each of which loads the OPC UA library
def test_untrusted_certificate_and_how_to_trust_it(secured: Line, place: Site) -> None:
    """Following the cures one after the other ends with a device that is well."""
    user = with_password(place, "wrong")
    pki = oven(place, secured, **user)
    add_password(place)
    finding = only(place, "oven-1", FINDINGS)
    assert finding["code"] == "opcua_server_untrusted"
    assert re.search(r"mv '\S+/rejected/\S+\.der' '\S+/trusted/'", finding["cure"])
    trust(pki)
    assert only(place, "oven-1", FINDINGS)["code"] == "opcua_own_missing"
    assert not (pki / "own").exists(), "a diagnosis makes no keys"
    command("read", "oven-1", "--config", place.config)
    assert only(place, "oven-1", FINDINGS)["code"] == "opcua_user"
    with_password(place, "right")
    assert doctor(place, "oven-1", code=OK)["oven-1"]["findings"] == []


def test_who_may_come_without_a_name(secured: Line, place: Site) -> None:
    pki = oven(place, secured)
    only(place, "oven-1", FINDINGS)
    trust(pki)
    command("read", "oven-1", "--config", place.config)
    assert only(place, "oven-1", FINDINGS)["code"] == "opcua_identity"


def test_security_that_is_not_offered(secured: Line, place: Site, plant: Line) -> None:
    oven(place, plant)
    assert only(place, "oven-1", FINDINGS)["code"] == "opcua_security"
    oven(place, secured, security_policy="None")
    finding = only(place, "oven-1", FINDINGS)
    assert finding["code"] == "opcua_security" and "Basic256Sha256 SignAndEncrypt" in finding["message"]


@pytest.mark.parametrize(
    ("option", "code"), [("--distrusting", "opcua_client_untrusted"), ("--valid-days=-0", "")]
)
def test_our_certificate_at_the_server(tmp_path: Path, place: Site, option: str, code: str) -> None:
    line = Line(tmp_path, "opcua", "--secured", option, *CALM)
    try:
        pki = oven(place, line)
        assert only(place, "oven-1", FINDINGS)["code"] == (
            "opcua_server_untrusted" if code else "opcua_expired"
        )
        if not code:
            return
        trust(pki)
        command("read", "oven-1", "--config", place.config)
        finding = only(place, "oven-1", FINDINGS)
        assert finding["code"] == code and "own/certificate.der" in finding["cure"]
    finally:
        line.close()


def test_a_certificate_that_runs_out_soon(tmp_path: Path, place: Site) -> None:
    line = Line(tmp_path, "opcua", "--secured", "--valid-days=5", *CALM)
    try:
        pki = oven(place, line)
        only(place, "oven-1", FINDINGS)
        trust(pki)
        command("read", "oven-1", "--config", place.config)
        finding = only(place, "oven-1", FINDINGS)
        assert finding["code"] == "opcua_server_soon" and re.search(r"\d{4}-\d\d-\d\d", finding["message"])
    finally:
        line.close()


def test_a_clock_that_stands_still(tmp_path: Path, place: Site) -> None:
    line = Line(tmp_path, "opcua", *CALM)
    try:
        place.device("oven-1", [("running", f"{NODE}.Running", "bool")], driver="opcua",
                     link=line.link("opcua"))  # fmt: skip
        line.fault("clock_stopped", "opcua")
        eventually("the difference is noticed",
                   lambda: doctor_codes(place, "oven-1") == ["opcua_clock"], deadline_s=30)  # fmt: skip
    finally:
        line.close()


def test_a_node_that_is_not_there(plant: Line, place: Site) -> None:
    place.device("meters-1", [("a", f"{NODE}.Running", "bool"), ("b", f"{NODE}.Nowhere", "bool")],
                 driver="opcua", link=plant.link("opcua"))  # fmt: skip
    finding = only(place, "meters-1", FINDINGS)
    assert (
        finding["code"] == "opcua_no_node" and "b " in finding["message"] and "a " not in finding["message"]
    )


# -- a serial bus


class Bus:
    """``python -m hardware_mocks modbus-rtu``: its pseudo-terminal, and a port for faults."""

    def __init__(self, folder: Path) -> None:
        arguments = ["hardware_mocks", "modbus-rtu", "--control-port", "0", "--with-parent", *CALM]
        self.child = Child(arguments, folder / "bus.log")
        self.port = str(self.child.ports["modbus"])

    def fault(self, fault: str, **more: Any) -> None:
        where = f"http://127.0.0.1:{self.child.ports['control']}/control"
        post(where, {"server": "modbus", "fault": fault, **more})


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    yield bus
    bus.child.stop()


def meter(site: Site, port: str, **settings: Any) -> None:
    site.device("meter-1", [("fan", "hr:10", "uint16")], driver="modbus", link=f"rtu://{port}", **settings)


def test_a_healthy_bus(bus: Bus, place: Site) -> None:
    meter(place, bus.port)
    assert doctor(place, "meter-1", code=OK)["meter-1"]["findings"] == []


def test_wrong_parity(bus: Bus, place: Site) -> None:
    meter(place, bus.port)
    bus.fault("parity")
    finding = only(place, "meter-1", FINDINGS)
    assert finding["code"] == "modbus_line_noise" and "8E1" in finding["message"]


def test_a_dead_station_on_a_bus(bus: Bus, place: Site) -> None:
    meter(place, bus.port, station=9)
    finding = only(place, "meter-1", UNREACHABLE)
    assert finding["code"] == "modbus_station_silent" and "same link: 1" in finding["message"]


def test_a_port_that_is_not_there(place: Site) -> None:
    meter(place, "/dev/serial/by-id/usb-nobody-port0")
    assert only(place, "meter-1", UNREACHABLE)["code"] == "serial_missing"


def test_a_port_that_is_taken(bus: Bus, place: Site) -> None:
    """By whom is said with name and process id."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_PORT, bus.port],
        stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert select.select([holder.stdout], [], [], 20)[0], "the other program has the port"
        meter(place, bus.port)
        finding = only(place, "meter-1", FINDINGS)
        assert finding["code"] == "serial_taken"
        assert f"(PID {holder.pid})" in finding["message"] and "python" in finding["message"]
    finally:
        holder.kill()
        holder.communicate()
    assert doctor(place, "meter-1", code=OK)["meter-1"]["findings"] == []


def test_a_port_without_permission(bus: Bus, place: Site, tmp_path: Path) -> None:
    folder = tmp_path / "forbidden"
    folder.mkdir()
    (folder / "tty").symlink_to(bus.port)
    meter(place, bus.port)
    Path(bus.port).chmod(0)
    try:
        finding = only(place, "meter-1", PERMISSION, powerless=True)
    finally:
        Path(bus.port).chmod(0o620)
    assert finding["code"] == "serial_permission"
    assert re.search(r"sudo usermod -aG \S+ \S+", finding["cure"])


# -- beside a running agent


def test_a_running_agent_is_asked_and_left_alone(plant: Line, bus: Bus, place: Site) -> None:
    """The agent has the port and the S7's connection; another Modbus TCP connection harms nobody."""
    place.press(plant.link())
    place.device("furnace-1", [("setpoint", "DB1.DBD16", "float32")], driver="s7", link=plant.link("s7"),
                 poll="200ms")  # fmt: skip
    meter(place, bus.port, poll="200ms")
    place.start()
    eventually("all are up", lambda: [d["state"] for d in place.status()["devices"]].count("up") == 3)
    connects = [place.row(name)["connects"] for name in ("furnace-1", "meter-1")]
    verdicts = doctor(place, "press-1", "furnace-1", "meter-1", code=OK)
    assert [place.row(name)["connects"] for name in ("furnace-1", "meter-1")] == connects
    assert {name: v["seen"] for name, v in verdicts.items()} == {
        "press-1": "direct", "furnace-1": "agent", "meter-1": "agent"
    }  # fmt: skip
    assert [f["code"] for f in verdicts["meter-1"]["findings"]] == ["agent_holds"]
    plant.fault("put_get_off", "s7")
    try:
        setpoint = lambda: place.tags("furnace-1")["setpoint"]["quality"]  # noqa: E731
        eventually("the agent has met it", lambda: setpoint() == "bad_config")
        verdict = doctor(place, "furnace-1", code=FINDINGS)["furnace-1"]
        assert (verdict["seen"], verdict["codes"]) == ("agent", ["s7_put_get"])
    finally:
        plant.fault("ok", "s7")
    bus.fault("silent")
    eventually("the agent hears nothing", lambda: place.row("meter-1")["state"] != "up")
    verdict = doctor(place, "meter-1", code=UNREACHABLE)["meter-1"]
    assert (verdict["seen"], verdict["codes"]) == ("agent", ["modbus_station_silent"])
    place.stop()


# -- destinations


def test_destinations(tmp_path: Path) -> None:
    park = Park(tmp_path)
    site = Site(tmp_path / "site", park.url)
    try:
        assert doctor(site, "park", code=OK)["park"]["findings"] == []
        for mode, code in (("401", "up_auth"), ("404", "up_path"), ("503", "up_answer")):
            park.mood(mode)
            assert only(site, "park", FINDINGS)["code"] == code
        assert park.report()["segments"] == 0 if "segments" in park.report() else True
    finally:
        park.close()
        assert only(site, "park", UNREACHABLE)["code"] == "net_refused"
        site.close()


# -- usage


def test_a_name_that_is_none(place: Site) -> None:
    done = command("doctor", "press-9", "--config", place.config)
    assert done.returncode == USAGE and "press-9" in done.stderr and "self" in done.stderr


def test_self_needs_no_sound_configuration(place: Site) -> None:
    (place.config / "devices.d" / "broken.yaml").write_text("device: [", encoding="utf-8")
    done = command("doctor", "self", "--config", place.config, "--json")
    assert done.returncode in (OK, FINDINGS)
    assert json.loads(done.stdout)["verdicts"][0]["endpoint"] == str(place.state)
    assert command("doctor", "--config", place.config).returncode == UNUSABLE
