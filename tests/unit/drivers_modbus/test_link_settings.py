"""Where a device is, as people write it, and the mistakes found before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.modbus import PLUGIN
from drivers.modbus.endpoint import Endpoint, endpoint
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.link_bus import ModbusBusLink
from drivers.modbus.settings import ModbusSettings
from edge_agent.config.loader import load
from edge_agent.errors import ConfigurationError
from edge_agent.settings import Problem


def made(link: str, **keys: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"link": link, **keys})


@pytest.mark.parametrize(
    ("link", "where", "full"),
    [
        ("tcp://10.0.0.21", Endpoint("tcp", "10.0.0.21", 502), "tcp://10.0.0.21:502"),
        ("tls://plc-1/", Endpoint("tls", "plc-1", 802), "tls://plc-1:802"),
        ("tls://[::1]:8802", Endpoint("tls", "::1", 8802), "tls://[::1]:8802"),
        ("rtu+tcp://10.0.0.9:4001", Endpoint("rtu+tcp", "10.0.0.9", 4001), "rtu+tcp://10.0.0.9:4001"),
        ("ascii+tcp://gw:4001", Endpoint("ascii+tcp", "gw", 4001), "ascii+tcp://gw:4001"),
        ("rtu:///dev/ttyUSB0", Endpoint("rtu", device="/dev/ttyUSB0"), "rtu:///dev/ttyUSB0"),
        (
            "ascii:///dev/serial/by-id/usb-X_1:2.0-port0",
            Endpoint("ascii", device="/dev/serial/by-id/usb-X_1:2.0-port0"),
            "ascii:///dev/serial/by-id/usb-X_1:2.0-port0",
        ),
    ],
)
def test_links(link: str, where: Endpoint, full: str) -> None:
    assert endpoint(link) == where
    settings = made(link)
    assert settings.link == full
    assert made(settings.link) == settings, "a validated link must validate again"


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("tcp://h", ModbusTcpLink),
        ("tls://h", ModbusTcpLink),
        ("rtu+tcp://h:1", ModbusBusLink),
        ("ascii+tcp://h:1", ModbusBusLink),
        ("rtu:///dev/ttyS0", ModbusBusLink),
        ("ascii:///dev/ttyS0", ModbusBusLink),
    ],
)
def test_the_scheme_chooses_the_link(link: str, kind: type) -> None:
    assert type(PLUGIN.open_link(made(link))) is kind


def test_defaults_are_filled_in_where_the_link_implies_them() -> None:
    serial, network = made("rtu:///dev/ttyS0"), made("tcp://h")
    assert (serial.baud, serial.parity, serial.data_bits, serial.stop_bits) == (9600, "even", 8, 1)
    assert (serial.framing, network.framing, network.baud) == ("rtu", "mbap", None)
    assert serial == made("rtu:///dev/ttyS0", baud=9600, framing="rtu")


def test_a_framing_that_contradicts_the_link() -> None:
    with pytest.raises(ValidationError) as caught:
        made("rtu:///dev/ttyS0", framing="ascii")
    (error,) = caught.value.errors()
    assert error["type"] == "modbus_framing"
    assert error["ctx"]["zh"] and error["ctx"]["cure_zh"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("baud", 0),
        ("baud", "fast"),
        ("parity", "mark"),
        ("data_bits", 9),
        ("stop_bits", 3),
        ("turnaround", 5),
        ("rs485", "perhaps"),
    ],
)
def test_values_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        made("rtu:///dev/ttyS0", **{key: value})


def problems(link: str, **keys: Any) -> list[Problem]:
    return PLUGIN.check(made(link, **keys), ())


@pytest.mark.parametrize(
    ("link", "keys", "expected"),
    [
        ("tls://h", {}, [("E-MB-010", "link"), ("W-MB-105", "link")]),
        ("tls://h", {"ca_file": "a"}, [("W-MB-105", "link")]),
        ("tls://h", {"ca_file": "a", "cert_file": "b"}, []),
        ("tls://h", {"ca_file": "a", "key_file": "b"}, [("E-MB-011", "key_file")]),
        ("tcp://h", {"ca_file": "a", "cert_file": "b"}, [("E-MB-012", "ca_file")]),
        ("rtu+tcp://h:1", {"key_file": "b"}, [("E-MB-012", "key_file")]),
        ("rtu:///dev/ttyUSB0", {}, [("W-MB-106", "link")]),
        ("ascii:///dev/ttyACM12", {}, [("W-MB-106", "link")]),
        ("rtu:///dev/ttyS0", {}, []),
        ("rtu:///dev/serial/by-id/x", {"data_bits": 7}, [("E-MB-013", "data_bits")]),
        ("ascii:///dev/serial/by-id/x", {"data_bits": 7}, []),
    ],
)
def test_mistakes_of_the_link(link: str, keys: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = problems(link, **keys)
    assert [(problem.code, problem.path[0]) for problem in found] == expected
    for problem in found:
        assert problem.warning == problem.code.startswith("W-")
        assert problem.message.zh and problem.cure.zh


def configured(folder: Path, *devices: str) -> None:
    (folder / "devices.d").mkdir()
    (folder / "tags.d").mkdir()
    (folder / "edge-agent.yaml").write_text("line: test\n")
    (folder / "tags.d" / "t.csv").write_text("name,address,type\nx,hr:0,uint16\n")
    for index, keys in enumerate(devices):
        text = f"device: d{index}\ndriver: modbus\nstation: {index + 1}\npoll: 1s\ntags: t.csv\n{keys}\n"
        (folder / "devices.d" / f"d{index}.yaml").write_text(text)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("baud: 9600", "baud: 19200"),
        ("parity: even", "parity: none"),
        ("stop_bits: 1", "stop_bits: 2"),
        ("turnaround: 5ms", ""),
        ("local_echo: true", ""),
        ("rs485: true", ""),
    ],
)
def test_devices_on_one_bus_must_agree(first: str, second: str, tmp_path: Path) -> None:
    """Reached by two names of the port, which are one bus."""
    port = tmp_path / "port"
    port.write_text("")
    alias = tmp_path / "alias"
    alias.symlink_to(port)
    configured(tmp_path, f"link: rtu://{port}\n{first}", f"link: rtu://{alias}\n{second}")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    option = first.partition(":")[0]
    assert any(option in problem.message.en for problem in caught.value.problems)


def test_one_bus_does_not_speak_two_framings(tmp_path: Path) -> None:
    configured(tmp_path, "link: rtu:///dev/ttyS9", "link: ascii:///dev/ttyS9")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert any("framing" in problem.message.en for problem in caught.value.problems)


def test_devices_that_agree_share_their_bus(tmp_path: Path) -> None:
    configured(tmp_path, "link: rtu:///dev/ttyS9\nbaud: 9600", "link: rtu:///dev/ttyS9")
    assert len({device.link_key for device in load(tmp_path).devices}) == 1


def test_certificate_files_are_meant_from_the_configuration_directory(tmp_path: Path) -> None:
    configured(tmp_path, "link: tls://h\nca_file: tls/ca.pem\ncert_file: tls/a.pem\nkey_file: /k.pem")
    (device,) = load(tmp_path).devices
    settings: Any = device.settings
    assert Path(settings.ca_file) == tmp_path / "tls" / "ca.pem"
    assert Path(settings.key_file) == Path("/k.pem")


def test_the_name_that_stays_is_printed_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usb-FTDI-port0").symlink_to("/dev/ttyUSB7")
    monkeypatch.setattr("drivers.modbus.port_names.BY_ID", tmp_path)
    (found,) = problems("rtu:///dev/ttyUSB7")
    assert f"link: rtu://{tmp_path}/usb-FTDI-port0" in found.cure.en
    assert f"link: rtu://{tmp_path}/usb-FTDI-port0" in found.cure.zh
    (other,) = problems("rtu:///dev/ttyUSB8")
    assert str(tmp_path) not in other.cure.en
