"""What a server offers: its endpoints, asked without a session, so that nothing needs to be trusted yet."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from drivers.opcua.endpoint import url
from edge_agent.errors import LinkLost

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

TIMEOUT_S = 5.0
_SESSION = "drivers.opcua.session"


async def scan(settings: OpcuaSettings) -> AsyncIterator[Mapping[str, Any]]:
    """``{"security_policy": "Basic256Sha256", "security_mode": "Sign", "said": ...}`` per endpoint, as a
    device file would hold it, with the kinds of identity the server takes there."""
    if _SESSION not in sys.modules:
        await asyncio.to_thread(importlib.import_module, _SESSION)
    from drivers.opcua.session import Session

    session = Session(url(settings), TIMEOUT_S)
    try:
        async with asyncio.timeout(settings.timeout or TIMEOUT_S):
            offers = await session.offers()
    except TimeoutError:
        raise LinkLost("the server does not tell its endpoints in time", reason="timeout") from None
    for offer in offers:
        identities = {token.TokenType.name for token in offer.UserIdentityTokens or ()}
        yield {
            "security_policy": str(offer.SecurityPolicyUri).rpartition("#")[2],
            "security_mode": offer.SecurityMode.name.rstrip("_"),
            "said": ", ".join(sorted(identities)),
        }
