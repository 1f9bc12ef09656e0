"""What S7 frames say, for people: items, return codes, errors. Pure, for `debug`."""

from __future__ import annotations

from collections.abc import Callable

from drivers.s7 import frames
from edge_agent.driver import Meaning
from edge_agent.errors import LinkLost
from edge_agent.settings import Text

_AREAS = {0x84: "DB", 0x83: "M", 0x81: "I", 0x82: "Q", 0x1C: "C", 0x1D: "T"}
_CODES = {
    0xFF: Text("good", "良好"),
    0x01: Text("hardware fault", "硬件故障"),
    0x03: Text("access not allowed", "不允许访问"),
    0x05: Text("address out of range", "地址超出范围"),
    0x06: Text("type not supported", "类型不支持"),
    0x07: Text("type does not fit", "类型不符"),
    0x0A: Text("no such block", "没有该数据块"),
}
_ERRORS = {
    0x8104: Text("function not available: is PUT/GET permitted?", "功能不可用：是否允许 PUT/GET 访问？"),
    0x8500: Text("wrong PDU length", "PDU 长度错误"),
    0xD602: Text("protected by a password", "受密码保护"),
}
_SHOWN = 24


def interpreter(link: str) -> Callable[[str, bytes], Meaning]:
    """See ``DriverPlugin.interpret``."""
    return _Reader()


class _Reader:
    def __init__(self) -> None:
        self._asked: dict[str, list[str]] = {}  # names of the items by reference

    def __call__(self, way: str, data: bytes) -> Meaning:
        if way == "!" or len(data) < 7 or data[0] != 3:
            return Meaning(Text(f"{len(data)} bytes", f"{len(data)} 字节") if data else Text("", ""))
        kind = data[5] & 0xF0
        if kind == 0xE0:
            called = data[data.find(b"\xc2\x02") + 2 :][:2].hex(" ")
            text = Text(f"connect to TSAP {called}", f"连接 TSAP {called}")
            return Meaning(text, identity="connect", bare=data)
        if kind == frames.CONFIRM:
            return Meaning(Text("connected", "已连接"), identity="connect", bare=data)
        try:
            pdus = [tpdu.payload for tpdu in frames.Reassembler(65_535).feed(data)]
        except LinkLost:
            pdus = []
        if len(pdus) != 1 or len(pdus[0]) < 10 or pdus[0][0] != 0x32:
            return Meaning(Text(f"{len(data)} bytes, not S7", f"{len(data)} 字节，不是 S7"))
        return self._pdu(way, pdus[0])

    def _pdu(self, way: str, pdu: bytes) -> Meaning:
        identity = f"reference {int.from_bytes(pdu[4:6])}"
        bare = pdu[:4] + b"\0\0" + pdu[6:]
        if way == ">":
            text, items = _request(pdu)
            self._asked = {**dict(list(self._asked.items())[-15:]), identity: items}
            return Meaning(text, identity=identity, bare=bare)
        text, failed = _answer(pdu, self._asked.get(identity, []))
        return Meaning(text, identity=identity, bare=bare, failed=failed)


def _request(pdu: bytes) -> tuple[Text, list[str]]:
    parameter = pdu[10 : 10 + int.from_bytes(pdu[6:8])]
    if pdu[1] == 7:
        return Text("asks for the CPU's state or another list", "询问 CPU 状态或其他列表"), []
    if parameter[:1] == b"\xf0" and len(parameter) >= 8:
        size = int.from_bytes(parameter[6:8])
        return Text(f"Setup: PDUs of {size} bytes", f"建立通信：PDU {size} 字节"), []
    if parameter[:1] in (b"\x04", b"\x05") and len(parameter) >= 2:
        items = [_item(parameter[at : at + 12]) for at in range(2, 2 + 12 * parameter[1], 12)]
        names = ", ".join(items[:_SHOWN])
        if parameter[0] == 4:
            return Text(f"read {len(items)} item(s): {names}", f"读 {len(items)} 项：{names}"), items
        return Text(f"write {len(items)} item(s): {names}", f"写 {len(items)} 项：{names}"), items
    code = parameter[0] if parameter else 0
    return Text(f"function 0x{code:02X}", f"功能 0x{code:02X}"), []


