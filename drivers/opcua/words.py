"""What OPC UA messages say, for people: service, nodes, status codes. For `debug`; imports asyncua."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncua import ua as typed_ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from edge_agent.driver import Meaning
from edge_agent.settings import Text

ua: Any = typed_ua
_SHOWN = 8


def interpreter(link: str) -> Callable[[str, bytes], Meaning]:
    """See ``DriverPlugin.interpret``."""
    return _meaning


def _meaning(way: str, data: bytes) -> Meaning:
    if not data or way == "!":
        return Meaning(Text("", ""))
    try:
        message = _decoded(data)
        header = message.RequestHeader if way == ">" else message.ResponseHeader
        identity = f"handle {header.RequestHandle}"
        text, failed = _request(message) if way == ">" else _response(message)
    except Exception:  # noqa: BLE001 - the library raises whatever it likes for bytes that are no message
        return Meaning(Text(f"{len(data)} bytes", f"{len(data)} 字节"))
    return Meaning(text, identity=identity, failed=failed)


def _decoded(data: bytes) -> Any:
    number = nodeid_from_binary(Buffer(data)).Identifier
    name = ua.ObjectIdNames[number].partition("_")[0]
    return struct_from_binary(getattr(ua, name), Buffer(data))


def _service(message: Any) -> str:
    return type(message).__name__.removesuffix("Request").removesuffix("Response")


def _request(message: Any) -> tuple[Text, bool]:
    service, parameters = _service(message), getattr(message, "Parameters", None)
    for name in ("NodesToRead", "NodesToWrite", "NodesToBrowse", "ItemsToCreate"):
        nodes = getattr(parameters, name, None)
        if nodes:
            shown = ", ".join(_node(node) for node in nodes[:_SHOWN])
            more = " ..." if len(nodes) > _SHOWN else ""
            return Text(
                f"{service}, {len(nodes)} node(s): {shown}{more}",
                f"{service}，{len(nodes)} 个节点：{shown}{more}",
            ), False
    return Text(service, service), False


def _node(node: Any) -> str:
    place = getattr(node, "ItemToMonitor", node).NodeId
    return str(place.to_string())


def _response(message: Any) -> tuple[Text, bool]:
    service, result = _service(message), message.ResponseHeader.ServiceResult
    if not result.is_good():
        return Text(f"{service} refused: {result.name}", f"{service} 被拒绝：{result.name}"), True
    results = getattr(message, "Results", None)
    results = (
        results if results is not None else getattr(getattr(message, "Parameters", None), "Results", None)
    )
    if not results:
        return Text(f"{service}: Good", f"{service}：Good"), False
    told = [_result(item) for item in results]
    more = " ..." if len(told) > _SHOWN else ""
    shown = "; ".join(text for text, _ in told[:_SHOWN]) + more
    bad = sum(failed for _, failed in told)
    return Text(
        f"{service}, {bad} of {len(told)} bad: {shown}", f"{service}，{len(told)} 个中 {bad} 个异常：{shown}"
    ), (bad > 0)


def _result(item: Any) -> tuple[str, bool]:
    status = item if isinstance(item, ua.StatusCode) else getattr(item, "StatusCode", None)
    name = "Good" if status is None else status.name
    failed = status is not None and not status.is_good()
    value = getattr(item, "Value", None)
    inner = getattr(value, "Value", value)
    return (name if failed or inner is None else f"{str(inner)[:60]} ({name})"), failed
