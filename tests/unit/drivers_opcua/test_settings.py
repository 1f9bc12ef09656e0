"""Addresses and settings: what is accepted, what it means, and what a mistake says."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import drivers.opcua
from drivers.opcua import PLUGIN
from drivers.opcua.address import NodeAddress, Place, elements, locate, parse
from drivers.opcua.settings import OpcuaSettings
from edge_agent.model import Tag, ValueType

SETTINGS = OpcuaSettings(link="opc.tcp://10.0.0.41")
GUID = "09087e75-8e5e-499b-954f-f2a9603db28a"

GOOD = [
    ("i=2258", NodeAddress("i", 2258)),
    ("ns=0;i=2258", NodeAddress("i", 2258)),
    (
        "nsu=http://vendor.example/press;s=Zone 1.T",
        NodeAddress("s", "Zone 1.T", 0, "http://vendor.example/press"),
    ),
    ("nsu=urn:a%3Bb%25c;i=7", NodeAddress("i", 7, 0, "urn:a;b%c")),
    ("ns=2;s=a=b;c", NodeAddress("s", "a=b;c", 2)),
    ("ns=3;s=温度", NodeAddress("s", "温度", 3)),
    (f"ns=4;g={GUID}", NodeAddress("g", uuid.UUID(GUID), 4)),
    (" ns=5;b=AQI= ", NodeAddress("b", b"\x01\x02", 5)),
]
BAD = [
    "",
    "s=",
    "x=1",
    "i=",
    "i=-1",
    "i=4294967296",
    "i=1e3",
    "ns=65536;i=1",
    "ns=;i=1",
    "nsu=;i=1",
    "g=1",
    "b=?",
]


@pytest.mark.parametrize(("text", "address"), GOOD)
def test_a_good_address_is_understood(text: str, address: NodeAddress) -> None:
    assert parse(text) == address
    problems = PLUGIN.check(SETTINGS, [Tag("t", text, ValueType.FLOAT64)])
    assert all(problem.warning for problem in problems)
    assert bool(problems) == (address.uri is None and address.index > 0)


@pytest.mark.parametrize("text", BAD)
def test_a_mistake_has_code_place_and_cure(text: str) -> None:
    (problem,) = PLUGIN.check(SETTINGS, [Tag("t", text, ValueType.FLOAT64)])
    assert (problem.code, problem.path, problem.warning) == (
        "E-OPCUA-ADDRESS",
        ("tags", "t", "address"),
        False,
    )
    assert problem.message.en and problem.message.zh and problem.cure.en and problem.cure.zh


def test_an_index_is_warned_of_and_a_uri_is_not() -> None:
    (problem,) = PLUGIN.check(
        SETTINGS,
        [Tag("index", "ns=2;s=a", ValueType.BOOL), Tag("uri", "nsu=urn:a;s=a", ValueType.BOOL)],
    )
    assert (problem.code, problem.path[1], problem.warning) == ("E-OPCUA-NS-INDEX", "index", True)


def test_all_mistakes_are_found_at_once_and_no_password_is_shown() -> None:
    settings = OpcuaSettings.model_validate(
        {"link": "opc.tcp://boss:hunter2@plc", "user": "boss", "password": "hunter2"}
    )
    problems = PLUGIN.check(settings, [Tag("t", "i=1", ValueType.BOOL, byte_order="CDAB")])
    assert [(problem.code, problem.path) for problem in problems] == [
        ("E-OPCUA-LINK", ("link",)),
        ("E-OPCUA-SECURITY", ("user",)),
        ("E-OPCUA-SECURITY", ("password",)),
        ("E-OPCUA-BYTE-ORDER", ("tags", "t", "byte_order")),
    ]
    assert "hunter2" not in repr(problems)


@pytest.mark.parametrize(
    "link", ["plc", "tcp://plc", "opc.tcp://", "opc.tcp://a:0", "opc.tcp://a:x", "opc.tcp://a?b"]
)
def test_a_bad_link_is_a_problem_and_still_has_a_key(link: str) -> None:
    settings = OpcuaSettings(link=link)
    (problem,) = PLUGIN.check(settings, [])
    assert (problem.code, problem.path) == ("E-OPCUA-LINK", ("link",))
    assert PLUGIN.link_key(settings) == link


@pytest.mark.parametrize("link", ["10.0.0.41:4840", "opc.tcp//10.0.0.41:4840", "tcp://10.0.0.41:4840"])
def test_where_only_the_scheme_is_wrong_the_whole_link_is_told(link: str) -> None:
    (problem,) = PLUGIN.check(OpcuaSettings(link=link), [])
    assert "here opc.tcp://10.0.0.41:4840." in problem.cure.en and "此处应为 opc.tcp://" in problem.cure.zh


def test_the_link_key_is_the_url_with_its_port() -> None:
    assert PLUGIN.link_key(SETTINGS) == "opc.tcp://10.0.0.41:4840"
    assert PLUGIN.link_key(OpcuaSettings(link="opc.tcp://PLC:4841/a/b")) == "opc.tcp://plc:4841/a/b"


@pytest.mark.parametrize("keys", [{"max_nodes_per_read": 0}, {"session_timeout": 60}, {"security": "None"}])
def test_settings_outside_their_range_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OpcuaSettings.model_validate({"link": "opc.tcp://plc", **keys})


def test_the_library_is_not_imported_before_a_link_connects() -> None:
    code = (
        "import sys; from drivers.opcua import PLUGIN; s = PLUGIN.settings(link='opc.tcp://plc');"
        "PLUGIN.open_link(s); PLUGIN.check(s, []); sys.exit('asyncua' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SECURED = {"security_policy": "Basic256Sha256"}


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ({**SECURED, "user": "a", "password": "b"}, []),
        ({**SECURED, "user": "a"}, ["E-OPCUA-USER"]),
        ({**SECURED, "password": "b"}, ["E-OPCUA-USER"]),
        ({**SECURED, "user_certificate": "c.der", "user_key": "c.pem"}, []),
        ({**SECURED, "user_key": "c.pem"}, ["E-OPCUA-USER"]),
        (
            {**SECURED, "user": "a", "password": "b", "user_certificate": "c", "user_key": "k"},
            ["E-OPCUA-USER"],
        ),
        ({"user_certificate": "c.der", "user_key": "c.pem"}, ["E-OPCUA-SECURITY"] * 2),
        ({"user": "a", "password": "b", "security_mode": "SignAndEncrypt"}, ["E-OPCUA-SECURITY"] * 2),
    ],
)
def test_a_user_is_whole_and_protected(keys: dict[str, object], codes: list[str]) -> None:
    settings = OpcuaSettings.model_validate({"link": "opc.tcp://plc", **keys})
    problems = PLUGIN.check(settings, [])
    assert [problem.code for problem in problems] == codes
    assert not any(problem.warning for problem in problems)
    for problem in problems:
        assert problem.message.zh and problem.cure.en and problem.cure.zh


def test_a_subscribed_group_must_have_tags() -> None:
    settings = OpcuaSettings(link="opc.tcp://plc", subscribe=["fast", "fats"])
    assert PLUGIN.subscribed(settings) == {"fast", "fats"}
    (problem,) = PLUGIN.check(settings, [Tag("t", "i=2258", ValueType.STRING, group="fast")])
    assert (problem.code, problem.path) == ("E-OPCUA-SUBSCRIBE", ("subscribe", 1))


def test_elements_count_from_the_address_they_begin_with() -> None:
    node = f"nsu=urn:a;s=T;g={GUID}[1]"
    tag = Tag("t", node, ValueType.FLOAT32)
    assert elements(SETTINGS, tag, 3) == tuple(f"element={n};{node}" for n in range(3))
    later = Tag("t", f" element=2,7;{node} ", ValueType.FLOAT32)
    assert elements(SETTINGS, later, 2) == (f"element=2,7;{node}", f"element=2,8;{node}")
    for address in elements(SETTINGS, later, 2):
        assert locate(address).node == parse(node)
        assert PLUGIN.check(SETTINGS, [Tag("t", address, ValueType.FLOAT32)]) == []
    with pytest.raises(ValueError, match="array"):
        elements(SETTINGS, Tag("t", f"element=2147483647;{node}", ValueType.BOOL), 2)


@pytest.mark.parametrize(
    "text", ["element=;i=1", "element=1", "element=-1;i=1", "element=1,;i=1", "element=2147483648;i=1"]
)
def test_a_bad_element_is_a_bad_address(text: str) -> None:
    (problem,) = PLUGIN.check(SETTINGS, [Tag("t", text, ValueType.BOOL)])
    assert problem.code == "E-OPCUA-ADDRESS"


def test_brackets_in_a_string_identifier_are_its_own() -> None:
    """On an S7-1500 ``"DB"."Temps"[1]`` is a node, and 1 the PLC's own index, not the second element."""
    assert locate('ns=3;s="DB"."Temps"[1]') == Place(NodeAddress("s", '"DB"."Temps"[1]', 3))


def test_the_sample_shows_the_real_defaults_and_good_tags() -> None:
    text = (Path(drivers.opcua.__file__).parent / "sample.yaml").read_text(encoding="utf-8")
    shown = yaml.safe_load("\n".join(re.findall(r"^# (\w+: .*|\w+:)$", text, re.MULTILINE)))
    keys = yaml.safe_load(text)
    assert set(keys) == {"device", "driver", "link", "poll", "tags"}
    settings = OpcuaSettings(link=keys["link"])
    shown.pop("timeout")  # decided by the agent, per link
    assert OpcuaSettings.model_validate({"link": keys["link"], **shown}) == settings
    lines = [line.split(",") for line in re.findall(r"^##   (\S+)", text, re.MULTILINE)]
    tags = [Tag(name, address, ValueType(kind), group) for name, address, kind, group in lines]
    assert len(tags) >= 5
    assert {tag.group for tag in tags} == set(keys["poll"])
    assert PLUGIN.check(settings, tags) == []
