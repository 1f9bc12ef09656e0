"""What the MQTT library reads from and writes to: the socket, with what went wrong on it remembered."""

from __future__ import annotations

import contextlib
import socket
import ssl

_CHUNK = 65_536


class Wire:
    """The ``SocketLike`` of paho-mqtt. ``fill`` takes what has come; ``recv`` hands it out. The library asks
    byte by byte and swallows errors: both are answered here."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._over = False
        self.fault: OSError | None = None

    @property
    def waiting(self) -> bool:
        """Whether the library has something to read: bytes, or the news that there will be none."""
        return bool(self._buffer) or self._over

    def fill(self) -> bool:
        """Without waiting. False when nothing came."""
        came = False
        while not self._over:
            try:
                data = self._sock.recv(_CHUNK)
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                self.fault, self._over = error, True
                break
            self._over = not data
            self._buffer += data
            came = came or bool(data)
            if len(data) < _CHUNK and not _pending(self._sock):
                break
        return came

    def recv(self, buffer_size: int) -> bytes:
        if not self._buffer:
            if self._over:
                return b""
            raise BlockingIOError
        data = bytes(self._buffer[:buffer_size])
        del self._buffer[:buffer_size]
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        try:
            return self._sock.send(buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = self.fault or error
            raise

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """It never blocks; the library asks for that as well."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()


def _pending(sock: socket.socket) -> bool:
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
