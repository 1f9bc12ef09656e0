"""Addresses: OPC UA node ids in their standard text form -> what identifies a node. Pure, without asyncua.

``nsu=URI;s=Name`` is the form to use: a server may renumber its namespaces at any restart, so the index in
``ns=2;s=Name`` can point somewhere else tomorrow. ``;`` and ``%`` in a URI are written ``%3B`` and ``%25``.

``element=3;nsu=...;s=Name`` is the fourth element of that node's array, as the server counts it: from 0. It
stands in front because a string identifier may hold any characters: ``"DB"."Temps"[1]`` is the identifier of
a node of its own on an S7-1500, and by the PLC's own numbering at that.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

Identifier = int | str | uuid.UUID | bytes

_FORM = re.compile(r"(?:nsu=([^;]+);|ns=(\d{1,9});)?([isgb])=(.+)", re.ASCII | re.DOTALL)
_ELEMENT = re.compile(r"element=(\d{1,10}(?:,\d{1,10})*);(.+)", re.ASCII | re.DOTALL)
_INDEX_MAX = 65_535
_ELEMENT_MAX = 2**31 - 1  # Part 6: an array's length is an Int32
_NUMERIC_MAX = 2**32 - 1
_STRING_MAX = 4096  # Part 3: the longest identifier a client need handle


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node. ``uri``: its namespace, still to be resolved to an index; else ``index`` is the namespace."""

    kind: str  # i, s, g or b
    identifier: Identifier
    index: int = 0
    uri: str | None = None

    def __str__(self) -> str:
        space = f"nsu={self.uri};" if self.uri is not None else f"ns={self.index};" if self.index else ""
        text = (
            base64.b64encode(self.identifier).decode()
            if isinstance(self.identifier, bytes)
            else self.identifier
        )
        return f"{space}{self.kind}={text}"

    def resolved(self, namespaces: tuple[str, ...]) -> NodeAddress | None:
        """With the namespace's index in that table; None where the server does not have the namespace."""
        if self.uri is None:
            return self
        if self.uri not in namespaces:
            return None
        return NodeAddress(self.kind, self.identifier, namespaces.index(self.uri))


class TooLong(ValueError):
    """Elements that no array has, in words for the technician."""

    def __init__(self, count: int, address: str) -> None:
        super().__init__(f"{count} elements from {address!r} on leave any array")
        self.message = Text(
            f"{count} elements from '{address[:80]}' on are more than an array can have",
            f"从“{address[:80]}”起的 {count} 个元素超出数组的最大长度",
        )
        self.cure = Text(
            "Begin at an earlier element, or take fewer.", "请从更靠前的元素开始,或减少元素个数。"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What a tag reads: a node's value, or one element of it (one index for each dimension, from 0)."""

    node: NodeAddress
    element: tuple[int, ...] = ()


def locate(text: str) -> Place:
    """A tag's address. Raises ValueError for anything that is not a node id, with or without an element."""
    match = _ELEMENT.fullmatch(text.strip())
    if match is None:
        return Place(parse(text))
    element = tuple(int(index) for index in match[1].split(","))
    if max(element) > _ELEMENT_MAX:
        raise ValueError(f"beyond the end of any array: {text!r}")
    return Place(parse(match[2]), element)


def elements(settings: Any, tag: Tag, count: int) -> Sequence[str]:
    """Addresses of ``count`` elements, beginning with the tag's own, or the first where it names none. They
    are read with one node, in one piece. See ``DriverPlugin.elements``."""
    place = locate(tag.address)
    *outer, first = place.element or (0,)
    if first + count - 1 > _ELEMENT_MAX:
        raise TooLong(count, tag.address)
    node = tag.address.strip().partition(";")[2] if place.element else tag.address.strip()
    before = "".join(f"{index}," for index in outer)
    return tuple(f"element={before}{index};{node}" for index in range(first, first + count))


def parse(text: str) -> NodeAddress:
    """Raises ValueError for anything that is not a node id."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a node id: {text!r}")
    uri = None if match[1] is None else match[1].replace("%3B", ";").replace("%25", "%")
    index = int(match[2] or 0)
    if index > _INDEX_MAX:
        raise ValueError(f"namespace index beyond {_INDEX_MAX}: {text!r}")
    return NodeAddress(match[3], _identifier(match[3], match[4]), index, uri)


def tag_problems(tag: Tag) -> list[Problem]:
    """Every mistake in one tag, and a warning where its namespace is named by index."""
    problems = []
    try:
        address = locate(tag.address).node
    except ValueError:
        problems.append(_not_a_node_id(tag))
    else:
        if address.uri is None and address.index > 0:
            problems.append(_index_is_not_stable(tag))
    if tag.byte_order:
        problems.append(_byte_order(tag))
    return problems


def _identifier(kind: str, text: str) -> Identifier:
    if kind == "i":
        if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > _NUMERIC_MAX:
            raise ValueError(f"not a numeric identifier: {text!r}")
        return int(text)
    if kind == "g":
        return uuid.UUID(text)
    if kind == "b":
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {text!r}") from error
    if len(text) > _STRING_MAX:
        raise ValueError(f"an identifier of {len(text)} characters")
    return text


def _not_a_node_id(tag: Tag) -> Problem:
    return Problem(
        "E-OPCUA-ADDRESS",
        ("tags", tag.name, "address"),
        Text(
            en=f"'{tag.address[:80]}' is not an OPC UA node id.",
            zh=f"“{tag.address[:80]}”不是 OPC UA 节点标识。",
        ),
        Text(
            en="Copy it from an OPC UA browser: nsu=URI;s=Name, nsu=URI;i=1001, ns=2;s=Name or i=2258.",
            zh="请从 OPC UA 浏览器复制:nsu=URI;s=名称、nsu=URI;i=1001、ns=2;s=名称 或 i=2258。",
        ),
    )


def _index_is_not_stable(tag: Tag) -> Problem:
    return Problem(
        "E-OPCUA-NS-INDEX",
        ("tags", tag.name, "address"),
        Text(
            en=f"'{tag.address[:80]}' names its namespace by number: a server may renumber it.",
            zh=f"“{tag.address[:80]}”用序号指定命名空间:服务器重启后序号可能改变。",
        ),
        Text(
            en="Write the namespace's URI instead: nsu=URI;...",
            zh="请改写为命名空间的 URI:nsu=URI;...",
        ),
        warning=True,
    )


def _byte_order(tag: Tag) -> Problem:
    return Problem(
        "E-OPCUA-BYTE-ORDER",
        ("tags", tag.name, "byte_order"),
        Text(
            en=f"byte_order '{tag.byte_order}' has no meaning for OPC UA: its values carry their type.",
            zh=f"byte_order“{tag.byte_order}”对 OPC UA 无意义:其数值自带类型。",
        ),
        Text(en="Leave byte_order empty.", zh="请将 byte_order 留空。"),
    )
