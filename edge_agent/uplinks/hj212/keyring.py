"""The SM4 key in use: the one of the configuration, or one that the platform delivered with 1014.

A delivered key must survive a restart, or the platform could read nothing any more. It is kept in the
uplink's memory sealed (AES-256-GCM) under the configured key, which lies in a secret file: the state
directory alone, or a backup of it, does not open it. A new configured key makes what was kept unreadable, and
the configured one is used: that is how a device is registered anew."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.uplink import Host
from edge_agent.uplinks.hj212.cipher import Sm4, key_of
from edge_agent.uplinks.hj212.moment import read_stamp

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NAME = "sm4-key"
_WELL_BEFORE_NS = 80 * 86400 * 1_000_000_000  # of the 90 days that a key may live


@dataclass(frozen=True, slots=True)
class _Delivered:
    key: bytes
    created: str


class Keyring:
    """Seals and unseals with the key in use. ValueError from the constructor when the machine has no SM4.
    ``created``: the SKCreateTime of a delivered key, "" of the configured one."""

    def __init__(self, host: Host, mn: str, configured: bytes, wire: str) -> None:
        self.created = ""
        self._host = host
        self._mn = mn.encode()
        self._configured = configured
        self._wire = wire
        self._sm4 = Sm4(configured, wire)

    def seal(self, frame: bytes) -> bytes:
        return self._sm4.seal(frame)

    def unseal(self, frame: bytes) -> bytes:
        return self._sm4.unseal(frame)

    async def load(self) -> None:
        """A delivered key that was kept under the same configured one."""
        found = self._opened(await self._host.recall(_NAME))
        if found is not None:
            self._use(found)

    def old(self, now_ns: int) -> bool:
        """Whether a new key is to be asked for. Of the configured one nobody knows how old it is."""
        try:
            return now_ns - read_stamp(self.created[:14]) > _WELL_BEFORE_NS
        except ValueError:
            return False

    async def deliver(self, text: str, created: str) -> None:
        """Uses this key from now on. ValueError when it is none, StorageError when it cannot be kept: then
        the old one stays in use."""
        found = _Delivered(key_of(text), created)
        await self._host.keep(_NAME, self._closed(found))
        self._use(found)

    def _use(self, found: _Delivered) -> None:
        self._sm4 = Sm4(found.key, self._wire)
        self.created = found.created

    def _closed(self, delivered: _Delivered) -> str:
        nonce = os.urandom(12)
        plain = json.dumps([delivered.key.hex(), delivered.created]).encode()
        return base64.b64encode(nonce + self._lock().encrypt(nonce, plain, self._mn)).decode()

    def _opened(self, text: str) -> _Delivered | None:
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.b64decode(text, validate=True)
            key, created = json.loads(self._lock().decrypt(sealed[:12], sealed[12:], self._mn))
            return _Delivered(bytes.fromhex(key), created)
        except (InvalidTag, ValueError):
            return None

    def _lock(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(hashlib.sha256(b"lineside hj212 kept key\0" + self._configured).digest())
