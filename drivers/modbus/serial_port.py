"""A serial port without threads in the way: bytes come by the event loop's reader, and go at once.

Only opening, which may wait for a driver of the operating system, happens in a thread. pyserial sets the port
up and locks it; it is imported when a port is opened, so that an agent without one does not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import termios
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.modbus.link_errors import NOT_CONNECTED, about
from edge_agent.errors import LinkLost, words_of
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.link_wire import Gone, Received
    from drivers.modbus.settings import ModbusSettings

_CHUNK = 4096
_PARITY = {"even": "E", "odd": "O", "none": "N"}
PSEUDO_TERMINALS = range(136, 144)  # device numbers of Unix98 slaves
_MASTERS = ("/dev/ptmx", "/dev/pts/ptmx")
_TAKEN = (errno.EAGAIN, errno.EBUSY)


class SerialWire:
    """Meets ``link_wire.Wire``."""

    def __init__(self, device: str, settings: ModbusSettings) -> None:
        self._device = device
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Future[Any] | None = None
        self._port: Any = None
        self._received: Received | None = None
        self._gone: Gone | None = None
        self._closed = False

    async def open(self, received: Received, gone: Gone) -> None:
        """LinkLost with reason refused (held by another process), permission, or other."""
        self._received, self._gone = received, gone
        self._loop = loop = asyncio.get_running_loop()
        self._opening = loop.run_in_executor(None, self._open)
        port = await asyncio.shield(self._opening)
        if self._closed:
            raise LinkLost(about(self._device, NOT_CONNECTED))
        self._port = port
        loop.add_reader(port.fileno(), self._readable)

    def write(self, data: bytes) -> None:
        if self._port is None:
            raise LinkLost(about(self._device, NOT_CONNECTED))
        try:
            written = os.write(self._port.fileno(), data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise self._dead(error) from error
        if written < len(data):
            raise LinkLost(about(self._device, _FULL))

    async def close(self) -> None:
        self._closed = True
        opening, self._opening = self._opening, None
        if opening is None:
            return
        try:
            port = await asyncio.shield(opening)
        except LinkLost:
            return
        if self._port is not None and self._loop is not None:
            self._loop.remove_reader(port.fileno())
        self._port = None
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(port.fileno(), termios.TCOFLUSH)  # closing would wait for what was not sent
        with contextlib.suppress(OSError):
            port.close()

    def _readable(self) -> None:
        if self._port is None or self._received is None:
            return
        descriptor = self._port.fileno()
        try:
            data = os.read(descriptor, _CHUNK)
            if not data and _is_ready(descriptor):
                data = os.read(descriptor, _CHUNK)  # it came between the two
                if not data:
                    raise OSError(errno.EIO, "")
        except BlockingIOError:
            return
        except OSError as error:
            self._hang_up(self._dead(error))
            return
        if data:
            self._received(data)

    def _hang_up(self, loss: LinkLost) -> None:
        """The descriptor stays readable for ever once the adapter is gone: it is not listened to any more."""
        if self._loop is not None and self._port is not None:
            self._loop.remove_reader(self._port.fileno())
        if self._gone is not None:
            self._gone(loss)

    def _dead(self, error: OSError) -> LinkLost:
        words = words_of(error)
        return LinkLost(
            Text(
                f"{self._device}: the port is gone ({words.en}): is the adapter plugged in?",
                f"{self._device}：串口已断开（{words.zh}）：转接器是否插好？",
            )
        )

    # In a thread

    def _open(self) -> Any:
        serial: Any = import_module("serial")
        settings = self._settings
        line = _is_line(self._device)
        port = serial.Serial(
            None,
            baudrate=settings.baud or 9600,
            bytesize=settings.data_bits if line else 8,
            parity=_PARITY[settings.parity] if line else "N",
            stopbits=settings.stop_bits if line else 1,
            timeout=0,
            exclusive=True,
        )
        port.port = self._device
        try:
            if settings.rs485:
                port.rs485_mode = import_module("serial.rs485").RS485Settings()
            port.open()
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            raise self._refusal(error) from error
        return port

    def _refusal(self, error: Exception) -> LinkLost:
        number = getattr(error, "errno", None)
        if number in _TAKEN:
            return LinkLost(_taken(self._device), reason="refused")
        if number == errno.ENOENT:
            return LinkLost(_missing(self._device), reason="other")
        if number in (errno.EACCES, errno.EPERM):
            return LinkLost(about(self._device, _FORBIDDEN), reason="permission")
        if "RS485" in str(error):
            return LinkLost(_no_rs485(self._device, error), reason="other")
        words = words_of(error)
        return LinkLost(
            Text(f"{self._device} cannot be used: {words.en}", f"{self._device} 无法使用：{words.zh}"),
            reason="other",
        )


_FULL = Text("the port does not send: its buffer is full", "串口发不出数据：缓冲区已满")
_FORBIDDEN = Text(
    "this program may not open it: its user must be in the group that owns it (dialout)",
    "本程序无权打开该串口（may not open it）：所用用户须加入串口所属的组（dialout）",
)


def _taken(device: str) -> Text:
    by = holders(device)
    return Text(f"{device} is held by {by.en}", f"{device} 已被占用：{by.zh}")


def _missing(device: str) -> Text:
    return Text(
        f"{device} does not exist: is the adapter plugged in? The ports there are: ls -l /dev/serial/by-id",
        f"{device} 不存在：转接器是否插好？查看现有串口：ls -l /dev/serial/by-id",
    )


def _no_rs485(device: str, error: Exception) -> Text:
    return Text(
        f"{device}: it has no RS-485 mode of its own: leave rs485 out, its adapter switches by itself "
        f"({error})",
        f"{device}：串口本身不支持 RS-485 模式：请去掉 rs485，转接器会自行切换收发（{error}）",
    )


def _is_line(device: str) -> bool:
    """A pseudo-terminal, as network serial servers offer one, has no parity, and refuses to be told one."""
    try:
        return os.major(Path(device).stat().st_rdev) not in PSEUDO_TERMINALS
    except OSError:
        return True


def _is_ready(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def holders(device: str) -> Text:
    """Who has the port open, by name and process id, as far as this process may see."""
    found = []
    for process, name in holding(device):
        own = process == os.getpid()
        found.append(
            Text(
                f"{name} (process {process}{', this program itself' if own else ''})",
                f"{name}（进程 {process}{'，即本程序' if own else ''}）",
            )
        )
    if not found:
        return Text("another process", "其他进程")
    return Text(", ".join(one.en for one in found), "、".join(one.zh for one in found))


def holding(device: str) -> list[tuple[int, str]]:
    """(process id, name) of those that have the port open, as far as this process may see."""
    target = os.path.realpath(device)
    found = []
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if any(_points_to(entry, target) for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append((int(process.name), name))
    return found


def made_by(process: int, device: str) -> bool:
    """Whether it is a pseudo-terminal, and that process has its other end: whoever made it is no user."""
    wanted = f"tty-index:\t{Path(os.path.realpath(device)).name}"
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            if any(_points_to(entry, name) for name in _MASTERS):
                told = Path(f"/proc/{process}/fdinfo/{entry.name}").read_text(encoding="ascii")
                if wanted in told.splitlines():
                    return True
    return False


def _points_to(entry: Path, target: str) -> bool:
    try:
        return os.readlink(entry) == target  # noqa: PTH115 - Path.readlink makes an object of each
    except OSError:
        return False
