"""The devices that read from one transport's hostile servers: settings, tags, and where each value stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.config.model import Device
from edge_agent.model import Tag, ValueType
from edge_agent.registry import load_driver
from tests.faults.hostile import stamps

TIMEOUT_S = 0.1
_DRIVER = {"s7": "s7", "opcua": "opcua"}
_STATIONS = {"s7": 1, "opcua": 1}
_SLOTS = {
    "fast": (0, 100, 200, 201, 300),
    "slow": (0, 50, 100, 150, 400, 402),
}
"""Poll group -> slots. Modbus: three requests of one function and count, and one of twice the count, so that
an answer that is one request behind fits the next. Slot 0 is asked for by both groups."""
_PERIOD_S = {"fast": 0.08, "slow": 0.25}
_BITS = (3000,)
_INPUT_SLOTS = (2048, 2148)


@dataclass(frozen=True, slots=True)
class Reader:
    """``places``: tag name -> what its stamp must say (of a bit: of the slot it is a bit of)."""

    device: Device
    places: dict[str, int]


def readers(
    transport: str, link: int, endpoint: str, *, certificate: Path | None = None, pace: float = 1.0
) -> list[Reader]:
    """The devices that share one link. ``pace``: how much slower than usual they poll."""
    plugin = load_driver(_DRIVER.get(transport, "modbus"))
    made = []
    for station in range(1, _STATIONS.get(transport, 2) + 1):
        name = f"{transport.replace('+', '-over-')}-{link}-{station}"
        plain, places = _tags(transport, link, station)
        tags = tuple(replace(tag, description=name) for tag in plain)
        settings = plugin.settings.model_validate(_settings(transport, endpoint, station, certificate))
        problems = [p for p in plugin.check(settings, tags) if not p.warning]
        assert not problems, problems
        periods_s = {group: period_s * pace for group, period_s in _PERIOD_S.items()}
        made.append(
            Reader(Device(name, _DRIVER.get(transport, "modbus"), plugin, settings, tags, periods_s), places)
        )
    return made


def _settings(transport: str, endpoint: str, station: int, certificate: Path | None) -> dict[str, Any]:
    keys: dict[str, Any] = {"timeout": f"{TIMEOUT_S * 1000:g}ms"}
    match transport:
        case "s7":
            return {**keys, "link": f"tcp://{endpoint}"}
        case "opcua":
            return {**keys, "link": f"opc.tcp://{endpoint}", **OPCUA_PLAIN}
        case "tls":
            assert certificate is not None
            keys |= {"ca_file": str(certificate / "ca.pem")}
        case "rtu" | "ascii":
            keys |= {"baud": 115_200}
    return {**keys, "link": f"{transport}://{endpoint}", "station": station}


OPCUA_PLAIN: dict[str, Any] = {}
"""What a device must say to be read without security."""


def _tags(transport: str, link: int, station: int) -> tuple[list[Tag], dict[str, int]]:
    tags: list[Tag] = []
    places: dict[str, int] = {}

    def add(name: str, address: str, kind: ValueType, group: str, slot: int) -> None:
        tags.append(Tag(name, address, kind, group))
        places[name] = stamps.place(link, 0 if transport in _STATIONS else station, slot)

    for group, slots in _SLOTS.items():
        for slot in slots:
            add(f"{group}-{slot}", _address(transport, slot), ValueType.UINT64, group, slot)
    if transport in _STATIONS:
        return tags, places
    for slot in _INPUT_SLOTS:
        add(f"slow-{slot}", f"ir:{4 * (slot - 2048)}", ValueType.UINT64, "slow", slot)
    for slot in _BITS:
        for bit in range(64):
            add(f"slow-{slot}.{bit}", f"co:{64 * (slot - 3000) + bit}", ValueType.BOOL, "slow", slot)
    return tags, places


def _address(transport: str, slot: int) -> str:
    match transport:
        case "s7":
            return f"DB1.DBL{8 * slot}"
        case "opcua":
            return f"nsu=urn:lineside:hostile;i={slot}"
        case _:
            return f"hr:{4 * slot}"
