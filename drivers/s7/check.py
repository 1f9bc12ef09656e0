"""The offline check of what a technician wrote about a device: every mistake that needs no controller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from drivers.s7.address import AddressMistake, Place, locate, parse
from drivers.s7.check_overlap import check_overlaps
from drivers.s7.consistent import members, sets_of
from drivers.s7.endpoint import endpoint
from drivers.s7.kinds import KINDS
from drivers.s7.packing import Frame, pack
from drivers.s7.pdu import REPLY_HEAD, REPLY_ITEM, SMALLEST
from drivers.s7.texts import ENCODINGS
from drivers.s7.write import exclusive_byte
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text, whole_link

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings


def check(settings: S7Settings, tags: Sequence[Tag]) -> list[Problem]:
    """Every mistake in the settings and tags, none fatal to finding the next."""
    problems = [] if _link_is_sound(settings) else [_bad_link(settings)]
    for tag in tags:
        problems.extend(_tag_problems(settings, tag))
    problems.extend(check_overlaps(tags, settings.encoding))
    problems.extend(_set_problems(settings, tags))
    problems.extend(_exclusive_problems(settings))
    return problems


def _link_is_sound(settings: S7Settings) -> bool:
    try:
        endpoint(settings)
    except ValueError:
        return False
    return True


def _tag_problems(settings: S7Settings, tag: Tag) -> Iterator[Problem]:
    """At most one of them is about the address itself."""
    try:
        place = locate(tag, settings.encoding)
    except AddressMistake as mistake:
        path = ("tags", tag.name, mistake.column)
        yield Problem(mistake.code, path, mistake.message, mistake.cure)
    else:
        yield from _place_problems(settings, tag, place)
    if tag.byte_order:
        yield _byte_order(tag)
    if tag.encoding and tag.encoding not in ENCODINGS:
        yield _encoding(tag)


def _place_problems(settings: S7Settings, tag: Tag, place: Place) -> Iterator[Problem]:
    point = parse(tag.address)
    if point.german:
        yield _german(tag, str(point))
    if place.length > 1 and place.start % 2 and place.kind != "char":
        yield _odd(tag, place)
    if Frame(SMALLEST, 20).longest < place.length:
        yield _long(tag, place, settings.pdu)


def _set_problems(settings: S7Settings, tags: Sequence[Tag]) -> Iterator[Problem]:
    for index, names in enumerate(settings.consistent):
        path = ("consistent", index)
        unknown = [name for name in names if not members([name], tags)]
        found = members(names, tags)
        groups = sorted({tags[position].group for position in found})
        if unknown:
            yield _unknown_member(path, unknown)
        elif len(found) < 2:
            yield _lonely_set(path)
        elif len(groups) > 1:
            yield _divided_set(path, groups)
    yield from _sets_too_large(settings, tags)


def _sets_too_large(settings: S7Settings, tags: Sequence[Tag]) -> Iterator[Problem]:
    for positions in sets_of(settings.consistent, tags):
        try:
            places = [locate(tags[position], settings.encoding) for position in positions]
        except AddressMistake:
            continue  # said already
        names = ", ".join(tags[position].name for position in positions)
        if pack(places, [range(len(places))], Frame(settings.pdu, settings.max_items)).impossible:
            yield _large_set(names, settings, warning=False)
        elif pack(places, [range(len(places))], Frame(SMALLEST, settings.max_items)).impossible:
            yield _large_set(names, settings, warning=True)


def _exclusive_problems(settings: S7Settings) -> Iterator[Problem]:
    for index, text in enumerate(settings.exclusive_bytes):
        try:
            exclusive_byte(text)
        except AddressMistake:
            yield Problem(
                "E-S7-EXCLUSIVE",
                ("exclusive_bytes", index),
                Text(en=f"'{text}' is not the address of a byte.", zh=f"“{text}”不是字节地址。"),
                Text(en="Write for example DB1.DBB44 or MB10.", zh="例如写成 DB1.DBB44 或 MB10。"),
            )


def _bad_link(settings: S7Settings) -> Problem:
    example = whole_link(settings.link, "tcp", "tcp://10.0.0.31")
    return Problem(
        "E-S7-LINK",
        ("link",),
        Text(
            en=f"'{settings.link}' is not an address of an S7 controller.",
            zh=f"“{settings.link}”不是 S7 控制器的地址。",
        ),
        Text(
            en=f"Write tcp:// and the controller's IP address, {example.en} (port 102 if left out).",
            zh=f"请写 tcp:// 加控制器 IP 地址，{example.zh}（省略端口时为 102）。",
        ),
    )


def _german(tag: Tag, wanted: str) -> Problem:
    return Problem(
        "E-S7-GERMAN",
        ("tags", tag.name, "address"),
        Text(
            en=f"'{tag.address}' is the German form; it is read as {wanted}.",
            zh=f"“{tag.address}”是德文写法，按 {wanted} 读取。",
        ),
        Text(en=f"It may stay so; or write {wanted}.", zh=f"可不处理，或改写为 {wanted}。"),
        warning=True,
    )


def _odd(tag: Tag, place: Place) -> Problem:
    return Problem(
        "E-S7-ODD",
        ("tags", tag.name, "address"),
        Text(
            en=f"'{tag.address}' starts at odd byte {place.start}; such values lie at even bytes.",
            zh=f"“{tag.address}”从奇数字节 {place.start} 开始；控制器通常把这类值放在偶数字节。",
        ),
        Text(en="Compare with the offset column of the data block.", zh="请与数据块的“偏移量”一列核对。"),
        warning=True,
    )


def _long(tag: Tag, place: Place, pdu: int) -> Problem:
    """Never read in pieces: the pieces of a text would be of different moments."""
    needed = place.length + REPLY_HEAD + REPLY_ITEM
    kind = KINDS[place.kind]
    found = f"{place.kind}[{kind.characters(tag.length)}]"
    most = (min(pdu, SMALLEST) - REPLY_HEAD - REPLY_ITEM - kind.head) // kind.size
    return Problem(
        "E-S7-LONG",
        ("tags", tag.name, "type"),
        Text(
            en=f"A {found} needs a PDU of {needed} bytes; S7-300 and S7-1200 grant 240, "
            f"and this device asks for {pdu}.",
            zh=f"{found} 需要 {needed} 字节的 PDU；S7-300 和 S7-1200 只给 240，本设备请求 {pdu}。",
        ),
        Text(
            en=f"Write {place.kind}[{most}]: shorter texts arrive whole, a longer one is BAD_DECODE.",
            zh=f"请写 {place.kind}[{most}]：较短的文本完整读取，更长的为 BAD_DECODE。",
        ),
        warning=needed <= pdu,
    )


def _byte_order(tag: Tag) -> Problem:
    return Problem(
        "E-S7-BYTE-ORDER",
        ("tags", tag.name, "byte_order"),
        Text(
            en=f"byte_order '{tag.byte_order}' has no meaning for S7: its values are always big-endian.",
            zh=f"byte_order“{tag.byte_order}”对 S7 无意义:其数值始终为大端序。",
        ),
        Text(en="Leave byte_order empty.", zh="请将 byte_order 留空。"),
    )


def _encoding(tag: Tag) -> Problem:
    known = ", ".join(ENCODINGS)
    return Problem(
        "E-S7-ENCODING",
        ("tags", tag.name, "encoding"),
        Text(en=f"'{tag.encoding}' is not a known encoding.", zh=f"“{tag.encoding}”不是已知的编码。"),
        Text(en=f"Write one of {known}.", zh=f"请写 {known} 之一。"),
    )


def _unknown_member(path: tuple[str, int], unknown: Sequence[str]) -> Problem:
    names = ", ".join(unknown)
    return Problem(
        "E-S7-CONSISTENT",
        path,
        Text(en=f"This device has no tag {names}.", zh=f"本设备没有变量 {names}。"),
        Text(en="Write the names as in the tag list.", zh="请按变量表中的名称书写。"),
    )


def _lonely_set(path: tuple[str, int]) -> Problem:
    return Problem(
        "E-S7-CONSISTENT",
        path,
        Text(en="A set that is to be consistent needs two tags.", zh="一致性集合至少需要两个变量。"),
        Text(en="Name another tag, or remove the set.", zh="请再写一个变量，或删除该集合。"),
    )


def _divided_set(path: tuple[str, int], groups: Sequence[str]) -> Problem:
    names = ", ".join(groups)
    return Problem(
        "E-S7-CONSISTENT",
        path,
        Text(
            en=f"Its tags are in the poll groups {names}; only tags of one group are read together.",
            zh=f"其变量分属轮询组 {names}；只有同一组的变量会一起读取。",
        ),
        Text(en="Give them the same group.", zh="请将它们放在同一组。"),
    )


def _large_set(names: str, settings: S7Settings, *, warning: bool) -> Problem:
    pdu = SMALLEST if warning else settings.pdu
    return Problem(
        "E-S7-CONSISTENT",
        ("consistent",),
        Text(
            en=f"{names} do not fit one request with a PDU of {pdu} bytes and {settings.max_items} items"
            + ("; S7-300 and S7-1200 grant no more." if warning else "."),
            zh=f"{names} 无法放入一个请求(PDU {pdu} 字节，{settings.max_items} 项)"
            + ("；S7-300 和 S7-1200 不会给得更多。" if warning else "。"),
        ),
        Text(
            en="Let the program copy them side by side into one data block, or make the set smaller.",
            zh="请由程序将它们复制到同一数据块的相邻位置，或缩小集合。",
        ),
        warning=warning,
    )
