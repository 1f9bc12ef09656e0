"""SM4 of the 2025 edition: ECB without padding between the two ``&&``, in whole groups of 16 bytes; the rest
stays plain. Length and CRC are those of the plain frame, so a receiver decrypts before it can check.

On the wire the encrypted bytes stand as they are (``raw``); some platforms want them printed, as the annex of
the edition prints them: ``{0xE4,0x3E,...}`` (``hex_braces``). The length field is that of the plain frame
either way.

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

RAW, HEX_BRACES = "raw", "hex_braces"


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
    """``key``: 16 bytes; ``wire``: how what was encrypted is written. ValueError for a key of another length
    or when OpenSSL was built without SM4."""

    def __init__(self, key: bytes, wire: str = RAW) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(key) != _GROUP:
            raise ValueError("an SM4 key has 16 bytes")
        self._printed = wire == HEX_BRACES
        self._cipher: Cipher[modes.ECB] = Cipher(algorithms.SM4(key), modes.ECB())
        try:
            self._cipher.encryptor().finalize()
        except UnsupportedAlgorithm:
            raise ValueError("the OpenSSL of this machine has no SM4") from None

    def seal(self, frame: bytes) -> bytes:
        """A whole frame, plain to encrypted."""
        begin, end = _secret_part(frame)
        encryptor = self._cipher.encryptor()
        secret = encryptor.update(frame[begin:end]) + encryptor.finalize()
        if self._printed and secret:
            secret = ("{" + ",".join(f"0x{byte:02X}" for byte in secret) + "}").encode()
        return frame[:begin] + secret + frame[end:]

    def unseal(self, frame: bytes) -> bytes:
        """The inverse, of the raw form only. ValueError when there is no data area."""
        begin, end = _secret_part(frame)
        decryptor = self._cipher.decryptor()
        return frame[:begin] + decryptor.update(frame[begin:end]) + decryptor.finalize() + frame[end:]


def _secret_part(frame: bytes) -> tuple[int, int]:
    begin = frame.index(_BEGIN) + len(_BEGIN)
    return begin, begin + (len(frame) - _TAIL - begin) // _GROUP * _GROUP
