"""A small good set, written into a directory, and a driver that needs no protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.config import InstalledPlugins
from edge_agent.driver import Columns, DeviceSettings, DriverPlugin, Plan
from edge_agent.model import Tag
from edge_agent.registry import UnknownPlugin
from edge_agent.settings import Problem, Secret
from edge_agent.uplink import UplinkPlugin

AGENT = "line: press-line-1\nlanguage: zh\nstate_dir: state\n"
DEVICE = """device: press-1
driver: fake
link: bus://a
poll: {fast: 200ms, slow: 5s}
tags: press-1.csv
windows:
  - tag: pressure
    low: 0.3
    high: 0.5
"""
TABLE = """name,address,type,unit,description,group,scale,offset,low,high,deadband,metric
running,r0,bool,,运行中,fast,,,,,,yes
pressure,r1,float32,MPa,主缸压力,fast,,,,,,
zone1,r2,int16,°C,一区温度,slow,0.1,,10,90,2,
label,r3,string[20],,批号,slow,,,,,,
"""
GOOD = {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE, "tags.d/press-1.csv": TABLE}


def write(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files by their names relative to the directory."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


class FakeSettings(DeviceSettings):
    link: str
    speed: int = 1
    password: Secret | None = None


def _no_link(settings: Any) -> Any:
    raise AssertionError("the loader opens no link")


def _no_plan(*_: Any) -> Any:
    return Plan((), lambda replies: Columns((), b""))


def fake_driver(
    check: Callable[[Any, Sequence[Tag]], list[Problem]] = lambda settings, tags: [],
    link_key: Callable[[Any], str] = lambda settings: settings.link,
) -> DriverPlugin:
    return DriverPlugin(FakeSettings, link_key, check, _no_plan, _no_link, frozenset({"speed"}))


class FakePlugins:
    """``fake`` and nothing else; uplinks are the installed ones. ``asked`` lists what was loaded."""

    def __init__(self, driver: DriverPlugin | None = None) -> None:
        self.fake = driver or FAKE
        self.asked: list[str] = []

    def driver(self, name: str) -> DriverPlugin:
        self.asked.append(name)
        if name != "fake":
            raise UnknownPlugin(name, ["fake"])
        return self.fake

    def uplink(self, name: str) -> UplinkPlugin:
        return InstalledPlugins().uplink(name)


FAKE = fake_driver()
