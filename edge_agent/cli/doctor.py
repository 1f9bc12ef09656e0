"""``doctor``: names the cause a person can act on: of devices, destinations, and this machine.

Without a running agent it asks each device itself, by short connections. Beside one it first asks the agent,
and leaves alone what only one may hold.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.completing import devices_and_self
from edge_agent.cli.output import print_json
from edge_agent.cli.say import config_option, json_option, language, say, verb
from edge_agent.cli.status import url_option
from edge_agent.cli.table import printable

if TYPE_CHECKING:
    from edge_agent.config.model import Configuration, Device, UplinkConfig
    from edge_agent.settings import Finding, Text

SELF = "self"
AT_ONCE = 4
LONGEST_S = 40.0
_CODES = {"permission": 5, "unreachable": 4, "fault": 1}
"""Exit code by the gravest kind of finding, gravest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``seen``: ``direct`` where it was asked here, ``agent`` where only the running agent's word was "
    "taken."""

    subject: str
    kind: str
    endpoint: str
    seen: str
    findings: Sequence[Finding]


@verb(
    "doctor",
    en="Name what is wrong with devices, destinations and this machine, and the cure. NAME is a device, an "
    "uplink, or `self` for this machine; without it: everything.",
    zh="诊断设备、上行平台和本机的问题，给出原因和处理方法。NAME 为设备名、上行名，或 `self`（本机）；"
    "不写则全部检查。",
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=devices_and_self)
@config_option
@url_option
@json_option
@click.pass_context
def doctor(
    context: click.Context, names: tuple[str, ...], config_dir: Path, url: str | None, as_json: bool
) -> int:
    told = _agent(context, config_dir, url)
    verdicts: list[Verdict] = []
    if names != (SELF,):
        from edge_agent.config import load

        devices, uplinks = _chosen(load(config_dir), [name for name in names if name != SELF])
        verdicts += asyncio.run(_all(devices, uplinks, told))
    if not names or SELF in names:
        from edge_agent.cli.doctor_self import findings, state_directory

        _progress(SELF)
        state = state_directory(config_dir)
        verdicts.append(Verdict(SELF, SELF, str(state), "direct", findings(state, told)))
    if as_json:
        print_json({"verdicts": [_row(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            _show(verdict)
    return exit_code(verdicts)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    kinds = {finding.kind for verdict in verdicts for finding in verdict.findings}
    return next((code for kind, code in _CODES.items() if kind in kinds), 0)


def _agent(context: click.Context, config_dir: Path, url: str | None) -> Mapping[str, Any] | None:
    """What the running agent says of itself, with every value; None where none answers."""
    from edge_agent.cli import agent_api

    try:
        place = agent_api.locate(url, config_dir, context)
        status: dict[str, Any] = agent_api.ask(place, "/api/v1/status")
        tags = agent_api.ask(place, "/api/v1/tags")
    except agent_api.NoAgent:
        if url is not None:
            raise
        return None
    values = {
        row["name"]: [value for group in row["groups"] for value in group.get("values", ())]
        for row in tags["devices"]
    }
    return {**status, "values": values}


def _chosen(configuration: Configuration, names: Sequence[str]) -> tuple[list[Device], list[UplinkConfig]]:
    """All where none is named. UsageError, with what there is, for a name that is neither."""
    devices = {device.name: device for device in configuration.devices}
    uplinks = {uplink.name: uplink for uplink in configuration.uplinks}
    if not names:
        return list(devices.values()), list(uplinks.values())
    for name in names:
        if name not in devices and name not in uplinks:
            known = ", ".join((*devices, *uplinks, SELF))
            raise click.UsageError(
                say(
                    f"there is no device or uplink {name!r}; there are: {known}",
                    f"没有名为 {name!r} 的设备或上行，现有：{known}",
                )
            )
    chosen = [devices[name] for name in names if name in devices]
    return chosen, [uplinks[name] for name in names if name in uplinks and name not in devices]


async def _all(
    devices: Sequence[Device], uplinks: Sequence[UplinkConfig], told: Mapping[str, Any] | None
) -> list[Verdict]:
    """In the order given. One link is used by one examination at a time, a few links at once."""
    room = asyncio.Semaphore(AT_ONCE)
    links: dict[str, asyncio.Lock] = {}

    async def one(device: Device) -> Verdict:
        async with links.setdefault(device.link_key, asyncio.Lock()), room:
            return await _device(device, told)

    async def other(uplink: UplinkConfig) -> Verdict:
        async with room:
            return await _uplink(uplink, told)

    return list(await asyncio.gather(*map(one, devices), *map(other, uplinks)))


async def _device(device: Device, told: Mapping[str, Any] | None) -> Verdict:
    from edge_agent.cli.doctor_words import agent_says, differs, no_doctor, not_asked

    _progress(device.name)
    settings, endpoint = device.settings, device.link_key
    if device.plugin.doctor is None:
        return Verdict(device.name, "device", endpoint, "none", [no_doctor(device.driver)])
    plugin = device.plugin.doctor()
    row = _row_of(told, "devices", device.name)
    if row is not None and told is not None and plugin.exclusive(settings):
        found = list(
            plugin.overheard(settings, device.tags, {**row, "values": told["values"].get(device.name, ())})
        )
        if row["state"] != "up" and not found:
            found.append(await _unreached(plugin.place(settings)) or agent_says(row["state"], row["reason"]))
        return Verdict(device.name, "device", endpoint, "agent", [*found, not_asked()])
    found = await _examined(lambda: plugin.diagnose(settings, device.tags), plugin.place(settings))
    if not found and row is not None and not row["state"] == "up":
        found = [differs(row["state"], row["reason"])]
    return Verdict(device.name, "device", endpoint, "direct", found)


async def _uplink(uplink: UplinkConfig, told: Mapping[str, Any] | None) -> Verdict:
    from edge_agent.cli.doctor_words import differs, no_doctor

    _progress(uplink.name)
    endpoint = uplink.plugin.endpoint(uplink.settings)
    if uplink.plugin.doctor is None:
        return Verdict(uplink.name, "uplink", endpoint, "none", [no_doctor(uplink.type)])
    plugin = uplink.plugin.doctor()
    found = await _examined(lambda: plugin.diagnose(uplink.settings), plugin.place(uplink.settings))
    row = _row_of(told, "uplinks", uplink.name)
    if not found and row is not None and not row["up"] and row["reason"]:
        found = [differs("down", row["reason"])]
    return Verdict(uplink.name, "uplink", endpoint, "direct", found)


async def _examined(diagnose: Callable[[], Any], place: tuple[str, int] | None) -> list[Finding]:
    """What was found; where there was no connection at all, why not."""
    from edge_agent.cli.doctor_network import lost, why_unreachable
    from edge_agent.errors import DriverError, UplinkError

    try:
        async with asyncio.timeout(LONGEST_S):
            return list(await diagnose())
    except (DriverError, UplinkError) as error:
        words = error.text
    except TimeoutError:
        words = Text(f"> {LONGEST_S:g} s", f"> {LONGEST_S:g} s")
    cause = None if place is None else await why_unreachable(*place)
    return [lost(words) if cause is None else cause]


async def _unreached(place: tuple[str, int] | None) -> Finding | None:
    """A TCP connection alone takes no connection of the protocol above."""
    from edge_agent.cli.doctor_network import why_unreachable

    return None if place is None else await why_unreachable(*place)


def _row_of(told: Mapping[str, Any] | None, kind: str, name: str) -> Mapping[str, Any] | None:
    rows = () if told is None else told[kind]
    return next((row for row in rows if row["name"] == name), None)


def _progress(name: str) -> None:
    if sys.stderr.isatty():
        click.echo(say(f"looking at {name} ...", f"正在检查 {name} ……"), err=True)


def _row(verdict: Verdict) -> dict[str, Any]:
    return {
        "subject": verdict.subject,
        "kind": verdict.kind,
        "endpoint": verdict.endpoint,
        "seen": verdict.seen,
        "findings": [
            {
                "code": finding.code,
                "kind": finding.kind,
                "message": finding.message.say(language()),
                "cure": _cure(verdict, finding),
            }
            for finding in verdict.findings
        ],
    }


def _show(verdict: Verdict) -> None:
    well = not any(finding.kind != "note" for finding in verdict.findings)
    state = say("ok", "正常") if well else say("NOT WELL", "有问题")
    click.echo(printable(f"{verdict.subject}  {state}  {verdict.endpoint}"))
    for finding in verdict.findings:
        click.echo(printable(f"  {finding.code}  {finding.message.say(language())}"))
        if cure := _cure(verdict, finding):
            click.echo(printable(f"      {cure}"))


def _cure(verdict: Verdict, finding: Finding) -> str:
    """With the device's name where a command in it needs one."""
    return finding.cure.say(language()).replace("DEVICE", verdict.subject)
