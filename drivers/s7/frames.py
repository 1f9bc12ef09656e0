"""TPKT (RFC 1006) and COTP class 0 (ISO 8073): S7 PDUs <-> the bytes of a TCP stream. No I/O in here.

TPKT   03 00 LL LL                      length of the whole packet
COTP   02 F0 80 | payload               DT: data; without the 80 bit more of the same PDU follows
       LI E0 / D0 ...                   CR / CC: connect, confirm, with TSAPs and TPDU size
       LI 80 ... reason                 DR: the peer disconnects
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.errors import LinkLost
from edge_agent.settings import Text

CONFIRM = 0xD0
DATA = 0xF0
_DISCONNECT = 0x80
_ERROR = 0x70
_TPKT = 4
FRAMING = 7
"""Bytes of TPKT and COTP around an S7 PDU that needs one TPDU."""
_DT = b"\x02\xf0"
_CONNECTION_KIND = {"pg": 1, "op": 2, "basic": 3}
_TPDU_SIZE_CODE = 0x0A  # we ask for 1024 bytes: the largest PDU (960) and its header in one piece
_TPDU_SIZE_DEFAULT = 128  # ISO 8073, when the confirm does not say
_REASONS = {
    0: Text("no reason given", "未说明原因"),
    1: Text("congestion: no connection resource free", "繁忙：没有空闲的连接"),
    2: Text(
        "no session at that TSAP: check rack, slot and connection",
        "该 TSAP 没有可连接的模块：请检查 rack、slot 和 connection",
    ),
    3: Text("address unknown: check rack and slot", "地址未知：请检查 rack 和 slot"),
    128: Text("normal disconnect", "正常断开"),
    129: Text("congestion in the controller", "控制器负荷过重"),
    130: Text("negotiation failed", "协商失败"),
    133: Text("protocol error", "协议错误"),
    135: Text("reference overflow", "引用号溢出"),
    136: Text("connection refused", "连接被拒绝"),
    138: Text("invalid header", "报文头无效"),
}


@dataclass(frozen=True, slots=True)
class Tpdu:
    """One thing the peer said: ``CONFIRM`` (payload: the raw CC) or ``DATA`` (payload: one whole S7 PDU)."""

    kind: int
    payload: bytes


def connect_request(connection: str, rack: int, slot: int) -> bytes:
    """A COTP CR from TSAP 01.00 to the TSAP that names connection type, rack and slot."""
    called = bytes((_CONNECTION_KIND[connection], rack << 5 | slot))
    parameters = b"\xc0\x01" + bytes((_TPDU_SIZE_CODE,)) + b"\xc1\x02\x01\x00" + b"\xc2\x02" + called
    return _packet(bytes((6 + len(parameters),)) + b"\xe0\x00\x00\x00\x01\x00" + parameters)


def tpdu_size(confirm: bytes) -> int:
    """Bytes per TPDU that a CC grants. Raises LinkLost for a malformed CC."""
    at = 7
    while at < len(confirm):
        if at + 2 > len(confirm) or at + 2 + confirm[at + 1] > len(confirm):
            raise LinkLost(
                Text("the controller's connect confirm is malformed", "控制器的连接确认格式有误"),
                reason="mismatch",
            )
        if confirm[at] == 0xC0 and confirm[at + 1] == 1 and 7 <= confirm[at + 2] <= 13:
            return 1 << confirm[at + 2]
        at += 2 + confirm[at + 1]
    return _TPDU_SIZE_DEFAULT


def wrap(pdu: bytes, size: int) -> bytes:
    """One S7 PDU as TPKT packets, none with more than ``size`` bytes of COTP."""
    room = size - 3
    pieces = [pdu[at : at + room] for at in range(0, len(pdu), room)]
    last = len(pieces) - 1
    return b"".join(
        _packet(_DT + (b"\x80" if number == last else b"\x00") + piece) for number, piece in enumerate(pieces)
    )


class Reassembler:
    """Bytes in any chunks -> whole TPDUs. Every length is checked before anything is collected.

    ``limit``: the longest S7 PDU to accept, in bytes. Raises LinkLost where the framing is broken or the
    peer disconnects; after that the object must not be used again.
    """

    def __init__(self, limit: int = 4096) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._pdu = bytearray()

    @property
    def unfinished(self) -> bool:
        """Whether a packet has begun that is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Tpdu]:
        self._buffer += data
        while self._buffer:
            if self._buffer[0] != 3:
                raise LinkLost(
                    Text("what the controller sent is not ISO-on-TCP", "收到的不是 ISO-on-TCP 报文"),
                    reason="mismatch",
                )
            if len(self._buffer) < _TPKT:
                return
            length = int.from_bytes(self._buffer[2:4])
            if not 7 <= length <= self.limit + 7:
                raise LinkLost(
                    Text(
                        f"the controller announced a packet of {length} bytes",
                        f"控制器声明的报文长度为 {length} 字节",
                    ),
                    reason="mismatch",
                )
            if len(self._buffer) < length:
                return
            packet = bytes(self._buffer[_TPKT:length])
            del self._buffer[:length]
            tpdu = self._take(packet)
            if tpdu is not None:
                yield tpdu

    def _take(self, packet: bytes) -> Tpdu | None:
        header, kind = packet[0] + 1, packet[1] & 0xF0
        if header > len(packet) or header < 3:
            raise LinkLost(
                Text("the controller sent a broken COTP header", "控制器的 COTP 报文头有误"),
                reason="mismatch",
            )
        if kind == DATA:
            return self._data(packet[header:], bool(packet[2] & 0x80))
        if kind == CONFIRM and header >= 7:
            return Tpdu(CONFIRM, packet[:header])
        if kind == _DISCONNECT and header >= 7:
            reason = _REASONS.get(packet[6]) or Text(f"reason {packet[6]}", "原因不明")
            raise LinkLost(
                Text(
                    f"the controller refused or ended the connection ({reason.en})",
                    f"控制器拒绝或结束了连接：{reason.zh}（{reason.en}）",
                )
            )
        if kind == _ERROR:
            raise LinkLost(
                Text("the controller reported an error in the transport protocol", "控制器报告传输协议错误"),
                reason="mismatch",
            )
        raise LinkLost(
            Text(
                f"the controller sent an unknown COTP packet (0x{packet[1]:02X})",
                f"控制器发来未知的 COTP 报文（0x{packet[1]:02X}）",
            ),
            reason="mismatch",
        )

    def _data(self, payload: bytes, complete: bool) -> Tpdu | None:
        if len(self._pdu) + len(payload) > self.limit:
            raise LinkLost(
                Text(
                    f"the controller sent a PDU longer than {self.limit} bytes",
                    f"控制器发来的 PDU 超过 {self.limit} 字节",
                ),
                reason="mismatch",
            )
        self._pdu += payload
        if not complete:
            return None
        pdu = bytes(self._pdu)
        self._pdu.clear()
        return Tpdu(DATA, pdu)


def whole(tpdu: Tpdu) -> bytes:
    """What the peer said as one packet, however many it used."""
    return _packet(tpdu.payload if tpdu.kind == CONFIRM else _DT + b"\x80" + tpdu.payload)


def _packet(cotp: bytes) -> bytes:
    return b"\x03\x00" + (_TPKT + len(cotp)).to_bytes(2) + cotp
