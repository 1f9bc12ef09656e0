"""What may be written in the configuration, and what the running agent is spared."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from edge_agent.config import load, load_with_warnings
from edge_agent.settings import Record, Sealed
from edge_agent.uplink import Stream
from edge_agent.uplinks.hj212 import PLUGIN
from edge_agent.uplinks.hj212.address import parse
from edge_agent.uplinks.hj212.assembly import mapping
from edge_agent.uplinks.hj212.settings import Hj212Settings

from .vectors import MN

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "address": "tcp://park.example:9001",
    "mn": MN,
    "pw": "123456",
    "st": "31",
    "factors": [
        {"tag": "stack.so2", "code": "a21026", "unit": "mg/m3"},
        {"tag": "stack.x", "code": "p99", "format": "N3.1"},
    ],
}


def made(**changes: Any) -> Hj212Settings:
    return Hj212Settings.model_validate({**GOOD, **changes})


def test_defaults() -> None:
    settings = made()
    assert (settings.version, settings.over_time, settings.re_count, settings.allow_remote_time) == (
        "2017",
        10,
        3,
        False,
    )
    assert [str(f.format) for f in mapping(settings)] == ["N5.2", "N3.1"]
    assert "123456" not in repr(settings)


def test_numbers_without_quotes_are_understood() -> None:
    found = made(st=31, version=2025, pw=654321)
    assert (found.st, found.version, found.pw.get_secret_value()) == ("31", "2025", "654321")


def test_a_total_of_its_own() -> None:
    for code in ("w00000", "a00000", "x12345"):
        (found,) = mapping(made(factors=[{"tag": "a.b", "code": code, "total": "a.b", "format": "N4"}]))
        assert (found.total, str(found.total_format)) == ("a.b", "N12.3")
    (mass,) = mapping(made(factors=[{"tag": "a.b", "code": "w01018", "total": "a.kg"}]))
    assert mass.total == "a.kg"


def test_the_example_is_sound(tmp_path: Path) -> None:
    """As it is, and with what a technician is told to do."""
    example = tmp_path / "hj212-stack"
    shutil.copytree(ROOT / "config/examples/hj212-stack", example)
    assert load(example, environ={}).uplinks == ()
    text = (example / "edge-agent.yaml").read_text(encoding="utf-8")
    head, _, rest = text.partition("# uplinks:")
    shown = re.sub(r"^# ?", "", "# uplinks:" + rest, flags=re.MULTILINE)
    (example / "edge-agent.yaml").write_text(head + shown, encoding="utf-8")
    (example / "secrets").mkdir()
    (example / "secrets" / "park_pw").write_text("123456")
    (example / "secrets" / "park_pw").chmod(0o640)
    configuration, warnings = load_with_warnings(example, environ={})
    assert warnings == ()
    (uplink,) = configuration.uplinks
    assert uplink.selection.streams == {Stream.SAMPLES, Stream.PERIODS}
    assert [f.code for f in mapping(cast("Hj212Settings", uplink.settings))] == ["a21026", "a34013", "a00000"]
    assert {str(t.tag) for t in configuration.periods.tags} == {"stack-1.so2", "stack-1.dust", "stack-1.flow"}


def test_the_edition_decides_the_format() -> None:
    factors = [{"tag": "a.b", "code": "a34013"}]
    assert str(mapping(made(factors=factors))[0].format) == "N4"
    assert str(mapping(made(factors=factors, version="2025"))[0].format) == "N4.1"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"address": "park.example"}, "hj212_address"),
        ({"address": "http://park.example:80"}, "hj212_address"),
        ({"address": "tcp://park.example:0"}, "hj212_address"),
        ({"address": "tcp://park.example:70000"}, "hj212_address"),
        ({"mn": "abc"}, "hj212_mn"),
        ({"mn": ""}, "hj212_mn"),
        ({"mn": "A;B"}, "hj212_mn"),
        ({"pw": "12345"}, "hj212_pw"),
        ({"pw": "12;456"}, "hj212_pw"),
        ({"pw": "12 456"}, "hj212_pw"),
        ({"pw": "12&456"}, "hj212_pw"),
        ({"st": "3"}, "hj212_st"),
        ({"st": "3a"}, "hj212_st"),
        ({"version": "2005"}, "literal_error"),
        ({"factors": []}, "too_short"),
        ({"factors": [{"tag": "so2", "code": "a21026"}]}, "hj212_tag"),
        ({"factors": [{"tag": "a. ", "code": "a21026"}]}, "hj212_tag"),
        ({"factors": [{"tag": "a.b", "code": "a21026", "sn": "A;B"}]}, "hj212_sn"),
        ({"factors": [{"tag": "a.b", "code": "a21026", "total": "a.b"}]}, "hj212_total"),
        ({"factors": [{"tag": "a.b", "code": "w01018", "total": "b.c"}]}, "hj212_total_device"),
        ({"running_hours": [{"code": "1", "tag": "a.b"}]}, "hj212_facility"),
        ({"infos": [{"factor": "a21026", "code": "i4", "tag": "a.b"}]}, "hj212_info"),
        ({"key_exchange": True, "version": "2025"}, "hj212_key_exchange"),
        ({"mn": 123456}, "string_type"),
        ({"min_interval": 7}, "literal_error"),
        ({"backfill_per_min": 29}, "greater_than_equal"),
        ({"factors": [{"tag": "a.b", "code": "a2;"}]}, "hj212_code"),
        ({"factors": [{"tag": "a.b", "code": "a21026", "format": "5.2"}]}, "hj212_format"),
        ({"factors": [{"tag": "a.b", "code": "d20105"}]}, "hj212_no_format"),
        (
            {"factors": [{"tag": "a.b", "code": "a21026"}, {"tag": "a.c", "code": "a21026"}]},
            "hj212_code_twice",
        ),
        ({"over_time": "100s"}, "less_than_equal"),
        ({"real_time": "2h"}, "less_than_equal"),
        ({"re_count": 0}, "greater_than_equal"),
        ({"flag": 5}, "extra_forbidden"),
        ({"sm4_key": "0" * 16}, "hj212_sm4"),
        ({"sm4_key": "0" * 15, "version": "2025"}, "hj212_sm4_key"),
        ({"sm4_key": "x" * 32, "version": "2025"}, "hj212_sm4_key"),
    ],
)
def test_mistakes(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**changes)
    assert [error["type"] for error in caught.value.errors()] == [code]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tcp://10.0.0.1:9001", ("10.0.0.1", 9001)),
        ("tcp://[fe80::1]:5", ("fe80::1", 5)),
        ("tcp://a-b.example:1/", ("a-b.example", 1)),
    ],
)
def test_addresses(text: str, parts: tuple[str, int]) -> None:
    assert parse(text) == parts


def test_the_running_agent_does_not_import_pydantic() -> None:
    heavy = "{'pydantic', 'cryptography'} & set(sys.modules)"
    code = f"import sys, edge_agent.uplinks.hj212; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_plain_records_do_as_settings() -> None:
    """What a running agent holds in place of the model."""
    model = made()
    keys = {name: getattr(model, name) for name in type(model).model_fields}
    keys["pw"] = Sealed("123456")
    keys["factors"] = [Record({n: getattr(f, n) for n in type(f).model_fields}) for f in model.factors]
    record: Any = Record(keys)
    assert PLUGIN.endpoint(record) == "tcp://park.example:9001"
    assert mapping(record) == mapping(model)
