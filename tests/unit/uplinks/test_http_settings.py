from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.uplinks.http import PLUGIN
from edge_agent.uplinks.http.settings import HttpSettings


def refused(**keys: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        HttpSettings.model_validate(keys)
    errors = caught.value.errors(include_url=False, include_input=False)
    assert len(errors) == 1
    if "en" in (context := errors[0].get("ctx", {})):
        assert all(context[text] for text in ("zh", "cure_en", "cure_zh"))
    return errors[0]["type"], errors[0]["msg"]


def test_defaults() -> None:
    settings = HttpSettings.model_validate({"url": " https://park.example:8443/in "})
    assert (settings.url, settings.timeout, settings.compress) == (
        "https://park.example:8443/in",
        10.0,
        False,
    )
    assert settings.token is None


@pytest.mark.parametrize("url", ["ftp://park/in", "park.example/in", "//park/in", "mqtt://park", "", "C:/in"])
def test_only_http_and_https(url: str) -> None:
    code, message = refused(url=url)
    assert code == "url_scheme"
    assert "https://" in message


@pytest.mark.parametrize("url", ["https://", "https:///in", "https://park:port/in", "https://[::1/in"])
def test_an_address_without_a_usable_host(url: str) -> None:
    assert refused(url=url)[0] == "url"


@pytest.mark.parametrize("url", ["https://pa rk/in", "https://park/in\x07", "https://park/in#part"])
def test_an_address_with_odd_characters(url: str) -> None:
    assert refused(url=url)[0] == "url"


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    code, message = refused(url="https://me:hunter2@park/in")
    assert code == "url_secret"
    assert "hunter2" not in message


def test_a_key_needs_its_certificate_and_tls_files_need_https() -> None:
    assert refused(url="https://park/in", client_key="k.pem")[0] == "client_key"
    assert refused(url="http://park/in", ca_file="ca.pem")[0] == "tls_needs_https"


def test_a_timeout_needs_a_unit() -> None:
    assert refused(url="https://park/in", timeout=5)[0] == "duration_unit"


def test_endpoint_shows_neither_token_nor_query() -> None:
    settings = HttpSettings.model_validate({"url": "https://park:8443/in?key=s3cret", "token": "t0ken"})
    assert PLUGIN.endpoint(settings) == "https://park:8443/in"
    assert "t0ken" not in repr(settings)
