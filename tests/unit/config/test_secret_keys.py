"""What is called like a secret is never shown, however it stands in the file."""

from __future__ import annotations

import pytest

from edge_agent.config.located import Source, is_secret_key


@pytest.mark.parametrize(
    "key",
    ["pw", "PW", "mqtt_pw", "pw_2", "sm4_key", "sm4key", "password", "passwd", "token", "api_key", "pwd",
     "client_secret", "private_key", "credentials"],
)  # fmt: skip
def test_names_of_secrets(key: str) -> None:
    assert is_secret_key(key)
    for line in (f"{key}: s3cr3t", f"  - {key}: s3cr3t # why", f"'{key}' : s3cr3t", f"{key}：s3cr3t"):
        assert "s3cr3t" not in Source("a", line).line(1)
        assert key in Source("a", line).line(1)


@pytest.mark.parametrize(
    "key", ["pwm", "upward", "spw3", "power", "setpoint", "key", "mn", "sm4", "select", "st", 3]
)
def test_names_of_other_things(key: object) -> None:
    assert not is_secret_key(key)
    assert Source("a", f"{key}: 123456").line(1) == f"{key}: 123456"


@pytest.mark.parametrize("value", ["s3cr3t", '"s3,cr}et"', "'s3,cr}et'", "s3 cr3t"])
def test_secrets_in_braces(value: str) -> None:
    line = f"  - {{name: park, pw: {value}, st: 31, token: {value}}}"
    assert Source("a", line).line(1) == "  - {name: park, pw: ***, st: 31, token: ***}"


def test_a_file_of_secrets_is_named() -> None:
    for line in ("pw: !secret park_pw", "- {pw: !secret park_pw, st: 31}"):
        assert Source("a", line).line(1) == line
