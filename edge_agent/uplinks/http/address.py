"""What the address of a destination says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import HttpSettings


def secure(settings: HttpSettings) -> bool:
    return urlsplit(settings.url).scheme == "https"


def host_name(settings: HttpSettings) -> str:
    return urlsplit(settings.url).hostname or ""


def endpoint(settings: HttpSettings) -> str:
    """The address for people and logs: without the query, which may carry a key."""
    parts = urlsplit(settings.url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
