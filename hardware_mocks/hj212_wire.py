"""HJ 212 as a platform reads and writes it. Written from the standard's tables, without the agent's code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_FIELDS = ["QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO", "RF"]
_BEGINNING = re.compile(rb"##(\d{4})")


def checksum(data: bytes) -> int:
    """The C code of the standard's annex, line by line."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ byte
        for _ in range(8):
            lowest = crc & 0x0001
            crc >>= 1
            if lowest == 0x0001:
                crc ^= 0xA001
    return crc


@dataclass(frozen=True)
class Packet:
    """``fields``: of the header, in the order in which they stood. ``groups``: the data area."""

    fields: dict[str, str]
    groups: list[dict[str, str]]
    raw: bytes

    @property
    def qn(self) -> str:
        return self.fields.get("QN", "")

    @property
    def cn(self) -> str:
        return self.fields.get("CN", "")

    @property
    def wants_ack(self) -> bool:
        return int(self.fields.get("Flag", "0")) % 2 == 1

    @property
    def data(self) -> dict[str, str]:
        return {name: value for group in self.groups for name, value in group.items()}


class Violation(Exception):
    """The agent broke the standard; the text says how."""


class Cutter:
    """Packets out of a byte stream. Anything that is not exactly by the book is a Violation."""

    def __init__(self, key: Callable[[], bytes | None] = lambda: None) -> None:
        self._pending = b""
        self._key = key

    def cut(self, data: bytes) -> list[Packet]:
        self._pending += data
        packets = []
        while len(self._pending) >= 6:
            beginning = _BEGINNING.match(self._pending)
            if beginning is None:
                raise Violation(f"no frame begins with {self._pending[:12]!r}")
            size = int(beginning[1])
            if len(self._pending) < size + 12:
                break
            frame, self._pending = self._pending[: size + 12], self._pending[size + 12 :]
            key = self._key()
            packets.append(decode(decipher(frame, key) if key else frame))
        return packets


def decipher(frame: bytes, key: bytes) -> bytes:
    """What is encrypted since 2025: 2xxx of the field side, 1014 and 3020; between the two &&, without the
    odd end."""
    command = re.search(rb";CN=(\d{4})", frame)
    if command is None or not (command[1].startswith(b"2") or command[1] in (b"1014", b"3020")):
        return frame
    head, mark, secret, tail = _apart(frame)
    whole = len(secret) - len(secret) % 16
    machine = Cipher(algorithms.SM4(key), modes.ECB()).decryptor()
    return head + mark + machine.update(secret[:whole]) + machine.finalize() + secret[whole:] + tail


def encipher(frame: bytes, key: bytes) -> bytes:
    """The opposite, whatever the command."""
    head, mark, plain, tail = _apart(frame)
    whole = len(plain) - len(plain) % 16
    machine = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()
    return head + mark + machine.update(plain[:whole]) + machine.finalize() + plain[whole:] + tail


def _apart(frame: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    head, mark, rest = frame.partition(b"CP=&&")
    return head, mark, rest[:-8], rest[-8:]


def decode(frame: bytes) -> Packet:
    body, crc, tail = frame[6:-6], frame[-6:-2], frame[-2:]
    if len(body) > 1024:
        raise Violation(f"a data segment of {len(body)} bytes")
    if tail != b"\r\n":
        raise Violation(f"tail {tail!r}")
    if crc.decode("latin-1") != f"{checksum(body):04X}":
        raise Violation(f"CRC {crc!r}, should be {checksum(body):04X}")
    text = body.decode("utf-8")
    match = re.fullmatch(r"((?:[A-Za-z]+=[^;]*;)+)CP=&&(.*)&&", text, re.DOTALL)
    if match is None:
        raise Violation(f"no data segment: {text[:80]}")
    fields = dict(piece.split("=", 1) for piece in match[1].rstrip(";").split(";"))
    _check_fields(fields)
    return Packet(fields, _groups(match[2]), frame)


def _check_fields(fields: dict[str, str]) -> None:
    if list(fields) != [name for name in _FIELDS if name in fields] or set(fields) - set(_FIELDS):
        raise Violation(f"order of fields: {list(fields)}")
    missing = set(_FIELDS[:6]) - set(fields)
    if missing:
        raise Violation(f"without {missing}")
    if not re.fullmatch(r"\d{17}", fields["QN"]):
        raise Violation(f"QN {fields['QN']}")
    if len(fields["PW"]) != 6 or len(fields["ST"]) != 2 or len(fields["CN"]) != 4:
        raise Violation(f"length of PW, ST or CN: {fields}")
    flag = int(fields["Flag"])
    if flag // 4 not in (1, 2):
        raise Violation(f"Flag {flag} is of no edition that is sent")
    if bool(flag & 2) != ("PNUM" in fields) or bool(flag & 2) != ("PNO" in fields):
        raise Violation(f"Flag {flag} with {list(fields)}")
    if "RF" in fields and (fields["RF"] != "1" or flag // 4 != 2):
        raise Violation("RF")


def _groups(data: str) -> list[dict[str, str]]:
    if not data:
        return []
    groups = []
    for group in data.split(";"):
        pairs = [piece.split("=", 1) for piece in group.split(",")]
        if any(len(pair) != 2 or not pair[0] for pair in pairs):
            raise Violation(f"data area: {group!r}")
        groups.append({pair[0]: pair[1] for pair in pairs})
    return groups


def frame(qn: str, cn: str, pw: str, mn: str, *, flag: int, st: str = "91", data: str = "") -> bytes:
    body = f"QN={qn};ST={st};CN={cn};PW={pw};MN={mn};Flag={flag};CP=&&{data}&&".encode()
    return b"##" + str(len(body)).zfill(4).encode() + body + f"{checksum(body):04X}\r\n".encode()
