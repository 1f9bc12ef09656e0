"""What a person writes under ``uplinks:`` for ``type: http``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.settings import Duration, Secret
from edge_agent.uplink import UplinkSettings


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises when it is not a port number
    except ValueError as error:
        raise PydanticCustomError("url", "not a web address: {why}", {"why": str(error)}) from None
    if parts.scheme not in ("http", "https"):
        raise PydanticCustomError(
            "url_scheme",
            "the address must begin with https:// or http://, for example https://park.example/in",
        )
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise PydanticCustomError("url", "not a web address: {why}", {"why": "no host name, or blanks in it"})
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("url_secret", "no password in the address: use token: !secret NAME")
    if parts.fragment:
        raise PydanticCustomError("url", "not a web address: {why}", {"why": "a part after # is never sent"})
    return url


class HttpSettings(UplinkSettings):
    """TLS verification is always on: there is no key that turns it off. A destination with a certificate
    of its own needs ``ca_file``."""

    url: Annotated[str, AfterValidator(_checked_url)] = Field(description="where each message is POSTed to")
    token: Secret | None = Field(None, description="sent as Authorization: Bearer")
    timeout: Duration = Field(10.0, description="for one whole exchange, connecting included")
    compress: bool = Field(False, description="gzip the body; the destination must understand it")
    ca_file: Path | None = Field(
        None, description="PEM; the only authorities trusted, in place of the system's"
    )
    client_cert: Path | None = Field(None, description="PEM; shown to the destination (mutual TLS)")
    client_key: Path | None = Field(None, description="PEM; needed unless client_cert holds the key as well")

    @model_validator(mode="after")
    def _tls_keys_fit(self) -> Self:
        if self.client_key is not None and self.client_cert is None:
            raise PydanticCustomError("client_key", "client_key needs client_cert beside it")
        given = [k for k in ("ca_file", "client_cert") if getattr(self, k) is not None]
        if given and not self.secure:
            raise PydanticCustomError("tls_needs_https", "{key} needs an https:// address", {"key": given[0]})
        return self

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def host_name(self) -> str:
        return urlsplit(self.url).hostname or ""


def endpoint(settings: HttpSettings) -> str:
    """The address for people and logs: without the query, which may carry a key."""
    parts = urlsplit(settings.url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
