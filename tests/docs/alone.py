"""``python alone.py PROGRAM ARGUMENT...``: the program in a network of its own: loopback and nothing else.

The pages use the default ports, and so may whatever else runs on this machine. Where the kernel does not
allow a network of one's own, the program gets the machine's.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from fcntl import ioctl
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def main(arguments: list[str]) -> None:
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _raise_loopback()
    os.execvp(arguments[0], arguments)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        name, (flags,) = (
            b"lo",
            struct.unpack("16xH", ioctl(asked, SIOCGIFFLAGS, struct.pack("16sH", b"lo", 0))),
        )
        ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH", name, flags | IFF_UP))


if __name__ == "__main__":
    main(sys.argv[1:])
