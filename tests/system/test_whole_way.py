"""From the wire of three protocols to the park: right values, right types, each once, all counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import ROOT, eventually
from tests.plant.site import Site, assert_conserved, command

pytestmark = pytest.mark.timeout(90)

WRITTEN_PORTS = {"15020": "modbus", "10102": "s7", "14840": "opcua", "18080": "park"}
TYPES = {
    ("press-1", "fast", "poll_counter"): "uint32",
    ("press-1", "fast", "pressure"): "float32",
    ("press-1", "fast", "line_running"): "bool",
    ("press-1", "slow", "zone1_setpoint"): "int16",
    ("press-1", "slow", "product_mass"): "uint64",
    ("furnace-1", "fast", "zone1_setpoint"): "float32",
    ("furnace-1", "slow", "product_mass"): "int32",
    ("meters-1", "fast", "heartbeat"): "uint32",
    ("meters-1", "slow", "product_mass"): "float64",
    ("constants", "default", "exact"): "uint64",
}


class DemoPlant:
    """The demo's files with the ports of a line that really runs, and one device more: a second station on
    the press's connection whose registers never change."""

    def __init__(self, folder: Path) -> None:
        self.line = Line(folder, "all", *CALM)
        self.park = Park.beside(self.line)
        self.site = Site(folder / "site", None)
        shutil.copytree(ROOT / "config" / "demo", self.site.config, dirs_exist_ok=True)
        self._replace_ports()
        demo = yaml.safe_load((self.site.config / "edge-agent.yaml").read_text(encoding="utf-8"))
        demo["web"]["port"] = self.site.web_port
        self.site.main = demo | {"state_dir": str(self.site.state)}
        self.site.write_main()
        self.site.device(
            "constants",
            [("abcd", "hr:40", "float32", "ABCD"), ("cdab", "hr:42", "float32", "CDAB"),
             ("badc", "hr:44", "float32", "BADC"), ("dcba", "hr:46", "float32", "DCBA"),
             ("negative", "hr:48", "int32", ""), ("exact", "hr:50", "uint64", ""),
             ("hole", "hr:60", "uint16", "")],
            columns="name,address,type,byte_order",
            driver="modbus", link=self.line.link(), station=2, poll="500ms",
        )  # fmt: skip

    def _replace_ports(self) -> None:
        for path in self.site.config.rglob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            for written, name in WRITTEN_PORTS.items():
                text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{self.line.ports[name]}")
            path.write_text(text, encoding="utf-8")

    def close(self) -> None:
        try:
            self.site.close()
        finally:
            self.line.close()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[DemoPlant]:
    plant = DemoPlant(tmp_path)
    yield plant
    plant.close()


def test_three_protocols_arrive_each_sample_once(plant: DemoPlant) -> None:
    site, park, line = plant.site, plant.park, plant.line
    site.start()
    eventually(
        "every device is read",
        lambda: all(d["state"] == "up" for d in site.status()["devices"]) and park.report()["segments"] > 12,
    )
    begin = out_and_back(plant)
    assert begin["config_version"] == site.status()["config"]["version"]

    seen: set[int] = set()
    while len(seen) < 8:  # eight different moments
        status = site.status()
        assert_conserved(status)
        seen.add(status["totals"]["samples_read"])
    site.stop()
    after = park.report()
    assert (after["duplicates"], after["conflicts"], after["missing"]) == (0, 0, 0)
    assert (after["problems"], after["malformed"], after["schema_conflicts"]) == ([], 0, 0)
    assert after["samples"] >= max(seen), "a clean stop delivers what was read"
    assert len(after["agents"]) == 1
    left = json.loads(command("buffer", "info", "--config", site.config, "--json").stdout)
    for store in ("samples", "events"):
        kept = left[store]["uplinks"]["park"]
        assert (kept["pending_segments"], kept["quarantined_samples"], kept["lost_samples"]) == (0, 0, 0)
        assert left[store]["losses"] == []
    assert left["samples"]["uplinks"]["park"]["acknowledged_samples"] == after["samples"]
    check_types(after)
    check_values(park)
    assert "Traceback" not in line.child.text()


