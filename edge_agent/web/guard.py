"""Who may ask, and what every answer says to a browser.

A web page anywhere can make the browser of someone in the plant ask this server under a name the page's
owner controls (DNS rebinding). Such a request carries that name in its Host header; a name this agent does
not go by is refused.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # compared with, never bound to

POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
}


class HostNames:
    """The names under which this server may be asked.

    Always localhost, 127.0.0.1, ::1 and the configured host. Listening on every address, also any IP
    address (an attacker's page needs a name) and the machine's own name, with and without ``.local``.
    """

    def __init__(self, configured: str) -> None:
        self._any_address = configured in _WILDCARDS
        own = socket.gethostname().lower()
        self._names = _LOOPBACK | {configured.lower()}
        if self._any_address:
            short = own.partition(".")[0]
            self._names |= {own, short, f"{short}.local"}

    def allow(self, header: str | None) -> bool:
        name = _host_name(header or "")
        return bool(name) and (name in self._names or (self._any_address and _is_address(name)))


def _host_name(header: str) -> str:
    """``[::1]:9713`` -> ``::1``; ``localhost:9713`` -> ``localhost``."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def refuse_strangers(names: HostNames) -> Middleware:
    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not names.allow(request.headers.get("Host")):
            raise web.HTTPForbidden(
                text="403: this agent does not go by that name; ask it by its IP address or as localhost\n"
            )
        return await handler(request)

    return guard


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """For every answer, also refusals. A route may have set its own policy already."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "lineside"  # not which library in which version
