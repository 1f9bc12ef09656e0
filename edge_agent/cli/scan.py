"""``scan``: who answers at a serial port or an address, and the lines that a device file needs to reach it.
Reads only; what is asked and how is the driver's business (``driver.Scanner``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from edge_agent.cli.output import print_json, print_tables, value_text
from edge_agent.cli.say import Family, Verb, json_option, language, option, say
from edge_agent.cli.table import Table

_PARITY = {"N": "none", "E": "even", "O": "odd"}
_BAUD = "9600,19200,38400,115200,4800"
_ABOUT = {  # what a finding may tell beside its settings -> its heading
    "tables": ("tables", "数据区"),
    "vendor": ("vendor", "厂商"),
    "product": ("product", "产品"),
    "revision": ("revision", "版本"),
    "state": ("CPU", "CPU 状态"),
    "module": ("module", "模块"),
    "order_number": ("order number", "订货号"),
    "firmware": ("firmware", "固件"),
    "name": ("name", "名称"),
    "serial": ("serial number", "序列号"),
    "application": ("application", "应用"),
    "application_uri": ("application URI", "应用 URI"),
    "certificate": ("certificate", "证书"),
    "fingerprint": ("SHA-256", "SHA-256"),
    "thumbprint": ("SHA-1", "SHA-1"),
    "expires": ("valid until", "有效期至"),
}
_BESIDE = ("said", "said_zh", "about", "chosen")


@click.group(
    "scan",
    cls=Family,
    help="Find out how a device is reached: baud, parity and stations of a serial bus, unit ids, rack and "
    "slot, OPC UA endpoints. Only reads.",
    zh="查找设备的连接方式：串口波特率、校验位与站号，单元号，机架与插槽，OPC UA 端点。只读。",
)
def scan() -> None:
    pass


def _timeout(function: Any) -> Any:
    return option(
        "--timeout",
        metavar="200ms",
        en="How long each one asked has to answer.",
        zh="每次询问的等待时间。",
    )(function)


@scan.command(
    "serial",
    cls=Verb,
    help="Find baud, parity and stations of a Modbus RTU bus.",
    zh="查找 Modbus RTU 总线的波特率、校验位和站号。",
)
@click.argument("port", metavar="PORT")
@option(
    "--baud", default=_BAUD, show_default=True, en="Speeds to try, in this order.", zh="依次尝试的波特率。"
)
@option(
    "--parity", default="E,N,O", show_default=True, en="Parities to try: N, E, O.", zh="依次尝试的校验位。"
)
@option("--stations", default="1-247", show_default=True, en="Stations to ask.", zh="要询问的站号。")
@option(
    "--yes",
    is_flag=True,
    en="Even if a program or another master uses the bus.",
    zh="即使有程序或其他主站正在使用总线。",
)
@_timeout
@json_option
def serial(
    port: str, baud: str, parity: str, stations: str, yes: bool, timeout: str | None, as_json: bool
) -> int:
    tries = {
        "baud": numbers(baud, "--baud", 50, 4_000_000),
        "parity": _parities(parity),
        "station": numbers(stations, "--stations", 1, 247),
    }
    keys = {"link": port if "://" in port else f"rtu://{_path(port)}", "timeout": timeout}
    return _scan("modbus", keys, tries, as_json, despite_others=yes)


@scan.command(
    "modbus",
    cls=Verb,
    help="Find the unit ids that answer at a Modbus TCP address, and what they are.",
    zh="查找 Modbus TCP 地址上应答的单元号及设备信息。",
)
@click.argument("host", metavar="HOST[:PORT]")
@option("--units", default="1-247,255", show_default=True, en="Unit ids to ask.", zh="要询问的单元号。")
@_timeout
@json_option
def modbus(host: str, units: str, timeout: str | None, as_json: bool) -> int:
    keys = {"link": host if "://" in host else f"tcp://{host}", "timeout": timeout}
    return _scan("modbus", keys, {"station": numbers(units, "--units", 0, 255)}, as_json)


@scan.command(
    "s7",
    cls=Verb,
    help="Find rack and slot of a Siemens CPU, and what CPU it is.",
    zh="查找西门子 CPU 的机架号、插槽号及型号。",
)
@click.argument("host", metavar="HOST[:PORT]")
@option("--racks", default="0-1", show_default=True, en="Racks to try.", zh="要尝试的机架号。")
@option("--slots", default="0-4", show_default=True, en="Slots to try.", zh="要尝试的插槽号。")
@_timeout
@json_option
def s7(host: str, racks: str, slots: str, timeout: str | None, as_json: bool) -> int:
    keys = {"link": host if "://" in host else f"tcp://{host}", "timeout": timeout}
    tries = {"rack": numbers(racks, "--racks", 0, 7), "slot": numbers(slots, "--slots", 0, 31)}
    return _scan("s7", keys, tries, as_json)


@scan.command(
    "opcua",
    cls=Verb,
    help="List a server's endpoints, its certificate, and which endpoint to choose.",
    zh="列出 OPC UA 服务器的端点、证书，以及建议选用的端点。",
)
@click.argument("url", metavar="URL")
@_timeout
@json_option
def opcua(url: str, timeout: str | None, as_json: bool) -> int:
    keys = {"link": url if "://" in url else f"opc.tcp://{url}", "timeout": timeout}
    return _scan("opcua", keys, {}, as_json)


def _scan(
    driver: str,
    keys: Mapping[str, Any],
    tries: Mapping[str, Sequence[Any]],
    as_json: bool,
    *,
    despite_others: bool = True,
) -> int:
    from edge_agent.cli.survey import Nobody, carry_out, settings_of, tell_end
    from edge_agent.registry import load_driver

    plugin = load_driver(driver)
    settings = settings_of(plugin, keys)
    assert plugin.scan is not None
    outcome = carry_out(plugin.scan(settings, tries), settings.link, despite_others=despite_others)
    findings = outcome.findings
    devices = [_device(driver, settings.link, finding) for finding in findings if finding.get("chosen", True)]
    if as_json:
        report = {"driver": driver, "link": settings.link, "findings": findings, "devices": devices}
        report |= {"notes": outcome.notes, "silence": outcome.silence}
        print_json(report | {"stopped": outcome.stopped, "error": outcome.error})
        return 0 if findings else Nobody.exit_code
    if not findings:
        tell_end(outcome)
        nobody = say(f"nobody answered at {settings.link}", f"{settings.link} 无任何应答")
        raise Nobody(outcome.silence or nobody)
    print_tables(_tables(findings))
    tell_end(outcome)
    click.echo("\n" + _yaml(devices))
    return 0


def _tables(findings: Sequence[Mapping[str, Any]]) -> list[Table]:
    """One row per finding; then, once, what all that tell it tell alike."""
    keys = list(dict.fromkeys(key for finding in findings for key in finding if key not in _BESIDE))
    abouts = [finding.get("about") or {} for finding in findings]
    names = [name for name in _ABOUT if any(name in about for about in abouts)]
    several = len(findings) > 1
    common = [
        name
        for name in names
        if name in ("fingerprint", "thumbprint")
        or (several and all(about.get(name) == abouts[0].get(name) for about in abouts))
    ]
    single = [name for name in names if name not in common]
    mark = any("chosen" in finding for finding in findings)
    headings = [*keys, *(_heading(name) for name in single), say("answer", "应答")] + [""] * mark
    rows = []
    for finding, about in zip(findings, abouts, strict=True):
        row = [_cell(finding.get(key)) for key in keys] + [_cell(about.get(name)) for name in single]
        said = finding.get("said_zh") if language() == "zh" else None
        row.append(str(said or finding.get("said", "")))
        if mark:
            row.append(say("<- choose", "<- 建议选用") if finding.get("chosen") else "")
        rows.append(row)
    tables = [Table("", tuple(headings), rows)]
    if common:
        shown = [[_heading(name), _cell(_first(abouts, name))] for name in common]
        tables.append(Table("", (say("of all above", "以上共有"), ""), shown))
    return tables


def _first(abouts: Sequence[Mapping[str, Any]], name: str) -> Any:
    return next((about[name] for about in abouts if name in about), "")


def _heading(name: str) -> str:
    return say(*_ABOUT[name])


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value_text(value)


def _device(driver: str, link: str, finding: Mapping[str, Any]) -> dict[str, Any]:
    keys = {key: value for key, value in finding.items() if key not in _BESIDE}
    return {"driver": driver, "link": link, **keys}


def _yaml(devices: Sequence[Mapping[str, Any]]) -> str:
    """A device file of the first; where the others differ from it, as a comment each."""
    first = devices[0] if devices else {}
    lines = ["# devices.d/press-1.yaml", "device: press-1"]
    lines += [f"{key}: {_scalar(value)}" for key, value in first.items()]
    lines += ["poll: {fast: 1s}", "tags: press-1.csv"]
    for other in devices[1:]:
        differs = ", ".join(f"{k}: {_scalar(v)}" for k, v in other.items() if first.get(k) != v)
        lines.append(
            say(f"# another file, the same but for  {differs}", f"# 另建一个文件，仅不同处：{differs}")
        )
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    """As YAML; a text in quotes only where it would be read as something else."""
    text = str(value)
    plain = isinstance(value, int) or (text.isprintable() and not set(text) & set(" #{}[],&*!|>'\"%@`"))
    return text if plain else json.dumps(text, ensure_ascii=False)


def numbers(text: str, name: str, least: int, most: int) -> tuple[int, ...]:
    """``1-3,7`` -> (1, 2, 3, 7). Raises UsageError."""
    found: dict[int, None] = {}
    for part in text.replace("，", ",").split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.strip().isdecimal()):
            raise _not_numbers(name, part)
        start, end = int(first), int(last) if dash else int(first)
        if not least <= start <= end <= most:
            raise click.UsageError(
                say(
                    f"{name}: {part} is not within {least} to {most}",
                    f"{name}：{part} 超出 {least} 至 {most}",
                )
            )
        found |= dict.fromkeys(range(start, end + 1))
    return tuple(found)


def _not_numbers(name: str, part: str) -> click.UsageError:
    return click.UsageError(
        say(
            f"{name}: {part!r} is no number and no range: write 1-10,15",
            f"{name}：{part!r} 不是数字或范围：请写 1-10,15",
        )
    )


def _parities(text: str) -> tuple[str, ...]:
    letters = [part.strip()[:1].upper() for part in text.replace("，", ",").split(",")]
    if any(letter not in _PARITY for letter in letters):
        raise click.UsageError(say(f"--parity: {text!r}: write N,E,O", f"--parity：{text!r}：请写 N,E,O"))
    return tuple(dict.fromkeys(_PARITY[letter] for letter in letters))


def _path(port: str) -> str:
    return port if port.startswith("/") else f"/dev/{port}"
