"""Every mistake in a device's settings and tags, found without a device.

E-MB-001 address   E-MB-002 type does not fit the place   E-MB-003 type not known   E-MB-004 past the end
E-MB-005 byte order   E-MB-006 value wider than a request   E-MB-007 forbidden place   E-MB-008 encoding
E-MB-009 length of a string   W-MB-101 station 0   W-MB-102 read twice   W-MB-103 byte order without effect
W-MB-104 a request that takes longer than the time-out   W-MB-107 values that share registers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from drivers.modbus.address import Address, AddressError, Range, notations, parse, parse_range
from drivers.modbus.check_overlap import check_overlaps
from drivers.modbus.cost import cost_of
from drivers.modbus.kinds import (
    ENCODINGS,
    KINDS,
    ByteOrder,
    kind_name,
    normal_encoding,
    registers_of,
)
from drivers.modbus.plan import plan
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_ORDERS = ", ".join(ByteOrder)
_ENCODINGS = ", ".join(ENCODINGS)
_SPECIAL = frozenset({"bool", "int8", "uint8"})  # types of a part of a register


def check(settings: ModbusSettings, tags: Sequence[Tag]) -> list[Problem]:
    """All of them, in the order of the tags; the station first, the time-out last."""
    problems = [*_check_station(settings)]
    good: list[Tag] = []
    seen: dict[tuple[object, ...], str] = {}
    forbidden = [parse_range(text) for text in settings.forbidden]
    for tag in tags:
        own = [*_check_byte_order(tag), *_check_encoding(tag)]
        problems += own
        try:
            address = parse(tag.address)
        except AddressError as error:
            problems.append(Problem("E-MB-001", _at(tag, "address"), error.message, error.cure))
            continue
        found = list(_check_type(tag, address)) or list(_check_extent(settings, tag, address, forbidden))
        problems += found
        if not found and not own:
            good.append(tag)
            problems += _check_twice(tag, address, seen)
    return [*problems, *check_overlaps(good), *_check_timeout(settings, good)]


def _at(tag: Tag, column: str) -> tuple[str, str, str]:
    return ("tags", tag.name, column)


def _check_station(settings: ModbusSettings) -> Iterator[Problem]:
    if settings.station == 0:
        yield Problem(
            "W-MB-101",
            ("station",),
            Text("station 0 is the broadcast address on a serial line", "站号 0 是串行总线上的广播地址"),
            Text(
                "behind a gateway nobody answers it: write the station's own number (1 to 247, or 255)",
                "网关后面的设备不会应答：请写设备自己的站号（1 至 247），直连 PLC 可写 255",
            ),
            warning=True,
        )


def _check_timeout(settings: ModbusSettings, tags: Sequence[Tag]) -> Iterator[Problem]:
    """Only where somebody wrote a time-out: the agent's own suits its periods."""
    if settings.timeout is None:
        return
    groups = {tag.group for tag in tags}
    plans = [plan(settings, [tag for tag in tags if tag.group == group], None, None) for group in groups]
    longest = max((r for p in plans for r in p.requests), key=lambda r: (r.cost_s, r.text), default=None)
    if longest is None or longest.cost_s <= settings.timeout:
        return
    cost, shorter = cost_of(settings), Text("", "")
    fitting = (round(settings.timeout * 1e9) - cost.request_ns) // (2 * cost.byte_ns)
    if fitting >= 1 and longest.body.function > 2:
        shorter = Text(f", or set max_registers to {fitting}", f"，或把 max_registers 设为 {fitting}")
    yield Problem(
        "W-MB-104",
        ("timeout",),
        Text(
            f"{longest.text} takes about {longest.cost_s:.2f} s on this link, "
            f"longer than the timeout of {settings.timeout:g} s",
            f"{longest.text} 在此连接上约需 {longest.cost_s:.2f} s，超过了 {settings.timeout:g} s 的 timeout",
        ),
        Text(
            f"set timeout to {longest.cost_s * 1.5:.1f}s{shorter.en}",
            f"请把 timeout 设为 {longest.cost_s * 1.5:.1f}s{shorter.zh}",
        ),
        warning=True,
    )


