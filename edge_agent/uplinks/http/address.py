"""What the address of a destination says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

_SECRET = re.compile(r"\{\{\s*secret\s*\}\}")

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import WebSettings


def secure(settings: WebSettings) -> bool:
    return urlsplit(settings.url).scheme == "https"


def host_name(settings: WebSettings) -> str:
    return urlsplit(settings.url).hostname or ""


def endpoint(settings: WebSettings) -> str:
    """The address for people and logs: without the query, which may carry a key; ``{{secret}}`` stays."""
    parts = urlsplit(settings.url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def filled(url: str, secret: str) -> str:
    """The address that is asked: the secret in the place of its placeholder, escaped."""
    return _SECRET.sub(lambda _: quote(secret, safe=""), url)
