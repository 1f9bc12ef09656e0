"""SM4 of the 2025 edition: ECB without padding between the two ``&&``, in whole groups of 16 bytes; the rest
stays plain. Length and CRC are those of the plain frame, so a receiver decrypts before it can check.

This hides values from a casual reader. ECB and an 8-bit check do not protect against tampering: use a
tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher

_BEGIN = b"CP=&&"
_GROUP = 16
_TAIL = len(b"&&0000\r\n")
_OTHERS = frozenset({"1014", "3020"})


def is_secret(cn: str) -> bool:
    """Whether the edition encrypts this command when the field side sends it."""
    return cn.startswith("2") or cn in _OTHERS


def key_of(text: str) -> bytes:
    """16 characters, or 32 hex digits. ValueError."""
    text = text.strip()
    key = bytes.fromhex(text) if len(text) == 2 * _GROUP else text.encode("ascii", "replace")
    if len(key) != _GROUP:
        raise ValueError("an SM4 key is 16 characters or 32 hex digits")
    return key


class Sm4:
    """``key``: 16 bytes. ValueError for another length or when OpenSSL was built without SM4."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(key) != _GROUP:
            raise ValueError("an SM4 key has 16 bytes")
        self._cipher: Cipher[modes.ECB] = Cipher(algorithms.SM4(key), modes.ECB())
        try:
            self._cipher.encryptor().finalize()
        except UnsupportedAlgorithm:
            raise ValueError("the OpenSSL of this machine has no SM4") from None

    def seal(self, frame: bytes) -> bytes:
        """A whole frame, plain to encrypted."""
        begin, end = _secret_part(frame)
        encryptor = self._cipher.encryptor()
        return frame[:begin] + encryptor.update(frame[begin:end]) + encryptor.finalize() + frame[end:]

    def unseal(self, frame: bytes) -> bytes:
        begin, end = _secret_part(frame)
        decryptor = self._cipher.decryptor()
        return frame[:begin] + decryptor.update(frame[begin:end]) + decryptor.finalize() + frame[end:]


def _secret_part(frame: bytes) -> tuple[int, int]:
    begin = frame.index(_BEGIN) + len(_BEGIN)
    return begin, begin + (len(frame) - _TAIL - begin) // _GROUP * _GROUP