def _check_byte_order(tag: Tag) -> Iterator[Problem]:
    order = tag.byte_order.strip().upper()
    if order and order not in tuple(ByteOrder):
        yield Problem(
            "E-MB-005",
            _at(tag, "byte_order"),
            Text(f"'{tag.byte_order}' is not a byte order", f"“{tag.byte_order}”不是字节序"),
            Text(
                f"one of {_ORDERS}, or leave it empty for the device's own",
                f"请写 {_ORDERS} 之一，或留空使用设备的字节序",
            ),
        )


def _check_encoding(tag: Tag) -> Iterator[Problem]:
    if not tag.encoding:
        return
    if kind_name(tag) != "string":
        yield Problem(
            "E-MB-008",
            _at(tag, "encoding"),
            Text(f"only a string has an encoding, not {kind_name(tag)}", f"{kind_name(tag)} 没有字符编码"),
            Text("leave it empty", "请留空"),
        )
    elif normal_encoding(tag.encoding) not in ENCODINGS:
        yield Problem(
            "E-MB-008",
            _at(tag, "encoding"),
            Text(f"'{tag.encoding}' is not an encoding known here", f"不支持字符编码“{tag.encoding}”"),
            Text(
                f"one of {_ENCODINGS}; texts entered on Chinese panels are mostly gbk",
                f"请写 {_ENCODINGS} 之一；国产触摸屏录入的文字多为 gbk",
            ),
        )


def _check_type(tag: Tag, address: Address) -> Iterator[Problem]:
    kind = kind_name(tag)
    if kind in KINDS and kind not in _SPECIAL and not address.is_part and not address.table.is_bits:
        return  # nearly every tag: a number or text in whole registers
    where = notations(address)
    byte = kind in ("int8", "uint8")
    if kind not in KINDS:
        types = ", ".join(KINDS)
        yield _type_problem(
            "E-MB-003",
            tag,
            f"Modbus has no type '{kind}'",
            f"Modbus 没有类型“{kind}”",
            Text(f"use one of {types}", f"请改用 {types} 之一"),
        )
    elif (address.table.is_bits or address.bit is not None) and kind != "bool":
        yield _type_problem(
            "E-MB-002",
            tag,
            f"{where} is a single bit, {kind} does not fit",
            f"{where} 只有一位，放不下 {kind}",
            Text("use bool, or the address of a register", "请改用 bool，或改写寄存器地址"),
        )
    elif address.high is not None and not byte:
        yield _type_problem(
            "E-MB-002",
            tag,
            f"{where} is one byte, {kind} does not fit",
            f"{where} 只有一个字节，放不下 {kind}",
            Text("use int8 or uint8, or leave the '.h' or '.l' out", "请改用 int8 或 uint8，或去掉“.h”“.l”"),
        )
    elif byte and address.high is None:
        yield _type_problem(
            "E-MB-002",
            tag,
            f"{where} has two bytes",
            f"{where} 有两个字节",
            Text(
                f"say which: {address}.h is the high byte, {address}.l the low one; or use uint16",
                f"请指明字节：{address}.h 为高字节，{address}.l 为低字节；或改用 uint16",
            ),
        )
    elif kind == "bool" and address.bit is None and not address.table.is_bits:
        yield _type_problem(
            "E-MB-002",
            tag,
            f"{where} has 16 bits",
            f"{where} 有 16 位",
            Text(
                f"say which bit: {address}.0 is the least significant; or use uint16",
                f"请指明位号：{address}.0 为最低位；或改用 uint16",
            ),
        )


def _type_problem(code: str, tag: Tag, en: str, zh: str, cure: Text) -> Problem:
    return Problem(code, _at(tag, "type"), Text(en, zh), cure)


