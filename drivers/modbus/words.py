"""What Modbus frames say, for people: function, address, count, values, exceptions. Pure, for `debug`."""

from __future__ import annotations

import struct
from collections.abc import Callable

from drivers.modbus.address import TABLE_OF
from drivers.modbus.endpoint import endpoint
from drivers.modbus.framing import RtuFraming, lrc
from drivers.modbus.link_errors import EXCEPTIONS, UNKNOWN_EXCEPTION
from edge_agent.driver import Meaning
from edge_agent.settings import Text

_SHOWN = 16
_WRITES = {5: "co", 6: "hr", 15: "co", 16: "hr"}


def interpreter(link: str) -> Callable[[str, bytes], Meaning]:
    """See ``DriverPlugin.interpret``."""
    return _Reader(endpoint(link).framing)


class _Reader:
    """``_asked``: newest request by identity (its transaction, or on a bus its station)."""

    def __init__(self, framing: str) -> None:
        self._framing = framing
        self._asked: dict[str, bytes] = {}

    def __call__(self, way: str, data: bytes) -> Meaning:
        found = _unwrapped(self._framing, data)
        if found is None or way == "!":
            text = Text(f"{len(data)} bytes", f"{len(data)} 字节") if data else Text("", "")
            return Meaning(text)
        station, pdu, transaction = found
        identity = transaction or f"station {station}"
        bare = bytes((station,)) + pdu
        if way == ">":
            self._asked = {**dict(list(self._asked.items())[-63:]), identity: pdu}
            return Meaning(_said(station, _request(pdu)), station, identity, bare)
        text = _answer(pdu, self._asked.get(identity, b""))
        return Meaning(_said(station, text), station, identity, bare, bool(pdu[0] & 0x80))


def _unwrapped(framing: str, data: bytes) -> tuple[int, bytes, str] | None:
    """(station, PDU, transaction)."""
    if framing == "mbap":
        if len(data) < 8:
            return None
        return data[6], data[7:], f"transaction {int.from_bytes(data[:2])}"
    if framing == "ascii":
        try:
            body = bytes.fromhex(data.strip().lstrip(b":").decode("ascii"))
        except ValueError:
            return None
        return (body[0], body[1:-1], "") if len(body) >= 3 and lrc(body[:-1]) == body[-1] else None
    if len(data) < 4 or RtuFraming().encode(data[0], data[1:-2]) != data:
        return None
    return data[0], data[1:-2], ""


def _said(station: int, text: Text) -> Text:
    return Text(f"station {station}: {text.en}", f"站号 {station}：{text.zh}")


def _place(function: int, start: int, count: int) -> str:
    prefix = TABLE_OF[function].prefix if function in TABLE_OF else _WRITES[function]
    return f"{prefix}:{start}" if count == 1 else f"{prefix}:{start}..{start + count - 1}"


def _request(pdu: bytes) -> Text:
    function = pdu[0]
    if function in TABLE_OF and len(pdu) == 5:
        start, count = struct.unpack(">HH", pdu[1:])
        place = _place(function, start, count)
        return Text(f"FC{function:02d} read {place}, {count}", f"FC{function:02d} 读 {place}，共 {count} 个")
    if function in (5, 6) and len(pdu) == 5:
        start, value = struct.unpack(">HH", pdu[1:])
        place = _place(function, start, 1)
        return Text(f"FC{function:02d} write {place} = {value}", f"FC{function:02d} 写 {place} = {value}")
    if function in (15, 16) and len(pdu) >= 6:
        start, count = struct.unpack(">HH", pdu[1:5])
        place, values = _place(function, start, count), _values(function, pdu[6:], count)
        return Text(f"FC{function:02d} write {place} = {values}", f"FC{function:02d} 写 {place} = {values}")
    return _other(pdu)


def _answer(pdu: bytes, asked: bytes) -> Text:
    function = pdu[0]
    if function & 0x80:
        code = pdu[1] if len(pdu) > 1 else 0
        to = _request(asked) if asked and asked[0] == function & 0x7F else Text("", "")
        name, why = f"FC{function & 0x7F:02d}", EXCEPTIONS.get(code, UNKNOWN_EXCEPTION)
        en = f"{name} refused, exception {code}: {why.en}"
        zh = f"{name} 被拒绝，异常 {code}：{why.zh}"
        return Text(f"{en} ({to.en})" if to.en else en, f"{zh}（{to.zh}）" if to.zh else zh)
    if function in TABLE_OF and len(pdu) >= 2 and len(pdu) == 2 + pdu[1]:
        fits = len(asked) == 5 and asked[0] == function
        start, count = struct.unpack(">HH", asked[1:]) if fits else (None, None)
        if count is None:
            count = pdu[1] * 8 if function <= 2 else pdu[1] // 2
        place = _place(function, start, count) if start is not None else "?"
        values = _values(function, pdu[2:], count)
        return Text(f"FC{function:02d} {place} = {values}", f"FC{function:02d} {place} = {values}")
    if function in _WRITES and len(pdu) == 5:
        start, number = struct.unpack(">HH", pdu[1:])
        place = _place(function, start, 1 if function in (5, 6) else number)
        return Text(f"FC{function:02d} written: {place}", f"FC{function:02d} 已写入：{place}")
    return _other(pdu)


def _values(function: int, data: bytes, count: int) -> str:
    if function in (1, 2, 15):
        values = [str(data[n // 8] >> n % 8 & 1) for n in range(min(count, 8 * len(data)))]
    else:
        values = [str(int.from_bytes(data[n : n + 2])) for n in range(0, len(data) - 1, 2)]
    return " ".join(values[:_SHOWN]) + (f" ... ({len(values)})" if len(values) > _SHOWN else "")


def _other(pdu: bytes) -> Text:
    return Text(f"FC{pdu[0]:02d}, {len(pdu)} bytes", f"FC{pdu[0]:02d}，{len(pdu)} 字节")
