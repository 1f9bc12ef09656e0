"""What is taken out of a text before it leaves the machine, and what stays."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from edge_agent.cli.redaction import MASK, Redaction, known_secrets

SECRET = "Tr0ub4dor&3 /x+y="


@pytest.mark.parametrize(
    "text",
    [
        f"plain {SECRET} here",
        f"http://h/in?key={quote(SECRET, safe='')}",
        f"http://h/in?key={quote(SECRET)}",
        SECRET.encode().hex(),
        SECRET.encode().hex(" "),
        *(base64.b64encode(b"user:"[:n] + SECRET.encode()).decode() for n in range(4)),
        f'{{"a": "{SECRET}"}}',
    ],
)
def test_known_values_in_every_form(text: str) -> None:
    redaction = Redaction([SECRET])
    shown = redaction.text(text)
    assert MASK in shown and redaction.masked
    assert SECRET not in shown and "ub4dor" not in shown and SECRET.encode().hex()[8:20] not in shown


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("password: hunter22", "hunter22"),
        ("  - api_key: 'hunter22'", "hunter22"),
        ("db_passwd=hunter22", "hunter22"),
        ("Environment=EDGE_AGENT_SECRET_X=hunter22", "hunter22"),
        ("密码：hunter22", "hunter22"),
        ("密码: hunter22", "hunter22"),
        ("  pw: hunter", "hunter"),
        ("url: https://user:hunter22@park.example/in", "hunter22"),
        ("url: mqtts://hunter22@park.example", "hunter22"),
        ("get /in?token=hunter22&x=1 failed", "hunter22"),
        ("Authorization: Bearer hunter22hunter", "hunter22"),
        ("sent 'Basic aHVudGVyMjI6eA=='", "aHVud"),
        ('{"user": "a", "password": "hunter22", "b": 1}', "hunter22"),
        ("{user: a, password: hunter22, b: 1}", "hunter22"),
        ("headers: {Cookie: hunter22}", "hunter22"),
        ("password: |\n  hunter22\n  hunter33\nline: x", "hunter33"),
        ("-----BEGIN PRIVATE KEY-----\nhunter22\n-----END PRIVATE KEY-----", "hunter22"),
    ],
)
def test_what_looks_like_a_secret(text: str, gone: str) -> None:
    shown = Redaction().text(text)
    assert gone not in shown and MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "password: !secret park-password",
        "tag: pressure\naddress: hr:0\nunit: MPa",
        "url: https://park.example:8443/in",
        "topic: lineside/{agent}/data",
        '{"tokens": true, "x": 1}',
        "FC03 read hr:0..10, 11",
        '2026-11-22T11:00:00 level=info msg="stopped" samples_read=2559',
        "passed: 3",
    ],
)
def test_what_stays(text: str) -> None:
    redaction = Redaction(["123456"])
    assert redaction.text(text) == text


def test_a_short_secret_is_no_part_of_a_number() -> None:
    redaction = Redaction(["123456"])
    assert redaction.text("read 1123456 samples, PW=123456;") == f"read 1123456 samples, PW={MASK};"


def test_a_block_ends_where_its_key_does() -> None:
    shown = Redaction().text("a:\n  password: >-\n    hunter22\n\n    more\n  link: tcp://x\nb: 1")
    assert "link: tcp://x" in shown and "b: 1" in shown and "more" not in shown


def test_columns_of_a_table() -> None:
    shown = Redaction().table("name,password,unit\nfan,hunter22,rpm\nhorn,,\n")
    assert shown.splitlines() == ["name,password,unit", f"fan,{MASK},rpm", "horn,,"]
    assert Redaction().table("名称;密码\nfan;hunter22\n").splitlines()[1] == f"fan;{MASK}"
    assert Redaction(["hunter22"]).table("name,description\nfan,hunter22\n").splitlines()[1] == f"fan,{MASK}"


def test_data_by_key_and_by_text() -> None:
    redaction = Redaction(["hunter22"])
    data = {"token": "abc", "n": [{"reason": "said hunter22"}], "token_age_s": 3, "ok": True}
    assert redaction.data(data) == {
        "token": MASK, "n": [{"reason": f"said {MASK}"}], "token_age_s": 3, "ok": True,
    }  # fmt: skip


def test_where_secrets_are_found(tmp_path: Path) -> None:
    config, given = tmp_path / "config", tmp_path / "credentials"
    (config / "secrets").mkdir(parents=True)
    given.mkdir()
    (config / "secrets" / "a").write_text("from-a-file\n", encoding="utf-8")
    (given / "b").write_text("from-systemd", encoding="utf-8")
    (config / "edge-agent.yaml").write_text(
        "line: x\nuplinks:\n  - {name: p, type: http, url: 'http://127.0.0.1:1/', token: in-the-file}\n",
        encoding="utf-8",
    )
    environ = {"EDGE_AGENT_SECRET_C": "from-environment", "CREDENTIALS_DIRECTORY": str(given), "HOME": "/x"}
    assert sorted(known_secrets(config, environ)) == [
        "from-a-file", "from-environment", "from-systemd", "in-the-file",
    ]  # fmt: skip
