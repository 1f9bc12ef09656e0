"""The readable variables below a node, as tags. Imports asyncua."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from drivers.opcua.address import NodeAddress, elements, parse
from drivers.opcua.faults import TooMany, ua
from drivers.opcua.session import Session, node_id
from edge_agent.errors import BadReply, Refused
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

_ROOT = "i=85"  # Objects
_SERVER = NodeAddress("i", 2253)  # the server's own affairs: hundreds of nodes nobody wants
_NODES_MAX = 5000
_DEPTH_MAX = 12
_ELEMENTS_MAX = 100
_PER_CALL = 100
_REFERENCES_PER_NODE = 1000
_KINDS = {"Numeric": "i", "String": "s", "Guid": "g", "ByteString": "b"}
_TYPES = {
    ua.VariantType.Boolean: (ValueType.BOOL, ""),
    ua.VariantType.SByte: (ValueType.INT8, ""),
    ua.VariantType.Byte: (ValueType.UINT8, ""),
    ua.VariantType.Int16: (ValueType.INT16, ""),
    ua.VariantType.UInt16: (ValueType.UINT16, ""),
    ua.VariantType.Int32: (ValueType.INT32, ""),
    ua.VariantType.UInt32: (ValueType.UINT32, ""),
    ua.VariantType.Int64: (ValueType.INT64, ""),
    ua.VariantType.UInt64: (ValueType.UINT64, ""),
    ua.VariantType.Float: (ValueType.FLOAT32, ""),
    ua.VariantType.Double: (ValueType.FLOAT64, ""),
    ua.VariantType.StatusCode: (ValueType.UINT32, "statuscode"),
    **dict.fromkeys(
        (
            ua.VariantType.String,
            ua.VariantType.DateTime,
            ua.VariantType.Guid,
            ua.VariantType.ByteString,
            ua.VariantType.LocalizedText,
            ua.VariantType.QualifiedName,
        ),
        (ValueType.STRING, ""),
    ),
}


@dataclass(frozen=True, slots=True)
class _Found:
    """A node on the way down, or one of its properties."""

    node: NodeAddress
    path: tuple[str, ...]
    is_variable: bool
    is_property: bool


class Browser:
    """One walk. Raises as ``Link.exchange``; Refused for a start that is no node of this server."""

    def __init__(self, session: Session, namespaces: tuple[str, ...], per_call: int | None) -> None:
        self._session = session
        self._namespaces = namespaces
        self._per_call = min(per_call or _PER_CALL, _PER_CALL)

    async def below(self, start: str) -> Sequence[Tag]:
        """At most 5000 nodes, 12 levels deep; a node met twice is listed once."""
        found = await self._walk(self._start(start))
        variables = [f for f in found if f.is_variable and not f.is_property]
        units = await self._units([f for f in found if f.is_property])
        values = await self._attribute([f.node for f in variables], ua.AttributeIds.Value)
        rights = await self._attribute([f.node for f in variables], ua.AttributeIds.UserAccessLevel)
        words = await self._attribute([f.node for f in variables], ua.AttributeIds.Description)
        tags: list[Tag] = []
        for f, value, right, word in zip(variables, values, rights, words, strict=True):
            if _readable(right):
                tags += self._tags(f, value, units.get(f.path, ""), _said(word))
        return tags

    def _start(self, text: str) -> NodeAddress:
        try:
            node = parse(text.strip() or _ROOT).resolved(self._namespaces)
        except ValueError as error:
            raise Refused(
                Text(
                    f"'{text}' is not a node id, such as nsu=URI;s=Name or i=85",
                    f"“{text}”不是节点标识，例如 nsu=URI;s=名称 或 i=85",
                )
            ) from error
        if node is None:
            raise Refused(
                Text(
                    f"the server does not have the namespace of '{text}'",
                    f"服务器没有“{text}”的命名空间",
                )
            )
        return node

    async def _walk(self, start: NodeAddress) -> list[_Found]:
        level, found = [_Found(start, (), False, False)], []
        seen = {start, _SERVER}
        for _ in range(_DEPTH_MAX):
            following = []
            for parent, references in await self._children(level):
                for reference in references:
                    child = self._child(parent, reference)
                    if child is not None and child.node not in seen and len(seen) < _NODES_MAX:
                        seen.add(child.node)
                        found.append(child)
                        following += [] if child.is_property else [child]
            level = following
            if not level:
                break
        return found

    def _child(self, parent: _Found, reference: Any) -> _Found | None:
        if reference.NodeClass not in (ua.NodeClass.Object, ua.NodeClass.Variable):
            return None
        node = _address(reference.NodeId)
        if node is None:
            return None
        return _Found(
            node,
            (*parent.path, str(reference.BrowseName.Name)),
            reference.NodeClass is ua.NodeClass.Variable,
            reference.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasProperty),
        )

    async def _children(self, parents: Sequence[_Found]) -> list[tuple[_Found, list[Any]]]:
        answered, at = [], 0
        while at < len(parents):
            chunk = parents[at : at + self._per_call]
            request = ua.BrowseRequest()
            request.Parameters.RequestedMaxReferencesPerNode = _REFERENCES_PER_NODE
            request.Parameters.NodesToBrowse = [_question(parent.node) for parent in chunk]
            try:
                response = await self._session.call(request, ua.BrowseResponse, "browse")
            except TooMany:
                self._halve()
                continue
            if len(response.Results or ()) != len(chunk):
                raise BadReply(f"browsed {len(chunk)} nodes, the server answered for another number")
            for parent, result in zip(chunk, response.Results, strict=True):
                answered.append((parent, await self._all_references(result)))
            at += len(chunk)
        return answered

    async def _all_references(self, result: Any) -> list[Any]:
        references = list(result.References or ())
        while result.ContinuationPoint and len(references) < _NODES_MAX:
            request = ua.BrowseNextRequest()
            request.Parameters.ContinuationPoints = [result.ContinuationPoint]
            response = await self._session.call(request, ua.BrowseNextResponse, "browse")
            result = response.Parameters.Results[0] if response.Parameters.Results else ua.BrowseResult()
            references += result.References or ()
        return references

    async def _units(self, properties: Sequence[_Found]) -> dict[tuple[str, ...], str]:
        """The path of a variable -> its unit as the server shows it."""
        wanted = [f for f in properties if f.path[-1] == "EngineeringUnits"]
        units = {}
        for f, result in zip(
            wanted, await self._attribute([f.node for f in wanted], ua.AttributeIds.Value), strict=True
        ):
            shown = getattr(result.Value.Value if result.Value else None, "DisplayName", None)
            units[f.path[:-1]] = str(shown.Text or "") if shown is not None else ""
        return units

    async def _attribute(self, nodes: Sequence[NodeAddress], attribute: int) -> list[Any]:
        results: list[Any] = []
        while len(results) < len(nodes):
            chunk = nodes[len(results) : len(results) + self._per_call]
            answer = await self._read(chunk, attribute)
            if answer is None:
                self._halve()
                continue
            results += answer
        return results

    async def _read(self, chunk: Sequence[NodeAddress], attribute: int) -> list[Any] | None:
        """One result per node, or None where the server takes fewer at a time. A node whose read makes the
        server fail as a whole is found by halving and left out, so that it hides no other."""
        try:
            answer: list[Any] | None = await self._session.read(self._session.prepare(chunk, attribute))
        except BadReply:
            if len(chunk) == 1:
                return [ua.DataValue()]
            middle = len(chunk) // 2
            first = await self._read(chunk[:middle], attribute)
            second = await self._read(chunk[middle:], attribute)
            return None if first is None or second is None else first + second
        return answer

    def _halve(self) -> None:
        if self._per_call == 1:
            raise Refused("the server finds a single node too many for one call")
        self._per_call //= 2

    def _tags(self, found: _Found, value: Any, unit: str, description: str) -> list[Tag]:
        variant = value.Value
        kind, wire = _TYPES.get(variant.VariantType if variant else None, (None, ""))
        if kind is None or len(variant.Dimensions or ()) > 1:
            return []  # nothing in it yet, a structure, or a matrix
        tag = Tag(
            _name(found.path),
            self._by_uri(found.node),
            kind,
            unit=unit,
            description="" if description == found.path[-1] else description,
            wire=wire,
        )
        if not variant.is_array:
            return [tag]
        count = min(len(variant.Value or ()), _ELEMENTS_MAX)
        places = elements(None, tag, count) if count else ()
        return [
            replace(tag, name=f"{tag.name}[{index}]", address=place) for index, place in enumerate(places)
        ]

    def _by_uri(self, node: NodeAddress) -> str:
        if not 0 < node.index < len(self._namespaces):
            return str(node)
        uri = self._namespaces[node.index].replace("%", "%25").replace(";", "%3B")
        return f"nsu={uri};" + str(replace(node, index=0))


def _question(node: NodeAddress) -> Any:
    return ua.BrowseDescription(
        NodeId=node_id(node),
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
        IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
        ResultMask=ua.BrowseResultMask.All,
    )


def _address(node: Any) -> NodeAddress | None:
    """None for a node of another server."""
    if getattr(node, "ServerIndex", 0):
        return None
    kind = _KINDS.get(node.NodeIdType.name, "i")  # TwoByte and FourByte are numeric ones written short
    return NodeAddress(kind, node.Identifier, node.NamespaceIndex)


def _readable(right: Any) -> bool:
    """Whether this user may read the value; a server that does not say lets him try."""
    level = right.Value.Value if right.Value is not None else None
    return not isinstance(level, int) or bool(level & 1)


def _said(word: Any) -> str:
    text = getattr(word.Value.Value if word.Value is not None else None, "Text", None)
    return str(text or "")


def _name(path: Sequence[str]) -> str:
    """As tags are named: lower case, words joined by underscores. Not unique by itself."""
    words = (re.sub(r"[^\w]+", "_", part).strip("_") for part in path)
    return "_".join(word for word in words if word).lower() or "node"
