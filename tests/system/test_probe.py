"""``read --raw``, ``--try-orders`` and ``guess`` as a technician types them, against the simulated line with
a wrong order and a wrong base planted in its device files. No agent runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, command

PLANTED = 123.456  # at hr:40 ABCD, hr:42 CDAB, hr:44 BADC, hr:46 DCBA
NODE = "nsu=urn:lineside:simulated-line;s=Line"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Line]]:
    folder = tmp_path_factory.mktemp("probe")
    line = Line(folder, "all", *CALM)
    site = Site(folder / "site", Park.beside(line).url)
    site.device(
        "wrong-1",
        [("order", "hr:42", "float32"), ("base", "40042", "float32"), ("count", "hr:48", "int32"),
         ("remote", "hr:401.0", "bool"), ("running", "co:0", "bool"), ("fan", "400011", "uint16")],
        driver="modbus", link=line.link(), station=2, poll="500ms",
    )  # fmt: skip
    site.device(
        "furnace-1", [("setpoint", "DB1.DBD16", "float32"), ("time", "DB3.DBW102", "s5time")],
        driver="s7", link=line.link("s7"), rack=0, slot=1, poll="500ms",
    )  # fmt: skip
    site.device(
        "meters-1", [("setpoint", f"{NODE}.Furnace.Zone1.Setpoint", "float32")],
        driver="opcua", link=line.link("opcua"), poll="500ms",
    )  # fmt: skip
    yield site, line
    site.close()
    line.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(site: Site, *words: str, code: int = 0) -> str:
    answer = command(*words, "--config", site.config)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stdout if code == 0 else answer.stderr


def told(site: Site, *words: str, code: int = 0) -> Any:
    answer = command(*words, "--json", "--config", site.config)
    assert answer.returncode == code, answer.stdout + answer.stderr
    return json.loads(answer.stdout)


def test_bytes_beside_the_value_and_both_notations(plant: tuple[Site, Line]) -> None:
    site, line = plant
    rows = {row["tag"]: row for row in told(site, "read", "wrong-1", "--raw")["tags"]}
    assert rows["order"]["bytes"] == "e9 79 42 f6"
    assert rows["order"]["notation"] == "400043 = hr:42, FC03"
    assert rows["count"]["bytes"] == (-123456).to_bytes(4, "big", signed=True).hex(" ")
    assert rows["remote"]["bytes"] is not None and rows["running"]["bytes"] is None
    where = f"mbpoll -m tcp -p {line.ports['modbus']} -a 2"
    assert rows["order"]["command"] == f"{where} -t 4:float -r 43 -B -c 1 -1 127.0.0.1"
    assert rows["running"]["command"] == f"{where} -t 0 -r 1 -c 1 -1 127.0.0.1"
    assert rows["fan"]["command"] == f"{where} -t 4 -r 11 -c 1 -1 127.0.0.1"
    text = run(site, "read", "wrong-1", "order", "--raw")
    assert "e9 79 42 f6" in text and "mbpoll" in text
    assert "字节" in run(site, "read", "wrong-1", "order", "--raw", "--lang", "zh")


def test_bytes_of_s7_and_none_of_opcua(plant: tuple[Site, Line]) -> None:
    site, _ = plant
    rows = {row["tag"]: row for row in told(site, "read", "furnace-1", "--raw")["tags"]}
    assert (rows["setpoint"]["bytes"], rows["setpoint"]["value"]) == ("44 54 80 00", 850.0)
    assert (rows["time"]["bytes"], rows["time"]["raw"]) == ("11 23", 12300)
    assert "no bytes" in run(site, "read", "meters-1", "--raw")


def test_an_address_without_a_tag(plant: tuple[Site, Line]) -> None:
    site, _ = plant
    words = ("read", "wrong-1", "--address", "40043", "--type", "float32", "--order", "CDAB")
    (row,) = told(site, *words)["tags"]
    assert row["value"] == pytest.approx(PLANTED)
    assert "--type" in run(site, "read", "wrong-1", "--address", "40043", code=2)
    assert "not a Modbus address" in run(
        site, "read", "wrong-1", "--address", "4x", "--type", "int16", code=2
    )
    assert "float32" in run(site, "read", "wrong-1", "--address", "40043", "--type", "flot", code=2)


@pytest.mark.parametrize(
    ("words", "address", "order", "shift"),
    [
        (("order",), "400043", "CDAB", 0),
        (("base",), "400041", "ABCD", -1),
        (("--address", "hr:44", "--type", "float32"), "400045", "BADC", 0),
        (("--address", "hr:46", "--type", "float32"), "400047", "DCBA", 0),
    ],
)
def test_try_orders_finds_what_was_planted(
    plant: tuple[Site, Line], words: tuple[str, ...], address: str, order: str, shift: int
) -> None:
    best = told(plant[0], "read", "wrong-1", *words, "--try-orders")["trials"][0]
    assert (best["address"], best["order"], best["shift"]) == (address, order, shift)
    assert best["value"] == pytest.approx(PLANTED)


def test_try_orders_in_words(plant: tuple[Site, Line]) -> None:
    text = run(plant[0], "read", "wrong-1", "order", "--try-orders")
    assert text.splitlines()[1].split()[:3] == ["400043", "float32", "CDAB"]
    assert "huge" in text
    assert "real" in run(plant[0], "read", "furnace-1", "setpoint", "--try-orders").splitlines()[1]


def best(site: Site, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = told(site, "guess", *words)["values"][0]["candidates"][0]
    return found


def test_guess_names_the_wrong_base_and_order(plant: tuple[Site, Line]) -> None:
    site, line = plant
    before = line.state()["requests"]
    found = best(site, "wrong-1", "--value", "123.456", "--near", "hr:41")
    assert (found["address"], found["type"], found["order"]) == ("400041", "float32", "ABCD")
    assert any("counts from 1" in reason for reason in found["reasons"])
    assert line.state()["requests"] - before < 80, "memory with two holes in it"
    found = best(site, "wrong-1", "--value", "123.456", "--near", "40043")
    assert (found["address"], found["order"]) == ("400043", "CDAB")
    assert found["line"] == "value_1,400043,float32,CDAB,,"


def test_guess_finds_a_scaled_integer(plant: tuple[Site, Line]) -> None:
    found = best(plant[0], "wrong-1", "--value", "850.0", "--near", "40015", "--unit", "°C")
    assert (found["address"], found["type"], found["scale"]) == ("400015", "int16", 0.1)
    assert found["line"] == "value_1,400015,int16,,0.1,°C"


def test_guess_in_a_data_block(plant: tuple[Site, Line]) -> None:
    found = best(plant[0], "furnace-1", "--value", "850", "--near", "DB1.DBD16", "--span", "20")
    assert (found["address"], found["type"]) == ("DB1.DBD16", "real")
    candidates = told(plant[0], "guess", "furnace-1", "--value", "12.3", "--near", "DB3", "--span", "120")
    ways = {(c["address"], c["type"]) for c in candidates["values"][0]["candidates"]}
    assert ("DB3.DBW102", "s5time") in ways


def test_guess_among_variables(plant: tuple[Site, Line]) -> None:
    found = best(plant[0], "meters-1", "--value", "850.0")
    assert found["address"] == f"{NODE}.Furnace.Zone1.Setpoint"


def test_the_second_look_needs_the_first(plant: tuple[Site, Line]) -> None:
    site, _ = plant
    assert "first run" in run(site, "guess", "wrong-1", "--again", "24.1", code=2)
    run(site, "guess", "wrong-1", "--value", "123.456", "--near", "40043")
    text = run(site, "guess", "wrong-1", "--again", "123.456")
    assert "the display has not changed" in text
    assert "time(s)" in run(site, "guess", "wrong-1", "--again", "1", "--again", "2", code=2)


def test_what_is_not_there(plant: tuple[Site, Line]) -> None:
    site, _ = plant
    assert "nothing there shows that" in run(site, "guess", "wrong-1", "--value", "77777.7", code=1)
    assert "nothing there" in run(site, "guess", "wrong-1", "--value", "1", "--near", "hr:9000", code=2)
    assert "zeros stand everywhere" in run(site, "guess", "wrong-1", "--value", "0.0", code=2)
    assert "not a number" in run(site, "guess", "wrong-1", "--value", "abc", code=2)
    assert "--value" in run(site, "guess", "wrong-1", code=2)


def test_watch_shows_the_bytes_of_the_agents_values(plant: tuple[Site, Line]) -> None:
    site, _ = plant
    site.start()
    eventually("three are up", lambda: [d["state"] for d in site.status()["devices"]].count("up") == 3)
    text = run(site, "watch", "wrong-1", "furnace-1", "--once", "--raw")
    assert "e9 79 42 f6" in text and "44 54 80 00" in text
    assert "e9 79" not in run(site, "watch", "wrong-1", "--once")


def test_nothing_was_written(plant: tuple[Site, Line]) -> None:
    _, line = plant
    assert line.state()["writes"] == 0 and line.state("s7")["writes"] == 0
