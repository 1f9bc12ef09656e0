"""The listening socket: made, given its rights, taken over from a dead agent, removed."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from pathlib import Path

from edge_agent.settings import Text

MAX_PATH = 107  # bytes, and a zero: unix(7)


class CannotListen(Exception):
    def __init__(self, text: Text) -> None:
        self.text = text
        super().__init__(text.en)


def listen(path: Path) -> socket.socket:
    """A socket that listens at ``path``, open to its owner only. Replaces what a dead agent left there.
    Raises ``CannotListen``, having changed nothing that works."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise _cannot(
            path,
            Text(f"the path is longer than {MAX_PATH} bytes", f"路径超过 {MAX_PATH} 字节"),
            Text("set console.socket to a shorter one", "请把 console.socket 设为更短的路径"),
        )
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))  # until chmod only its owner may write to it, by any sane umask
        path.chmod(0o600)
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise _cannot(path, Text(str(error), str(error)), _CURE) from error
    listener.setblocking(False)
    return listener


def share(path: Path, group: str) -> Text | None:
    """Lets the members of ``group`` use the socket. What prevents that, or None."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        return Text(
            f"there is no group {group!r}: only root and the agent's own user may use {path}. "
            f"Cure: `groupadd --system {group}`, or another console.group, then restart the agent.",
            f"没有用户组 {group!r}，只有 root 和代理自身的用户可以使用 {path}。"
            f"处理办法：`groupadd --system {group}`，或更改 console.group，然后重启。",
        )
    try:
        _give(path, gid)
        path.chmod(0o660)
        _open_way(path.parent, gid)
    except OSError:
        return Text(
            f"the agent may not give {path} to group {group!r}: only root and the agent's own user may use "
            "it. Cure: install edge-agent-console.conf beside the unit (systemd/README.md).",
            f"代理无权把 {path} 交给用户组 {group!r}，只有 root 和代理自身的用户可以使用。"
            "处理办法：为服务安装 edge-agent-console.conf（见 systemd/README.md）。",
        )
    return None


def _give(path: Path, gid: int) -> None:
    if path.stat().st_gid != gid:
        os.chown(path, -1, gid)


def _open_way(directory: Path, gid: int) -> None:
    """The runtime directory systemd made (0750, the service's group) is there for this socket: its way in is
    given to the same group. No other directory is touched."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if runtime and directory == Path(runtime):
        _give(directory, gid)


def _clear(path: Path) -> None:
    """Removes the socket of an agent that is gone; refuses anything else that is in the way."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _cannot(
                path,
                Text("something else has that name", "该名称已被别的文件占用"),
                Text("move it away or set another console.socket", "请移走它，或更改 console.socket"),
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ECONNREFUSED:
            raise _cannot(path, Text(str(error), str(error)), _CURE) from error
        try:
            path.unlink(missing_ok=True)
        except OSError as failed:
            raise _cannot(path, Text(str(failed), str(failed)), _CURE) from failed
        return
    raise _cannot(
        path,
        Text("another agent answers there", "另一个代理正在使用它"),
        Text("end it, or set another console.socket", "请结束它，或更改 console.socket"),
    )


_CURE = Text(
    "set console.socket to a path in a directory that the service's user may write to",
    "请把 console.socket 设在服务用户可写的目录中",
)


def _cannot(path: Path, why: Text, cure: Text) -> CannotListen:
    return CannotListen(
        Text(
            f"cannot listen at {path}: {why.en}. Alarms cannot be acknowledged, all else runs. "
            f"Cure: {cure.en}, then restart the agent.",
            f"无法监听 {path}：{why.zh}。报警无法确认，其余功能照常运行。处理办法：{cure.zh}，然后重启。",
        )
    )
