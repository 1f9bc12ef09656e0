"""The Sparkplug payload as protobuf messages, described in code by name and number of each field.

protobuf is an optional dependency and is imported here only: nothing else of the package needs it to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_pb2: Any = descriptor_pb2  # made at run time: a type checker knows nothing of it
_pool: Any = descriptor_pool
_factory: Any = message_factory

_PACKAGE = "lineside.sparkplug"
_Field = _pb2.FieldDescriptorProto
_U32, _U64, _BOOL = _Field.TYPE_UINT32, _Field.TYPE_UINT64, _Field.TYPE_BOOL
_FLOAT, _DOUBLE = _Field.TYPE_FLOAT, _Field.TYPE_DOUBLE
_STRING, _BYTES = _Field.TYPE_STRING, _Field.TYPE_BYTES

# name -> (number, type or the name of a message, repeated). A name that ends with _value is one of the
# alternatives of the oneof "value". Data sets, templates and metadata are never looked into: bytes.
_MESSAGES: dict[str, dict[str, tuple[int, Any, bool]]] = {
    "PropertyValue": {
        "type": (1, _U32, False),
        "is_null": (2, _BOOL, False),
        "int_value": (3, _U32, False),
        "long_value": (4, _U64, False),
        "float_value": (5, _FLOAT, False),
        "double_value": (6, _DOUBLE, False),
        "boolean_value": (7, _BOOL, False),
        "string_value": (8, _STRING, False),
    },
    "PropertySet": {"keys": (1, _STRING, True), "values": (2, "PropertyValue", True)},
    "Metric": {
        "name": (1, _STRING, False),
        "alias": (2, _U64, False),
        "timestamp": (3, _U64, False),
        "datatype": (4, _U32, False),
        "is_historical": (5, _BOOL, False),
        "is_transient": (6, _BOOL, False),
        "is_null": (7, _BOOL, False),
        "metadata": (8, _BYTES, False),
        "properties": (9, "PropertySet", False),
        "int_value": (10, _U32, False),
        "long_value": (11, _U64, False),
        "float_value": (12, _FLOAT, False),
        "double_value": (13, _DOUBLE, False),
        "boolean_value": (14, _BOOL, False),
        "string_value": (15, _STRING, False),
        "bytes_value": (16, _BYTES, False),
        "dataset_value": (17, _BYTES, False),
        "template_value": (18, _BYTES, False),
    },
    "Payload": {
        "timestamp": (1, _U64, False),
        "metrics": (2, "Metric", True),
        "seq": (3, _U64, False),
        "uuid": (4, _STRING, False),
        "body": (5, _BYTES, False),
    },
}


@dataclass(frozen=True, slots=True)
class Wire:
    """The message classes. proto2: what was set is written, zero and false included."""

    payload: Any
    metric: Any
    properties: Any


def load() -> Wire:
    file = _pb2.FileDescriptorProto(name="lineside/sparkplug.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        _describe(file.message_type.add(name=name), fields)
    pool = _pool.DescriptorPool()
    pool.Add(file)

    def made(name: str) -> Any:
        return _factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))

    return Wire(made("Payload"), made("Metric"), made("PropertySet"))


def _describe(message: Any, fields: dict[str, tuple[int, Any, bool]]) -> None:
    if any(name.endswith("_value") for name in fields):
        message.oneof_decl.add(name="value")
    for name, (number, kind, repeated) in fields.items():
        field = message.field.add(
            name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        )
        if isinstance(kind, str):
            field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind
        if name.endswith("_value"):
            field.oneof_index = 0
