"""Serial ports and what is set on them: missing, not allowed, taken, or set to another speed or parity."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.modbus.address import Table
from drivers.modbus.doctor_words import finding
from drivers.modbus.link_open import open_link
from drivers.modbus.request import read_of
from drivers.modbus.serial_port import PSEUDO_TERMINALS, holding
from edge_agent.driver import Request
from edge_agent.errors import BadReply, DriverError, LinkLost, StationSilent
from edge_agent.settings import Finding

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

BY_ID = Path("/dev/serial/by-id")
TRY_S = 0.4
_NEIGHBOURS = range(1, 6)
_PARITIES = ("even", "none", "odd")
_BAUDS = (9600, 19200, 38400, 115200, 4800, 2400)


def port_findings(device: str, by_id: Path = BY_ID) -> list[Finding]:
    """Why the port cannot be used, without opening it; nothing where it can. Blocking."""
    path = Path(device)
    try:
        status = path.stat()
    except FileNotFoundError:
        return [_missing(device, by_id)]
    except PermissionError:
        return [finding("serial_permission", port=device, group="dialout", user=_user())]
    if not os.access(device, os.R_OK | os.W_OK):
        return [finding("serial_permission", port=device, group=_group(status.st_gid), user=_user())]
    if os.major(status.st_rdev) in PSEUDO_TERMINALS:  # whatever made it has it open
        return []
    users = _users(device)
    return [finding("serial_taken", port=device, by=users)] if users else []


def by_reason(device: str, reason: str) -> Finding | None:
    """What a running agent says of its port, in the words of ``serial_port``."""
    if "is held by" in reason:
        return finding("serial_taken", port=device, by=reason.partition("is held by ")[2])
    if "does not exist" in reason:
        return _missing(device, BY_ID)
    if "may not open it" in reason:
        return finding("serial_permission", port=device, group="dialout", user="edgeagent")
    return None


def _missing(device: str, by_id: Path) -> Finding:
    there = sorted(str(entry) for entry in by_id.iterdir()) if by_id.is_dir() else []
    return finding("serial_missing", port=device, there=", ".join(there) or "-")


def not_opened(device: str, error: LinkLost) -> Finding:
    """Why opening failed. Blocking, but short."""
    if error.reason == "refused":
        return finding("serial_taken", port=device, by=_users(device) or error.text)
    if error.reason == "permission":
        return finding("serial_permission", port=device, group="dialout", user=_user())
    return finding("serial_unusable", words=error.text)


async def silence_findings(settings: ModbusSettings, heard: int) -> Sequence[Finding]:
    """Why a station on a serial port does not answer. ``heard``: bytes that were no sound frame. Asks it once
    at each other usual setting of the line: parity first, then speed; then others, to tell a dead station
    from a dead bus."""
    for parity, baud in _others(settings):
        other = settings.model_copy(update={"parity": parity, "baud": baud})
        answered, garbage = await _answers(other)
        if answered:
            return [finding(
                "modbus_line_setting", now=spelled(settings), right=spelled(other), baud=baud, parity=parity,
                station=settings.station,
            )]  # fmt: skip
        heard += garbage
    if heard:
        words = f"{heard}"
        return [finding("modbus_line_noise", line=spelled(settings), words=words, station=settings.station)]
    others = "-"
    for station in _NEIGHBOURS:
        other = settings.model_copy(update={"station": station})
        if station != settings.station and (await _answers(other))[0]:
            others = str(station)
            break
    return [finding(
        "modbus_station_silent", station=settings.station, others=others, words=spelled(settings)
    )]  # fmt: skip


def spelled(settings: ModbusSettings) -> str:
    """``9600 8E1``."""
    return f"{settings.baud} {settings.data_bits}{settings.parity[0].upper()}{settings.stop_bits}"


def _others(settings: ModbusSettings) -> list[tuple[str, int]]:
    baud = settings.baud or 9600
    lines = [(parity, baud) for parity in _PARITIES] + [(settings.parity, other) for other in _BAUDS]
    lines += [("none", other) for other in _BAUDS]
    return [line for line in dict.fromkeys(lines) if line != (settings.parity, baud)]


async def _answers(settings: ModbusSettings) -> tuple[bool, int]:
    """Whether a sound frame of the station came, and how many bytes were no sound frame."""
    link = open_link(settings)
    try:
        async with asyncio.timeout(TRY_S + 1.0):
            await link.connect()
            await link.enrol(settings)
        read = read_of(settings.station, Table.HOLDING, 0, 1)
        async with asyncio.timeout(settings.timeout or TRY_S):
            await link.exchange(Request((), read))
    except (TimeoutError, StationSilent, LinkLost):
        return False, getattr(link, "garbage", 0)
    except BadReply as error:
        return False, 1 if error.reason == "checksum" else getattr(link, "garbage", 0)
    except DriverError:
        return True, 0  # an exception reply has a sound checksum as well
    finally:
        await link.close()
    return True, 0


def _users(device: str) -> str:
    return ", ".join(f"{name} (PID {pid})" for pid, name in holding(device) if pid != os.getpid())


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return "dialout"


def _user() -> str:
    import pwd

    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "$USER"
