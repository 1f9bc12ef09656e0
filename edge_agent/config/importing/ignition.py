"""Tag exports of Ignition: JSON, folders in folders, instances of UDTs.

A folder becomes a part of the name (``press.zone1.temperature``). An instance is its definition with the
instance's parameters and overrides; the definitions are in the export when it was made of the whole provider
(folder ``_types_``). An OPC path ``ns=1;s=[DEVICE]DB1,REAL4`` or ``[DEVICE]HR10`` is an address of Ignition's
own driver and is translated; for a device of driver ``opcua`` any path is the node itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.config.importing import placed_json, s7_words
from edge_agent.config.importing.placed_json import Placed
from edge_agent.config.importing.rows import Imported, ImportedRow, Intake, number_text
from edge_agent.config.located import Position, Source
from edge_agent.settings import Text

_TYPES = {
    "Boolean": "bool", "Int1": "int8", "Int2": "int16", "Int4": "int32", "Int8": "int64",
    "Float4": "float32", "Float8": "float64", "String": "string",
}  # fmt: skip
_MODBUS_TYPES = {
    "": "int16", "US": "uint16", "I": "int32", "UI": "uint32", "I_64": "int64", "UI_64": "uint64",
    "F": "float32", "D": "float64", "BCD": "bcd16", "BCD_32": "bcd32",
}  # fmt: skip
_MODBUS = re.compile(
    r"(?:(\d{1,3})\.)?(?:(HR|IR)(S|US|UI_64|I_64|UI|I|F|D|BCD_32|BCD)?|(C|DI))(\d{1,5})(?:\.(\d{1,2}))?(?::(\d{1,3}))?",
    re.ASCII,
)
_PATH = re.compile(r"(?:ns=\d+;s=)?\[([^\]]*)\](.+)", re.ASCII | re.DOTALL)
_PARAMETER = re.compile(r"\{([^{}]+)\}")
_COUNTING = Text(
    "whether Ignition counts registers from 0 or 1, and its word order, are not in the file",
    "文件中不含 Ignition 的寄存器起始编号（0 或 1）和字序",
)
_COUNTING_CURE = Text(
    "HR1 was taken as 400001, as Ignition does unless its device says otherwise; compare a value with "
    "edge-agent read DEVICE.",
    "已按 Ignition 的默认设置把 HR1 视为 400001；请用 edge-agent read 设备 核对数值。",
)
_FOREIGN_WORDS = {
    "alarms": (
        Text("alarms", "报警"),
        Text("alarms are windows here", "报警在此处由窗口实现"),
        Text("Write a window for it: docs/windows.md.", "请编写窗口，见 docs/windows.zh-CN.md。"),
    ),
    "eventScripts": (
        Text("scripts", "脚本"),
        Text("scripts of Ignition mean nothing here", "Ignition 脚本在此处无意义"),
        Text("Calculate it as a derived tag.", "请用派生点计算。"),
    ),
}


class NotIgnition(ValueError):
    """The text is no tag export of Ignition."""


@dataclass(frozen=True, slots=True)
class _Where:
    """``folder``: the names above, ``parameters``: of the instances around, the innermost first."""

    folder: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    at: Position | None = None


def read(name: str, text: str, driver: str = "") -> Imported:
    """Raises NotIgnition."""
    try:
        data = placed_json.parse(text)
    except (ValueError, RecursionError) as error:
        raise NotIgnition(str(error)) from error
    roots = data if isinstance(data, list) else [data]
    if not roots or not all(isinstance(root, Placed) and _is_tag(root) for root in roots):
        raise NotIgnition("no tags")
    return _Reader(Source(name, text), driver).read(roots)


def _is_tag(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("tags"), list) or "tagType" in node


class _Reader:
    def __init__(self, source: Source, driver: str) -> None:
        self.driver = driver
        self.intake = Intake("ignition", source)
        self.types: dict[str, Placed] = {}
        self.depth = 0

    def read(self, roots: list[Any]) -> Imported:
        for root in roots:
            self._definitions(root, "")
        for root in roots:
            self._node(root, _Where())
        first = next((row for row in self.intake.rows if re.match(r"[34]\d{5}", row.cells["address"])), None)
        if first is not None:
            self.intake.note(first.at, _COUNTING, _COUNTING_CURE)
        return self.intake.done()

    def _definitions(self, node: Any, path: str) -> None:
        """Every UDT by its path below ``_types_`` (how instances name it)."""
        if not isinstance(node, Placed):
            return
        name = str(node.get("name", ""))
        here = "" if name in ("", "_types_") or node.get("tagType") == "Provider" else f"{path}{name}"
        if node.get("tagType") == "UdtType":
            self.types[here] = node
            return
        for child in _children(node):
            self._definitions(child, f"{here}/" if here else "")

    def _node(self, node: Any, where: _Where) -> None:
        if not isinstance(node, Placed):
            return
        at = where.at or node.at
        kind, name = str(node.get("tagType", "")), str(node.get("name", ""))
        if kind == "UdtType" or name == "_types_":
            return
        if kind == "UdtInstance":
            self._instance(node, where, at)
        elif kind in ("Folder", "Provider") or (kind == "" and _children(node)):
            folder = where.folder if kind == "Provider" or not name else f"{where.folder}{name}/"
            for child in _children(node):
                self._node(child, _Where(folder, where.parameters, where.at))
        else:
            self._tag(node, where, at)

    def _instance(self, node: Placed, where: _Where, at: Position) -> None:
        full = f"{where.folder}{node.get('name', '')}"
        type_id = str(node.get("typeId", ""))
        definition = self._resolved(type_id, ())
        if definition is None:
            reason = Text(f"its definition '{type_id}' is not in the file", f"文件中没有其定义 '{type_id}'")
            cure = Text(
                "Export the whole tag provider, so that folder _types_ is in it.",
                "请导出整个 Tag Provider，使其包含 _types_ 文件夹。",
            )
            self.intake.refuse(full, at, reason, cure)
            return
        parameters = dict(where.parameters) | _parameters(definition) | _parameters(node)
        parameters |= {
            "InstanceName": str(node.get("name", "")),
            "PathToParentFolder": where.folder.rstrip("/"),
        }
        filled = {key: _filled(text, parameters) for key, text in parameters.items()}
        merged = _merged(definition.get("tags"), node.get("tags"))
        for child in merged:
            self._node(child, _Where(f"{full}/", filled, at))

    def _resolved(self, type_id: str, seen: tuple[str, ...]) -> Placed | None:
        """The definition, with what it inherits."""
        found = self.types.get(type_id) or self.types.get(type_id.removeprefix("_types_/"))
        if found is None or type_id in seen or len(seen) > 20:
            return None
        parent = str(found.get("typeId") or "")
        above = self._resolved(parent, (*seen, type_id)) if parent else None
        if above is None:
            return found
        made = Placed(found)
        made["parameters"] = {**(above.get("parameters") or {}), **(found.get("parameters") or {})}
        made["tags"] = _merged(above.get("tags"), found.get("tags"))
        made.at = found.at
        return made

    # --- one tag -------------------------------------------------------------------------------------------

    def _tag(self, node: Placed, where: _Where, at: Position) -> None:
        name = f"{where.folder}{node.get('name', '')}"
        source = str(node.get("valueSource", "memory" if "opcItemPath" not in node else "opc"))
        if source != "opc":
            reason = Text(
                f"its value comes from '{source}', not from a device", f"数值来源为“{source}”，不是设备"
            )
            cure = Text(
                "Calculate it as a derived tag: docs/derived.md.",
                "请用派生点计算，见 docs/derived.zh-CN.md。",
            )
            self.intake.refuse(name, at, reason, cure)
            return
        if node.get("enabled") is False:
            self.intake.refuse(name, at, Text("it is switched off", "该点已禁用"))
            return
        path = _filled(_bound(node.get("opcItemPath")), where.parameters)
        missing = _PARAMETER.search(path)
        if missing:
            reason = Text(f"parameter {missing[0]} has no value", f"参数 {missing[0]} 没有值")
            self.intake.refuse(name, at, reason)
            return
        word = str(node.get("dataType", "Int4"))
        kind = _TYPES.get(word)
        if kind is None:
            reason = Text(f"there is no type like '{word}' here", f"没有与 '{word}' 对应的类型")
            self.intake.refuse(name, at, reason)
            return
        found = self._address(path, kind)
        if found is None:
            reason = Text(f"OPC path '{path}' cannot be read", f"无法识别 OPC 路径 '{path}'")
            self.intake.refuse(name, at, reason)
            return
        address, kind, station = found
        cells = {"name": name, "address": address, "type": kind, **self._texts(node, where)}
        cells |= self._scaling(node, name, at, kind)
        self._foreign(node, name, at)
        self.intake.add(name, ImportedRow(cells, at, station=station))

    def _address(self, path: str, kind: str) -> tuple[str, str, int | None] | None:
        if self.driver == "opcua":
            return (path, kind, None) if re.match(r"(nsu?=[^;]+;)?[isgb]=", path) else None
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        inner = match[2]
        if self.driver != "s7" and (modbus := _MODBUS.fullmatch(inner)):
            return _modbus(modbus)
        if self.driver != "modbus" and (found := s7_words.read(inner, kind)):
            return *found, None
        return None

    def _texts(self, node: Mapping[str, Any], where: _Where) -> dict[str, str]:
        unit = _filled(_bound(node.get("engUnit")), where.parameters)
        described = _bound(node.get("documentation")) or _bound(node.get("tooltip"))
        text = " ".join(_filled(described, where.parameters).split())
        return {column: found for column, found in (("unit", unit), ("description", text)) if found}

    def _scaling(self, node: Mapping[str, Any], name: str, at: Position, kind: str) -> dict[str, str]:
        none = dict.fromkeys(("scale", "offset", "raw_low", "raw_high", "eng_low", "eng_high"), "")
        mode = str(node.get("scaleMode", "Off"))
        if mode == "Off" or kind.startswith(("bool", "string")):
            return none
        ends = [node.get(key, default) for key, default in _ENDS]
        numbers = [float(end) for end in ends if isinstance(end, (int, float)) and not isinstance(end, bool)]
        if mode != "Linear" or len(numbers) != 4 or numbers[0] == numbers[1] or numbers[2] == numbers[3]:
            what = Text("scaling", "量程变换")
            reason = Text(
                f"mode '{mode}' with these ends is no straight line; the tag is the raw value, without unit",
                f"方式“{mode}”及其端点不是直线；该点为原始值，不带单位",
            )
            self.intake.leave(name, at, what, reason)
            return none | {"unit": ""}
        columns = ("raw_low", "raw_high", "eng_low", "eng_high")
        return none | {column: number_text(number) for column, number in zip(columns, numbers, strict=True)}

    def _foreign(self, node: Mapping[str, Any], name: str, at: Position) -> None:
        for key, (what, reason, cure) in _FOREIGN_WORDS.items():
            if node.get(key):
                self.intake.leave(name, at, what, reason, cure)


_ENDS = (("rawLow", 0.0), ("rawHigh", 10.0), ("scaledLow", 0.0), ("scaledHigh", 10.0))


def _modbus(match: re.Match[str]) -> tuple[str, str, int | None] | None:
    station = int(match[1]) if match[1] else None
    number = int(match[5])
    if not 1 <= number <= 65536:
        return None
    if match[4]:
        return f"{'0' if match[4] == 'C' else '1'}{number:05d}", "bool", station
    reference = f"{'4' if match[2] == 'HR' else '3'}{number:05d}"
    if match[3] == "S":
        return (reference, f"string[{match[7]}]", station) if match[7] else None
    if match[6] is not None:
        return (f"{reference}.{int(match[6])}", "bool", station) if int(match[6]) < 16 else None
    return reference, _MODBUS_TYPES[match[3] or ""], station


def _children(node: Mapping[str, Any]) -> list[Any]:
    found = node.get("tags")
    return found if isinstance(found, list) else []


def _merged(below: Any, above: Any) -> list[Placed]:
    """The tags of a definition with the overrides of an instance, by name, folders in depth."""
    found: dict[str, Placed] = {}
    for node in _nodes(below):
        found[str(node.get("name"))] = node
    for node in _nodes(above):
        name = str(node.get("name"))
        base = found.get(name)
        if base is None:
            found[name] = node
            continue
        made = Placed({**base, **{key: value for key, value in node.items() if key != "tagType" or value}})
        if "tags" in base or "tags" in node:
            made["tags"] = _merged(base.get("tags"), node.get("tags"))
        if isinstance(base.get("parameters"), dict) and isinstance(node.get("parameters"), dict):
            made["parameters"] = {**base["parameters"], **node["parameters"]}
        made.at = node.at
        found[name] = made
    return list(found.values())


def _nodes(value: Any) -> Iterator[Placed]:
    for node in value if isinstance(value, list) else ():
        if isinstance(node, Placed):
            yield node


def _parameters(node: Mapping[str, Any]) -> dict[str, str]:
    found = node.get("parameters")
    if not isinstance(found, dict):
        return {}
    values = {name: value.get("value") if isinstance(value, dict) else value for name, value in found.items()}
    return {name: _bound(value) for name, value in values.items() if value is not None}


def _bound(value: Any) -> str:
    """A text, or the text of a binding to parameters."""
    if isinstance(value, dict):
        value = value.get("binding", "")
    if isinstance(value, bool) or value is None:
        return "" if value is None else json.dumps(value)
    return number_text(float(value)) if isinstance(value, (int, float)) else str(value)


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    """With ``{Name}`` and ``{Name+3}`` replaced, at most three deep."""
    for _ in range(3):
        filled = _PARAMETER.sub(lambda match: _parameter(match, parameters), text)
        if filled == text:
            break
        text = filled
    return text


def _parameter(match: re.Match[str], parameters: Mapping[str, str]) -> str:
    name, sign, rest = re.fullmatch(r"([^+*-]*)([+*-]?)(.*)", match[1]).groups()  # type: ignore[union-attr]
    value = parameters.get(match[1].strip(), parameters.get(name.strip()))
    if value is None:
        return match[0]
    if not sign or match[1].strip() in parameters:
        return value
    if not (re.fullmatch(r"-?\d+", value) and re.fullmatch(r"\s*\d+\s*", rest)):
        return match[0]
    left, right = int(value), int(rest)
    return str(left + right if sign == "+" else left - right if sign == "-" else left * right)