def _item(item: bytes) -> str:
    if len(item) < 12:
        return "?"
    size, count, block = item[3], int.from_bytes(item[4:6]), int.from_bytes(item[6:8])
    area, bits = item[8], int.from_bytes(item[9:12])
    name = _AREAS.get(area, f"area 0x{area:02X}")
    if name in ("C", "T"):
        return f"{name}{bits}" if count == 1 else f"{name}{bits}..{bits + count - 1}"
    prefix = f"DB{block}.DB" if name == "DB" else name
    if size == 1:
        return f"{prefix}{'X' if name == 'DB' else ''}{bits >> 3}.{bits & 7}"
    start = bits >> 3
    return f"{prefix}B{start}" if count == 1 else f"{prefix}B{start}..{start + count - 1}"


def _answer(pdu: bytes, items: list[str]) -> tuple[Text, bool]:
    head = 12 if pdu[1] in (2, 3) else 10
    if head == 12 and len(pdu) >= 12 and pdu[10:12] != b"\0\0":
        code = int.from_bytes(pdu[10:12])
        known = _ERRORS.get(code, Text("see the controller's manual", "见控制器手册"))
        return Text(
            f"refused, error 0x{code:04X}: {known.en}", f"被拒绝，错误 0x{code:04X}：{known.zh}"
        ), True
    size = int.from_bytes(pdu[6:8])
    parameter, data = pdu[head : head + size], pdu[head + size :]
    if pdu[1] == 7:
        return Text("the list asked for", "所询问的列表"), False
    if parameter[:1] == b"\xf0" and len(parameter) >= 8:
        granted = int.from_bytes(parameter[6:8])
        return Text(f"Setup: grants PDUs of {granted} bytes", f"建立通信：允许 PDU {granted} 字节"), False
    if parameter[:1] == b"\x04":
        return _items(data, items)
    if parameter[:1] == b"\x05":
        return _codes(data, items)
    return Text(f"answer, {len(pdu)} bytes", f"应答，{len(pdu)} 字节"), False


def _codes(data: bytes, items: list[str]) -> tuple[Text, bool]:
    told = [(_named(items, n), _code(code)) for n, code in enumerate(data)]
    text = Text("; ".join(f"{n}: {c.en}" for n, c in told), "；".join(f"{n}：{c.zh}" for n, c in told))
    return text, any(code != 0xFF for code in data)


def _items(data: bytes, items: list[str]) -> tuple[Text, bool]:
    at, en, zh, failed = 0, [], [], False
    number = 0
    while at + 4 <= len(data):
        code, size, length = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        used = (length + 7) // 8 if size in (3, 4, 5) else length
        name, good = _named(items, number), code == 0xFF
        if good:
            shown = data[at + 4 : at + 4 + used]
            value = shown[:_SHOWN].hex(" ") + (" ..." if len(shown) > _SHOWN else "")
            en.append(f"{name} = {value}")
            zh.append(f"{name} = {value}")
        else:
            used, failed = 0, True
            en.append(f"{name}: {_code(code).en}")
            zh.append(f"{name}：{_code(code).zh}")
        at += 4 + used + used % 2
        number += 1
    return Text("; ".join(en), "；".join(zh)), failed


def _named(items: list[str], number: int) -> str:
    return items[number] if number < len(items) else f"item {number + 1}"


def _code(code: int) -> Text:
    word = _CODES.get(code, Text("error", "错误"))
    return word if code == 0xFF else Text(f"0x{code:02X} {word.en}", f"0x{code:02X} {word.zh}")
