"""Requests and responses told to a trace, without what could be a secret. Imports asyncua."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import Any

from asyncua import ua as typed_ua
from asyncua.ua.ua_binary import struct_to_binary

from edge_agent.driver import Trace

ua: Any = typed_ua
_SECRET = ("ActivateSession", "CreateSession", "OpenSecureChannel")
"""Requests and responses with passwords, tokens, nonces or signatures in them."""


def tell(trace: Trace, request: Any, answer: asyncio.Future[Any]) -> None:
    """The request now, its answer when it comes; that none came is for the caller to tell."""
    service = type(request).__name__.removesuffix("Request")
    if service in _SECRET:
        trace(">", b"", f"{service}: not recorded, it holds secrets")
        answer.add_done_callback(lambda done: _answered(trace, service, done))
        return
    trace(">", _without_token(request), "")
    answer.add_done_callback(lambda done: _answered(trace, "", done))


def _without_token(request: Any) -> bytes:
    """The token names the session: whoever has it could speak in it."""
    shown = copy(request)
    shown.RequestHeader = copy(request.RequestHeader)
    shown.RequestHeader.AuthenticationToken = ua.NodeId()
    return bytes(struct_to_binary(shown))


def _answered(trace: Trace, hidden: str, done: asyncio.Future[Any]) -> None:
    if done.cancelled():
        return
    error = done.exception()
    if error is not None:
        trace("!", b"", f"no answer: {type(error).__name__}")
    elif hidden:
        trace("<", b"", f"{hidden}: not recorded, it holds secrets")
    else:
        body = done.result()
        size = len(body)
        trace("<", bytes(body.copy(size).read(size)), "")
