"""Who is at the other end of a local socket."""

from __future__ import annotations

import pwd
import socket
import struct

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred, unix(7)
_NOBODY = 65_534  # what the kernel says of users whom a user namespace (PrivateUsers=yes) hides


class Nameless(Exception):
    """The kernel does not say who that is."""


def peer_user(connection: socket.socket) -> str:
    """The name of the user who connected, by the kernel; ``uid:NUMBER`` where the machine has no name for it.
    Raises ``Nameless``, or OSError when the peer is gone."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(data)
    return name_of(uid)


def name_of(uid: int) -> str:
    if uid == _NOBODY:
        raise Nameless
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