def _check_extent(
    settings: ModbusSettings, tag: Tag, address: Address, forbidden: Sequence[Range]
) -> Iterator[Problem]:
    kind, table = kind_name(tag), address.table
    if kind == "string" and tag.length < 1:
        yield _type_problem(
            "E-MB-009",
            tag,
            f"a string of {tag.length} characters",
            f"字符串长度为 {tag.length}",
            Text("write its length, such as string[16]", "请写明长度，例如 string[16]"),
        )
        return
    count = 1 if table.is_bits else registers_of(kind, tag.length)
    name = f"string[{tag.length}]" if kind == "string" else kind
    if address.offset + count > 0x10000:
        last = notations(Address(table, 0x10000 - count))
        yield Problem(
            "E-MB-004",
            _at(tag, "address"),
            Text(
                f"{name} takes {count} registers: {notations(address)} is too close to the end",
                f"{name} 占 {count} 个寄存器：{notations(address)} 离末尾太近",
            ),
            Text(f"the last place for it is {last}", f"最后可用的地址是 {last}"),
        )
    if not table.is_bits and count > settings.max_registers:
        yield _too_wide(settings, tag, name, count)
    for part in forbidden:
        if part.table is table and part.start < address.offset + count and address.offset < part.end:
            yield _forbidden(tag, Range(table, address.offset, address.offset + count), part)


def _too_wide(settings: ModbusSettings, tag: Tag, name: str, count: int) -> Problem:
    cure = Text(
        f"set max_registers to {count} or more: a value is never split over two requests",
        f"请把 max_registers 设为不小于 {count}：一个数值不会拆到两个请求中",
    )
    if count > 125:
        cure = Text(
            "a request has 125 registers at most: read a string in parts of up to string[250]",
            "一个请求最多 125 个寄存器：请把字符串分段读取，每段不超过 string[250]",
        )
    return _type_problem(
        "E-MB-006",
        tag,
        f"{name} takes {count} registers, but max_registers is {settings.max_registers}",
        f"{name} 占 {count} 个寄存器，而 max_registers 为 {settings.max_registers}",
        cure,
    )


def _forbidden(tag: Tag, used: Range, part: Range) -> Problem:
    return Problem(
        "E-MB-007",
        _at(tag, "address"),
        Text(
            f"'{tag.name}' reads {used}, but {part} is forbidden",
            f"“{tag.name}”要读 {used}，但 {part} 已设为禁止读取",
        ),
        Text(
            "correct the address, or the device's 'forbidden' list, or remove the tag",
            "请更正地址或设备的 forbidden 列表，或删除该标签",
        ),
    )


def _check_twice(tag: Tag, address: Address, seen: dict[tuple[object, ...], str]) -> Iterator[Problem]:
    order = tag.byte_order.strip().upper()
    if order and address.table.is_bits:
        yield Problem(
            "W-MB-103",
            _at(tag, "byte_order"),
            Text(
                f"a byte order has no effect on {notations(address)}: it is a single bit",
                f"字节序对 {notations(address)} 无效：它只有一位",
            ),
            Text("leave it empty", "请留空"),
            warning=True,
        )
    first = seen.setdefault((address, kind_name(tag), tag.length, order, tag.encoding), tag.name)
    if first != tag.name:
        yield _read_twice(tag, address, first)


def _read_twice(tag: Tag, address: Address, first: str) -> Problem:
    return Problem(
        "W-MB-102",
        _at(tag, "address"),
        Text(
            f"'{tag.name}' and '{first}' are both {kind_name(tag)} at {notations(address)}",
            f"“{tag.name}”和“{first}”都是 {notations(address)} 上的 {kind_name(tag)}",
        ),
        Text(
            "if that is not meant, one of the two addresses is wrong",
            "如非有意，其中一个地址写错了",
        ),
        warning=True,
    )