def out_and_back(plant: DemoPlant) -> dict[str, Any]:
    """Takes the press out of its window and back; returns the event of the begin."""
    site, park, line = plant.site, plant.park, plant.line
    line.process(pressure_setpoint_mpa=0.52)
    eventually("the excursion is seen here", lambda: site.window()["active"])
    (begin,) = eventually("its begin is at the park", lambda: park.events("excursion_begin"))
    assert site.window()["state"] == "out"
    assert site.metrics()['edgeagent_window_excursion_active{window="press-1.pressure"}'] == 1
    line.process(pressure_setpoint_mpa=0.40)
    (end,) = eventually("its end is at the park", lambda: park.events("excursion_end"))
    assert begin["source"] == end["source"] == "press-1.pressure"
    assert begin["detail"]["high"] == 0.5 and begin["detail"]["value"] > 0.5
    assert begin["detail"]["unit"] == "MPa"
    assert end["detail"]["begin_ns"] // 1000 == begin["time_us"]
    assert 0.51 < end["detail"]["extreme"] < 0.54
    lasted_s = (end["time_us"] - begin["time_us"]) / 1e6
    assert end["detail"]["duration_s"] == pytest.approx(lasted_s, abs=0.01)
    window = eventually("the page says so too", lambda: (w := site.window()) and not w["active"] and w)
    assert (window["state"], window["excursions"]) == ("in", 1)
    return dict(begin)


def check_types(report: dict[str, Any]) -> None:
    found = {}
    for schema in report["schemas"].values():
        for name, type_ in zip(schema["names"], schema["types"], strict=True):
            found[schema["device"], schema["group"], name] = type_
    assert found | TYPES == found


def check_values(park: Park) -> None:
    """Constants exactly as planted; counters without a gap; three protocols about one model agree."""
    constant = {
        "abcd": 123.456, "cdab": 123.456, "badc": 123.456, "dcba": 123.456,
        "negative": -123_456, "exact": 0x0123_4567_89AB_CDEF,
    }  # fmt: skip
    for tag, value in constant.items():
        seen = set(park.numbers("constants", tag))
        assert len(seen) == 1, tag
        assert seen.pop() == (value if isinstance(value, int) else pytest.approx(value, rel=1e-6)), tag
    assert {(v, q) for _, v, _, q in park.samples("constants", "hole")} == {(None, 0x82)}, "no such address"
    assert set(park.numbers("press-1", "zone1_setpoint")) == {8500}
    assert set(park.numbers("furnace-1", "zone1_setpoint")) == {850.0}
    assert set(park.numbers("press-1", "line_running")) == {True}
    for device, tag in (("press-1", "poll_counter"), ("furnace-1", "poll_counter")):
        counts = park.numbers(device, tag)
        assert len(counts) > 15
        assert counts == sorted(counts) and park.missing(device, tag) == 0
    pressure = park.samples("press-1", "pressure")
    assert [v for _, v, _, _ in pressure] == park.numbers("press-1", "pressure_cdab")
    assert [t for t, *_ in pressure] == sorted(t for t, *_ in pressure)
    grams = park.numbers("press-1", "product_mass")
    kilograms = park.numbers("meters-1", "product_mass")
    tenths = park.numbers("furnace-1", "product_mass")
    assert grams == sorted(grams) and grams[0] >= 1_234_567_000
    for mass_g in (kilograms[-1] * 1000, tenths[-1] * 100):
        assert grams[0] - 1500 <= mass_g <= grams[-1] + 1500
    beats = park.numbers("meters-1", "heartbeat")
    assert beats == sorted(beats) and beats[-1] > beats[0]
